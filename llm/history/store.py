"""The history as it is written: calls are handed to one writer thread, which stores them in batches."""

import hashlib
import logging
import queue
import sqlite3
import threading
import uuid
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Final

from core.errors import DependencyError
from llm.history.schema import FILE, connect

logger = logging.getLogger(__name__)

CAPACITY: Final = 2000
"""Calls that may wait to be written; a disk that fails for longer loses the rest, counted."""

INTERVAL: Final = 0.5
"""Seconds a call may wait, so that one transaction carries many."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call to a model, as it is kept. Texts are stored once, by their hash."""

    time: str
    """When it began, ISO 8601, UTC."""
    module: str
    provider: str
    model: str
    prompt: str
    input: str
    """The messages, a JSON list of {"role", "content"}."""
    output: str | None
    input_tokens: int = 0
    output_tokens: int = 0
    milliseconds: float = 0.0
    run: str = ""
    incident: str = ""
    stage: str = ""
    ok: bool = True
    error: str | None = None
    repair: bool = False
    logit: float | None = None
    id: str = field(default_factory=lambda: uuid.uuid4().hex)


_INSERT: Final = "INSERT INTO calls VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"


class History:
    """Keeps every call in `directory/historico.db`. Use as a context manager, or call `close`.

    A run goes on when the disk is full or the file locked: what could not be written is tried again until the end, and
    what is lost then is in `lost`, for the report.
    """

    def __init__(self, directory: Path, *, interval: float = INTERVAL, capacity: int = CAPACITY) -> None:
        self._connection = connect(directory)
        self._interval = interval
        self._capacity = capacity
        self._queue: queue.Queue[Call] = queue.Queue(capacity)
        self._hurry = threading.Event()
        self._idle = threading.Condition()
        self._pending: list[Call] = []
        self._unwritten = 0
        self._closing = False
        self._failing = False
        self._lost = 0
        self._writer = threading.Thread(target=self._write_all, name="historico", daemon=True)
        self._writer.start()

    def __enter__(self) -> "History":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    @property
    def lost(self) -> int:
        """Calls that could not be kept; final once closed."""
        return self._lost

    def record(self, call: Call) -> None:
        """Keep a call; returns at once."""
        with self._idle:
            if self._closing or self._unwritten >= self._capacity:
                self._lost += 1
                return
            self._unwritten += 1
        self._queue.put_nowait(call)

    def flush(self, timeout: float = 10.0) -> bool:
        """Write what waits; False when that did not work within `timeout` seconds."""
        with self._idle:
            self._hurry.set()
            return self._idle.wait_for(lambda: self._unwritten == 0, timeout)

    def close(self) -> None:
        """Write what waits and close the file. Harmless when repeated."""
        with self._idle:
            if self._closing:
                return
            self._closing = True
            self._hurry.set()
        self._writer.join()
        self._connection.close()
        if self._lost:
            logger.error(
                "llamadas al modelo que faltan en el histórico", extra={"action": "history_lost", "calls": self._lost}
            )

    def _write_all(self) -> None:
        """The writer thread."""
        while True:
            self._gather()
            if self._pending and self._write(self._pending):
                with self._idle:
                    self._unwritten -= len(self._pending)
                    self._idle.notify_all()
                self._pending = []
            with self._idle:
                finished = self._closing and (self._failing or not self._unwritten)
                if finished:
                    self._lost += self._unwritten
                    return

    def _gather(self) -> None:
        """Wait for a call, then a moment for more; what failed before is tried again after a moment."""
        self._hurry.wait(self._interval)
        self._hurry.clear()
        while True:
            try:
                self._pending.append(self._queue.get_nowait())
            except queue.Empty:
                return

    def _write(self, calls: list[Call]) -> bool:
        texts: dict[str, str] = {}
        rows = [_row(call, texts) for call in calls]
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                self._connection.executemany("INSERT OR IGNORE INTO texts VALUES (?, ?)", texts.items())
                self._connection.executemany(_INSERT, rows)
                self._connection.execute("COMMIT")
            finally:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
        except sqlite3.Error as error:
            if not self._failing:
                logger.warning(
                    "no se puede escribir el histórico", extra={"action": "history_failing", "error": str(error)}
                )
            self._failing = True
            return False
        self._failing = False
        return True


_ORPHANS = """
    DELETE FROM texts WHERE sha256 NOT IN (
        SELECT prompt_hash FROM calls UNION SELECT input_hash FROM calls
        UNION SELECT output_hash FROM calls WHERE output_hash IS NOT NULL
    )
"""


def forget(directory: Path, before: datetime) -> int:
    """Delete the calls that began earlier, and the texts that no other call has; how many calls.

    Raises `DependencyError` when the file cannot be used.
    """
    if not (directory / FILE).is_file():
        return 0
    with closing(connect(directory)) as connection:
        try:
            gone = connection.execute(
                "DELETE FROM calls WHERE time < ?", (before.astimezone(UTC).isoformat(timespec="seconds"),)
            ).rowcount
            if gone:
                connection.execute(_ORPHANS)
        except sqlite3.Error as error:
            raise DependencyError(f"El histórico de {directory} no se puede recortar: {error}.") from error
    return gone


def digest(text: str) -> str:
    """SHA-256 of the text in UTF-8, hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def _row(call: Call, texts: dict[str, str]) -> tuple[object, ...]:
    """The call's row; its texts are added to `texts` by hash."""

    def kept(text: str) -> str:
        text = text.encode(errors="replace").decode()  # half of a surrogate pair cannot be stored
        key = digest(text)
        texts[key] = text
        return key

    return (
        call.id,
        call.time,
        call.module,
        call.provider,
        call.model,
        kept(call.prompt),
        kept(call.input),
        None if call.output is None else kept(call.output),
        call.input_tokens,
        call.output_tokens,
        call.milliseconds,
        call.run,
        call.incident,
        call.stage,
        int(call.ok),
        call.error,
        int(call.repair),
        call.logit,
    )
