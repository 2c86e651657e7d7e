"""What `python main.py` does once its arguments are read: open the parts, work the queue, show and report."""

import argparse
import asyncio
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from filelock import FileLock, Timeout
from rich.console import Console

from config import Settings
from core.build import Works, forget_old, open_database, open_pipeline
from core.calls.evidence_session import call_evidence
from core.errors import DependencyError
from core.orders import tell_pause
from core.report import Result, RunReport
from core.run import Run, Selection, select
from core.screen import show
from core.terminal import progress_bar


async def work_desk(settings: Settings, options: argparse.Namespace) -> int:
    """0, or 1 when some incident failed. Raises `UsageError`, `DependencyError` or the desk's `StageError`."""
    if not options.simular and (paused := tell_pause(settings)):
        sys.stderr.write(f"{paused}\n")
        if not options.trabajador:
            return 0
    shared = open_database(settings).served and settings.vector_db_url and settings.mock_gestor_url
    with nullcontext() if shared else alone(settings), progress_bar() as bar:
        known = call_evidence(settings)
        async with open_pipeline(
            settings, simulate=options.simular, hands=options.concurrencia, evidence=known
        ) as works:
            run = Run(
                settings.directorio_recursos,
                program_version(),
                works.hands,
                options.simular,
                works.outside.expected,
                works.facts,
            )
            stop = asyncio.Event()
            step = (lambda done, total: bar("Incidencias", done, total)) if bar else None
            with run.told(), stopping(stop):
                report, path = await _worked(settings, options, works, run, stop, step)
    if not options.simular:
        forget_old(settings)
    show(report, path, Console(stderr=options.json, soft_wrap=False))
    if options.json:
        sys.stdout.write(report.model_dump_json() + "\n")
    return int(any(result.resultado is Result.ERROR for result in report.incidencias))


async def _worked(
    settings: Settings,
    options: argparse.Namespace,
    works: Works,
    run: Run,
    stop: asyncio.Event,
    progress: Callable[[int, int], None] | None,
) -> tuple[RunReport, Path]:
    """A simulation leaves no trace in the queue: what it has decided is to be decided again, and done."""
    selection = Selection(options.buzon, options.limite, options.incidencia)
    if options.simular:
        return await run.over(await select(works.outside.desk, selection), works.work, stop, progress)
    from core.desk_queue import DeskQueue
    from core.privacy import scrub
    from core.queue import open_queue
    from core.queued_work import QueuedWork
    from core.records import Item
    from core.steps import Json, Steps

    desk, tag, grace = works.outside.desk, settings.etiqueta, settings.plazo_parada
    work = QueuedWork(desk, works.work, tag=tag, run=run.id, scrub=scrub)

    async def unless_paused(item: Item, steps: Steps, begun: int) -> Json:
        await works.guard.switch.gate(stop, wait=options.trabajador)
        return await work(item, steps, begun)

    precedents = works.executor.precedents
    await precedents.settle_unknown()
    async with open_queue(open_database(settings), unless_paused, hands=works.hands, stop=stop) as queue:
        desk_queue = DeskQueue(queue, desk, tag, run, settings.retencion_dias, precedents.note_reopened)
        if options.trabajador:
            return await desk_queue.serve(selection, grace, settings.intervalo_mesa, stop)
        return await desk_queue.drain(selection, grace, progress)


@contextmanager
def alone(settings: Settings) -> Iterator[None]:
    """One run at a time over one state folder."""
    settings.directorio_estado.mkdir(parents=True, exist_ok=True)
    lock = FileLock(settings.directorio_estado / "main.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise DependencyError(
            f"Otra ejecución está usando {settings.directorio_estado}. Espere a que termine, o indique otra carpeta en "
            "DIRECTORIO_ESTADO. Para trabajar entre varios hacen falta servidores: DATABASE_URL (PostgreSQL), "
            "VECTOR_DB_URL y MOCK_GESTOR_URL."
        ) from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def stopping(stop: asyncio.Event) -> Iterator[None]:
    """The first Ctrl-C or SIGTERM finishes what is in hand; the second Ctrl-C interrupts."""
    loop = asyncio.get_running_loop()

    def ask() -> None:
        stop.set()
        sys.stderr.write("Termino lo que está en curso y paro. Otra vez Ctrl-C para cortar.\n")
        loop.remove_signal_handler(signal.SIGINT)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ask)
    try:
        yield
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


def program_version() -> str:
    """The package's, where it is installed as one; the source tree's otherwise."""
    try:
        return version("spai")
    except PackageNotFoundError:
        return "0.1.0"
