"""Closed incidents whose row is known, in the words of those who had them: what a row is searched by beside its own."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from core.closed import closing_date
from core.hostile import gives_orders
from core.incident import Incident
from core.knowledge.entry import EXAMPLES
from core.ledger import Ledger, Record, known_rows
from core.marks import carries
from core.opening import as_opened
from core.privacy import PersonalData, strip_identifiers

MOST_CHARACTERS = 600
"""Of an example: the embedders read little more, and the problem is told first."""
FEWEST_WORDS = 3
"""Fewer say nothing of what the problem was."""
QUIET = timedelta(days=7)
"""How long a closing of ours must have stood: whoever was closed wrongly comes back sooner."""


@dataclass(frozen=True)
class Examples:
    """Row id -> texts without personal data, at most `EXAMPLES` a row; and where they are from."""

    by_row: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    said: int = 0
    """From incidents whose row a person said."""
    stood: int = 0
    """From closings of ours that nobody reopened or reverted."""

    @property
    def total(self) -> int:
        """Texts."""
        return self.said + self.stood


@dataclass(frozen=True)
class _Text:
    row: str
    text: str
    said: bool
    closed: float
    code: str


def example_text(opened: Incident, personal: PersonalData) -> str:
    """What the incident says of its problem, as it was opened: without personal data, names and identifiers."""
    redacted = personal.redact_incident(opened)
    return strip_identifiers(redacted.text)[:MOST_CHARACTERS].strip()


@dataclass(frozen=True)
class Sources:
    """Incident code -> row id that a person said, and -> our closing that stood."""

    said: Mapping[str, str]
    stood: Mapping[str, Record]

    def __bool__(self) -> bool:
        return bool(self.said or self.stood)


def sources(ledger: Ledger) -> Sources:
    """What the ledger knows. A row that was reverted, reopened or called wrong on an incident is not taken from it."""
    known = known_rows(ledger.outcomes())
    said = {code: next(iter(rows.right)) for code, rows in known.items() if len(rows.right) == 1}
    latest = ledger.now(QUIET)
    stood = {
        code: record
        for code, record in ledger.closings().items()
        if code not in known and record.entry and record.closed_at <= latest
    }
    return Sources(said, stood)


def find(closed: Iterable[Incident], known: Sources, personal: PersonalData, tag: str) -> Examples:
    """The examples that these closed incidents give, those said by people first, then the latest.

    A text that two rows would have is nobody's: it tells them apart from nothing.
    """
    texts = [text for incident in closed if (text := _text(incident, known, personal, tag))]
    rows_of: defaultdict[str, set[str]] = defaultdict(set)
    for text in texts:
        rows_of[text.text].add(text.row)
    by_row: defaultdict[str, dict[str, _Text]] = defaultdict(dict)
    for text in sorted(texts, key=lambda text: (not text.said, -text.closed, text.code)):
        if len(rows_of[text.text]) == 1 and len(by_row[text.row]) < EXAMPLES:
            by_row[text.row].setdefault(text.text, text)
    kept = Counter(text.said for row in by_row.values() for text in row.values())
    return Examples({row: tuple(found) for row, found in sorted(by_row.items()) if found}, kept[True], kept[False])


def _text(incident: Incident, known: Sources, personal: PersonalData, tag: str) -> _Text | None:
    row = known.said.get(incident.code)
    if row is None:
        record = known.stood.get(incident.code)
        if record is None or not record.entry or not record.reached(incident) or not carries(incident, record.id):
            return None
    text = example_text(as_opened(incident, tag), personal)
    if len(text.split()) < FEWEST_WORDS or gives_orders(text):
        return None
    when = closing_date(incident)
    return _Text(row or known.stood[incident.code].entry or "", text, row is not None, _seconds(when), incident.code)


def _seconds(when: datetime | None) -> float:
    return when.timestamp() if when else 0.0
