"""Sends a stretch of the record to Loki again: `python -m observabilidad.logs reenviar FILE`.

Loki is asked first which lines it has. Of one that it gets twice it shows one, but may count two.
"""

import argparse
import logging
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic, sleep
from typing import IO

from core.command_line import Parser, exit_code
from core.errors import DependencyError, UsageError
from core.terminal import Show, progress_bar
from observabilidad.line import Line, read_line

BATCH = 512
_MOST_BAD = 5
"""Bad lines told one by one."""

_EXAMPLES = """\
ejemplos:
  python -m observabilidad.logs reenviar var/logs/spai.jsonl
        todo el registro, con los ficheros ya rotados (spai.jsonl.1, …)
  python -m observabilidad.logs reenviar var/logs/spai.jsonl --desde 2026-01-31T10:00 --hasta 2026-01-31T11:30
  python -m observabilidad.logs reenviar var/logs/spai.jsonl.3
        solo ese fichero

Repetirlo no duplica nada: antes se pregunta a Loki qué líneas tiene. Si se corta, dice desde dónde seguir.

códigos de salida: 0 enviado; 1 Loki ha rechazado alguna línea, o alguna no se entiende; 2 uso o configuración
                   incorrectos; 3 Loki no responde
"""


def _moment(text: str) -> datetime:
    """Local time where no zone is named."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise argparse.ArgumentTypeError(
            f"«{text}» no es una fecha y hora: escriba, por ejemplo, 2026-01-31T10:00 (hora local; otra, con +00:00)"
        ) from error


def _parser() -> Parser:
    parser = Parser(
        prog="python -m observabilidad.logs",
        description="El registro (var/logs) y su envío a Loki, el de LOKI_URL.",
        epilog=_EXAMPLES,
    )
    orders = parser.add_subparsers(title="órdenes", dest="order", required=True, metavar="ORDEN")
    what = "vuelve a enviar a Loki un tramo del registro"
    resend = orders.add_parser("reenviar", help=what, description=f"{what.capitalize()}.", epilog=_EXAMPLES)
    resend.add_argument("file", type=Path, metavar="FILE", help="con el de ahora van también los rotados")
    resend.add_argument("--desde", type=_moment, metavar="CUANDO", help="desde esta fecha y hora, incluida")
    resend.add_argument("--hasta", type=_moment, metavar="CUANDO", help="hasta esta fecha y hora, incluida")
    return parser


@dataclass(frozen=True)
class Stretch:
    """From one moment to another, both included; None: open."""

    since: datetime | None = None
    until: datetime | None = None

    def __contains__(self, line: Line) -> bool:
        seconds = line.nanoseconds / 1e9
        return not (
            (self.since and seconds < self.since.timestamp()) or (self.until and seconds > self.until.timestamp())
        )


@dataclass
class Resent:
    """What was found and what became of it."""

    sent: int = 0
    refused: int = 0
    outside: int = 0
    """Lines out of the stretch."""
    bad: list[str] = field(default_factory=list)
    """File, number and fault of each line that is none."""
    why_refused: str = ""

    def summary(self) -> str:
        """In Spanish."""
        told = [f"{self.sent} líneas enviadas (las que Loki ya tenía no se repiten)"]
        if self.outside:
            told.append(f"{self.outside} fuera del tramo")
        if self.bad:
            more = f" … y {len(self.bad) - _MOST_BAD} más" if len(self.bad) > _MOST_BAD else ""
            told.append(f"{len(self.bad)} que no se entienden: " + "; ".join(self.bad[:_MOST_BAD]) + more)
        if self.refused:
            told.append(
                f"{self.refused} en lotes que Loki no ha admitido enteros ({self.why_refused}). Si son demasiado "
                "antiguas, suba en Loki reject_old_samples_max_age y max_chunk_age, y repita"
            )
        return "\n".join(told)


def record_files(path: Path) -> list[Path]:
    """The rotated files of the record at `path`, the oldest first, then itself; of a rotated one only itself.

    Raises `UsageError` when there is none.
    """
    rotated = {
        int(found[1]): sibling
        for sibling in path.parent.glob(f"{path.name}.*")
        if (found := re.fullmatch(re.escape(path.name) + r"\.(\d+)", sibling.name))
    }
    files = [rotated[number] for number in sorted(rotated, reverse=True)] + [path] * path.is_file()
    if not files:
        raise UsageError(f"No existe el registro {path}. Los ficheros están en la carpeta logs de DIRECTORIO_ESTADO.")
    return files


Send = Callable[[Sequence[Line]], str]
"""Sends a batch; gives why Loki refused it, or nothing. Raises `DependencyError` when Loki does not answer."""


def resend(files: Sequence[Path], stretch: Stretch, send: Send, show: Show | None = None) -> Resent:
    """Send what of the files lies in the stretch, in their order.

    Raises `UsageError` for a file that cannot be read, `DependencyError`, with where to go on, when `send` does.
    """
    done, batch = Resent(), list[Line]()

    def flush() -> None:
        if not batch:
            return
        try:
            why = send(batch)
        except DependencyError as error:
            raise DependencyError(f"{error} {_go_on(done, batch)}") from error
        except KeyboardInterrupt:
            sys.stderr.write(f"{_go_on(done, batch)}\n")
            raise
        if why:
            done.refused += len(batch)
            done.why_refused = why
        else:
            done.sent += len(batch)
        batch.clear()

    # Opened before anything is read: a run that rotates them meanwhile gives them other names, not other content.
    with ExitStack() as stack:
        opened = [(path, stack.enter_context(_opened(path))) for path in files]
        total = sum(1 for _, file in opened for _ in file)
        for number, (line, fault) in enumerate(_lines(opened), 1):
            if fault:
                done.bad.append(fault)
            elif line and line in stretch:
                batch.append(line)
            elif line:
                done.outside += 1
            if len(batch) == BATCH:
                flush()
            if show and (number % BATCH == 0 or number == total):
                show("Líneas", number, total)
        flush()
    return done


def _go_on(done: Resent, batch: Sequence[Line]) -> str:
    first = min(line.nanoseconds for line in batch)
    since = datetime.fromtimestamp(first // 1_000_000_000, UTC).isoformat()
    return f"Enviadas {done.sent} líneas. Para seguir: la misma orden con --desde {since}"


def _opened(path: Path) -> IO[bytes]:
    try:
        return path.open("rb")
    except OSError as error:
        raise UsageError(f"{path} no se puede leer: {error.strerror}.") from error


def _lines(opened: Iterable[tuple[Path, IO[bytes]]]) -> Iterator[tuple[Line | None, str]]:
    """Each line or what is wrong with it; neither for an empty one and for the last one while it is being written."""
    for path, file in opened:
        file.seek(0)
        for number, raw in enumerate(file, 1):
            try:
                text = raw.decode().removesuffix("\n")
                yield (read_line(text) if text.strip() else None), ""
            except ValueError as error:
                unfinished = not raw.endswith(b"\n")
                yield None, "" if unfinished else f"{path.name}:{number} ({_fault(error)})"


def _fault(error: ValueError) -> str:
    """Without the line's text."""
    return "no es UTF-8" if isinstance(error, UnicodeError) else type(error).__name__


def sender(url: str, environment: str, seconds: float = 60.0) -> Send:
    """Sends what the Loki at `url` has not got yet; waits up to `seconds` for one that does not answer."""
    from observabilidad.loki import Answer, Loki

    loki = Loki(url, environment)

    def send(batch: Sequence[Line]) -> str:
        times = [line.nanoseconds for line in batch]
        there = loki.kept(min(times), max(times), 10.0) or ()
        records = [loki.record(line) for line in batch if (line.nanoseconds, line.text) not in there]
        if not records:
            return ""
        deadline, pause = monotonic() + seconds, 0.5
        while (answer := loki.send(records, 10.0)) in (Answer.AWAY, Answer.FAULTY):
            if monotonic() + pause > deadline:
                raise DependencyError(f"{loki.name} no recibe las líneas: {loki.why}. Compruebe LOKI_URL.")
            sleep(pause)
            pause = min(2 * pause, 5.0)
        return loki.why if answer is Answer.REFUSED else ""

    return send


@contextmanager
def _quiet() -> Iterator[None]:
    """Nobody listens to the libraries' log here, and Python would show it on the terminal: what fails is told by us."""
    nobody = logging.NullHandler()
    logging.getLogger().addHandler(nobody)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(nobody)


def main(arguments: list[str] | None = None) -> int:
    """0 sent; 1 something was refused or is no line; 2 wrong usage or settings; 3 Loki does not answer."""
    options = _parser().parse_args(arguments)
    return exit_code(lambda: _run(options), interrupted="Interrumpido. Repetirlo no duplica nada.")


def _run(options: argparse.Namespace) -> int:
    from config import load_settings

    settings = load_settings()
    if not settings.loki_url:
        raise UsageError("Falta LOKI_URL: diga a qué Loki se envía, por ejemplo LOKI_URL=http://127.0.0.1:3100")
    files = record_files(options.file)
    with _quiet(), progress_bar() as show:
        done = resend(
            files,
            Stretch(options.desde, options.hasta),
            sender(settings.loki_url, settings.entorno.value),
            show,
        )
    sys.stdout.write(done.summary() + "\n")
    return int(bool(done.refused or done.bad))
