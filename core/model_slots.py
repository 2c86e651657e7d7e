"""How many model calls may be under way over all workers, whatever machine they are on."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import Any

import psycopg

from core.database import CONNECT_SECONDS, Database
from core.executor_lock import advisory_key

logger = logging.getLogger(__name__)

Slots = Callable[[], AbstractAsyncContextManager[None]]
"""Called around each model call: the block is entered once there is a place."""


def unlimited() -> AbstractAsyncContextManager[None]:
    """There is always a place."""
    return nullcontext()


@asynccontextmanager
async def open_slots(database: Database, places: int) -> AsyncIterator[Slots]:
    """`places` calls at a time, 0 for no limit: over all who share a PostgreSQL, or over this process."""
    if not places:
        yield unlimited
    elif database.served:
        shared = _SharedSlots(database.address, places)
        try:
            yield shared.slot
        finally:
            await shared.close()
    else:
        semaphore = asyncio.Semaphore(places)

        @asynccontextmanager
        async def slot() -> AsyncIterator[None]:
            async with semaphore:
                yield

        yield slot


class _SharedSlots:
    """One advisory lock per place, on one session: a dead worker's places free themselves."""

    def __init__(self, address: str, places: int) -> None:
        self._address = address
        self._places = range(places)
        self._held: set[int] = set()
        """Locks are re-entrant within a session: ours are told apart here."""
        self._one = asyncio.Lock()
        self._session: psycopg.AsyncConnection[Any] | None = None

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        place = await self._wait()
        try:
            yield
        finally:
            await asyncio.shield(self._give_back(place))

    async def close(self) -> None:
        """Give all places back."""
        if self._session is not None:
            await self._session.close()

    async def _wait(self) -> int:
        while True:
            place = await self._try()
            if place is not None:
                return place
            await asyncio.sleep(random.uniform(0.03, 0.08))  # noqa: S311 - spreads the askers, keeps no secret

    async def _try(self) -> int | None:
        async with self._one:
            untried = [place for place in self._places if place not in self._held]
            for place in random.sample(untried, len(untried)):
                if await self._ask("SELECT pg_try_advisory_lock(%s)", place):
                    self._held.add(place)
                    return place
        return None

    async def _give_back(self, place: int) -> None:
        async with self._one:
            self._held.discard(place)
            await self._ask("SELECT pg_advisory_unlock(%s)", place)

    async def _ask(self, query: str, place: int) -> bool:
        """The server's answer, False while it is away: its locks went with the session."""
        try:
            if self._session is None or self._session.closed:
                self._session = await psycopg.AsyncConnection.connect(
                    self._address, autocommit=True, connect_timeout=CONNECT_SECONDS, application_name="spai_modelo"
                )
            row = await (await self._session.execute(query, (advisory_key(f"modelo.{place}"),))).fetchone()
        except (psycopg.Error, OSError) as error:
            logger.warning(
                "no se llega a las plazas del modelo", extra={"action": "slots_away", "error": type(error).__name__}
            )
            return False
        return bool(row and row[0])
