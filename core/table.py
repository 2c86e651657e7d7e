"""A CSV file as people send it: its encoding, separator and header checked, its rows with their line numbers."""

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from core.errors import UsageError

SEPARATORS = ",;"
Fold = Callable[[str], str]
MAX_FIELD = 10_000
"""Characters in one field; a longer one is a quote that was never closed, or not a catalogue."""


class RowProblem(BaseModel):
    """A row that was skipped: where it is and why, as a person reads it."""

    model_config = ConfigDict(frozen=True)

    file: str
    line: int
    """Physical line, from 1."""
    column: str | None = None
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}"


class Row(BaseModel):
    """One row: `fields` has every column asked for, without outer white space."""

    model_config = ConfigDict(frozen=True)

    line: int
    fields: dict[str, str]


def read_rows(path: Path, columns: Sequence[str], fold: Fold) -> tuple[list[Row], list[RowProblem]]:
    """The rows of `path` that have every column, and the problems of those that do not.

    Two headers are the same when `fold` makes them equal; further columns are left aside; empty rows do not count.
    Raises `UsageError` when the file cannot be read, is not UTF-8, is empty or lacks one of `columns`.
    """
    text = _decoded(path)
    lines = list(io.StringIO(text, newline=""))
    start = next((i for i, line in enumerate(lines) if line.strip()), None)
    if start is None:
        raise UsageError(f"{path}: el fichero está vacío. Su primera línea debe ser: {','.join(columns)}")
    wanted = {fold(name): name for name in columns}
    separator, header, first_row = _header(path, lines, start, wanted, fold)
    rows: list[Row] = []
    problems: list[RowProblem] = []
    for line, cells in _records(lines, first_row, separator):
        if isinstance(cells, str):
            problems.append(RowProblem(file=str(path), line=line, message=cells))
        elif any(cell.strip() for cell in cells):
            problem = _shape_problem(path, line, cells, header)
            if problem:
                problems.append(problem)
            else:
                named = dict(zip(header, cells, strict=True))
                rows.append(Row(line=line, fields={name: named[key].strip() for key, name in wanted.items()}))
    return rows, problems


def _decoded(path: Path) -> str:
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise UsageError(f"No existe el fichero {path}. Compruebe la ruta o indíquela en la orden.") from error
    except OSError as error:
        raise UsageError(f"No se puede leer {path}: {error.strerror}.") from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        name = _likely_encoding(data)
        raise UsageError(
            f"{path}: no está en UTF-8 (línea {line}); parece {name}. Conviértalo, por ejemplo con "
            f"`iconv -f {name} -t UTF-8 {path.name} > nuevo.csv`, o guárdelo en la hoja de cálculo como «CSV UTF-8»."
        ) from error


def _likely_encoding(data: bytes) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "UTF-16"
    try:
        data.decode("cp1252")
    except UnicodeDecodeError:
        return "ISO-8859-1"
    return "WINDOWS-1252"


def _header(path: Path, lines: list[str], start: int, wanted: dict[str, str], fold: Fold) -> tuple[str, list[str], int]:
    """Separator, folded column names and the index of the line after them."""
    best: tuple[str, list[str], int] | None = None
    for separator in SEPARATORS:
        reader = csv.reader((lines[i] for i in range(start, len(lines))), delimiter=separator)
        try:
            names = [fold(cell) for cell in next(reader)]
        except csv.Error as error:
            raise UsageError(f"{path}:{start + 1}: la cabecera no se puede leer ({error}).") from error
        found = (separator, names, start + reader.line_num)
        if best is None or len(wanted.keys() & set(names)) > len(wanted.keys() & set(best[1])):
            best = found
    assert best is not None
    missing = [name for key, name in wanted.items() if key not in best[1]]
    if missing:
        plural = "las columnas" if len(missing) > 1 else "la columna"
        raise UsageError(
            f"{path}: falta {plural} {', '.join(missing)}. La cabecera debe tener: {', '.join(wanted.values())} "
            "(separadas por coma o por punto y coma)."
        )
    repeated = sorted({wanted[key] for key in best[1] if key in wanted and best[1].count(key) > 1})
    if repeated:
        raise UsageError(f"{path}: columna repetida en la cabecera: {', '.join(repeated)}. Deje solo una.")
    return best


def _records(lines: list[str], start: int, separator: str) -> Iterator[tuple[int, list[str] | str]]:
    """(line, cells) per record, or (line, what is wrong); after a broken record reading goes on at the next line."""
    index = start
    while index < len(lines):
        reader = csv.reader((lines[i] for i in range(index, len(lines))), delimiter=separator, strict=True)
        try:
            cells = next(reader)
        except csv.Error:
            yield index + 1, "las comillas no cuadran: hay una sin cerrar o texto tras la de cierre"
            index += 1
            continue
        yield index + 1, cells
        index += reader.line_num


def _shape_problem(path: Path, line: int, cells: list[str], header: list[str]) -> RowProblem | None:
    if len(cells) != len(header):
        what = "faltan campos" if len(cells) < len(header) else "sobran campos (¿un separador sin comillas?)"
        message = f"la fila tiene {len(cells)} campos y la cabecera {len(header)}: {what}"
        return RowProblem(file=str(path), line=line, message=message)
    for name, cell in zip(header, cells, strict=True):
        column = name.upper() or None
        if "\0" in cell:
            return RowProblem(file=str(path), line=line, column=column, message=f"{column}: contiene un carácter nulo")
        if len(cell) > MAX_FIELD:
            message = f"{column}: {len(cell)} caracteres; el máximo es {MAX_FIELD} (¿unas comillas sin cerrar?)"
            return RowProblem(file=str(path), line=line, column=column, message=message)
    return None
