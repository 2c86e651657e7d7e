"""A line of the record and back."""

import json
import logging
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from observabilidad.line import JsonLine, read_line


def _record(message: str, **extra: object) -> logging.LogRecord:
    record = logging.makeLogRecord({"msg": message, "levelname": "INFO", "levelno": 20, "name": "core.x", **extra})
    record.created = 1_795_255_200.123456
    return record


def test_a_line_is_made_once_for_all_handlers() -> None:
    record, formatter = _record("hola", action="x"), JsonLine()
    first = formatter.format(record)
    record.action = "otra"
    assert formatter.format(record) is first


def test_what_goes_to_loki_follows_from_the_text() -> None:
    line = read_line(JsonLine().format(_record("hola", action="x", incident="INC1", ms=2.5, tokens_in=3)))
    assert line.nanoseconds == 1_795_255_200_123_456_000
    assert line.level == "INFO"
    assert line.places == {"action": "x", "incident": "INC1", "ms": 2.5}
    assert json.loads(line.text)["tokens_in"] == 3


@given(st.datetimes(min_value=datetime(1971, 1, 1), max_value=datetime(2200, 1, 1)))  # noqa: DTZ001 - the zone follows
def test_a_time_is_read_to_the_microsecond(naive: datetime) -> None:
    when = naive.replace(tzinfo=UTC)
    line = read_line(json.dumps({"time": when.isoformat(timespec="microseconds"), "level": "INFO"}))
    assert line.nanoseconds % 1000 == 0
    assert datetime.fromtimestamp(line.nanoseconds // 10**9, UTC) == when.replace(microsecond=0)
    assert line.nanoseconds // 1000 % 10**6 == when.microsecond


def test_half_a_character_is_written_and_read() -> None:
    text = JsonLine().format(_record("mal \ud83d", action="x", incident="INC\udc00"))
    assert text.encode()
    line = read_line(text)
    assert line.text == text
    assert str(line.places["incident"]).encode()


@pytest.mark.parametrize(
    "text",
    [
        "no es JSON",
        "[]",
        "3",
        "null",
        '"time"',
        "{}",
        '{"time": "ayer", "level": "INFO"}',
        '{"time": 3, "level": "INFO"}',
        '{"time": "2026-01-01T00:00:00", "level": "INFO"}',
        '{"time": "1969-01-01T00:00:00+00:00", "level": "INFO"}',
        '{"time": "2400-01-01T00:00:00+00:00", "level": "INFO"}',
        "[" * 100_000,
    ],
    ids=["text", "list", "number", "null", "string", "empty", "when", "type", "zone", "old", "late", "deep"],
)
def test_what_is_no_line_is_said_to_be_none(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        read_line(text)


@pytest.mark.parametrize("value", [1 << 70, -(1 << 70), float("nan"), True, ["a"], {"a": 1}], ids=str)
def test_odd_facts_do_no_harm(value: Any) -> None:
    line = read_line(json.dumps({"time": "2026-01-01T00:00:00+00:00", "level": "INFO", "ms": value}))
    assert set(line.places) <= {"ms"}
    assert not isinstance(line.places.get("ms", 0), int) or abs(line.places.get("ms", 0)) < 1 << 63  # type: ignore[arg-type,operator]
