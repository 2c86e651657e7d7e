"""One run over the desk's queue: what to work, several hands at it, a stop in good order, the report."""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from core.decision import Decision
from core.errors import DependencyError, StageError, UsageError
from core.files import write_fresh
from core.incident import Incident
from core.policy import priority
from core.ports import DeskListing, IncidentDesk
from core.queued_work import facts, failed
from core.reason import Reason
from core.rejected import rejected_rows, write_rejected
from core.report import Expected, IncidentResult, RunReport, summarise
from core.trace import tracing

logger = logging.getLogger(__name__)

Item = TypeVar("Item")
Done = TypeVar("Done")
Work = Callable[[Incident], Awaitable[tuple[IncidentResult, Decision]]]


@dataclass(frozen=True)
class Selection:
    """Which of the desk's open incidents to work."""

    mailbox: str | None = None
    limit: int | None = None
    code: str | None = None


async def select(desk: IncidentDesk, selection: Selection) -> DeskListing:
    """The incidents to work, the most urgent and oldest first, and those that could not be read.

    Raises `StageError` when the desk does not answer, `UsageError` when it has no incident with the code asked for.
    """
    if selection.code:
        try:
            return DeskListing(incidents=(await desk.read(selection.code),))
        except StageError as error:
            if error.reason is Reason.DESK_UNAVAILABLE:
                raise
            raise UsageError(f"La mesa no tiene ninguna incidencia «{selection.code}»: {error}") from error
    listing = await desk.list_open(selection.mailbox)
    ordered = sorted(listing.incidents, key=priority)
    return DeskListing(incidents=tuple(ordered[: selection.limit]), invalid=listing.invalid)


async def work_queue(
    items: Sequence[Item],
    work: Callable[[Item], Awaitable[Done]],
    *,
    hands: int,
    done: Callable[[Done], None],
    stop: asyncio.Event | None = None,
) -> int:
    """Work all items, `hands` at a time, in their order; returns how many were left when `stop` was set.

    What is in hand when `stop` is set is finished. The first error of `work` ends what is in hand and is raised.
    """
    waiting = list(reversed(items))

    async def hand() -> None:
        while waiting and not (stop and stop.is_set()):
            done(await work(waiting.pop()))

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(max(1, hands), len(items))):
                group.create_task(hand())
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from errors
    return len(waiting)


def new_run_id() -> str:
    """The time and a few random digits."""
    return f"{datetime.now().astimezone():%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


@dataclass(frozen=True)
class Run:
    """What a run needs beside the incidents."""

    resources: Path
    version: str
    hands: int
    simulate: bool = False
    expected: dict[str, Expected] | None = None
    facts: Callable[[], dict[str, Any]] = dict
    """Facts of the whole run, asked for at its end."""
    id: str = field(default_factory=new_run_id)
    started: datetime = field(default_factory=lambda: datetime.now().astimezone())

    async def over(
        self, listing: DeskListing, work: Work, stop: asyncio.Event, progress: Callable[[int, int], None] | None = None
    ) -> tuple[RunReport, Path]:
        """Work the incidents, write rejections and report. Raises `DependencyError` when a file cannot be written."""
        results = unreadable(listing)
        rows: list[dict[str, str]] = []

        def done(ended: tuple[IncidentResult, Decision]) -> None:
            result, decision = ended
            results.append(result)
            rows.extend(rejected_rows(self.id, result, decision))
            ended_as = facts(result) | {"simulated": self.simulate}
            logger.info("incidencia terminada", extra={"action": "incident_done", **ended_as})
            if progress:
                progress(len(results), len(listing.incidents) + len(listing.invalid))

        with tracing(run=self.id):
            left = await work_queue(listing.incidents, work, hands=self.hands, stop=stop, done=done)
        return self.tell(results, rows, left)

    @contextmanager
    def told(self) -> Iterator[None]:
        """Logs that the run begins, and that it is cut short where the block raises; its good end is `tell`'s."""
        begun = {"action": "run_started", "run": self.id, "version": self.version, "hands": self.hands}
        logger.info("ejecución empezada", extra={**begun, "simulated": self.simulate})
        try:
            with tracing(run=self.id):
                yield
        except BaseException as error:
            logger.error(
                "ejecución cortada", extra={"action": "run_failed", "run": self.id, "error": type(error).__name__}
            )
            raise

    def reject(self, rows: Sequence[dict[str, str]]) -> Path:
        """Write rejections. Raises `DependencyError`."""
        return write_rejected(self.resources / "rejected", datetime.now().astimezone(), rows)

    def tell(
        self, results: Sequence[IncidentResult], rows: Sequence[dict[str, str]], left: int = 0
    ) -> tuple[RunReport, Path]:
        """Write rejections and report. Raises `DependencyError` when a file cannot be written."""
        rejected, fault = None, None
        try:
            rejected = self.reject(rows) if rows else None
        except DependencyError as error:
            fault = error  # the desk was changed already: the report is tried all the same
        more = self.facts() | {"simulada": self.simulate, "rechazos": str(rejected) if rejected else None}
        report = RunReport(
            ejecucion=self.id,
            inicio=self.started.isoformat(timespec="seconds"),
            fin=datetime.now().astimezone().isoformat(timespec="seconds"),
            version=self.version,
            resumen=summarise(results, left=left, expected=self.expected, **more),
            incidencias=tuple(results),
        )
        counts = report.resumen["por_resultado"]
        ms = round((datetime.now().astimezone() - self.started).total_seconds() * 1000)
        ended = {"action": "run_done", "run": self.id, "incidents": len(results), "left": left, "ms": ms, **counts}
        logger.info("ejecución terminada", extra=ended)
        path = self.resources / "reportes" / f"reporte{self.started:%Y%m%d_%H%M}.json"
        written = write_fresh(path, report.model_dump_json(indent=2) + "\n")
        if fault:
            raise fault
        return report, written


def unreadable(listing: DeskListing) -> list[IncidentResult]:
    """A result for each incident that the desk sent and that could not be read."""
    return [failed(code, Reason.INCIDENT_INVALID, why) for code, why in listing.invalid]
