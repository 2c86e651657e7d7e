"""What waits for a person's word: listed with its evidence, approved and carried out, or rejected."""

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from core.actions import CallSystem, LeaveToHuman, Reassign
from core.decision import Decision, action_for
from core.decision_record import kind_of, row_hash
from core.errors import Retryable, StageError, Terminal, UsageError
from core.execute import Executor
from core.incident import Incident
from core.ledger import JUDGED_WITH, Label, Ledger, Phase, Record
from core.marks import ASKED_FOR_POLICY, our_text, read_marks
from core.originals import Originals
from core.outcome import Outcome
from core.policy import Autonomy
from core.ports import IncidentDesk
from core.precedent import barred_rows
from core.preconditions import is_overdue
from core.reason import Reason

logger = logging.getLogger(__name__)

_WAITING = (Phase.PROPOSED, Phase.INTENDED)
"""Of what waits; intended is an approval that was cut off, or one that another person is just giving."""
MOST_REASON = 300
"""Characters kept of why a person rejects it."""


@dataclass(frozen=True)
class Pending:
    """A proposal with what a person needs to decide on it; texts are read now, from desk and catalogue, and kept
    nowhere."""

    record: Record
    """Its `reason` says why it was not done by itself or, where something forbids it by now, what."""
    title: str
    row: str
    solution: str
    others: tuple[str, ...]
    evidence: dict[str, Any]
    current: bool
    """The incident is still as it was decided on; False also where the desk cannot tell."""


class Proposals:
    """The proposals of the ledger. `scrub` takes personal data out of a text, `policies` finds an incident's policy
    numbers."""

    def __init__(
        self,
        desk: IncidentDesk,
        ledger: Ledger,
        originals: Originals,
        tag: str,
        scrub: Callable[[str], str],
        policies: Callable[[Incident], tuple[str, ...]],
    ) -> None:
        self._desk = desk
        self._ledger = ledger
        self._originals = originals
        self._tag = tag
        self._scrub = scrub
        self._policies = policies

    async def pending(self) -> list[Pending]:
        """All that waits, oldest first."""
        return [await self._shown(record) for record in self._ledger.proposals()]

    async def approve(self, decision: str, who: str, executor: Executor) -> Outcome:
        """Carry it out, if incident and row are still what was proposed on; `acertada` once the desk confirms it.

        Raises `UsageError` where it cannot be approved any more, `StageError` where the desk fails. Where nothing was
        sent, or surely nothing arrived, and the desk did not refuse it, it goes on waiting.
        """
        record = self._waiting(decision)
        incident = await self._desk.read(record.incident)
        if not self._is_current(record, incident):
            raise self._expired(record, Reason.TOUCHED_MEANWHILE)
        if (forbidden := self._forbidden(record)) and forbidden is not Reason.REOPENED:  # of that the outcome tells
            raise self._expired(record, forbidden)
        approved = self._rebuilt(record, incident)
        try:
            outcome = await executor.carry_out(incident, approved, approved=True)
        except BaseException as error:  # an interruption, too
            self._wait_again(record, approved, error)
            if isinstance(error, Terminal) and self._is_refused(record):
                raise Terminal(error.reason, f"{error}. {_anew(record)}") from error
            raise
        if outcome.done:
            self._ledger.label(record, Label.RIGHT, who)
        else:
            self._ledger.move(record.id, _WAITING, Phase.REFUSED, reason=outcome.reason.value)
        logger.info("aprobada", extra={"action": "approved", "decision": record.id, "done": bool(outcome.done)})
        return outcome

    def reject(self, decision: str, who: str, reason: str) -> Record:
        """Nothing is done; `revertida` with the reason. Raises `UsageError` where it does not wait."""
        record = self._waiting(decision)
        if not reason.strip():
            raise UsageError("Indique el motivo del rechazo: --rechazar DECISION MOTIVO.")
        if not self._ledger.move(record.id, _WAITING, Phase.REJECTED):
            raise UsageError(f"Otra persona acaba de decidir sobre {record.id}.")
        self._ledger.label(record, Label.REVERTED, who, self._scrub(reason.strip())[:MOST_REASON])
        logger.info("rechazada", extra={"action": "rejected", "decision": record.id})
        return record

    def _waiting(self, decision: str) -> Record:
        record = self._ledger.find(decision)
        if record is None:
            raise UsageError(f"No hay ninguna decisión «{decision}». Vea las que esperan con --pendientes.")
        cut_off = record.phase is Phase.INTENDED and record.autonomy == Autonomy.PROPOSAL
        if record.phase is not Phase.PROPOSED and not cut_off:
            raise UsageError(f"La decisión {decision} no espera aprobación (fase: {record.phase}).")
        return record

    def _forbidden(self, record: Record) -> Reason | None:
        """What people, the desk or the calendar have said since it was proposed."""
        row = self._originals.row(record.entry or "")
        if said := barred_rows(self._ledger, record.incident).get(record.entry or ""):
            return said
        return Reason.FIX_OVERDUE if row and is_overdue(row, datetime.now().astimezone()) else None

    def _wait_again(self, record: Record, approved: Decision, error: BaseException) -> None:
        """As it was proposed, if nothing was sent; what may be tried again and ended in `refused` never arrived."""
        before = (Phase.INTENDED, Phase.REFUSED) if isinstance(error, Retryable) else (Phase.INTENDED,)
        told = {"kind": kind_of(approved), "target": _target(approved), "reason": record.reason}
        self._ledger.move(record.id, before, Phase.PROPOSED, **told)

    def _is_refused(self, record: Record) -> bool:
        now = self._ledger.find(record.id)
        return now is not None and now.phase is Phase.REFUSED

    def _rebuilt(self, record: Record, incident: Incident) -> Decision:
        """The decision as it was proposed, from the catalogue's row: the ledger keeps no texts."""
        row = self._originals.row(record.entry or "")
        if row is None or row_hash(row, self._scrub(row.solution)) != record.entry_hash:
            raise self._expired(record, Reason.ENTRY_CHANGED)
        asked = any(mark.kind == ASKED_FOR_POLICY for mark in read_marks(incident, self._tag))
        kept = tuple(entry for entry in incident.history if our_text(entry, self._tag) is None)
        policies = self._policies(incident.model_copy(update={"history": kept})) if row.system else ()
        action = action_for(row, policies, asked_before=asked)
        if isinstance(action, LeaveToHuman):
            raise self._expired(record, action.reason)
        reason = Reason.MISSING_POLICY if row.system and action.kind == "en espera" else Reason.APPROVED
        decision = Decision(record.id, action, None, reason, row)
        # Once begun, the record has what the system answered.
        begun = isinstance(action, CallSystem) and (record.phase is Phase.INTENDED or bool(record.sent_at))
        if (kind_of(decision), _target(decision)) != (record.kind, record.target) and not begun:
            raise self._expired(record, Reason.ENTRY_CHANGED)
        return decision

    def _expired(self, record: Record, reason: Reason) -> UsageError:
        """It waits no longer: what it was proposed on is not there any more."""
        self._ledger.move(record.id, _WAITING, Phase.REFUSED, reason=reason.value)
        return UsageError(f"La propuesta {record.id} ya no se puede aprobar: {reason.text}. {_anew(record)}")

    async def _shown(self, record: Record) -> Pending:
        evidence = json.loads(record.evidence)
        evidence.pop(JUDGED_WITH, None)
        forbidden = self._forbidden(record)
        row = self._originals.row(record.entry or "")
        others = [self._originals.row(identity) for identity in evidence.pop("otras", [])]
        try:
            incident = await self._desk.read(record.incident)
        except StageError as error:
            logger.warning("no se puede leer", extra={"action": "proposal_unread", "reason": error.reason})
            title, current = "", False
        else:
            title, current = self._scrub(incident.title or incident.description), self._is_current(record, incident)
        return Pending(
            record=record.model_copy(update={"reason": forbidden.value}) if forbidden else record,
            title=title,
            row=row.description if row else "",
            solution=row.solution if row else "",
            others=tuple(other.description for other in others if other),
            evidence=evidence,
            current=current,
        )

    def _is_current(self, record: Record, incident: Incident) -> bool:
        return incident.fingerprint(without=self._tag.strip()) == record.fingerprint


def _target(decision: Decision) -> str | None:
    return decision.action.mailbox if isinstance(decision.action, Reassign) else None


def _anew(record: Record) -> str:
    return f"Para que se decida de nuevo: python main.py --incidencia {record.incident}"
