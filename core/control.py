"""The kill switch: one row that every worker looks at before it acts."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress

from core.ledger import Control, Ledger, ask
from core.steps import Unrecorded

PAUSE = "pausa"
_ON, _OFF = "si", "no"
FRESH_S = 2.0
"""Seconds for which a look at the switch counts."""


class KillSwitch:
    """While it is on nothing is acted on: what is decided meanwhile waits for a person, the rest stays in the queue."""

    def __init__(self, ledger: Ledger, clock: Callable[[], float] = time.monotonic) -> None:
        self._ledger = ledger
        self._clock = clock
        self._seen: tuple[float, Control | None] | None = None

    def paused(self) -> Control | None:
        """Who paused and when; None while work goes on. Raises `DependencyError`: without an answer nothing is done."""
        now = self._clock()
        if self._seen is None or now - self._seen[0] >= FRESH_S:
            self._seen = (now, self._ledger.control(PAUSE))
        found = self._seen[1]
        return found if found and found.value != _OFF else None

    async def gate(self, stop: asyncio.Event, *, wait: bool) -> None:
        """Before an incident is begun: while paused wait for the end of it or, without `wait`, set `stop`.

        Raises `Unrecorded`, so that the incident stays in the queue, when `stop` is set or the ledger does not answer.
        """
        while await self._look():
            if not wait:
                stop.set()
            with suppress(TimeoutError):
                async with asyncio.timeout(FRESH_S):
                    await stop.wait()
            if stop.is_set():
                raise Unrecorded("en pausa")

    async def _look(self) -> Control | None:
        return await ask(self.paused)

    def pause(self, who: str) -> bool:
        """Stop acting, everywhere, within seconds; False when it was paused already."""
        return self._set(_ON, who)

    def resume(self, who: str) -> bool:
        """Act again; False when it was not paused."""
        return self._set(_OFF, who)

    def _set(self, value: str, who: str) -> bool:
        self._seen = None
        changed = (self.paused() is None) == (value == _ON)
        if changed:
            self._ledger.set_control(PAUSE, value, who)
        self._seen = None
        return changed
