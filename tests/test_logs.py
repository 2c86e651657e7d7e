"""The log of record and the terminal's lines."""

import json
import logging
import sys
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from core.trace import tracing
from observabilidad import logs
from observabilidad.logs import Logs, configure_logs

logger = logging.getLogger("core.prueba")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "estado" / "logs"


@pytest.fixture
def log(folder: Path) -> Iterator[Logs]:
    with configure_logs(folder) as opened:
        yield opened


def _lines(log: Logs) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.path.read_text(encoding="utf-8").splitlines()]


def test_a_line_has_the_trace_the_facts_and_nothing_empty(log: Logs) -> None:
    with tracing(run="r1", incident="INC1", stage="juicio"):
        logger.info("judged", extra={"action": "judged", "ms": 12.5, "approval": 81, "nothing": None})
    (line,) = _lines(log)
    assert (datetime.now(UTC) - datetime.fromisoformat(line.pop("time"))).total_seconds() < 60
    assert line == {
        "level": "INFO",
        "logger": "core.prueba",
        "message": "judged",
        "action": "judged",
        "incident": "INC1",
        "run": "r1",
        "stage": "juicio",
        "ms": 12.5,
        "approval": 81,
    }


def test_a_fact_named_in_the_call_comes_before_the_trace(log: Logs) -> None:
    with tracing(incident="INC1"):
        logger.info("seen", extra={"action": "seen", "incident": "INC2"})
    assert _lines(log)[0]["incident"] == "INC2"


def test_outside_a_trace_the_fields_are_left_out(log: Logs) -> None:
    logger.info("ready")
    assert _lines(log)[0].keys() == {"time", "level", "logger", "message"}


def test_letters_are_written_as_they_are_and_a_line_stays_one_line(log: Logs) -> None:
    logger.info("Sesión\ncaducada", extra={"action": "año"})
    assert len(log.path.read_text(encoding="utf-8").splitlines()) == 1
    assert "Sesión\\ncaducada" in log.path.read_text(encoding="utf-8")


def test_a_value_that_is_no_json_does_not_lose_the_line(log: Logs) -> None:
    logger.info("odd", extra={"action": "odd", "where": Path("a/b"), "set": {1}})
    (line,) = _lines(log)
    assert line["action"] == "odd"
    assert "a/b" in str(line["where"])


def test_an_error_keeps_its_traceback_in_the_file_and_its_name_on_the_terminal(
    log: Logs, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        raise LookupError("sin fila")
    except LookupError:
        with tracing(incident="INC7", stage="búsqueda"):
            logger.exception("stage failed", extra={"action": "stage_failed"})
    (line,) = _lines(log)
    assert line["error"] == "LookupError"
    assert "Traceback" in line["exc_info"]
    assert capsys.readouterr().err == "error: stage failed (incidencia INC7, etapa búsqueda, LookupError)\n"


@pytest.mark.parametrize(
    ("verbose", "to_stderr", "expected"),
    [
        pytest.param(False, True, "aviso: dos\n", id="warnings"),
        pytest.param(True, True, "info: uno\naviso: dos\n", id="verbose"),
        pytest.param(True, False, "", id="silent"),
    ],
)
def test_the_terminal_shows_what_was_asked(
    folder: Path, capsys: pytest.CaptureFixture[str], verbose: bool, to_stderr: bool, expected: str
) -> None:
    with configure_logs(folder, verbose=verbose, to_stderr=to_stderr) as log:
        logger.debug("cero")
        logger.info("uno")
        logger.warning("dos")
        assert [line["message"] for line in _lines(log)] == ["uno", "dos"]
    assert capsys.readouterr().err == expected


def test_the_terminal_is_whatever_stderr_is_then(log: Logs, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []

    class Bar:
        def write(self, text: str) -> None:
            written.append(text)

        def flush(self) -> None:
            written.append("flush")

    monkeypatch.setattr(sys, "stderr", Bar())
    logger.warning("sobre la barra")
    assert written == ["aviso: sobre la barra\n", "flush"]


@pytest.mark.parametrize(
    "secret", ["12345678Z", "ES9121000418450200051332", "ana.perez@correo.example"], ids=["nif", "iban", "mail"]
)
def test_personal_data_reaches_neither_file_nor_terminal(
    log: Logs, capsys: pytest.CaptureFixture[str], secret: str
) -> None:
    try:
        raise ValueError(f"cliente {secret}")
    except ValueError:
        logger.warning("reply of %s", secret, exc_info=True, extra={"action": "x", "detail": {"who": [secret]}})
    assert secret not in log.path.read_text(encoding="utf-8")
    assert secret not in capsys.readouterr().err
    assert len(_lines(log)) == 1


@pytest.mark.parametrize("name", ["httpx", "httpcore", "bm25s"])
def test_library_chatter_stays_out(log: Logs, name: str) -> None:
    logging.getLogger(name).info("HTTP Request: GET http://127.0.0.1/api/poliza/123456789")
    logging.getLogger(name).warning("retrying")
    assert [line["message"] for line in _lines(log)] == ["retrying"]


def test_python_warnings_go_to_the_record(log: Logs) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("algo en desuso", stacklevel=1)
    assert "algo en desuso" in _lines(log)[0]["message"]


def test_the_file_is_rotated_and_the_oldest_dropped(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "MAX_BYTES", 1000)
    monkeypatch.setattr(logs, "KEPT_FILES", 2)
    with configure_logs(folder) as log:
        for number in range(50):
            logger.info("line", extra={"action": "line", "number": number})
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["spai.jsonl", "spai.jsonl.1", "spai.jsonl.2"]
    assert all(path.stat().st_size <= 1000 for path in folder.iterdir())
    assert _lines(log)[-1]["number"] == 49


def test_closing_puts_logging_back_and_keeps_the_lines(folder: Path) -> None:
    root = logging.getLogger()
    before = (list(root.handlers), root.level, logging.getLogger("httpx").level)
    log = configure_logs(folder)
    logger.info("one")
    log.close()
    log.close()
    logger.info("after")
    assert (list(root.handlers), root.level, logging.getLogger("httpx").level) == before
    assert [line["message"] for line in _lines(log)] == ["one"]


def test_a_second_run_adds_to_the_file(folder: Path) -> None:
    for message in ("first", "second"):
        with configure_logs(folder) as log:
            logger.info(message)
    assert [line["message"] for line in _lines(log)] == ["first", "second"]


@pytest.mark.faults
def test_a_folder_that_cannot_be_made_is_told_once_and_stops_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "fichero").touch()
    with configure_logs(tmp_path / "fichero" / "logs"):
        for _ in range(3):
            logger.info("goes on")
    error = capsys.readouterr().err
    assert error.count("no se puede escribir el registro") == 1
    assert "Not a directory" in error
    assert "La ejecución sigue" in error


@pytest.mark.faults
def test_a_full_disk_is_told_once_and_stops_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no hay /dev/full en este sistema")
    (tmp_path / logs.FILE_NAME).symlink_to(full)
    with configure_logs(tmp_path):
        for _ in range(3):
            logger.warning("goes on")
    error = capsys.readouterr().err
    assert error.count("No space left on device") == 1
    assert error.count("aviso: goes on") == 3
