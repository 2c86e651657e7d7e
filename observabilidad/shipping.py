"""The record's lines to Loki as they are written: OpenTelemetry's OTLP/HTTP exporter behind a bounded queue.

Nothing here makes the run wait. `var/logs` is the record; what does not reach Loki is counted and can be sent again
(`python -m observabilidad.logs reenviar`).
"""

import logging
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from time import monotonic

from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, LogRecordExporter, LogRecordExportResult

from observabilidad.line import read_line
from observabilidad.loki import Answer, Loki

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Limits:
    """How much is kept for Loki, and how long it is waited for (seconds)."""

    lines: int = 20_000
    """Waiting: hours of a run with the embedded model, minutes of the bench's, which is far faster."""
    bytes: int = 16_000_000
    """Of their texts; as many short lines as may wait take 20 to 60 MiB of memory."""
    batch: int = 512
    linger: float = 1.0
    """A line waits so long for others to go with it."""
    request: float = 10.0
    longest_pause: float = 5.0
    """Between two tries."""
    patience: float = 300.0
    """With a batch that Loki answers with an error of its own. One that does not answer is waited for."""
    grace: float = 3.0
    """For all that is left when the run ends."""


@dataclass(frozen=True)
class Shipped:
    """What became of the lines."""

    sent: int = 0
    lost: int = 0
    oldest_lost: int = 0
    """Its nanoseconds since 1970; 0 where none was lost."""


class _Tally:
    """Lines and bytes that came in, and what became of them; touched by whoever logs and by the sender."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._shipped = Shipped()
        self._waiting = 0
        self._bytes = 0

    def admit(self, size: int, limits: Limits) -> bool:
        """Whether one more line may wait; it is counted then."""
        with self._lock:
            if self._waiting >= limits.lines or self._bytes + size > limits.bytes:
                return False
            self._waiting += 1
            self._bytes += size
            return True

    def sent(self, batch: Sequence[ReadableLogRecord]) -> None:
        with self._lock:
            self._gone(batch)
            self._shipped = replace(self._shipped, sent=self._shipped.sent + len(batch))

    def lost(self, batch: Sequence[ReadableLogRecord]) -> None:
        with self._lock:
            self._gone(batch)
            self._count(len(batch), (record.log_record.timestamp or 0 for record in batch))

    def turned_away(self, nanoseconds: int) -> None:
        """A line that was not admitted."""
        with self._lock:
            self._count(1, [nanoseconds])

    def read(self) -> Shipped:
        """What still waits is counted as lost."""
        with self._lock:
            return replace(self._shipped, lost=self._shipped.lost + self._waiting)

    def _gone(self, batch: Sequence[ReadableLogRecord]) -> None:
        self._waiting -= len(batch)
        self._bytes -= sum(len(str(record.log_record.body)) for record in batch)

    def _count(self, lines: int, times: Iterable[int]) -> None:
        oldest = min(times)
        if self._shipped.lost:
            oldest = min(oldest, self._shipped.oldest_lost)
        self._shipped = replace(self._shipped, lost=self._shipped.lost + lines, oldest_lost=oldest)


class _Courier(LogRecordExporter):
    """Keeps at one batch until Loki takes it, refuses it or has no more time; the others wait in the queue.

    OpenTelemetry's own retries end after 31 s and drop the batch, and nothing can cut them short at the end of a run.
    """

    def __init__(self, loki: Loki, limits: Limits, tally: _Tally) -> None:
        self._loki = loki
        self._limits = limits
        self._tally = tally
        self._ending = threading.Event()
        self._deadline = 0.0
        self._given_up = False
        self._told: set[Answer] = set()

    def finish(self) -> None:
        """From now on every batch is tried once, for as long as `Limits.grace` lasts; the first failure is the end."""
        self._deadline = monotonic() + self._limits.grace
        self._ending.set()

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        """In the processor's thread."""
        if self._deliver(batch):
            self._tally.sent(batch)
            return LogRecordExportResult.SUCCESS
        self._tally.lost(batch)
        return LogRecordExportResult.FAILURE

    def _deliver(self, batch: Sequence[ReadableLogRecord]) -> bool:
        patience_ends, pause = monotonic() + self._limits.patience, 0.5
        while not self._given_up:
            ending = self._ending.is_set()
            seconds = self._deadline - monotonic() if ending else self._limits.request
            answer = self._loki.send(batch, seconds) if seconds > 0 else Answer.AWAY
            if answer is Answer.TAKEN:
                return True
            self._tell(answer)
            if answer is Answer.REFUSED or (answer is Answer.FAULTY and monotonic() > patience_ends):
                return False
            if ending:
                self._given_up = True
            self._ending.wait(pause)
            pause = min(2 * pause, self._limits.longest_pause)
        return False

    def _tell(self, answer: Answer) -> None:
        """Each kind of trouble once a run: the end says what it came to."""
        if answer in self._told:
            return
        self._told.add(answer)
        what = "rechaza líneas" if answer is Answer.REFUSED else "no recibe líneas; se sigue intentando"
        logger.warning(
            "%s %s: %s",
            self._loki.name,
            what,
            self._loki.why,
            extra={"action": "loki_trouble", "answer": answer.name.lower()},
        )

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing is kept here."""
        return True

    def shutdown(self) -> None:
        """Called by the processor when its thread has ended."""
        self._loki.close()


class LokiHandler(logging.Handler):
    """Queues each line for Loki. Its formatter is to be the record's own, so that both have the same text."""

    def __init__(self, loki: Loki, limits: Limits | None = None) -> None:
        super().__init__()
        self._limits = limits or Limits()
        self._loki = loki
        self._tally = _Tally()
        self._courier = _Courier(loki, self._limits, self._tally)
        self._processor = BatchLogRecordProcessor(
            self._courier,
            schedule_delay_millis=self._limits.linger * 1000,
            max_export_batch_size=self._limits.batch,
            export_timeout_millis=30_000,  # it uses none, but would ask the environment
            max_queue_size=self._limits.lines + self._limits.batch,  # never full: who may wait is decided here
        )
        self._closed = False

    def emit(self, record: logging.LogRecord) -> None:
        """Never waits: the line is queued, or counted as lost where there is no room."""
        try:
            line = read_line(self.format(record))
        except (TypeError, ValueError, RecursionError):  # facts that are no JSON: the file's handler tells of them
            self._tally.turned_away(int(record.created * 1e9))
            return
        if self._closed or not self._tally.admit(len(line.text), self._limits):
            self._tally.turned_away(line.nanoseconds)
        else:
            self._processor.on_emit(self._loki.record(line))

    def close(self) -> None:
        """Sends what is left, for `Limits.grace` seconds at most."""
        if self._closed:
            return
        self._closed = True
        self._courier.finish()
        # In a thread of its own: the processor would wait half a minute for a request that nobody answers.
        thread = threading.Thread(target=self._processor.shutdown, name="loki-shutdown", daemon=True)
        thread.start()
        thread.join(self._limits.grace + 0.5)
        super().close()

    def shipped(self) -> Shipped:
        """What became of the lines; after `close`, one that is still under way counts as lost."""
        return self._tally.read()
