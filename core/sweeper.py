"""Hands a dead worker's incidents to the living, and leaves alone those of one that is only slow."""

import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Protocol

from core.executor_lock import Hold

logger = logging.getLogger(__name__)


class InHand(Protocol):
    """What the sweeper needs of the queue."""

    async def holders(self) -> set[str]:
        """The executors that have incidents in hand."""
        ...

    async def put_back(self, executor: str) -> int:
        """What this executor had in hand waits for a worker again; how many."""
        ...


class Sweeper:
    """Looks at every holder's lock. One free at each look for the lock's `grace` belongs to a dead process."""

    def __init__(
        self,
        hold: Hold,
        queue: InHand,
        inherit: Callable[[str], Awaitable[None]],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._hold = hold
        self._queue = queue
        self._inherit = inherit
        self._clock = clock
        self._free_since: dict[str, float] = {}

    async def sweep(self, leaving_word: Iterable[str] = ()) -> int:
        """One look at those with incidents in hand and at `leaving_word`, whose ended work nobody has reported.

        How many incidents went back to the queue.
        """
        holders = (await self._queue.holders() | set(leaving_word)) - {self._hold.me}
        self._free_since = {name: since for name, since in self._free_since.items() if name in holders}
        return sum([await self._look(executor) for executor in sorted(holders)])

    async def _look(self, executor: str) -> int:
        async with self._hold.free(executor) as free:
            if not free:
                self._free_since.pop(executor, None)
                return 0
            now = self._clock()
            if now - self._free_since.setdefault(executor, now) < self._hold.grace:
                return 0
            moved = await self._queue.put_back(executor)  # under its lock: it cannot come back meanwhile
            await self._inherit(executor)
            self._free_since.pop(executor, None)
            if moved:
                logger.warning("trabajo de un proceso caído", extra={"action": "swept", "moved": moved, "by": executor})
            return moved
