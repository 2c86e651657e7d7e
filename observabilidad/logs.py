"""The log of record: JSON lines on disk, with the incident, run and stage they belong to; warnings on the terminal.

With a Loki the same lines go there too (`observabilidad.shipping`). `python -m observabilidad.logs reenviar FILE`
sends a stretch of the record again. `observabilidad.facts` says which lines there are.
"""

import logging
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, TextIO

from core.trace import current
from observabilidad.line import JsonLine

if TYPE_CHECKING:
    from config import Settings
    from observabilidad.shipping import Limits, LokiHandler

logger = logging.getLogger(__name__)

FILE_NAME = "spai.jsonl"
MAX_BYTES = 20 * 1024 * 1024
KEPT_FILES = 10
# They tell of every request or model load at INFO, URLs with identifiers among it.
_NOISY = (
    "httpx",
    "httpcore",
    "urllib3",
    "asyncio",
    "uvicorn.access",
    "qdrant_client",
    "presidio-analyzer",
    "RapidOCR",
    "bm25s",
)
_LEVELS: Mapping[int, str] = {
    logging.DEBUG: "detalle",
    logging.INFO: "info",
    logging.WARNING: "aviso",
    logging.ERROR: "error",
    logging.CRITICAL: "error grave",
}


class TraceFilter(logging.Filter):
    """Gives each record the run, incident, stage and decision in force, unless the call named its own."""

    def filter(self, record: logging.LogRecord) -> bool:
        trace = current()
        for name in ("run", "incident", "stage", "decision"):
            if getattr(record, name, None) is None:
                setattr(record, name, getattr(trace, name))
        if record.exc_info and record.exc_info[0]:
            record.error = record.exc_info[0].__name__  # the traceback itself may be changed to text further on
        return True


class _RecordFile(RotatingFileHandler):
    """A file that cannot be written never stops the run: the first failure is told on the terminal, once."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, maxBytes=MAX_BYTES, backupCount=KEPT_FILES, encoding="utf-8", delay=True)
        self._told = False

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name is logging's
        self.tell(sys.exc_info()[1])

    def tell(self, error: BaseException | None) -> None:
        """Says once why the record is incomplete and what to do."""
        if self._told:
            return
        self._told = True
        why = getattr(error, "strerror", None) or error
        print(
            f"aviso: no se puede escribir el registro {self.baseFilename} ({why}). La ejecución sigue sin él; "
            "libere espacio o revise los permisos.",
            file=sys.stderr,
        )

    def close(self) -> None:
        try:
            super().close()
        except OSError as error:  # what a full disk left in the buffer
            self.tell(error)


class _Terminal(logging.StreamHandler[TextIO]):
    """Whatever `sys.stderr` is at that moment, so that a progress bar that stands in for it is not torn."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]  # an attribute there; looked up each time here
        return sys.stderr


class _Readable(logging.Formatter):
    """`aviso: mensaje (incidencia INC1, etapa juicio)`; tracebacks are in the record only."""

    def format(self, record: logging.LogRecord) -> str:
        place = [
            f"{word} {value}"
            for word, value in (
                ("incidencia", getattr(record, "incident", "")),
                ("etapa", getattr(record, "stage", "")),
            )
            if value
        ]
        if error := getattr(record, "error", ""):
            place.append(error)
        suffix = f" ({', '.join(place)})" if place else ""
        return f"{_LEVELS.get(record.levelno, record.levelname.lower())}: {record.getMessage()}{suffix}"


class _Outputs(logging.Handler):
    """Hands each record on to the file and the terminal, after its filters have seen to it once for both."""

    def __init__(self, handlers: Sequence[logging.Handler]) -> None:
        super().__init__()
        self._handlers = handlers

    def emit(self, record: logging.LogRecord) -> None:
        for handler in self._handlers:
            if record.levelno >= handler.level:
                handler.handle(record)

    def close(self) -> None:
        for handler in self._handlers:
            handler.close()
        super().close()


class Logs:
    """The log in force; `close` puts logging back as it was. Also a context manager."""

    def __init__(self, path: Path, outputs: logging.Handler, loki: "LokiHandler | None" = None) -> None:
        self.path = path
        self._outputs = outputs
        self._loki = loki
        self._open = True
        root = logging.getLogger()
        self._levels = {name: logging.getLogger(name).level for name in ("", *_NOISY)}
        root.setLevel(logging.INFO)
        for name in _NOISY:
            logging.getLogger(name).setLevel(logging.WARNING)
        root.addHandler(outputs)
        logging.captureWarnings(True)

    def close(self) -> None:
        """Sends and writes out what is left, closes the file, takes our handler away. A second call does nothing."""
        if not self._open:
            return
        self._open = False
        if self._loki:
            self._loki.close()
            self._tell(self._loki)
        logging.captureWarnings(False)
        logging.getLogger().removeHandler(self._outputs)
        self._outputs.close()
        for name, level in self._levels.items():
            logging.getLogger(name).setLevel(level)

    def _tell(self, loki: "LokiHandler") -> None:
        """What did not reach Loki, and how it gets there."""
        shipped = loki.shipped()
        if not shipped.lost:
            return
        since = datetime.fromtimestamp(shipped.oldest_lost / 1e9, UTC).isoformat(timespec="seconds")
        logger.warning(
            "%d de %d líneas del registro no han llegado a Loki; están en el disco. Cuando Loki responda: "
            "python -m observabilidad.logs reenviar %s --desde %s",
            shipped.lost,
            shipped.lost + shipped.sent,
            self.path,
            since,
            extra={"action": "loki_incomplete", "lost": shipped.lost, "sent": shipped.sent, "since": since},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_logs(settings: "Settings", *, verbose: bool = False) -> Logs:
    """The log of these settings."""
    return configure_logs(
        settings.directorio_estado / "logs",
        verbose=verbose,
        loki_url=settings.loki_url,
        environment=settings.entorno.value,
    )


def configure_logs(
    directory: Path,
    *,
    verbose: bool = False,
    to_stderr: bool = True,
    loki_url: str | None = None,
    environment: str = "DESA",
    limits: "Limits | None" = None,
) -> Logs:
    """Logs to `directory/spai.jsonl` (rotated) from INFO, to the terminal from WARNING, or INFO with `verbose`.

    With `loki_url` also to Loki, under the label `environment`, within `limits`. Personal data is taken out of every
    record before any handler formats it.
    """
    from core.privacy import RedactingFilter  # heavy recognisers: not for `--help`

    path = directory / FILE_NAME
    record = _RecordFile(path)
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        record.tell(error)
    handlers: list[logging.Handler] = [record]
    if to_stderr:
        terminal = _Terminal()
        terminal.setLevel(logging.INFO if verbose else logging.WARNING)
        terminal.setFormatter(_Readable())
        handlers.append(terminal)
    loki = _loki(loki_url, environment, limits) if loki_url else None
    if loki:
        handlers.append(loki)
    formatter = JsonLine()
    for handler in filter(None, (record, loki)):
        handler.setFormatter(formatter)
    outputs = _Outputs(handlers)
    if loki:
        from observabilidad.loki import SendingFilter

        outputs.addFilter(SendingFilter())
    outputs.addFilter(TraceFilter())
    outputs.addFilter(RedactingFilter())
    return Logs(path, outputs, loki)


def _loki(url: str, environment: str, limits: "Limits | None") -> "LokiHandler":
    from observabilidad.loki import Loki  # OpenTelemetry takes a quarter of a second to load
    from observabilidad.shipping import LokiHandler

    return LokiHandler(Loki(url, environment), limits)


if __name__ == "__main__":
    from observabilidad.resend import main

    sys.exit(main())
