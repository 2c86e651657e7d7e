"""One MLflow trace per incident, sent by a thread of its own: the run neither waits for MLflow nor notices it gone.

MLflow's own asynchronous export is not used: it drops spans in silence and, at exit, waits without limit for a server
that does not answer. Here a trace is handed over in microseconds, what waits is bounded, and what is lost is counted.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import Final

from config import Settings
from core.errors import DependencyError
from core.incident_trace import IncidentTrace
from observabilidad.mlflow_server import experiment, explained, open_client, require

logger = logging.getLogger(__name__)

EXPERIMENT: Final = "spai-trazas"
CAPACITY: Final = 500
"""Traces that may wait; beyond, the newest is lost."""
PAUSE: Final = 15.0
"""Seconds between two tries at a backend that does not answer."""
CLOSING: Final = 8.0
"""Seconds that the end of a run waits for what is left."""

Send = Callable[[IncidentTrace], None]
"""Keeps one trace. Raises `DependencyError`."""


class TraceSender:
    """Hands traces to MLflow. Use `record` as the sink, and `close` at the end."""

    def __init__(
        self,
        connect: Callable[[], Send],
        *,
        capacity: int = CAPACITY,
        pause: float = PAUSE,
        closing: float = CLOSING,
    ) -> None:
        """`connect` is called by the thread, again after each failure. Raises `DependencyError`."""
        self._connect = connect
        self._capacity, self._pause, self._closing_time = capacity, pause, closing
        self._waiting: deque[IncidentTrace] = deque()
        self._news = threading.Condition()
        self._closing = False
        self._lost = 0
        self._thread = threading.Thread(target=self._send_all, name="trazas", daemon=True)
        self._thread.start()

    @property
    def lost(self) -> int:
        """Traces that did not reach MLflow; final once closed."""
        return self._lost

    @property
    def waiting(self) -> int:
        """Traces on their way."""
        return len(self._waiting)

    def record(self, trace: IncidentTrace) -> None:
        """Keep a trace; returns at once."""
        with self._news:
            if self._closing or len(self._waiting) >= self._capacity:
                self._lost += 1
                return
            self._waiting.append(trace)
            self._news.notify_all()

    def close(self) -> None:
        """Send what waits, for as long as is worth it. Harmless when repeated."""
        with self._news:
            if self._closing:
                return
            self._closing = True
            self._news.notify_all()
        self._thread.join(self._closing_time)
        with self._news:
            self._lost += len(self._waiting)
            self._waiting.clear()
        if self._lost:
            logger.warning(
                "trazas que no han llegado a MLflow: compruebe que está en marcha (MLFLOW_TRACKING_URI)",
                extra={"action": "traces_lost", "traces": self._lost},
            )

    def _send_all(self) -> None:
        """The thread. A trace leaves the queue when it has arrived."""
        send: Send | None = None
        told = False
        while (trace := self._next()) is not None:
            try:
                send = send or self._connect()
                send(trace)
            except DependencyError as error:
                send = None
                if not told:
                    logger.warning("MLflow no recibe trazas", extra={"action": "traces_failing", "error": str(error)})
                told = True
                if not self._pause_unless_closed():
                    return
                continue
            told = False
            with self._news:
                if self._waiting and self._waiting[0] is trace:
                    self._waiting.popleft()

    def _next(self) -> IncidentTrace | None:
        """The oldest that waits; None when there will be no more."""
        with self._news:
            self._news.wait_for(lambda: bool(self._waiting) or self._closing)
            return self._waiting[0] if self._waiting else None

    def _pause_unless_closed(self) -> bool:
        """Wait before the next try; False when this was the last: one is made after the end has come."""
        with self._news:
            if self._closing:
                return False
            self._news.wait_for(lambda: self._closing, self._pause)
            return True


def open_traces(settings: Settings) -> TraceSender:
    """The sender for the backend of the settings, which is not asked yet. Raises `UsageError` without MLflow."""
    require(settings)

    def connect() -> Send:
        from observabilidad.mlflow_spans import send

        client = open_client(settings)
        with explained(settings):
            place = experiment(client, settings, EXPERIMENT)

        def to_mlflow(trace: IncidentTrace) -> None:
            with explained(settings):
                send(client, place, trace)

        return to_mlflow

    return TraceSender(connect)
