"""observabilidad/record.py: the whole record is read back, whatever state its files are in."""

import json
import logging
from datetime import UTC, datetime
from pathlib import Path

import pytest

from core.errors import DependencyError
from observabilidad import logs
from observabilidad.logs import FILE_NAME, configure_logs
from observabilidad.record import RecordFolder

logger = logging.getLogger("core.prueba")


def _write(path: Path, *lines: object) -> None:
    path.write_text(
        "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines), encoding="utf-8"
    )


def _line(second: int, **facts: object) -> dict[str, object]:
    return {"time": f"2026-11-01T10:00:{second:02}.000+00:00", **facts}


def test_rotated_files_come_first_and_nothing_is_read_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "MAX_BYTES", 2000)
    monkeypatch.setattr(logs, "KEPT_FILES", 20)
    with configure_logs(tmp_path, to_stderr=False):
        for number in range(60):
            logger.info("x", extra={"action": "x", "number": number})
    assert len(list(tmp_path.iterdir())) > 2
    assert [line["number"] for line in RecordFolder(tmp_path).lines()] == list(range(60))


def test_what_is_written_and_rotated_while_it_is_read_does_no_harm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "MAX_BYTES", 2000)
    with configure_logs(tmp_path, to_stderr=False):
        for number in range(30):
            logger.info("x", extra={"action": "x", "number": number})
        reading = RecordFolder(tmp_path).lines()
        found = [next(reading)["number"]]
        for number in range(30, 60):
            logger.info("x", extra={"action": "x", "number": number})
        found += [line["number"] for line in reading]
    assert found[:30] == list(range(30))
    assert len(found) == len(set(found))


def test_rubbish_is_counted_and_passed_over(tmp_path: Path) -> None:
    _write(
        tmp_path / FILE_NAME,
        _line(1, n=1), '{"time": "2026-', "[1]", '{"n": 2}', '{"time": "ayer"}', "", "[" * 5000, _line(2, n=3),
    )  # fmt: skip
    (tmp_path / f"{FILE_NAME}.copia").write_text("nada", encoding="utf-8")
    folder = RecordFolder(tmp_path)
    assert [line["n"] for line in folder.lines()] == [1, 3]
    assert folder.unreadable == 5


def test_a_period_has_its_start_and_not_its_end(tmp_path: Path) -> None:
    _write(tmp_path / FILE_NAME, *(_line(n, n=n) for n in range(5)))
    since, until = (datetime(2026, 11, 1, 10, 0, n, tzinfo=UTC) for n in (1, 3))
    assert [line["n"] for line in RecordFolder(tmp_path).lines(since=since, until=until)] == [1, 2]


@pytest.mark.parametrize("code", ["INC-1", 'con "comillas"', "añó\\barra"])
def test_the_lines_of_one_incident(tmp_path: Path, code: str) -> None:
    text = json.dumps(_line(1, incident=code), ensure_ascii=False)
    _write(tmp_path / FILE_NAME, text, _line(2, incident=f"{code}0"), _line(3, message=code), _line(4))
    assert [line["time"][17:19] for line in RecordFolder(tmp_path).lines(incident=code)] == ["01"]


def test_a_folder_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert not RecordFolder(tmp_path / "no").exists
    assert list(RecordFolder(tmp_path / "no").lines()) == []


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).mkdir()
    with pytest.raises(DependencyError, match=str(tmp_path)):
        list(RecordFolder(tmp_path).lines())
