"""The catalogue of known problems: one row, how it is resolved, and the CSV files it comes from."""

import csv
import io
import unicodedata
import uuid
from collections.abc import Callable, Iterable
from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from core.errors import UsageError
from core.files import write_whole
from core.table import Row, RowProblem, read_rows

COMPONENT, DESCRIPTION, TYPE, SOLUTION = "COMPONENTE", "DESCRIPCION", "TIPO INCIDENCIA", "SOLUCIÓN"
RESOLVED_ON, RESOLUTION, MAILBOX = "FECHA DE RESOLUCIÓN", "RESOLUCION AUTOMÁTICA", "BUZON REASIGNACION"
COLUMNS = (COMPONENT, DESCRIPTION, TYPE, SOLUTION, RESOLVED_ON, RESOLUTION, MAILBOX)
INCIDENT_ID, EXPECTED_ON = "ID INCIDENCIA", "FECHA PREVISTA"
FIX_COLUMNS = (INCIDENT_ID, DESCRIPTION, EXPECTED_ON, RESOLUTION)
FIX_COMPONENT = "CORRECTIVO"

_NAMESPACE = uuid.UUID("6f0f5b0e-6d0c-5b52-9a55-0c9f6f3c1d7e")


def normalised(text: str) -> str:
    """Without accents, case or runs of white space: what two spellings of one thing share."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    return " ".join("".join(c for c in plain if not unicodedata.combining(c)).split())


class Resolution(StrEnum):
    """The five kinds of `RESOLUCION AUTOMÁTICA`."""

    MANUAL = "manual"
    CLOSE = "cierre"
    WAIT = "en espera"
    REASSIGN = "reasignacion"
    API = "api"


class CatalogueEntry(BaseModel):
    """One known problem. `id` is UUIDv5 of its normalised component and description."""

    model_config = ConfigDict(frozen=True)

    component: str
    description: str
    incident_type: str = ""
    solution: str = ""
    resolved_on: str = ""
    resolution: Resolution
    system: str = ""
    """Only for `Resolution.API`: the name after `api|`."""
    mailbox: str = ""
    expected_on: str = ""
    """Only for fixes under way (`CORRECTIVOS_ABIERTOS.csv`): the date it is due."""
    summary: str = ""
    """Only with `batch.py --resumir`: the model's summary, embedded in place of the description."""
    examples: tuple[str, ...] = ()
    """Incidents that this row solved, in the words of those who had them: searched beside the row's own text."""

    @property
    def id(self) -> str:
        """Stable over runs and machines."""
        return str(uuid.uuid5(_NAMESPACE, f"{normalised(self.component)}\n{normalised(self.description)}"))

    @property
    def kind(self) -> str:
        """As the catalogue spells it: `cierre`, …, `api|<sistema>`."""
        return f"api|{self.system}" if self.resolution is Resolution.API else self.resolution.value

    @staticmethod
    def read_kind(text: str) -> tuple[Resolution, str]:
        """Kind and system of a `RESOLUCION AUTOMÁTICA`, whatever its case, accents and spaces. Raises `ValueError`."""
        name, bar, system = (normalised(part.replace("_", " ")) for part in text.partition("|"))
        if name == Resolution.API:
            if not system:
                raise ValueError("«api|» necesita el nombre del sistema, por ejemplo «api|fxprovicion»")
            return Resolution.API, system
        if bar or name not in set(Resolution):
            known = "manual, cierre, en espera, reasignacion o api|<sistema>"
            raise ValueError(f"«{text[:60]}» no es una resolución conocida; use {known}")
        return Resolution(name), ""


class CatalogueReading(BaseModel):
    """What a file holds: the rows that can be used, and why each of the others cannot."""

    model_config = ConfigDict(frozen=True)

    entries: tuple[CatalogueEntry, ...]
    problems: tuple[RowProblem, ...] = ()


def read_catalogue(path: Path, *, strict: bool = False) -> CatalogueReading:
    """`PROBLEMAS_GLOBALES.csv`: bad rows are reported with file and line, and skipped.

    Raises `UsageError` when the file cannot be used at all, has no usable row or, with `strict`, has any bad row.
    """
    reading = _read(path, COLUMNS, _catalogue_entry, strict)
    if not reading.entries:
        raise UsageError(f"{path}: el catálogo no tiene ninguna fila utilizable.{_listed(reading.problems)}")
    return reading


def read_open_fixes(path: Path, *, strict: bool = False) -> CatalogueReading:
    """`CORRECTIVOS_ABIERTOS.csv`: each fix under way is an entry that waits for its date. No rows is no fault."""
    return _read(path, FIX_COLUMNS, _fix_entry, strict)


def write_catalogue(path: Path, entries: Iterable[CatalogueEntry]) -> None:
    """Write `PROBLEMAS_GLOBALES.csv` whole or not at all; reading it gives the same entries.

    Texts are written as they are: what a spreadsheet would take for a formula is left alone, since the catalogue is
    read by this program and a changed text would be another row.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for entry in entries:
        fields = (entry.component, entry.description, entry.incident_type, entry.solution, entry.resolved_on)
        writer.writerow((*fields, entry.kind, entry.mailbox))
    write_whole(path, text.getvalue())


class _Unusable(Exception):
    """(column, why): the row cannot be an entry."""

    def __init__(self, column: str, why: str) -> None:
        super().__init__(f"{column}: {why}")
        self.column = column


def _read(
    path: Path, columns: tuple[str, ...], to_entry: Callable[[Row], CatalogueEntry], strict: bool
) -> CatalogueReading:
    rows, problems = read_rows(path, columns, _header_key)
    first_line: dict[str, int] = {}
    entries: list[CatalogueEntry] = []
    for row in rows:
        try:
            entry = to_entry(row)
            if entry.id in first_line:
                raise _Unusable(DESCRIPTION, f"repite el problema de la línea {first_line[entry.id]}")
        except _Unusable as fault:
            problems.append(RowProblem(file=str(path), line=row.line, column=fault.column, message=str(fault)))
        else:
            first_line[entry.id] = row.line
            entries.append(entry)
    problems.sort(key=lambda problem: problem.line)
    if strict and problems:
        raise UsageError(f"{path}: {len(problems)} filas no se pueden usar.{_listed(problems)}")
    return CatalogueReading(entries=tuple(entries), problems=tuple(problems))


def _header_key(name: str) -> str:
    return normalised(name.replace("_", " "))


def _listed(problems: Iterable[RowProblem], most: int = 20) -> str:
    lines = [str(problem) for problem in problems]
    rest = [f"… y {len(lines) - most} más"] if len(lines) > most else []
    return "".join(f"\n  {line}" for line in lines[:most] + rest)


def _catalogue_entry(row: Row) -> CatalogueEntry:
    fields = row.fields
    resolution, system = _resolution(fields[RESOLUTION])
    if not fields[DESCRIPTION]:
        raise _Unusable(DESCRIPTION, "está vacía")
    if resolution is Resolution.REASSIGN and not fields[MAILBOX]:
        raise _Unusable(MAILBOX, "está vacío y la resolución es «reasignacion»")
    return CatalogueEntry(
        component=fields[COMPONENT],
        description=fields[DESCRIPTION],
        incident_type=fields[TYPE],
        solution=fields[SOLUTION],
        resolved_on=fields[RESOLVED_ON],
        resolution=resolution,
        system=system,
        mailbox=fields[MAILBOX],
    )


def _resolution(value: str) -> tuple[Resolution, str]:
    try:
        return CatalogueEntry.read_kind(value)
    except ValueError as error:
        raise _Unusable(RESOLUTION, str(error)) from error


def _fix_entry(row: Row) -> CatalogueEntry:
    fields = row.fields
    if not fields[DESCRIPTION]:
        raise _Unusable(DESCRIPTION, "está vacía")
    # Without a kind a fix under way means waiting for it.
    resolution, _ = _resolution(fields[RESOLUTION] or Resolution.WAIT)
    if resolution not in (Resolution.WAIT, Resolution.MANUAL):
        raise _Unusable(RESOLUTION, "un correctivo abierto solo puede ser «en espera» o «manual»")
    reference = f" (referencia {fields[INCIDENT_ID]})" if fields[INCIDENT_ID] else ""
    date = fields[EXPECTED_ON]
    when = f"Está prevista para el {date}" if date else "Aún no tiene fecha prevista"
    next_step = "; la incidencia queda en espera hasta que se instale" if resolution is Resolution.WAIT else ""
    return CatalogueEntry(
        component=FIX_COMPONENT,
        description=fields[DESCRIPTION],
        incident_type=FIX_COMPONENT,
        solution=f"Es un fallo conocido y su corrección está en curso{reference}. {when}{next_step}.",
        resolution=resolution,
        expected_on=date,
    )
