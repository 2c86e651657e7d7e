"""Put back what a decision changed, if nobody has changed it since."""

import hashlib
import logging
from dataclasses import dataclass

from core.actions import DeskChange, DeskVerb
from core.delivery import Delivery
from core.errors import StageError, UsageError
from core.incident import Incident
from core.ledger import LIVE, UNDO, Label, Ledger, Phase, Record, ask
from core.marks import carries, write_mark
from core.ports import IncidentDesk
from core.reason import Reason

logger = logging.getLogger(__name__)

_MARK = "deshecha"
"""The kind in the note's mark: the row counts as tried, so that it is not proposed again."""


@dataclass(frozen=True)
class Undone:
    """What came of an undo. Where the desk does not open a closed incident again, a person has to: `restored` False."""

    record: Record
    restored: bool
    noted: bool = True
    """A note of it stands in the incident."""


class Undo:
    """Undoes decisions at the desk; the way back is journalled and confirmed like the way there."""

    def __init__(self, desk: IncidentDesk, ledger: Ledger, delivery: Delivery, tag: str) -> None:
        self._desk = desk
        self._ledger = ledger
        self._delivery = delivery
        self._tag = tag

    async def undo(self, decision: str, who: str) -> Undone:
        """Mailbox and open state as they were before, with a note; `revertida` in the outcomes.

        Raises `UsageError` where there is nothing to undo or somebody has changed it since, `StageError` where the desk
        does not answer or confirm.
        """
        record = await self._done(decision)
        now = await self._desk.read(record.incident)
        back = self._way_back(record, now)
        earlier = await ask(self._ledger.find, back.id)
        if earlier and earlier.phase in LIVE:
            await self._delivery.settle(earlier)
            now = await self._desk.read(record.incident)
        elif self._delivery.fingerprint(now) != record.fingerprint_after:
            raise UsageError(
                f"{record.incident} ha cambiado desde la decisión {record.id} (ahora: «{now.status}», buzón "
                f"«{now.mailbox}»): no se deshace para no pisar lo que alguien ha hecho. Corríjala a mano en la mesa."
            )
        if not back.target:
            return await self._left_to_person(record, back, now, who)
        await ask(self._ledger.intend, back, again=(Phase.INTENDED, Phase.REFUSED), caps={})
        note = f"Se deshace la decisión {record.id}: vuelve a estar abierta en el buzón «{back.target}»."
        change = DeskChange(verb=DeskVerb.REASSIGN, mailbox=back.target, notes=self._note(back.id, back, note))
        try:
            await self._delivery.deliver(now, back, change)
        except StageError as error:
            if not await self._stays_closed(record, error):
                raise
            return await self._left_to_person(record, back, now, who)
        await ask(self._ledger.move, record.id, (Phase.CONFIRMED,), Phase.UNDONE)
        await ask(self._ledger.label, record, Label.REVERTED, who)
        logger.info("deshecha", extra={"action": "undone", "decision": record.id})
        return Undone(record, restored=True)

    async def _done(self, decision: str) -> Record:
        record = await ask(self._ledger.find, decision)
        if record is None or record.kind == UNDO:
            raise UsageError(f"No hay ninguna decisión «{decision}»: su identificador está en el informe y en la nota.")
        if record.phase in LIVE:
            await self._delivery.settle(record)
            record = await ask(self._ledger.find, decision) or record
        if record.phase is Phase.UNDONE:
            raise UsageError(f"La decisión {decision} ya se deshizo.")
        if record.phase is not Phase.CONFIRMED:
            raise UsageError(f"La decisión {decision} no cambió nada que conste en la mesa (fase: {record.phase}).")
        return record

    def _way_back(self, record: Record, now: Incident) -> Record:
        return Record(
            id=_identity(UNDO, record.id),
            incident=record.incident,
            kind=UNDO,
            phase=Phase.INTENDED,
            fingerprint=self._delivery.fingerprint(now),
            entry=record.entry,
            mailbox=now.mailbox[:200],
            target=record.mailbox_before or record.mailbox or None,
            autonomy="persona",
        )

    def _note(self, identity: str, back: Record, text: str) -> str:
        return write_mark(self._tag, identity, back.entry, _MARK, text)

    async def _stays_closed(self, record: Record, error: StageError) -> bool:
        """Whether it was a closed incident that the desk does not open again, and not something else in the way."""
        if record.kind != "cierre" or error.reason not in (Reason.DESK_REFUSED, Reason.TOUCHED_MEANWHILE):
            return False
        now = await self._desk.read(record.incident)
        return self._delivery.fingerprint(now) == record.fingerprint_after

    async def _left_to_person(self, record: Record, back: Record, now: Incident, who: str) -> Undone:
        """The verdict on the decision counts all the same."""
        text = (
            f"La decisión {record.id} no era correcta y la mesa no deja deshacerla desde aquí: queda para una persona."
        )
        note_id = _identity("nota", back.id)  # its own: the way back's would pass for the way back made
        try:
            noted = carries(now, note_id) or await self._desk.note(now, self._note(note_id, back, text), note_id)
        except StageError as error:
            logger.warning("no se pudo dejar la nota", extra={"action": "note_failed", "reason": error.reason})
            noted = False
        await ask(self._ledger.label, record, Label.REVERTED, who)
        return Undone(record, restored=False, noted=noted)


def _identity(what: str, decision: str) -> str:
    return "d-" + hashlib.sha256(f"{what}\n{decision}".encode()).hexdigest()[:12]
