"""observabilidad/traces.py: traces arrive in order, nobody waits for a backend that is away, losses are counted."""

import logging
import threading
import time
from collections.abc import Callable

import pytest

from config import load_settings
from core.errors import DependencyError, UsageError
from core.incident_trace import IncidentTrace
from core.reason import Reason
from core.report import IncidentResult, Result
from core.spans import Span
from observabilidad.traces import Send, TraceSender, open_traces


def trace(code: str) -> IncidentTrace:
    result = IncidentResult(codIncidencia=code, resultado=Result.HUMAN, tipo="manual", motivo=Reason.NO_CANDIDATE)
    return IncidentTrace("r1", result, (Span("incidencia", 1_000_000, 2_000_000),))


class Backend:
    """Keeps what it is sent, once `up` is set."""

    def __init__(self, *, up: bool = True) -> None:
        self.up = up
        self.kept: list[str] = []
        self.connections = 0
        self.tried = threading.Semaphore(0)
        self.on_send: Callable[[], object] = lambda: None

    def connect(self) -> Send:
        self.connections += 1
        if not self.up:
            self.tried.release()
            raise DependencyError("no está")
        return self._send

    def _send(self, sent: IncidentTrace) -> None:
        self.on_send()
        if not self.up:
            self.tried.release()
            raise DependencyError("se ha ido")
        self.kept.append(sent.result.codIncidencia)


def test_everything_arrives_in_order_over_one_connection() -> None:
    backend = Backend()
    sender = TraceSender(backend.connect)
    for number in range(20):
        sender.record(trace(f"I{number}"))
    sender.close()
    sender.close()
    assert backend.kept == [f"I{number}" for number in range(20)]
    assert (backend.connections, sender.lost) == (1, 0)


def test_without_incidents_nobody_connects() -> None:
    backend = Backend()
    TraceSender(backend.connect).close()
    assert backend.connections == 0


def test_a_backend_that_comes_back_gets_all_of_it(caplog: pytest.LogCaptureFixture) -> None:
    backend = Backend(up=False)
    sender = TraceSender(backend.connect, pause=0.01)
    with caplog.at_level(logging.WARNING):
        sender.record(trace("I1"))
        sender.record(trace("I2"))
        assert backend.tried.acquire(timeout=5)
        assert backend.tried.acquire(timeout=5)
        backend.up = True
        sender.close()
    assert backend.kept == ["I1", "I2"]
    assert sender.lost == 0
    assert [getattr(r, "action", "") for r in caplog.records] == ["traces_failing"]  # told once, not at each try


def test_one_that_goes_in_the_middle_is_asked_again_with_a_new_connection() -> None:
    backend = Backend()
    sender = TraceSender(backend.connect, pause=0.01)

    def go_once() -> None:
        backend.on_send = lambda: None
        raise DependencyError("un corte")

    backend.on_send = go_once
    sender.record(trace("I1"))
    deadline = time.monotonic() + 5
    while not backend.kept and time.monotonic() < deadline:
        threading.Event().wait(0.005)
    sender.close()
    assert (backend.kept, backend.connections, sender.lost) == (["I1"], 2, 0)


def test_what_does_not_fit_is_lost_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    backend = Backend(up=False)
    sender = TraceSender(backend.connect, capacity=3, pause=60)
    with caplog.at_level(logging.WARNING):
        started = time.monotonic()
        for number in range(10):
            sender.record(trace(f"I{number}"))
        sender.close()
    assert time.monotonic() - started < 5
    assert sender.lost == 10
    assert getattr(caplog.records[-1], "traces", None) == 10


def test_the_end_does_not_wait_for_one_that_hangs() -> None:
    backend, let_go = Backend(), threading.Event()
    backend.on_send = lambda: let_go.wait(30)
    sender = TraceSender(backend.connect, closing=0.05)
    sender.record(trace("I1"))
    sender.record(trace("I2"))
    started = time.monotonic()
    sender.close()
    assert time.monotonic() - started < 5
    assert sender.lost == 2
    let_go.set()


def test_after_the_end_nothing_is_taken() -> None:
    backend = Backend()
    sender = TraceSender(backend.connect)
    sender.close()
    sender.record(trace("I1"))
    assert (sender.lost, backend.kept) == (1, [])


def test_the_setting_without_mlflow_stops_the_start() -> None:
    with pytest.raises(UsageError, match="MLFLOW_TRACKING_URI=no"):
        open_traces(load_settings(trazas_mlflow="si", mlflow_tracking_uri="no"))
