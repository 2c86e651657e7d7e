"""Carry a decision out: allowed, journalled, done once, read back. What the desk did not confirm did not happen."""

import logging
from dataclasses import dataclass, replace

from core.actions import CallSystem, Close, DeskAction, DeskChange, DeskVerb, LeaveToHuman, Reassign, Wait
from core.control import KillSwitch
from core.decision import Decision, action_from_system, decision_id
from core.decision_record import kind_of, record_of
from core.delivery import Delivery, Patience
from core.errors import StageError, Terminal
from core.incident import Incident
from core.ledger import Ledger, Phase, Record, ask
from core.marks import ASKED_FOR_POLICY, LEFT_TO_PERSON, carries, waits_for_person, write_mark
from core.outcome import Outcome
from core.policy import Autonomy, Policy
from core.ports import ExternalSystem, IncidentDesk
from core.precedent import Precedents
from core.preconditions import sent_in_vain
from core.reason import Reason

logger = logging.getLogger(__name__)


_DEFAULT_POLICY, _DEFAULT_PATIENCE = Policy(), Patience()


@dataclass(frozen=True)
class Guard:
    """What stands between a decision and the desk."""

    ledger: Ledger
    switch: KillSwitch
    policy: Policy = _DEFAULT_POLICY
    patience: Patience = _DEFAULT_PATIENCE


class Executor:
    """Acts at the desk and at the system. Every note starts with `tag` and carries the decision's id."""

    def __init__(
        self, desk: IncidentDesk, system: ExternalSystem, mailboxes: frozenset[str], tag: str, guard: Guard
    ) -> None:
        self._desk = desk
        self._system = system
        self._mailboxes = mailboxes
        self._tag = tag
        self._guard = guard
        self._ledger = guard.ledger
        self._delivery = Delivery(desk, guard.ledger, tag, guard.patience, guard.switch.paused)
        self.precedents = Precedents(guard.ledger, self._delivery)

    async def carry_out(self, incident: Incident, decision: Decision, *, approved: bool = False) -> Outcome:
        """Do what was decided, or keep it for a person; `approved`: a person has said yes to it.

        Raises `StageError`: the desk refused, does not answer, or does not confirm; `Terminal(PAUSED)`: approved, and
        nothing was sent because of a pause.
        """
        if isinstance(decision.action, LeaveToHuman):
            kind = decision.entry.kind if decision.entry else decision.action.kind
            left = self._record(incident, decision, kind, Autonomy.MANUAL)
            await ask(self._ledger.leave, left.model_copy(update={"reason": decision.action.reason.value}))
            return await self._leave(incident, decision, decision.action.reason)
        barred = await self.precedents.bar(incident, decision, approved=approved)
        if barred and not barred.done and not barred.proposed:
            await self.leave_note(incident, replace(decision, reason=barred.reason))
        stopped = barred or await self._not_allowed(incident, decision, approved=approved)
        if stopped:
            return stopped
        match decision.action:
            case CallSystem() as call:
                return await self._with_system(incident, decision, call, approved=approved)
            case Close() | Wait() | Reassign() as action:
                return await self._apply(incident, decision, action, decision.reason, approved=approved)

    def foresee(self, incident: Incident, decision: Decision) -> Outcome:
        """What policy would make of it, caps aside. Nothing is written or sent."""
        if isinstance(decision.action, LeaveToHuman):
            return Outcome(None, decision.reason)
        match self._autonomy(incident, decision):
            case Autonomy.AUTOMATIC if not decision.ruling.asks:
                return Outcome(None, decision.reason)
            case Autonomy.AUTOMATIC | Autonomy.PROPOSAL:
                return Outcome(None, _asking(decision), proposed=True)
            case Autonomy.MANUAL:
                return Outcome(None, Reason.POLICY_MANUAL)

    async def leave_note(self, incident: Incident, decision: Decision, said: str = "") -> None:
        """For the person who takes it, where the desk has notes; one until somebody else writes.

        `said`: what a system answered, if one was asked. Whatever fails here is logged and costs nothing.
        """
        note_id = decision_id(incident, self._tag, None)
        if carries(incident, note_id) or waits_for_person(incident, self._tag):
            return
        row = decision.entry
        best = f" Lo más parecido del catálogo: «{row.description}»." if row and decision.verdict else ""
        answer = f" El sistema ha respondido: «{said}»." if said else ""
        helps = f" Puede ayudar: {'; '.join(decision.background)}." if decision.background else ""
        known = "".join(f" {told}" for told in decision.evidence)
        text = f"Queda para una persona: {decision.reason.text}.{best}{answer}{known}{helps}"
        try:
            await self._desk.note(incident, write_mark(self._tag, note_id, None, LEFT_TO_PERSON, text), note_id)
        except StageError as error:
            logger.warning("no se pudo dejar la nota", extra={"action": "note_failed", "reason": error.reason})
        except Exception:  # the outcome is known already: nothing that goes wrong with a note may change it
            logger.exception("no se pudo dejar la nota", extra={"action": "note_failed"})

    async def _not_allowed(
        self, incident: Incident, decision: Decision, kind: str = "", *, approved: bool
    ) -> Outcome | None:
        """What the kill switch and the policy make of it; None: go on. `kind`: what a system asks for."""
        paused = await ask(self._guard.switch.paused)
        if approved:
            if paused:
                raise Terminal(Reason.PAUSED)
            # The person said yes to asking the system, not to whatever it answers.
            if kind and self._guard.policy.autonomy(kind, incident.mailbox) is Autonomy.MANUAL:
                return await self._leave(incident, decision, Reason.POLICY_MANUAL)
            return None
        match self._autonomy(incident, decision, kind):
            case Autonomy.MANUAL:
                return await self._leave(incident, decision, Reason.POLICY_MANUAL)
            case Autonomy.AUTOMATIC if not decision.ruling.asks:
                return await self._propose(incident, decision, Reason.PAUSED) if paused else None
            case Autonomy.AUTOMATIC | Autonomy.PROPOSAL:
                return await self._propose(incident, decision, _asking(decision))

    def _autonomy(self, incident: Incident, decision: Decision, kind: str = "") -> Autonomy:
        right = self._guard.policy.autonomy(kind_of(decision), incident.mailbox)
        return right.stricter(self._guard.policy.autonomy(kind, incident.mailbox)) if kind else right

    async def _propose(self, incident: Incident, decision: Decision, reason: Reason) -> Outcome:
        record = self._record(incident, decision, kind_of(decision), Autonomy.PROPOSAL)
        await ask(self._ledger.propose, record.model_copy(update={"reason": reason.value}))
        await self.leave_note(incident, replace(decision, reason=reason))
        return Outcome(None, reason, proposed=True)

    async def _leave(self, incident: Incident, decision: Decision, reason: Reason) -> Outcome:
        await self.leave_note(incident, replace(decision, reason=reason))
        return Outcome(None, reason)

    async def _with_system(
        self, incident: Incident, decision: Decision, call: CallSystem, *, approved: bool
    ) -> Outcome:
        answer = await self._ask_system(incident, call)
        if isinstance(answer, LeaveToHuman):
            await self.leave_note(incident, replace(decision, reason=answer.reason), answer.note)
            return Outcome(None, answer.reason, answer.note)
        stopped = await self._not_allowed(incident, decision, answer.kind, approved=approved)
        return stopped or await self._apply(incident, decision, answer, Reason.APPROVED, approved=approved)

    async def _ask_system(self, incident: Incident, call: CallSystem) -> DeskAction | LeaveToHuman:
        policy = await self._system.policy(call.policy)
        if policy is None:
            return LeaveToHuman(reason=Reason.UNKNOWN_POLICY)
        facts = {"codIncidencia": incident.code, "buzon": incident.mailbox, "apertura": incident.opened}
        answer = action_from_system(await self._system.check(call.policy, call.system, facts), self._mailboxes)
        if isinstance(answer, Reassign) and (why := sent_in_vain(answer.mailbox, incident)):
            return LeaveToHuman(reason=why[0], note=answer.note)
        return answer

    async def _apply(
        self, incident: Incident, decision: Decision, action: DeskAction, reason: Reason, *, approved: bool
    ) -> Outcome:
        if isinstance(action, Reassign) and action.mailbox not in self._mailboxes:
            raise Terminal(Reason.UNKNOWN_MAILBOX, f"buzón «{action.mailbox}»")
        record = self._record(incident, decision, action.kind, Autonomy.PROPOSAL if approved else Autonomy.AUTOMATIC)
        record = record.model_copy(update={"target": action.mailbox if isinstance(action, Reassign) else None})
        if approved:  # it is for the wording that was proposed; the row in hand still has its personal data
            record = record.model_copy(update={"entry_hash": ""})
        again = (Phase.INTENDED, Phase.REFUSED, *((Phase.PROPOSED,) if approved else ()))
        full = await ask(self._ledger.intend, record, again=again, caps=self._guard.policy.caps)
        if full:
            logger.warning("tope de acciones automáticas", extra={"action": "capped", "scope": full.value})
            return await self._propose(incident, decision, Reason.CAPPED)
        kind = ASKED_FOR_POLICY if decision.reason is Reason.MISSING_POLICY else action.kind
        change = _change(action, write_mark(self._tag, decision.id, record.entry, kind, action.note))
        try:
            await self._delivery.deliver(incident, record, change)
        except Terminal as error:
            if error.reason is not Reason.PAUSED or approved:
                raise
            return await self._propose(incident, decision, Reason.PAUSED)
        return Outcome(action, reason)

    def _record(self, incident: Incident, decision: Decision, kind: str, autonomy: Autonomy) -> Record:
        return record_of(incident, decision, kind, autonomy, self._delivery.fingerprint(incident))


def _asking(decision: Decision) -> Reason:
    """Why a person has to say yes: what code knows of the incident before what the policy says of the kind."""
    return next(iter(decision.ruling.asks), Reason.NEEDS_APPROVAL)


def _change(action: DeskAction, note: str) -> DeskChange:
    match action:
        case Close():
            return DeskChange(verb=DeskVerb.RESOLVE, notes=note)
        case Reassign(mailbox=mailbox):
            return DeskChange(verb=DeskVerb.REASSIGN, mailbox=mailbox, notes=note)
        case Wait(until=until):
            return DeskChange(verb=DeskVerb.WAIT, notes=note, detail=f"Fecha prevista: {until}" if until else None)
