"""What a worker does beside its incidents: keeps its lock, looks at the others', notices a full disk."""

import asyncio
import logging
from collections.abc import Callable

import psycopg
from sqlalchemy.exc import SQLAlchemyError

from core.executor_lock import LOOK_SECONDS, Hold
from core.records import Records
from core.sweeper import Sweeper

logger = logging.getLogger(__name__)


class Watch:
    """`fail` is told of a journal that cannot be written; `busy` says whether incidents are in hand."""

    def __init__(
        self, hold: Hold, records: Records, fail: Callable[[Exception], None], busy: Callable[[], bool]
    ) -> None:
        self._hold = hold
        self._records = records
        self._fail = fail
        self._busy = busy
        self._sweeper = Sweeper(hold, records, self._inherit)
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Two tasks: a sweep that waits for the database must not keep the lock from being renewed."""
        self._tasks = [asyncio.create_task(self._keep()), asyncio.create_task(self._sweep())]

    def stop(self) -> None:
        """No more of it."""
        for task in self._tasks:
            task.cancel()

    async def sweep(self) -> None:
        """Take up what the dead left and what could not be written.

        Raises `SQLAlchemyError`, `psycopg.Error` or `OSError`.
        """
        await self._records.mend()
        untold = await self._records.kept(self._records.worked.untold)
        await self._sweeper.sweep(untold.values())

    async def _inherit(self, dead: str) -> None:
        await self._records.kept(self._records.worked.inherit, dead, self._hold.me)

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await self._hold.keep()
            if self._busy():
                continue
            try:  # with nothing in hand nobody else would notice a full disk
                await self._records.kept(self._records.worked.probe)
            except SQLAlchemyError as error:
                self._fail(error)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await self.sweep()
            except (SQLAlchemyError, psycopg.Error, OSError) as error:
                logger.warning(
                    "no se han podido mirar los demás procesos",
                    extra={"action": "sweep_put_off", "error": type(error).__name__},
                )
