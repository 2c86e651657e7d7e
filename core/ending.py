"""What people did with a closed incident, as its history tells it. It is an action, not a row of the catalogue."""

from dataclasses import dataclass
from enum import StrEnum

from core.catalogue import Resolution, normalised
from core.closed import Skip
from core.desk_state import is_waiting
from core.incident import HistoryEntry, Incident
from core.marks import ASKED_FOR_POLICY, LEFT_TO_PERSON, our_text, read_marks
from core.opening import opening_entries, opening_mailbox

_CALLED_OFF = ("cancelad", "anulad")


class Did(StrEnum):
    """The catalogue's words for what people may do with an incident."""

    CLOSED = Resolution.CLOSE.value
    WAITED = Resolution.WAIT.value
    REASSIGNED = Resolution.REASSIGN.value


@dataclass(frozen=True)
class Ending:
    """What people did first of all that is not just closing it, and where it ended."""

    did: Did
    mailbox: str
    """Where it was closed; for a reassignment, where it was sent in the end."""
    resolution: int | None
    """Where in the history the last notes of theirs stand."""


def how_it_ended(incident: Incident, tag: str) -> Ending | Skip:
    """What people did with it, or why that says nothing: nobody did anything, it was called off, or it was ours.

    Reassigned: somebody sent it to another mailbox than the one it began in. Waited: it stood waiting before it was
    closed. Otherwise it was just closed.
    """
    if normalised(incident.status).startswith(_CALLED_OFF):
        return Skip.CALLED_OFF
    if any(mark.kind not in (LEFT_TO_PERSON, ASKED_FOR_POLICY) for mark in read_marks(incident, tag)):
        return Skip.HANDLED
    begun = len(opening_entries(incident, tag))
    theirs = [
        (at, entry)
        for at, entry in enumerate(incident.history)
        if at >= begun and our_text(entry, tag) is None and _is_of_the_desk(entry, incident)
    ]
    if not theirs:
        return Skip.NO_TRACE
    first = normalised(opening_mailbox(incident, tag))
    places = [place for _, entry in theirs if (place := entry.assigned_mailbox.strip())] + [incident.mailbox.strip()]
    resolution = next((at for at, entry in reversed(theirs) if entry.notes.strip()), None)
    last = next((place for place in reversed(places) if place), "")
    if normalised(last) != first:
        return Ending(Did.REASSIGNED, last, resolution)
    waited = any(is_waiting(entry.status) for _, entry in theirs)
    return Ending(Did.WAITED if waited else Did.CLOSED, last, resolution)


def _is_of_the_desk(entry: HistoryEntry, incident: Incident) -> bool:
    """Not the requester's: whoever asked did nothing with it but ask."""
    return not incident.requester.strip() or normalised(entry.author) != normalised(incident.requester)
