"""The log of record, read back: every line of it, rotated files too, while a run may be adding to it."""

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

from core.errors import DependencyError
from observabilidad.logs import FILE_NAME

Line = dict[str, Any]


@dataclass
class RecordFolder:
    """The files `spai.jsonl`, `.1`, `.2`… of a folder. `unreadable` counts the lines that were no record."""

    folder: Path
    unreadable: int = field(default=0, init=False)

    @property
    def exists(self) -> bool:
        """There is something to read."""
        return bool(self._paths())

    def lines(
        self, *, since: datetime | None = None, until: datetime | None = None, incident: str | None = None
    ) -> Iterator[Line]:
        """Oldest first; `since` ≤ time < `until`, both aware; only those of `incident` where it is given.

        Raises `DependencyError` for a file that cannot be read.
        """
        self.unreadable = 0
        try:
            with ExitStack() as stack:
                for stream in self._opened(stack):
                    yield from self._kept(stream, since, until, incident)
        except OSError as error:
            raise DependencyError(
                f"El registro de {self.folder} no se puede leer: {error.strerror or error}. Compruebe el permiso."
            ) from error

    def _paths(self) -> list[Path]:
        def age(path: Path) -> int:
            return int(path.name.rpartition(".")[2]) if path.name != FILE_NAME else 0

        found = [
            path
            for path in self.folder.glob(f"{FILE_NAME}*")
            if path.name == FILE_NAME or path.name.removeprefix(f"{FILE_NAME}.").isdecimal()
        ]
        return sorted(found, key=age, reverse=True)

    def _opened(self, stack: ExitStack) -> list[TextIO]:
        """All at once: a file that is rotated meanwhile changes its name, not what is open; each file once."""
        streams: dict[tuple[int, int], TextIO] = {}
        for path in self._paths():
            try:
                stream = stack.enter_context(path.open(encoding="utf-8", errors="replace"))
            except FileNotFoundError:  # rotated away this very moment
                continue
            at = os.fstat(stream.fileno())
            streams.setdefault((at.st_dev, at.st_ino), stream)
        return list(streams.values())

    def _kept(
        self, stream: TextIO, since: datetime | None, until: datetime | None, incident: str | None
    ) -> Iterator[Line]:
        quoted = json.dumps(incident, ensure_ascii=False) if incident is not None else ""
        for text in stream:
            if quoted not in text:
                continue
            line = _parsed(text)
            when = time_of(line) if line is not None else None
            if line is None or when is None:
                self.unreadable += bool(text.strip())
                continue
            if (since and when < since) or (until and when >= until):
                continue
            if incident is None or line.get("incident") == incident:
                yield line


def time_of(line: Line) -> datetime | None:
    """When it was written, aware; None where that cannot be read."""
    try:
        when = datetime.fromisoformat(str(line.get("time")))
    except ValueError:
        return None
    return when if when.tzinfo else when.astimezone()


def _parsed(text: str) -> Line | None:
    try:
        line = json.loads(text)
    except (ValueError, RecursionError):  # the last line of a process that was cut, or of one that is writing it now
        return None
    return line if isinstance(line, dict) else None
