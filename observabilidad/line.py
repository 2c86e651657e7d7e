"""One line of the record: how a log record becomes JSON, and how that JSON is read again for Loki."""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pythonjsonlogger.json import JsonFormatter

PLACES = ("action", "incident", "run", "stage", "decision", "ms")
"""What stands before the other facts in a line, and beside it in Loki."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class JsonLine(JsonFormatter):
    """One record, one line: the fixed fields first, in one order, then whatever else the call gave in `extra`.

    Made once per record, however many handlers ask: file and Loki get the same text.
    """

    def __init__(self) -> None:
        super().__init__(json_ensure_ascii=False)

    def format(self, record: logging.LogRecord) -> str:
        kept: str | None = getattr(record, "_json_line", None)
        if kept is None:
            # Half a surrogate pair cannot be written; as an escape it is JSON all the same.
            kept = super().format(record).encode("utf-8", "backslashreplace").decode()
            record._json_line = kept
        return kept

    def add_fields(self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]) -> None:
        fixed = {
            # To the microsecond: equal lines at one time are one line to Loki.
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        for name in PLACES:
            value = getattr(record, name, None)
            if value is not None and value != "":
                fixed[name] = value
        super().add_fields(log_data, record, message_dict)
        rest = {name: value for name, value in log_data.items() if name not in fixed and value not in (None, "")}
        log_data.clear()
        log_data.update(fixed | rest)


@dataclass(frozen=True, slots=True)
class Line:
    """What Loki gets of a line: all of it follows from the text, so that sending it again sends the same."""

    text: str
    nanoseconds: int
    """Since 1970."""
    level: str
    places: Mapping[str, str | int | float]


def read_line(text: str) -> Line:
    """The line of this text, without its line end. Raises `ValueError` for what is no line of the record."""
    try:
        fields = json.loads(text)
        when = datetime.fromisoformat(fields["time"])
        nanoseconds = (when - _EPOCH) // _MICROSECOND * 1000
        level = str(fields["level"])
    except (KeyError, TypeError, RecursionError, OverflowError) as error:
        raise ValueError(f"no es una línea del registro: {error}") from error
    if not 0 < nanoseconds < 1 << 63:
        raise ValueError("su fecha no cabe en un sello de tiempo")
    places = {name: _plain(fields[name]) for name in PLACES if isinstance(fields.get(name), str | int | float)}
    return Line(text, nanoseconds, _plain(level), places)


def _plain(value: Any) -> Any:
    """As protobuf takes it: whole characters, integers of 64 bits."""
    if isinstance(value, str) and not value.isascii():
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, int) and abs(value) >= 1 << 63:
        return str(value)
    return value
