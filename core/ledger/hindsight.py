"""Looking back over the ledger: what turned out beside what was decided, and labels that people bring."""

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import sqlalchemy as sa

from core.ledger.known_rows import NOTHING_KNOWN, KnownRows, known_rows
from core.ledger.record import UNDO, Label, LabelledOutcome, Phase, Record
from core.ledger.schema import decisions, outcomes
from core.ledger.store import Ledger

_ORPHAN = "e-"
"""What the id of a label starts with that belongs to no decision yet."""
_CHUNK = 500
"""Incidents per query."""


@dataclass(frozen=True)
class Said:
    """A person's word: whether this row was right for this incident."""

    incident: str
    entry: str
    right: bool


@dataclass(frozen=True)
class Taken:
    """What became of the labels brought: how many belong to an action, to what was left to a person, to nothing yet."""

    acted: int = 0
    left: int = 0
    waiting: int = 0
    contradicted: int = 0
    """Decisions on another row than the one called right: nobody spoke of that row, and they count as wrong."""


@dataclass(frozen=True)
class _Look:
    """The decisions on the incidents of which something was said."""

    records: list[Record]
    """Oldest first."""
    said: Mapping[str, list[Label]]
    """Decision -> what was said of its own row."""
    rows: Mapping[str, KnownRows]
    """Incident -> which rows are known to be right or wrong for it."""

    def denies(self, record: Record) -> bool:
        """Another row was called right, and this one was not."""
        right = self.rows.get(record.incident, NOTHING_KNOWN).right
        return bool(record.entry and right) and record.entry not in right

    def contradicted(self) -> set[str]:
        """The decisions that are wrong by that alone: on each row the one that a label on it would be about."""
        lasts = [_last(records) for records in _by_row(self.records).values()]
        return {record.id for record in lasts if record.id not in self.said and self.denies(record)}


class Hindsight:
    """Over one ledger. Every method raises `DependencyError` by name when the database cannot be used."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def labelled(self) -> list[tuple[Record, tuple[Label, ...]]]:
        """Every decision of which something was said, oldest first.

        A label that came without a decision counts for the last one on that incident and row. A row called right says
        `WRONG` of the last decision on any other row of the incident, where no label is about that decision itself.
        """
        look = self._look()
        said = {**look.said, **{decision: [Label.WRONG] for decision in look.contradicted()}}
        return [(record, tuple(said[record.id])) for record in look.records if record.id in said]

    def silent(self, age: timedelta) -> list[Record]:
        """Actions that the desk confirmed so long ago and of which nobody has said anything, nor that another row was
        the right one; oldest first."""
        look = self._look()
        old = self._records(
            sa.and_(
                decisions.c.phase == Phase.CONFIRMED,
                decisions.c.kind != UNDO,
                decisions.c.created < self._ledger.now(age),
            )
        )
        return [record for record in old if record.id not in look.said and not look.denies(record)]

    def recent(self, most: int) -> list[Record]:
        """The last decisions, those left to people among them, newest first."""
        query = sa.select(decisions).where(decisions.c.kind != UNDO).order_by(decisions.c.created.desc()).limit(most)
        with self._ledger.reading() as connection:
            return [Record.model_validate(dict(row)) for row in connection.execute(query).mappings()]

    def say(self, labels: Sequence[Said], who: str) -> Taken:
        """Write the labels down, all or none. A person's later word takes the place of an earlier one; a reopening or
        an undoing stays beside it."""
        counts = {"acted": 0, "left": 0, "waiting": 0}
        rows: list[LabelledOutcome] = []
        known = self._last_on_row({said.incident for said in labels})
        for said in labels:
            record = known.get((said.incident, said.entry))
            counts["waiting" if record is None else "left" if record.phase is Phase.LEFT else "acted"] += 1
            rows.append(
                LabelledOutcome(
                    decision=record.id if record else _orphan(said),
                    incident=said.incident,
                    entry=said.entry,
                    label=Label.RIGHT if said.right else Label.WRONG,
                    who=who,
                    said=self._ledger.now(),
                )
            )
        with self._ledger.writing() as connection:
            for row in rows:
                words = outcomes.c.label.in_([Label.RIGHT, Label.WRONG])
                same = outcomes.c.decision.in_((row.decision, _orphan(row)))  # said before there was a decision, too
                connection.execute(sa.delete(outcomes).where(same, words))
                connection.execute(sa.insert(outcomes).values(row.model_dump()))
        return Taken(**counts, contradicted=self._contradicted({said.incident for said in labels if said.right}))

    def _contradicted(self, incidents: Collection[str]) -> int:
        """How many decisions on these incidents are wrong because another row is right."""
        if not incidents:
            return 0
        look = self._look()
        denied = look.contradicted()
        return sum(record.id in denied and record.incident in incidents for record in look.records)

    def _look(self) -> _Look:
        everything = self._ledger.outcomes()
        said: dict[str, list[Label]] = defaultdict(list)
        loose: dict[tuple[str, str], list[Label]] = defaultdict(list)
        for outcome in everything:
            if outcome.decision.startswith(_ORPHAN):
                loose[outcome.incident, outcome.entry or ""].append(outcome.label)
            else:
                said[outcome.decision].append(outcome.label)
        of_these = decisions.c.incident.in_(sa.select(outcomes.c.incident))
        records = self._records(sa.and_(decisions.c.kind != UNDO, of_these))
        by_row = _by_row(records)
        for key in by_row.keys() & loose.keys():
            said[_last(by_row[key]).id] += loose[key]
        return _Look(records, dict(said), known_rows(everything))

    def _last_on_row(self, incidents: Iterable[str]) -> dict[tuple[str, str], Record]:
        """(incident, row) -> the decision that a label on them is about."""
        found: list[Record] = []
        codes = sorted(incidents)
        for start in range(0, len(codes), _CHUNK):
            some = decisions.c.incident.in_(codes[start : start + _CHUNK])
            found += self._records(sa.and_(decisions.c.kind != UNDO, some))
        return {key: _last(records) for key, records in _by_row(found).items()}

    def _records(self, condition: sa.ColumnElement[bool]) -> list[Record]:
        query = sa.select(decisions).where(condition).order_by(decisions.c.created, decisions.c.id)
        with self._ledger.reading() as connection:
            return [Record.model_validate(dict(row)) for row in connection.execute(query).mappings()]


def _last(records: Sequence[Record]) -> Record:
    """The last that acted or proposed; failing that, the last that left it to a person."""
    return max(records, key=lambda record: (record.phase is not Phase.LEFT, record.created))


def _by_row(records: Iterable[Record]) -> dict[tuple[str, str], list[Record]]:
    found: dict[tuple[str, str], list[Record]] = defaultdict(list)
    for record in records:
        found[record.incident, record.entry or ""].append(record)
    return dict(found)


def _orphan(said: Said | LabelledOutcome) -> str:
    return _ORPHAN + hashlib.sha256(f"{said.incident}\n{said.entry}".encode()).hexdigest()[:12]
