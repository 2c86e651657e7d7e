"""A CSV log of calls, as large as it comes, in chunks: encoding and separator found out, broken rows left aside."""

import codecs
import csv
import io
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from core.calls.mapping import CallMap
from core.errors import UsageError
from core.table import RowProblem

if TYPE_CHECKING:
    from pandas import DataFrame

SEPARATORS = ",;\t|"
MAX_CELL = 20_000
"""Characters; a longer cell is a quote that was never closed, or no log of calls."""
CHUNK = 5_000
"""Rows at a time."""
_CHUNK_TEXT = 2_000_000
"""Letters at a time: rows may be long."""
_LONGEST = 1 << 20
"""Letters of a line; what is behind them is not read, the line is no row."""
_BLOCK = 1 << 20
_BROKEN_SHARE = 0.02
"""Lines that may be out of their encoding in a file that is otherwise in UTF-8."""
_OPEN_LINES = 50
"""Lines that one record may go over, by line breaks inside quotes, before its quotes are taken for broken."""


@dataclass(frozen=True)
class Layout:
    """How to read a file."""

    encoding: str
    separator: str
    header: tuple[str, ...]
    columns: dict[str, int]
    size: int
    """Bytes."""
    broken: bool
    """Some lines are not in `encoding`."""


@dataclass(frozen=True)
class Chunk:
    """Rows that have the right shape, a column of text per name in `Layout.columns`, and their line numbers."""

    lines: Sequence[int]
    table: "DataFrame"
    problems: list[RowProblem]
    read: int
    """Characters so far, nearly."""


def look_at(path: Path, mapped: CallMap) -> Layout:
    """Encoding, separator and columns of the file. Raises `UsageError` when it is no log of calls."""
    try:
        size = path.stat().st_size
        encoding, broken = (mapped.formato.codificacion, True) if mapped.formato.codificacion else _encoding(path)
        with path.open(encoding=encoding, errors="surrogateescape", newline="") as stream:
            first = stream.readline(MAX_CELL)
            while first and not first.strip():
                first = stream.readline(MAX_CELL)
    except FileNotFoundError as error:
        raise UsageError(f"No existe el fichero {path}. Compruebe la ruta.") from error
    except OSError as error:
        raise UsageError(f"No se puede leer {path}: {error.strerror}.") from error
    except (LookupError, UnicodeError) as error:
        raise UsageError(f"{path}: no se puede leer en {encoding}. Corrija [formato] codificacion.") from error
    if not first:
        raise UsageError(f"{path}: el fichero está vacío. Su primera línea deben ser los nombres de las columnas.")
    separators = mapped.formato.separador or SEPARATORS
    headers = {one: tuple(cell.strip() for cell in next(csv.reader([first], delimiter=one))) for one in separators}
    separator = max(headers, key=lambda one: len(headers[one]))
    try:
        columns = mapped.positions(headers[separator])
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error
    return Layout(encoding, separator, headers[separator], columns, size, broken)


def _encoding(path: Path) -> tuple[str, bool]:
    """The encoding, and whether some lines are not in it."""
    with path.open("rb") as stream:
        start = stream.read(4)
        if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return "utf-16", False
        stream.seek(0)
        decoder = codecs.getincrementaldecoder("utf-8")()
        try:
            while block := stream.read(_BLOCK):
                decoder.decode(block)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            stream.seek(0)
            sample = stream.read(8 * _BLOCK).splitlines()
            wrong = sum(not _is_utf8(line) for line in sample)
            foreign = sum(not line.isascii() for line in sample)
            if wrong <= _BROKEN_SHARE * len(sample) and 2 * wrong < max(foreign, 2):
                return "utf-8-sig", True
            return "cp1252", True
    return "utf-8-sig", False


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def chunks(path: Path, layout: Layout, size: int = CHUNK) -> Iterator[Chunk]:
    """The rows of the file, `size` at a time. A row that cannot be read is a problem with its line; the rest goes on.

    A block without a fault, as nearly all are, is read by pandas; where something is amiss, line by line.
    """
    with path.open(encoding=layout.encoding, errors="surrogateescape", newline="") as stream:
        source = _Lines(stream)
        for _, cells in _records(source, layout.separator):
            if any(cell.strip() for cell in cells):  # the header
                break
        read = 0
        while lines := source.take(size):
            read += sum(map(len, lines))
            start = source.number - len(lines) + 1
            table = None if layout.broken else _whole(lines, layout)
            if table is not None:
                yield Chunk(range(start, start + len(lines)), table, [], read)
            else:
                source.push(lines)
                yield _line_by_line(source, size, path, layout, read)


def _whole(lines: list[str], layout: Layout) -> "DataFrame | None":
    """The lines as a table; None unless each is one row of the right shape."""
    import pandas as pd

    names = range(len(layout.header))
    if max(map(len, lines)) > MAX_CELL or not all(_fits(line, layout) for line in lines):
        return None
    try:
        table = pd.read_csv(
            io.StringIO("".join(lines)), sep=layout.separator, header=None, names=names, dtype=object, na_values=[],
            keep_default_na=False, skip_blank_lines=False, index_col=False, engine="c", low_memory=False,
            on_bad_lines="error",
        )  # fmt: skip
    except (pd.errors.ParserError, pd.errors.EmptyDataError, ValueError):
        return None
    if len(table) != len(lines):
        return None
    return table[list(layout.columns.values())].set_axis(list(layout.columns), axis=1)


def _fits(line: str, layout: Layout) -> bool:
    """Whether a line is a row with as many cells as the header."""
    if '"' not in line:
        return line.count(layout.separator) == len(layout.header) - 1
    try:
        [cells] = csv.reader([line], delimiter=layout.separator, strict=True)
    except (csv.Error, ValueError):
        return False
    return len(cells) == len(layout.header)


def _line_by_line(source: "_Lines", size: int, path: Path, layout: Layout, read: int) -> Chunk:
    import pandas as pd

    rows: list[list[str]] = []
    numbers: list[int] = []
    problems: list[RowProblem] = []
    room = _CHUNK_TEXT
    for line, cells in _records(source, layout.separator):
        wrong = cells if isinstance(cells, str) else _shape(cells, len(layout.header), layout)
        if isinstance(wrong, str):
            if wrong:
                problems.append(RowProblem(file=str(path), line=line, message=wrong))
        elif not isinstance(cells, str):
            rows.append(cells)
            numbers.append(line)
            room -= sum(map(len, cells))
        if len(rows) + len(problems) >= size or room <= 0:
            break
    across = list(zip(*rows, strict=True)) if rows else [()] * len(layout.header)
    columns = {name: list(across[place]) for name, place in layout.columns.items()}
    return Chunk(numbers, pd.DataFrame(columns, dtype=object), problems, read)


def _shape(cells: Sequence[str], wanted: int, layout: Layout) -> str | None:
    """What is wrong with a row; empty for an empty one, None for a right one."""
    if len(cells) != wanted:
        if not any(cell.strip() for cell in cells):
            return ""
        what = "faltan campos" if len(cells) < wanted else "sobran campos (¿un separador sin comillas?)"
        return f"la fila tiene {len(cells)} campos y la cabecera {wanted}: {what}"
    longest = max(map(len, cells))
    if longest > MAX_CELL:
        return f"una celda tiene {longest} caracteres; el máximo es {MAX_CELL}"
    if layout.broken and any("\ud800" <= letter <= "\udfff" for letter in "".join(cells)):
        return f"no está en la codificación del resto del fichero ({layout.encoding.removesuffix('-sig')})"
    return None


def _records(source: "_Lines", separator: str) -> Iterator[tuple[int, list[str] | str]]:
    """(line, cells) per record, or (line, what is wrong); after a broken record reading goes on at the next line."""
    reader = csv.reader(source, delimiter=separator, strict=True)
    while True:
        source.taken.clear()
        line = source.number + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except (csv.Error, _TooLong) as error:
            too_long = isinstance(error, csv.Error) and "limit" in str(error)
            if too_long and len(source.taken) == 1:
                yield line, f"una celda tiene más de {csv.field_size_limit()} caracteres; el máximo es {MAX_CELL}"
            else:
                yield line, "las comillas no cuadran: hay una sin cerrar o texto tras la de cierre"
            source.give_back()
            reader = csv.reader(source, delimiter=separator, strict=True)
            continue
        yield line, cells


def _lines(stream: TextIO) -> Iterator[str]:
    """The lines of a stream, with only the beginning of one that is too long to be a row."""
    while line := stream.readline(_LONGEST):
        rest = line
        while len(rest) == _LONGEST and not rest.endswith(("\n", "\r")):
            rest = stream.readline(_LONGEST)
        yield line if rest is line else line + "\n"


class _TooLong(Exception):
    """A record goes over too many lines."""


class _Lines:
    """Lines of a stream that remembers those of the record in hand, so that all but the first can be read again."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = _lines(stream)
        self._again: deque[str] = deque()
        self.taken: list[str] = []
        self.number = 0

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        if len(self.taken) >= _OPEN_LINES:
            raise _TooLong
        line = self._again.popleft() if self._again else next(self._stream)
        self.taken.append(line)
        self.number += 1
        return line

    def take(self, count: int) -> list[str]:
        """Up to `count` lines at once, and no more than `_CHUNK_TEXT` letters but for the last."""
        lines: list[str] = []
        room = _CHUNK_TEXT
        while len(lines) < count and room > 0:
            line = self._again.popleft() if self._again else next(self._stream, "")
            if not line:
                break
            lines.append(line)
            room -= len(line)
        self.number += len(lines)
        return lines

    def push(self, lines: Sequence[str]) -> None:
        """Lines that were taken are read again."""
        self.number -= len(lines)
        self._again.extendleft(reversed(lines))

    def give_back(self) -> None:
        """All lines of the record but its first are read again."""
        self.push(self.taken[1:])
