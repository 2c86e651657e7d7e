"""The record to Loki: nothing waits, nothing grows, nothing is lost in silence."""

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.trace import tracing
from observabilidad.fake_loki import FakeLoki
from observabilidad.logs import Logs, configure_logs
from observabilidad.shipping import Limits
from tests import privacy_samples as samples

logger = logging.getLogger("core.prueba")
QUICK = Limits(linger=0.01, request=0.3, longest_pause=0.02, grace=0.5, patience=0.05)


@pytest.fixture
def loki() -> Iterator[FakeLoki]:
    with FakeLoki() as served:
        yield served


@pytest.fixture
def ship(tmp_path: Path, loki: FakeLoki) -> Callable[..., Logs]:
    def opened(**changes: Any) -> Logs:
        limits = replace(QUICK, **changes)
        return configure_logs(tmp_path / "logs", loki_url=loki.url, environment="PRUEBA", limits=limits)

    return opened


def _disk(log: Logs) -> list[str]:
    return log.path.read_text("utf-8").splitlines()


def _say(count: int) -> None:
    for number in range(count):
        logger.info("línea %d", number, extra={"action": "x", "number": number})


def test_the_same_lines_are_on_disk_and_in_loki(ship: Callable[..., Logs], loki: FakeLoki) -> None:
    with ship() as log, tracing(run="r1", incident="INC1", stage="judge", decision="d1"):
        logger.info("hecho", extra={"action": "stage_done", "ms": 12.5})
        logger.error("mal", extra={"action": "stage_failed"})
    assert sorted(loki.texts()) == sorted(_disk(log))
    assert list(loki.lines) == [(("deployment_environment_name", "PRUEBA"), ("service_name", "spai"))]
    first, second = loki.metadata
    assert (first["severity_text"], second["severity_text"]) == ("INFO", "ERROR")
    assert first["observed_timestamp"] in {str(when) for stream in loki.lines.values() for when in stream}
    places = {name: first[name] for name in ("action", "incident", "run", "stage", "decision", "ms")}
    assert places == {
        "action": "stage_done",
        "incident": "INC1",
        "run": "r1",
        "stage": "judge",
        "decision": "d1",
        "ms": "12.5",
    }


def test_a_short_command_waits_for_nothing_but_the_sending(ship: Callable[..., Logs], loki: FakeLoki) -> None:
    log = ship(linger=60.0, grace=60.0)
    _say(3)
    start = time.monotonic()
    log.close()
    assert time.monotonic() - start < 5
    assert len(loki.texts()) == 3


def test_an_outage_in_the_middle_loses_nothing(
    ship: Callable[..., Logs], loki: FakeLoki, capsys: pytest.CaptureFixture[str]
) -> None:
    with ship(batch=10) as log:
        _say(30)
        assert loki.wait_for(30)
        loki.stop()
        _say(30)
        _until(lambda: "no recibe líneas" in log.path.read_text("utf-8"))
        loki.start()
        _say(30)
        assert loki.wait_for(91)
    assert sorted(loki.texts()) == sorted(_disk(log))
    assert capsys.readouterr().err.count(f"Loki ({loki.url[7:]}) no recibe líneas") == 1


def _until(true: Callable[[], bool], seconds: float = 10.0) -> None:
    waiting = threading.Event()
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        waiting.wait(0.005)


@pytest.mark.parametrize("status", [429, 500, 503, 408], ids=str)
def test_an_error_of_lokis_own_is_tried_again(ship: Callable[..., Logs], loki: FakeLoki, status: int) -> None:
    loki.status = status
    with ship(patience=60.0) as log:
        _say(5)
        _until(lambda: loki.requests > 1)
        loki.status = 204
        _until(lambda: len(loki.metadata) >= 6)
    assert sorted(loki.texts()) == sorted(_disk(log))


@pytest.mark.parametrize("status", [400, 401, 404, 302], ids=str)
def test_what_loki_refuses_is_counted_and_not_insisted_on(
    ship: Callable[..., Logs], loki: FakeLoki, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    loki.status = status
    with ship() as log:
        _say(5)
        _until(lambda: loki.refused >= 5)
        _until(lambda: "rechaza líneas" in log.path.read_text("utf-8"))
        loki.status = 204
        _say(1)
    last = json.loads(_disk(log)[-1])
    assert (last["action"], last["lost"]) == ("loki_incomplete", loki.refused)
    error = capsys.readouterr().err
    assert f"ha contestado {status}" in error
    assert f"{loki.refused} de 7 líneas del registro no han llegado a Loki" in error
    assert f"reenviar {log.path} --desde 2" in error


def test_a_batch_that_loki_chokes_on_does_not_hold_up_the_others(ship: Callable[..., Logs], loki: FakeLoki) -> None:
    loki.status = 500
    with ship(patience=0.01) as log:
        logger.info("veneno", extra={"action": "x"})
        _until(lambda: loki.requests > 1)
        _until(lambda: "no recibe líneas" in log.path.read_text("utf-8"))
        loki.status = 204
        _say(3)
        _until(lambda: len(loki.metadata) >= 3)
    assert any('"línea 2"' in text for text in loki.texts())


def test_a_queue_that_is_full_turns_lines_away_and_says_how_many(
    ship: Callable[..., Logs], loki: FakeLoki, capsys: pytest.CaptureFixture[str]
) -> None:
    loki.stop()
    with ship(lines=20, batch=5) as log:
        start = time.monotonic()
        _say(500)
        assert time.monotonic() - start < 5
    assert sum("línea" in line and '"number"' in line for line in _disk(log)) == 500
    last = json.loads(_disk(log)[-1])
    assert last["lost"] == len(_disk(log)) - 1
    assert "no han llegado a Loki; están en el disco" in capsys.readouterr().err


def test_long_lines_fill_the_queue_by_their_size(ship: Callable[..., Logs], loki: FakeLoki) -> None:
    loki.silent = True
    with ship(bytes=50_000, request=0.05, grace=0.05) as log:
        for _ in range(100):
            logger.info("a" * 5_000, extra={"action": "x"})
        handler = log._loki
        assert handler is not None
        assert handler._tally._bytes <= 50_000
        assert handler.shipped().lost >= 90


def test_a_black_hole_does_not_hold_up_the_end(ship: Callable[..., Logs], loki: FakeLoki) -> None:
    loki.silent = True
    log = ship(request=60.0, grace=0.2)
    _say(5)
    _until(lambda: loki.paths != [])
    start = time.monotonic()
    log.close()
    assert time.monotonic() - start < 5
    assert json.loads(_disk(log)[-1])["lost"] == 5


def test_a_loki_that_is_down_is_not_waited_for_at_the_end(ship: Callable[..., Logs], loki: FakeLoki) -> None:
    loki.stop()
    log = ship(grace=60.0)
    _say(5)
    start = time.monotonic()
    log.close()
    assert time.monotonic() - start < 5


def test_a_slow_loki_gets_everything(ship: Callable[..., Logs], loki: FakeLoki) -> None:
    loki.delay = 0.05
    with ship(batch=20, grace=10.0, request=5.0) as log:
        _say(100)
    assert sorted(loki.texts()) == sorted(_disk(log))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTEL_SDK_DISABLED", "true"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Basic eHg6eXk=,x-otro=1"),
        ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://127.0.0.1:9/v1/logs"),
        ("OTEL_EXPORTER_OTLP_LOGS_COMPRESSION", "deflate"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/no/existe.pem"),
        ("OTEL_RESOURCE_ATTRIBUTES", "service.name=otro,host=h"),
        ("OTEL_SERVICE_NAME", "otro"),
        ("OTEL_BLRP_MAX_QUEUE_SIZE", "mal"),
        ("OTEL_BLRP_EXPORT_TIMEOUT", "mal"),
        ("OTEL_ATTRIBUTE_COUNT_LIMIT", "1"),
        ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "1"),
        ("http_proxy", "http://127.0.0.1:9"),
        ("all_proxy", "http://127.0.0.1:9"),
        ("REQUESTS_CA_BUNDLE", "/no/existe.pem"),
    ],
)
def test_the_environment_decides_nothing(
    tmp_path: Path, loki: FakeLoki, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with configure_logs(tmp_path, loki_url=loki.url, limits=QUICK) as log:
        logger.info("hecho", extra={"action": "x", "incident": "INC1", "run": "r"})
    assert loki.texts() == _disk(log)
    assert list(loki.lines) == [(("deployment_environment_name", "DESA"), ("service_name", "spai"))]
    assert loki.metadata[0]["incident"] == "INC1"
    assert not {"authorization", "x-otro"} & set(loki.headers)


def test_user_and_password_of_the_url_are_used_and_not_told(
    tmp_path: Path, loki: FakeLoki, capsys: pytest.CaptureFixture[str]
) -> None:
    url = loki.url.replace("//", "//yo:secreto@")
    with configure_logs(tmp_path, loki_url=url, limits=QUICK) as log:
        _say(1)
        assert loki.wait_for(1)
        loki.stop()
        _say(1)
    assert loki.headers["authorization"].startswith("Basic ")
    assert "secreto" not in capsys.readouterr().err + log.path.read_text("utf-8")


def test_what_the_sending_itself_logs_goes_nowhere(
    ship: Callable[..., Logs], loki: FakeLoki, capsys: pytest.CaptureFixture[str]
) -> None:
    loki.stop()
    with ship() as log:
        _say(1)
        _until(lambda: "no recibe líneas" in log.path.read_text("utf-8"))
    assert {json.loads(line)["logger"].partition(".")[0] for line in _disk(log)} == {"core", "observabilidad"}
    assert "opentelemetry" not in capsys.readouterr().err.casefold()


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    planted=samples.personal_values(),
    around=samples.contexts(),
    place=st.sampled_from(["message", "argument", "extra", "nested", "key", "error"]),
)
def test_no_personal_data_is_written_or_sent(
    tmp_path: Path, loki: FakeLoki, planted: tuple[str, str], around: tuple[str, str], place: str
) -> None:
    written, secret = planted
    with configure_logs(tmp_path, to_stderr=False, loki_url=loki.url, limits=QUICK) as log:
        _log(f"{around[0]}{written}{around[1]}", place)
    texts = _disk(log)[-1:]
    assert texts[0] in loki.texts()
    fields = [{name: value for name, value in json.loads(text).items() if name != "time"} for text in texts]
    sent = [{name: value for name, value in kept.items() if "time" not in name} for kept in loki.metadata]
    assert secret not in json.dumps([fields, sent], ensure_ascii=False)


def _log(text: str, place: str) -> None:
    match place:
        case "message":
            logger.info(text.replace("%", "%%"), extra={"action": "x"})
        case "argument":
            logger.info("de %s", text, extra={"action": "x"})
        case "extra":
            logger.info("hecho", extra={"action": "x", "why": text})
        case "nested":
            logger.info("hecho", extra={"action": "x", "why": {"lista": [text, (text,)]}})
        case "key":
            logger.info("hecho", extra={"action": "x", "why": {text: 1}})
        case _:
            try:
                raise LookupError(text)
            except LookupError:
                logger.exception("mal", extra={"action": "x"})


def test_facts_that_are_no_json_stop_nothing(
    ship: Callable[..., Logs], loki: FakeLoki, capsys: pytest.CaptureFixture[str]
) -> None:
    with ship():
        logger.info("enorme", extra={"action": "x", "n": 10**5000})
        _say(1)
    assert len(loki.texts()) == 1
    error = capsys.readouterr().err
    assert "no se puede escribir el registro" in error
    assert "1 de 2 líneas" in error


@pytest.mark.parametrize("url", ["http://a:b:c", "http://[::1", "http://127.0.0.1:99999"])
def test_an_address_that_is_none_stops_nothing(tmp_path: Path, url: str, capsys: pytest.CaptureFixture[str]) -> None:
    with configure_logs(tmp_path, loki_url=url, limits=QUICK) as log:
        _say(1)
    assert len(_disk(log)) >= 2
    assert "no han llegado a Loki" in capsys.readouterr().err


def test_a_loki_that_does_not_speak_tls_is_told(
    tmp_path: Path, loki: FakeLoki, capsys: pytest.CaptureFixture[str]
) -> None:
    with configure_logs(tmp_path, loki_url=loki.url.replace("http:", "https:"), limits=QUICK):
        _say(1)
    assert "su certificado no es de confianza" in capsys.readouterr().err


def test_many_threads_lose_no_line(ship: Callable[..., Logs], loki: FakeLoki) -> None:
    with ship() as log:
        threads = [threading.Thread(target=_say, args=(100,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(_disk(log)) == 400
    assert sorted(loki.texts()) == sorted(_disk(log))


def test_nothing_is_left_running(ship: Callable[..., Logs]) -> None:
    before = threading.active_count()
    with ship():
        _say(1)
    _until(lambda: threading.active_count() <= before + 1)  # a connection that the fake still serves
