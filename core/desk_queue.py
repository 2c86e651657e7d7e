"""Between desk and queue: what is new at the desk goes in, what has ended is told in reports, each end once."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from core.errors import StageError
from core.incident import Incident
from core.ports import DeskListing, IncidentDesk
from core.queue import Queue
from core.queued_work import as_item
from core.reason import Reason
from core.report import IncidentResult, Result, RunReport
from core.run import Run, Selection, new_run_id, select, unreadable
from core.steps import Json

logger = logging.getLogger(__name__)

_ANEW = 2
"""How often a run works an incident from the beginning because something changed while it lay unfinished."""
_RETRY_SECONDS = 600.0
"""A worker works an incident that ended with an error again after so long; a run of its own does so at once."""


async def _nobody(_: Sequence[Incident]) -> None:
    """Nobody wants to hear."""


@dataclass(frozen=True)
class DeskQueue:
    """A queue, the desk that fills it, and the run that tells of it."""

    queue: Queue
    desk: IncidentDesk
    tag: str
    run: Run
    retention_days: int
    look_back: Callable[[Sequence[Incident]], Awaitable[object]] = _nobody
    """Hears of every listing, to see which incidents were opened again."""

    async def drain(
        self, selection: Selection, grace: float, progress: Callable[[int, int], None] | None = None
    ) -> tuple[RunReport, Path]:
        """Work what was left unfinished and what is new at the desk, then report.

        Raises the desk's `StageError`, `UsageError` for a code it does not have, `DependencyError` for the database.
        """
        await self.queue.records.forget(self.retention_days)
        unreported = await self._unreported()
        listing = await select(self.desk, replace(selection, limit=None))
        await self.look_back(listing.incidents)
        added = await self._add(listing, limit=selection.limit, explicitly=selection.code is not None)
        ids = list(dict.fromkeys([*unreported, *added]))
        _log_listed(listing, added=len(added), waiting=len(ids))
        await self.queue.start()
        await self.queue.wait(ids, progress)
        for _ in range(_ANEW):
            changed = await self._ended_with(Reason.STATE_CHANGED, ids)
            if not changed:
                break
            await self.queue.records.renew(changed)
            again = await self._add(await select(self.desk, replace(selection, limit=None)), only=changed)
            ids = [work for work in ids if work not in changed] + again
            await self.queue.wait(again)
        await self.queue.stop(grace)
        self.queue.check()
        return await self._tell(ids, unreadable(listing))

    async def serve(
        self, selection: Selection, grace: float, interval: float, stop: asyncio.Event
    ) -> tuple[RunReport, Path]:
        """Work the queue until `stop`, looking at the desk every `interval` seconds.

        Tells what ended in a report a day and in one at the stop. Raises `DependencyError` for the database.
        """
        await self.queue.start()
        run, told = self.run, list[str]()
        while not stop.is_set():
            await self._look(selection)
            told += await self._file(run)
            if told and run.started.date() != datetime.now().astimezone().date():
                await self._report(run, told)
                run, told = replace(run, started=datetime.now().astimezone(), id=new_run_id()), []
                await self.queue.records.forget(self.retention_days)
            with suppress(TimeoutError):
                async with asyncio.timeout(interval):
                    await stop.wait()
        await self.queue.stop(grace)
        self.queue.check()
        return await self._report(run, told + await self._file(run))

    async def _look(self, selection: Selection) -> None:
        """A desk that does not answer is asked again at the next look: what is in the queue is worked meanwhile."""
        try:
            listing = await select(self.desk, selection)
        except StageError as error:
            logger.warning("la mesa no responde", extra={"action": "desk_away", "reason": error.reason})
            return
        await self.look_back(listing.incidents)
        for code, _ in listing.invalid:
            logger.warning("incidencia que no se puede leer", extra={"action": "unreadable", "incident": code})
        added = await self._add(listing, retry_after=_RETRY_SECONDS)
        _log_listed(listing, added=len(added), waiting=len(await self.queue.records.unfinished()))

    async def _unreported(self) -> list[str]:
        """What is in the queue, and what ended here or in a process that died before it could tell."""
        waiting = await self.queue.records.unfinished()
        return [*sorted(waiting), *(work for work in await self._mine() if work not in waiting)]

    async def _mine(self) -> list[str]:
        untold = await self.queue.records.kept(self.queue.records.worked.untold)
        return [work for work, executor in untold.items() if executor == self.queue.me]

    async def _add(
        self,
        listing: DeskListing,
        *,
        limit: int | None = None,
        explicitly: bool = False,
        only: Collection[str] | None = None,
        retry_after: float = 0.0,
    ) -> list[str]:
        """Queue what is new, or ended with an error, at most `limit`; the ids of it.

        `explicitly`: also what was worked in this very state; `only`: nothing but these ids.
        """
        records = self.queue.records
        items = {item.id: item for item in (as_item(incident, self.tag) for incident in listing.incidents)}
        known = await records.known(list(items))
        waiting = await records.unfinished(list(known)) if explicitly and known else set()
        failed_before = known - waiting
        if not explicitly:
            failed_before = await records.kept(records.worked.failed, list(known), after=retry_after)
        wanted = [work for work in items if work not in known or work in failed_before]
        if only is not None:
            wanted = [work for work in wanted if work in only]
        wanted = wanted[:limit]
        await records.renew([work for work in wanted if work in known])
        await records.add([items[work] for work in wanted])
        return [*waiting, *wanted]

    async def _ended_with(self, reason: Reason, ids: Sequence[str]) -> list[str]:
        outputs = await self.queue.records.results(ids)
        return [work for work, output in outputs.items() if _result(output).motivo is reason]

    async def _file(self, run: Run) -> list[str]:
        """Write the rejections of what ended here since the last time; the ids of all that ended."""
        outputs = await self.queue.records.results(await self._mine())
        if rows := [row for output in outputs.values() for row in _rows(output)]:
            run.reject(rows)
        await self._told(outputs)
        return list(outputs)

    async def _told(self, outputs: dict[str, Json]) -> None:
        faulty = {work for work, output in outputs.items() if _result(output).resultado is Result.ERROR}
        worked = self.queue.records.worked
        await self.queue.records.kept(worked.tell, list(outputs), faulty)

    async def _report(self, run: Run, ids: Sequence[str]) -> tuple[RunReport, Path]:
        """Of work whose rejections are written already."""
        outputs = await self.queue.records.results(ids)
        return run.tell([_result(output) for output in outputs.values()], [])

    async def _tell(self, ids: Sequence[str], unread: Sequence[IncidentResult]) -> tuple[RunReport, Path]:
        """Report what ended of `ids`; rejections of what others worked are theirs to write."""
        outputs = await self.queue.records.results(ids)
        mine = set(await self._mine())
        results = [_result(output) for output in outputs.values()]
        rows = [row for work, output in outputs.items() if work in mine for row in _rows(output)]
        told = self.run.tell([*unread, *results], rows, left=len(ids) - len(outputs))
        await self._told({work: output for work, output in outputs.items() if work in mine})
        return told


def _log_listed(listing: DeskListing, *, added: int, waiting: int) -> None:
    """How long the queue is; `waiting`: what is to be worked, in hand or not begun."""
    facts = {"open": len(listing.incidents), "added": added, "waiting": waiting, "unreadable": len(listing.invalid)}
    logger.info("cola", extra={"action": "desk_listed", **facts})


def _result(output: Json) -> IncidentResult:
    return IncidentResult.model_validate(output["resultado"])


def _rows(output: Json) -> list[dict[str, str]]:
    return list(output["rechazos"])
