"""Closed incidents whose row is known, in the words of those who had them: what a row is searched by beside its own."""

from core.incident import Incident
from core.privacy import PersonalData, strip_identifiers

MOST_CHARACTERS = 600
"""Of an example: the embedders read little more, and the problem is told first."""


def example_text(opened: Incident, personal: PersonalData) -> str:
    """What the incident says of its problem, as it was opened: without personal data, names and identifiers."""
    redacted = personal.redact_incident(opened)
    return strip_identifiers(redacted.text)[:MOST_CHARACTERS].strip()
