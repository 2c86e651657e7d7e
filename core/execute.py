"""Carry a decision out: re-read, act once, read back. What the desk did not confirm did not happen."""

import logging
from dataclasses import dataclass, replace

from core.actions import CallSystem, Close, DeskAction, DeskChange, DeskVerb, LeaveToHuman, Reassign, Wait
from core.catalogue import normalised
from core.decision import Decision, action_from_system, decision_id
from core.errors import Retryable, StageError, Terminal
from core.incident import Incident
from core.marks import ASKED_FOR_POLICY, LEFT_TO_PERSON, carries, waits_for_person, write_mark
from core.ports import ExternalSystem, IncidentDesk
from core.reason import Reason

logger = logging.getLogger(__name__)

SENDS = 2
"""How often a change is sent at most, the second time only after reading that the first did not arrive."""


@dataclass(frozen=True)
class Outcome:
    """What became of a decision. `done` is the action that the desk confirmed, None where nothing was changed."""

    done: DeskAction | None
    reason: Reason
    detail: str = ""


class Executor:
    """Acts at the desk and at the system. Every note starts with `tag` and carries the decision's id."""

    def __init__(self, desk: IncidentDesk, system: ExternalSystem, mailboxes: frozenset[str], tag: str) -> None:
        self._desk = desk
        self._system = system
        self._mailboxes = mailboxes
        self._tag = tag

    async def carry_out(self, incident: Incident, decision: Decision) -> Outcome:
        """Raises `StageError`: the desk refused, does not answer, or does not confirm."""
        match decision.action:
            case LeaveToHuman(reason=reason):
                await self.leave_note(incident, decision)
                return Outcome(None, reason)
            case CallSystem() as call:
                action = await self._ask_system(incident, call)
                if isinstance(action, LeaveToHuman):
                    await self.leave_note(incident, replace(decision, reason=action.reason), action.note)
                    return Outcome(None, action.reason, action.note)
                await self._apply(incident, decision, action)
                return Outcome(action, Reason.APPROVED)
            case Close() | Wait() | Reassign() as action:
                await self._apply(incident, decision, action)
                return Outcome(action, decision.reason)

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
        text = f"Queda para una persona: {decision.reason.text}.{best}{answer}"
        try:
            await self._desk.note(incident, write_mark(self._tag, note_id, None, LEFT_TO_PERSON, text), note_id)
        except StageError as error:
            logger.warning("no se pudo dejar la nota", extra={"action": "note_failed", "reason": error.reason})
        except Exception:  # the outcome is known already: nothing that goes wrong with a note may change it
            logger.exception("no se pudo dejar la nota", extra={"action": "note_failed"})

    async def _ask_system(self, incident: Incident, call: CallSystem) -> DeskAction | LeaveToHuman:
        policy = await self._system.policy(call.policy)
        if policy is None:
            return LeaveToHuman(reason=Reason.UNKNOWN_POLICY)
        facts = {"codIncidencia": incident.code, "buzon": incident.mailbox, "apertura": incident.opened}
        return action_from_system(await self._system.check(call.policy, call.system, facts), self._mailboxes)

    async def _apply(self, incident: Incident, decision: Decision, action: DeskAction) -> None:
        if isinstance(action, Reassign) and action.mailbox not in self._mailboxes:
            raise Terminal(Reason.UNKNOWN_MAILBOX, f"buzón «{action.mailbox}»")
        entry_id = decision.entry.id if decision.entry else None
        kind = ASKED_FOR_POLICY if decision.reason is Reason.MISSING_POLICY else action.kind
        change = _change(action, write_mark(self._tag, decision.id, entry_id, kind, action.note))
        acknowledged = await self._send(incident, change, decision.id)
        await self._confirm(incident.code, decision.id, action, acknowledged=acknowledged)

    async def _send(self, incident: Incident, change: DeskChange, decision: str) -> bool:
        """Whether the desk acknowledged it; False when it was found there by reading."""
        for send in range(1, SENDS + 1):
            now = await self._desk.read(incident.code)
            if carries(now, decision):
                return False  # an earlier send arrived after all
            if now.fingerprint() != incident.fingerprint():
                raise Terminal(Reason.TOUCHED_MEANWHILE)
            try:
                await self._desk.change(now, change, decision)
                return True
            except Retryable as error:
                if error.maybe_applied and (now.etag is None or send == SENDS):
                    if carries(await self._desk.read(incident.code), decision):
                        return False
                    # Without versions nothing stops a late arrival: sending again could act twice.
                    raise Terminal(Reason.NOT_CONFIRMED, str(error)) from error
                if send == SENDS:
                    raise
        raise AssertionError("unreachable")

    async def _confirm(self, code: str, decision: str, action: DeskAction, *, acknowledged: bool) -> None:
        """The desk shows the state that the action leads to, by us. Raises `Terminal(NOT_CONFIRMED)`."""
        after = await self._desk.read(code)
        if not acknowledged and not carries(after, decision):
            raise Terminal(Reason.NOT_CONFIRMED, "nuestra nota no está en el historial")
        status = normalised(after.status)
        match action:
            case Close():
                reached = status.startswith(("resuelt", "resolved", "cerrad", "closed", "solucionad", "finalizad"))
            case Wait():
                reached = "espera" in status or status.startswith("pendiente")
            case Reassign(mailbox=mailbox):
                reached = normalised(after.mailbox) == normalised(mailbox)
        if not reached:
            raise Terminal(Reason.NOT_CONFIRMED, f"la mesa la tiene en «{after.status}», buzón «{after.mailbox}»")


def _change(action: DeskAction, note: str) -> DeskChange:
    match action:
        case Close():
            return DeskChange(verb=DeskVerb.RESOLVE, notes=note)
        case Reassign(mailbox=mailbox):
            return DeskChange(verb=DeskVerb.REASSIGN, mailbox=mailbox, notes=note)
        case Wait(until=until):
            return DeskChange(verb=DeskVerb.WAIT, notes=note, detail=f"Fecha prevista: {until}" if until else None)
