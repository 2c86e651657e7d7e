"""What was done before with an incident, and what that forbids now."""

import logging
from collections.abc import Iterable

from core.decision import Decision
from core.decision_record import action_done
from core.delivery import Delivery
from core.errors import StageError, Terminal
from core.incident import Incident
from core.ledger import LIVE, Label, Ledger, Phase, Record, ask
from core.marks import carries
from core.outcome import Outcome
from core.reason import Reason

logger = logging.getLogger(__name__)

_SAID_NO = {Phase.REJECTED: Reason.PROPOSAL_REJECTED, Phase.UNDONE: Reason.UNDONE}
DESK = "mesa"
"""Who says that an incident was opened again."""


class Precedents:
    """Earlier decisions on the incident in hand. Every method may raise `StageError` or `Unrecorded`."""

    def __init__(self, ledger: Ledger, delivery: Delivery) -> None:
        self._ledger = ledger
        self._delivery = delivery

    async def look_back(self, incident: Incident) -> None:
        """Before anything is decided on it: settle by reading what is open of earlier decisions."""
        for record in await ask(self._ledger.of_incident, incident.code):
            if record.phase in LIVE:
                await self._delivery.settle(record)

    async def note_reopened(self, incidents: Iterable[Incident]) -> int:
        """Write down which of these open incidents, as the desk lists them now, we had closed; how many."""
        closings = await ask(self._ledger.closings)
        known = [(closings[incident.code], incident) for incident in incidents if incident.code in closings]
        reopened = [record for record, incident in known if self._reopened(record, incident)]
        for record in reopened:
            await self._note_reopening(record)
        return len(reopened)

    async def settle_unknown(self) -> dict[Phase, int]:
        """Settle by reading whatever earlier runs left open; how many came to which phase. For the start of a run."""
        found: dict[Phase, int] = {}
        for record in await ask(self._ledger.unsettled):
            try:
                phase = await self._delivery.settle(record)
            except StageError as error:
                logger.warning("sigue sin saberse", extra={"action": "unsettled", "reason": error.reason})
                phase = Phase.UNKNOWN
            found[phase] = found.get(phase, 0) + 1
        return found

    async def bar(self, incident: Incident, decision: Decision, *, approved: bool) -> Outcome | None:
        """What this very decision came to before, or why something earlier forbids it; None where the way is free.

        Raises `Terminal(NOT_CONFIRMED)` while nobody knows whether an earlier decision took effect.
        """
        records = await ask(self._ledger.of_incident, incident.code)
        for record in records:
            phase = await self._delivery.settle(record) if record.phase in LIVE else record.phase
            if phase in LIVE:
                raise Terminal(Reason.NOT_CONFIRMED, f"no se sabe si la decisión {record.id} tuvo efecto")
            if record.id == decision.id and (ended := await self._ended(record, phase, approved=approved)):
                return ended
        if not records or decision.entry is None:
            return None
        reopened = await ask(self._was_reopened, incident.code, decision.entry.id)
        return Outcome(None, Reason.REOPENED) if reopened else None

    async def _ended(self, record: Record, phase: Phase, *, approved: bool) -> Outcome | None:
        match phase:
            case Phase.CONFIRMED:
                if record.reached(await self._delivery.read(record.incident)):
                    return Outcome(action_done(record), Reason.APPROVED)
                if record.closed_at or record.kind == "cierre":
                    await self._note_reopening(record)
                    return Outcome(None, Reason.REOPENED)
                return Outcome(None, Reason.ALREADY_TRIED)
            case Phase.PROPOSED if not approved:
                return Outcome(None, Reason[record.reason], proposed=True)
            case Phase.REJECTED:
                return Outcome(None, Reason.PROPOSAL_REJECTED)
            case Phase.UNDONE:
                return Outcome(None, Reason.UNDONE)
            case _:
                return None

    def _reopened(self, record: Record, incident: Incident) -> bool:
        """Whether this decision closed it and it is open now; what is as it was before is an older reading."""
        if record.phase is not Phase.CONFIRMED or not record.closed_at or record.reached(incident):
            return False
        return carries(incident, record.id) or self._delivery.fingerprint(incident) != record.fingerprint

    async def barred(self, code: str) -> dict[str, Reason]:
        """Row id -> why it is not to be used on this incident again."""
        return await ask(barred_rows, self._ledger, code)

    def _was_reopened(self, code: str, entry_id: str) -> bool:
        said = self._ledger.outcomes(incident=code)
        return any(outcome.label is Label.REOPENED and outcome.entry == entry_id for outcome in said)

    async def _note_reopening(self, record: Record) -> None:
        if await ask(self._ledger.label, record, Label.REOPENED, DESK):
            logger.warning("reabierta", extra={"action": "reopened", "decision": record.id, "row": record.entry})


def barred_rows(ledger: Ledger, code: str) -> dict[str, Reason]:
    """Row id -> why it is not to be used on this incident again: people said no to it, or it came back open.

    Raises `DependencyError`.
    """
    found = {
        record.entry: _SAID_NO[record.phase]
        for record in ledger.of_incident(code)
        if record.entry and record.phase in _SAID_NO
    }
    for outcome in ledger.outcomes(incident=code):
        if outcome.entry and outcome.label is Label.REOPENED:
            found[outcome.entry] = Reason.REOPENED
        elif outcome.entry and outcome.label is not Label.RIGHT:
            found.setdefault(outcome.entry, Reason.ROW_DENIED)
    return found
