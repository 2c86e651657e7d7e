"""What `python main.py` does once its arguments are read: open the parts, work the queue, show and report."""

import argparse
import asyncio
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version

from filelock import FileLock, Timeout
from rich.console import Console

from config import Settings
from core.build import open_pipeline
from core.errors import DependencyError
from core.report import Result
from core.run import Run, Selection, select
from core.screen import show
from core.terminal import progress_bar


async def work_desk(settings: Settings, options: argparse.Namespace) -> int:
    """0, or 1 when some incident failed. Raises `UsageError`, `DependencyError` or the desk's `StageError`."""
    with _alone(settings), progress_bar() as bar:
        async with open_pipeline(settings, simulate=options.simular, hands=options.concurrencia) as works:
            listing = await select(works.outside.desk, Selection(options.buzon, options.limite, options.incidencia))
            run = Run(
                settings.directorio_recursos,
                _version(),
                settings.critic_approval_threshold,
                works.hands,
                options.simular,
                works.outside.expected,
                works.facts,
            )
            stop = asyncio.Event()
            with _stopping(stop):
                step = (lambda done, total: bar("Incidencias", done, total)) if bar else None
                report, path = await run.over(listing, works.pipeline.work, stop, step)
    show(report, path, Console(stderr=options.json, soft_wrap=False))
    if options.json:
        sys.stdout.write(report.model_dump_json() + "\n")
    return int(any(result.resultado is Result.ERROR for result in report.incidencias))


@contextmanager
def _alone(settings: Settings) -> Iterator[None]:
    """One run at a time over one state folder."""
    settings.directorio_estado.mkdir(parents=True, exist_ok=True)
    lock = FileLock(settings.directorio_estado / "main.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise DependencyError(
            f"Otra ejecución está usando {settings.directorio_estado}. Espere a que termine, o indique otra carpeta en "
            "DIRECTORIO_ESTADO."
        ) from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _stopping(stop: asyncio.Event) -> Iterator[None]:
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


def _version() -> str:
    """The package's, where it is installed as one; the source tree's otherwise."""
    try:
        return version("spai")
    except PackageNotFoundError:
        return "0.1.0"
