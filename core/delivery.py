"""One change to the desk, exactly once in effect: written down, sent, read back; in doubt, settled by reading."""

import logging
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ParamSpec, TypeVar

import stamina

from core.actions import DeskChange
from core.errors import Retryable, StageError, Terminal
from core.incident import Incident
from core.ledger import LIVE, Control, Ledger, Phase, Record, ask
from core.marks import carries, our_text
from core.policy import Autonomy
from core.ports import IncidentDesk
from core.reason import Reason
from core.steps import current_steps

logger = logging.getLogger(__name__)

SENDS = 2
"""How often a change is sent at most, the second time only after reading that the first did not arrive."""

P = ParamSpec("P")
T = TypeVar("T")


def _never() -> None:
    """What a person orders directly goes on during a pause."""


@dataclass(frozen=True)
class Patience:
    """How long the desk is read again before something is called unknown. Seconds."""

    reads: int = 5
    first_wait: float = 0.25
    longest_wait: float = 4.0
    late: float = 30.0
    """After so long a request that nobody waits for any more no longer arrives: an unchanged incident was not changed
    by it. Longer than desk and network hold on to one."""

    def over(self, reads: int | None, seconds: float | None = None) -> stamina.AsyncRetryingCaller:
        """Reads with growing waits, so many or for so long."""
        return stamina.AsyncRetryingCaller(
            attempts=reads, timeout=seconds, wait_initial=self.first_wait, wait_max=self.longest_wait, wait_jitter=0.1
        )


class _NotYet(Retryable):
    """The desk does not show it."""


class Delivery:
    """Carries changes to the desk. Every method may raise `StageError`, or `Unrecorded` when the ledger fails.

    `paused`: looked at before every send; whatever it gives but None stops it.
    """

    def __init__(
        self,
        desk: IncidentDesk,
        ledger: Ledger,
        tag: str,
        patience: Patience,
        paused: Callable[[], Control | None] = _never,
    ) -> None:
        self._desk = desk
        self._ledger = ledger
        self._tag = tag.strip()
        self._patience = patience
        self._paused = paused

    async def deliver(self, incident: Incident, record: Record, change: DeskChange) -> None:
        """Make a change that the ledger has as intended, to the state that `incident` was read in.

        Returns once the desk shows it. Raises `Terminal(NOT_CONFIRMED)`, phase `unknown`, where reading does not tell,
        and `Terminal(PAUSED)`, still intended, where a pause came before anything was sent.
        """
        sent = False
        for send in range(1, SENDS + 1):
            now = await self.read(incident.code)
            if carries(now, record.id):
                return await self._confirm(record, seen=now)  # an earlier send arrived after all
            if now.fingerprint() != incident.fingerprint():
                await self._stop(record, Reason.TOUCHED_MEANWHILE, Phase.UNKNOWN if sent else Phase.REFUSED)
                raise Terminal(Reason.TOUCHED_MEANWHILE)
            if not await self._about_to_send(record, now, again=sent):
                if sent:
                    return await self._look(record, "en pausa: no se envía otra vez")
                raise Terminal(Reason.PAUSED)
            try:
                await self._desk.change(now, change, record.id)
            except Retryable as error:
                sent = sent or error.maybe_applied
                # Without versions nothing stops a late arrival: sending again could act twice.
                if sent and (now.etag is None or send == SENDS):
                    return await self._look(record, str(error))
                if send == SENDS:
                    await self._stop(record, error.reason, Phase.REFUSED)
                    raise
                if not sent:
                    await self._moved(record, (Phase.SENT,), Phase.INTENDED)
            except StageError as error:
                if sent:  # what stands in the way may be our own first send
                    return await self._look(record, str(error))
                await self._stop(record, error.reason, Phase.REFUSED)
                raise
            else:
                return await self._confirm(record, before=now)
        raise AssertionError("unreachable")

    async def settle(self, record: Record) -> Phase:
        """What became of a decision in phase `sent` or `unknown`, by reading; the phase it is in now.

        `refused`: it never arrived, and may be sent again; `proposed`: nor did what a person had approved, which waits
        for that person again. `unknown`: it cannot be told.
        """
        until_late = self._patience.over(None, self._still_late(record))
        try:
            now = await until_late.on(_NotYet)(self._carrying, record, self.read)
        except _NotYet:
            now = await self.read(record.incident)
            if carries(now, record.id):
                return await self._confirmed(record, now)
            if now.fingerprint(without=self._tag) == record.fingerprint and not record.reached(now):
                phase = Phase.PROPOSED if record.autonomy == Autonomy.PROPOSAL else Phase.REFUSED
            else:
                phase = Phase.UNKNOWN
            await self._stop(record, Reason.NOT_CONFIRMED, phase)
            return phase
        return await self._confirmed(record, now)

    def fingerprint(self, incident: Incident) -> str:
        """Of the incident without our own notes."""
        return incident.fingerprint(without=self._tag)

    async def _about_to_send(self, record: Record, now: Incident, *, again: bool) -> bool:
        """Of two that come here at once, one goes on. False during a pause; `again`: something was sent before."""
        await current_steps().mine()
        before = {"state_before": now.status[:100], "mailbox_before": now.mailbox[:200], "sent_at": self._ledger.now()}
        if not await self._moved(record, (Phase.SENT if again else Phase.INTENDED,), Phase.SENT, **before):
            raise Terminal(Reason.NOT_CONFIRMED, "otro proceso la está llevando a cabo")
        # Looked at last: desk and ledger may have kept us waiting for long.
        if await ask(self._paused) is None:
            return True
        if not again:
            await self._moved(record, (Phase.SENT,), Phase.INTENDED, sent_at="")
        return False

    async def _look(self, record: Record, why: str) -> None:
        """Whether what was sent is there; read a few times, since a desk may be slow. Never sends."""
        try:
            now = await self._patience.over(self._patience.reads).on(Retryable)(self._carrying, record, self._desk.read)
        except StageError as error:
            await self._stop(record, Reason.NOT_CONFIRMED, Phase.UNKNOWN)
            raise Terminal(Reason.NOT_CONFIRMED, f"{why}; {error}") from error
        await self._confirm(record, seen=now)

    async def _carrying(self, record: Record, read: Callable[[str], Awaitable[Incident]]) -> Incident:
        now = await read(record.incident)
        if not carries(now, record.id):
            raise _NotYet(Reason.NOT_CONFIRMED, "nuestra nota no está en el historial")
        return now

    async def _confirm(self, record: Record, *, seen: Incident | None = None, before: Incident | None = None) -> None:
        """The desk shows the state that the decision leads to.

        `seen`: with our note, after an answer that was lost. `before`: as it was when the desk said yes; a state that
        it was in already shows nothing.
        """
        stood = before.fingerprint() if before and record.reached(before) else ""

        async def reached() -> Incident:
            now = await self._desk.read(record.incident)
            if not record.reached(now):
                told = f"la mesa la tiene en «{now.status}», buzón «{now.mailbox}»"
                raise _NotYet(Reason.NOT_CONFIRMED, told)
            if now.fingerprint() == stood:  # with our note it would be another one
                raise _NotYet(Reason.NOT_CONFIRMED, "la mesa dice que sí y la incidencia sigue igual")
            return now

        if seen is not None and record.reached(seen):
            now = seen
        else:
            try:
                now = await self._patience.over(self._patience.reads).on(Retryable)(reached)
            except StageError as error:
                await self._stop(record, error.reason, Phase.UNKNOWN)
                raise Terminal(error.reason, str(error)) from error
        await self._confirmed(record, now, after=self.fingerprint(now) if seen is None else None)

    async def _confirmed(self, record: Record, now: Incident, *, after: str | None = None) -> Phase:
        """`after`: the fingerprint that an undo asks for, where the desk was read right after its answer."""
        closed = self._ledger.now() if record.kind == "cierre" else ""
        after = self._fingerprint_found(record, now) if after is None else after
        shown = {"state_after": now.status[:100], "mailbox_after": now.mailbox[:200]}
        fields = shown | {"fingerprint_after": after, "closed_at": closed, "reason": ""}
        before = (Phase.INTENDED, Phase.REFUSED, *LIVE)
        if await self._moved(record, before, Phase.CONFIRMED, **fields):
            logger.info("cambio confirmado", extra={"action": "change_confirmed", "decision": record.id})
        return Phase.CONFIRMED

    def _fingerprint_found(self, record: Record, now: Incident) -> str:
        """Of what was found done later; empty where people may have gone on with it, so that no undo undoes theirs."""
        last = our_text(now.history[-1], self._tag) if now.history else None
        alone = last is not None and record.id in last and record.reached(now)
        return self.fingerprint(now) if alone else ""

    async def _stop(self, record: Record, reason: Reason, phase: Phase) -> None:
        await self._moved(record, (Phase.INTENDED, *LIVE), phase, reason=reason.value)
        logger.warning(
            "cambio sin confirmar", extra={"action": "change_stopped", "phase": phase.value, "reason": reason.value}
        )

    async def _moved(self, record: Record, before: Collection[Phase], after: Phase, **values: str) -> bool:
        return await ask(self._ledger.move, record.id, before, after, **values)

    async def read(self, code: str) -> Incident:
        """The incident as it is now; a desk that does not answer is asked a few times."""
        return await self._patience.over(self._patience.reads).on(Retryable)(self._desk.read, code)

    def _still_late(self, record: Record) -> float:
        """Seconds until what was sent can no longer arrive."""
        age = timedelta() if not record.sent_at else _time(self._ledger.now()) - _time(record.sent_at)
        return max(0.001, self._patience.late - age.total_seconds())  # stamina takes 0 for no limit


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
