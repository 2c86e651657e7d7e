"""The ledger's tables as the domain uses them. Every change of phase says from which phases it may start."""

import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from core.database import Database
from core.errors import DependencyError
from core.ledger import schema
from core.ledger.record import LIVE, Label, LabelledOutcome, Phase, Record
from core.ledger.schema import controls, decisions, outcomes
from core.store import Store

logger = logging.getLogger(__name__)

AUTOMATIC = "automatica"
"""The autonomy that counts towards the caps."""
PROPOSAL = "propuesta"
"""The autonomy of what a person approved or is to."""
_ACTED = (Phase.INTENDED, Phase.SENT, Phase.UNKNOWN, Phase.CONFIRMED, Phase.UNDONE)
_OPEN = (Phase.PROPOSED, Phase.INTENDED, *LIVE)
"""Not at its end: never too old to be kept."""


class Scope(StrEnum):
    """What a cap on the automatic actions of an hour is over."""

    ALL = "por_hora"
    MAILBOX = "por_buzon_y_hora"
    ENTRY = "por_fila_y_hora"


Caps = dict[Scope, int]
"""Most automatic actions in any 60 minutes; a scope that is missing has no cap."""


def _text(when: datetime) -> str:
    """As the tables have it: texts that sort as the times do."""
    return when.astimezone(UTC).isoformat(timespec="seconds")


def _utc() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Control:
    """A switch, and who set it when."""

    value: str
    who: str
    said: str


class Ledger(Store):
    """Decisions, what became of them, and the switches. As every `Store`: shared, and `DependencyError` by name."""

    def __init__(
        self,
        engine: sa.Engine,
        unavailable: Callable[[BaseException], DependencyError],
        now: Callable[[], datetime] = _utc,
    ) -> None:
        super().__init__(engine, unavailable, schema.migrate)
        self._now = now

    def now(self, ago: timedelta = timedelta()) -> str:
        """The present time as the tables have it, or that long ago."""
        return _text(self._now() - ago)

    # Decisions

    def find(self, decision: str) -> Record | None:
        """The decision with this id."""
        found = self._records(decisions.c.id == decision)
        return found[0] if found else None

    def of_incident(self, incident: str) -> list[Record]:
        """All decisions on an incident, oldest first."""
        return self._records(decisions.c.incident == incident)

    def between(self, since: datetime | None, until: datetime | None) -> list[Record]:
        """Decisions made at `since` or later and before `until`, both aware, oldest first; None: no bound."""
        bounds: list[sa.ColumnElement[bool]] = [sa.true()]
        if since is not None:
            bounds.append(decisions.c.created >= _text(since))
        if until is not None:
            bounds.append(decisions.c.created < _text(until))
        return self._records(sa.and_(*bounds))

    def unsettled(self, dead: timedelta = timedelta(minutes=10)) -> list[Record]:
        """Decisions of which nobody could say whether they took effect, oldest first.

        `dead`: whoever sent a change so long ago and did not end it is gone.
        """
        abandoned = sa.and_(decisions.c.phase == Phase.SENT, decisions.c.sent_at < self.now(dead))
        return self._records(sa.or_(decisions.c.phase == Phase.UNKNOWN, abandoned))

    def closings(self) -> dict[str, Record]:
        """The last closing of ours by incident, of those that nobody undid or saw reopened."""
        seen = sa.select(outcomes.c.decision).where(outcomes.c.label == Label.REOPENED)
        closed = sa.and_(decisions.c.phase == Phase.CONFIRMED, decisions.c.closed_at > "")
        return {record.incident: record for record in self._records(closed & decisions.c.id.not_in(seen))}

    def proposals(self) -> list[Record]:
        """What waits for a person, oldest first; also what one approved and was cut off before anything was sent."""
        cut_off = sa.and_(decisions.c.phase == Phase.INTENDED, decisions.c.autonomy == PROPOSAL)
        return self._records(sa.or_(decisions.c.phase == Phase.PROPOSED, cut_off))

    def intend(self, record: Record, *, again: Collection[Phase], caps: Caps) -> Scope | None:
        """Write the intention down before anything is sent; None, or the cap that is full, and nothing is written.

        A decision that is known already starts again only from the phases of `again`; otherwise it is left as it is.
        """
        with self.writing() as connection:
            full = self._full(connection, record, caps) if record.autonomy == AUTOMATIC else None
            if full is None:
                self._put(connection, record.model_copy(update={"phase": Phase.INTENDED}), again)
            return full

    def propose(self, record: Record) -> None:
        """Keep it for a person; one that is known already, unless it was refused, is left as it is."""
        with self.writing() as connection:
            self._put(connection, record.model_copy(update={"phase": Phase.PROPOSED}), (Phase.REFUSED, Phase.INTENDED))

    def leave(self, record: Record) -> None:
        """Keep what was found for an incident that is left to a person; looked at again, the later finding counts."""
        with self.writing() as connection:
            self._put(connection, record.model_copy(update={"phase": Phase.LEFT}), (Phase.LEFT,))

    def move(self, decision: str, before: Collection[Phase], after: Phase, **values: Any) -> bool:
        """Set the phase, and the columns of `values`, if it is in one of `before`; whether it was."""
        query = sa.update(decisions).where(decisions.c.id == decision, decisions.c.phase.in_(list(before)))
        with self.writing(alone=False) as connection:
            return connection.execute(query.values(phase=after, **values)).rowcount == 1

    def _put(self, connection: sa.Connection, record: Record, again: Collection[Phase]) -> None:
        values = record.model_copy(update={"created": record.created or self.now()}).model_dump()
        phase = connection.scalar(sa.select(decisions.c.phase).where(decisions.c.id == record.id))
        if phase is None:
            connection.execute(sa.insert(decisions).values(values))
        elif phase in again:  # an approval does not know the evidence that the decision had
            known = {name: value for name, value in values.items() if value not in (None, "", "{}") or name == "target"}
            connection.execute(sa.update(decisions).where(decisions.c.id == record.id).values(known))

    def _full(self, connection: sa.Connection, record: Record, caps: Caps) -> Scope | None:
        scopes: dict[Scope, list[sa.ColumnElement[bool]]] = {
            Scope.ALL: [],
            Scope.MAILBOX: [decisions.c.mailbox == record.mailbox],
            Scope.ENTRY: [decisions.c.entry == record.entry],
        }
        since = self.now(timedelta(hours=1))
        for scope, most in caps.items():
            query = sa.select(sa.func.count()).where(
                decisions.c.created > since,
                decisions.c.autonomy == AUTOMATIC,
                decisions.c.phase.in_(_ACTED),
                decisions.c.id != record.id,
                *scopes[scope],
            )
            if (connection.scalar(query) or 0) >= most:
                return scope
        return None

    def _records(self, condition: sa.ColumnElement[bool]) -> list[Record]:
        with self.reading() as connection:
            query = sa.select(decisions).where(condition).order_by(decisions.c.created, decisions.c.id)
            return [Record.model_validate(dict(row)) for row in connection.execute(query).mappings()]

    # What turned out

    def label(self, record: Record, label: Label, who: str, reason: str = "") -> bool:
        """Write down what turned out; False when that was written before."""
        said = {"decision": record.id, "incident": record.incident, "entry": record.entry, "who": who, "reason": reason}
        with self.writing() as connection:
            known = sa.select(outcomes.c.label).where(outcomes.c.decision == record.id, outcomes.c.label == label)
            if connection.scalar(known) is not None:
                return False
            connection.execute(sa.insert(outcomes).values(label=label, said=self.now(), **said))
        told = {"incident": record.incident, "decision": record.id, "row": record.entry, "kind": record.kind}
        judged = {"approval": record.approval, "autonomy": record.autonomy}
        logger.info("desenlace", extra={"action": "outcome", "label": label.value, **told, **judged})
        return True

    def outcomes(self, *, incident: str | None = None, entry: str | None = None) -> list[LabelledOutcome]:
        """What turned out, of one incident or catalogue row or of all, oldest first."""
        query = sa.select(outcomes).order_by(outcomes.c.said, outcomes.c.decision)
        if incident is not None:
            query = query.where(outcomes.c.incident == incident)
        if entry is not None:
            query = query.where(outcomes.c.entry == entry)
        with self.reading() as connection:
            return [LabelledOutcome.model_validate(dict(row)) for row in connection.execute(query).mappings()]

    # Switches

    def control(self, name: str) -> Control | None:
        """A switch, None if it was never set."""
        query = sa.select(controls.c.value, controls.c.who, controls.c.said).where(controls.c.name == name)
        with self.reading() as connection:
            row = connection.execute(query).one_or_none()
        return Control(*row) if row else None

    def set_control(self, name: str, value: str, who: str) -> None:
        """Set a switch."""
        with self.writing() as connection:
            connection.execute(sa.delete(controls).where(controls.c.name == name))
            connection.execute(sa.insert(controls).values(name=name, value=value, who=who, said=self.now()))

    def forget(self, age: timedelta) -> int:
        """Delete the decisions that are at their end, older and of which nothing was said since; returns how many went.

        What was said goes with its decision, so a person's no holds for that long from the day it was said.
        """
        limit = self.now(age)
        recent = sa.select(outcomes.c.decision).where(outcomes.c.said >= limit)
        ended = decisions.c.phase.not_in(_OPEN) & decisions.c.id.not_in(recent)
        with self.writing(alone=False) as connection:
            gone = connection.execute(sa.delete(decisions).where(decisions.c.created < limit, ended)).rowcount
            orphans = outcomes.c.decision.not_in(sa.select(decisions.c.id))
            connection.execute(sa.delete(outcomes).where(outcomes.c.said < limit, orphans))
            return gone


def open_ledger(database: Database) -> Ledger:
    """The ledger of a set-up: `decisiones.db` or the schema `spai`. Close it; raises `DependencyError`."""
    engine = database.open("decisiones")
    try:
        return Ledger(engine, database.unavailable)
    except BaseException:
        engine.dispose()
        raise
