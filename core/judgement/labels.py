"""Labels as people send them: a CSV with incident, row and whether that row was right for it."""

from collections.abc import Iterable
from pathlib import Path
from uuid import UUID

from core.catalogue import CatalogueEntry, normalised
from core.ledger import Label, Said
from core.table import Row, RowProblem, read_rows

INCIDENT, ROW, RESULT = "INCIDENCIA", "FILA", "RESULTADO"
COLUMNS = (INCIDENT, ROW, RESULT)
_RIGHT = {Label.RIGHT.value: True, Label.WRONG.value: False}
_MOST_CODE = 200


class _Unusable(Exception):
    """Why a line cannot be used."""


class Rows:
    """The catalogue's rows, by what a person may call them."""

    def __init__(self, entries: Iterable[CatalogueEntry]) -> None:
        self._ids: dict[str, set[str]] = {}
        for entry in entries:
            for name in (entry.id, entry.description, f"{entry.component}: {entry.description}"):
                self._ids.setdefault(normalised(name), set()).add(entry.id)

    def find(self, name: str) -> str:
        """The row's id: by its id, its description, or `COMPONENTE: DESCRIPCION`.

        An id that the catalogue no longer has is taken as it is: decisions may be of a row that is gone.
        """
        found = self._ids.get(normalised(name), set())
        if len(found) > 1:
            raise _Unusable(f"«{_short(name)}» es de {len(found)} filas: escriba COMPONENTE: DESCRIPCION, o su id")
        if found:
            return next(iter(found))
        try:
            return str(UUID(name))
        except ValueError:
            raise _Unusable(f"el catálogo no tiene la fila «{_short(name)}»") from None


def read_labels(path: Path, rows: Rows) -> tuple[list[Said], list[RowProblem]]:
    """The labels of `path` (`INCIDENCIA, FILA, RESULTADO`), and the lines that cannot be used.

    Two lines that contradict each other are both left out; one said twice counts once.
    Raises `UsageError` when the file cannot be used at all.
    """
    read, problems = read_rows(path, COLUMNS, normalised)
    said: dict[tuple[str, str], dict[bool, int]] = {}
    for row in read:
        try:
            one = _label(row, rows)
        except _Unusable as fault:
            problems.append(RowProblem(file=str(path), line=row.line, message=str(fault)))
        else:
            said.setdefault((one.incident, one.entry), {}).setdefault(one.right, row.line)
    labels = []
    for (incident, entry), words in said.items():
        if len(words) == 1:
            labels.append(Said(incident, entry, next(iter(words))))
            continue
        first, second = sorted(words.values())
        message = f"dice lo contrario que la línea {first} de la misma incidencia y fila: ninguna de las dos se guarda"
        problems.append(RowProblem(file=str(path), line=second, message=message))
    return labels, sorted(problems, key=lambda problem: problem.line)


def _label(row: Row, rows: Rows) -> Said:
    code, name, result = (row.fields[column] for column in COLUMNS)
    if not code or len(code) > _MOST_CODE:
        raise _Unusable(f"{INCIDENT}: " + ("está vacía" if not code else f"más de {_MOST_CODE} caracteres"))
    if not name:
        raise _Unusable(f"{ROW}: está vacía")
    right = _RIGHT.get(normalised(result))
    if right is None:
        raise _Unusable(f"{RESULT}: «{_short(result)}» no es {' ni '.join(_RIGHT)}")
    return Said(code, rows.find(name), right)


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:60] + "…"
