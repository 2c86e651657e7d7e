"""Looking back over the ledger: what turned out beside what was decided, and labels that people bring."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

import sqlalchemy as sa

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


class Hindsight:
    """Over one ledger. Every method raises `DependencyError` by name when the database cannot be used."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def labelled(self) -> list[tuple[Record, tuple[Label, ...]]]:
        """Every decision of which something was said, oldest first.

        A label that came without a decision counts for the last one on that incident and row.
        """
        said: dict[str, list[Label]] = defaultdict(list)
        loose: dict[tuple[str, str], list[Label]] = defaultdict(list)
        for outcome in self._ledger.outcomes():
            if outcome.decision.startswith(_ORPHAN):
                loose[outcome.incident, outcome.entry or ""].append(outcome.label)
            else:
                said[outcome.decision].append(outcome.label)
        own = sa.exists().where(outcomes.c.decision == decisions.c.id)
        loose_ones = sa.exists().where(
            outcomes.c.decision.startswith(_ORPHAN),
            outcomes.c.incident == decisions.c.incident,
            outcomes.c.entry == decisions.c.entry,
        )
        found = self._records(sa.and_(decisions.c.kind != UNDO, sa.or_(own, loose_ones)))
        on_row: dict[tuple[str, str], list[Record]] = defaultdict(list)
        for record in found:
            on_row[record.incident, record.entry or ""].append(record)
        for key in on_row.keys() & loose.keys():
            said[_last(on_row[key]).id] += loose[key]
        return [(record, tuple(said[record.id])) for record in found if record.id in said]

    def silent(self, age: timedelta) -> list[Record]:
        """Actions that the desk confirmed so long ago and of which nobody has said anything, oldest first."""
        said = sa.select(outcomes.c.decision)
        return self._records(
            sa.and_(
                decisions.c.phase == Phase.CONFIRMED,
                decisions.c.kind != UNDO,
                decisions.c.created < self._ledger.now(age),
                decisions.c.id.not_in(said),
            )
        )

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
                connection.execute(sa.delete(outcomes).where(outcomes.c.decision == row.decision, words))
                connection.execute(sa.insert(outcomes).values(row.model_dump()))
        return Taken(**counts)

    def _last_on_row(self, incidents: Iterable[str]) -> dict[tuple[str, str], Record]:
        """(incident, row) -> the decision that a label on them is about."""
        found: dict[tuple[str, str], list[Record]] = defaultdict(list)
        codes = sorted(incidents)
        for start in range(0, len(codes), _CHUNK):
            some = decisions.c.incident.in_(codes[start : start + _CHUNK])
            for record in self._records(sa.and_(decisions.c.kind != UNDO, some)):
                found[record.incident, record.entry or ""].append(record)
        return {key: _last(records) for key, records in found.items()}

    def _records(self, condition: sa.ColumnElement[bool]) -> list[Record]:
        query = sa.select(decisions).where(condition).order_by(decisions.c.created, decisions.c.id)
        with self._ledger.reading() as connection:
            return [Record.model_validate(dict(row)) for row in connection.execute(query).mappings()]


def _last(records: Sequence[Record]) -> Record:
    """The last that acted or proposed; failing that, the last that left it to a person."""
    return max(records, key=lambda record: (record.phase is not Phase.LEFT, record.created))


def _orphan(said: Said) -> str:
    return _ORPHAN + hashlib.sha256(f"{said.incident}\n{said.entry}".encode()).hexdigest()[:12]
