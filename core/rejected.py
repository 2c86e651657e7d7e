"""What the critic turned down, one CSV a day: the raw material for mending the catalogue."""

import csv
import io
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from filelock import FileLock

from core.decision import Decision
from core.errors import DependencyError
from core.files import write_whole
from core.report import IncidentResult

COLUMNS = (
    "FECHA",
    "EJECUCION",
    "INCIDENCIA",
    "INTENTO",
    "FILA",
    "COMPONENTE",
    "DESCRIPCION",
    "RESOLUCION AUTOMÁTICA",
    "APROBACION",
    "UMBRAL",
    "MOTIVO",
    "CRITICA",
    "TIPO DE PROBLEMA",
    "EVITAR",
    "ENFOQUE RECOMENDADO",
)


def rejected_rows(run: str, result: IncidentResult, decision: Decision) -> list[dict[str, str]]:
    """One row per rejected proposal of an incident; no text of the incident is among them."""
    if decision.verdict is None:
        return []
    now = datetime.now().astimezone().isoformat(timespec="seconds")
    rows = []
    for rejection in decision.verdict.rejections:
        entry, critique = rejection.proposal.candidate.entry, rejection.critique
        values = (
            now,
            run,
            result.codIncidencia,
            str(rejection.attempt),
            entry.id,
            entry.component,
            entry.description,
            entry.kind,
            str(rejection.proposal.approval),
            str(rejection.threshold),
            rejection.reason.value,
            critique.reason,
            critique.problem_type,
            "; ".join(critique.avoid_solution_types),
            critique.recommended_approach,
        )
        rows.append(dict(zip(COLUMNS, values, strict=True)))
    return rows


def write_rejected(folder: Path, day: datetime, rows: Sequence[dict[str, str]]) -> Path:
    """Add rows to `rejectedYYYYMMDD.csv`, written whole; two runs at once take turns. Raises `DependencyError`.

    A row that the file has already, letter by letter, is not added again: a run that was cut right after writing them
    leaves it to the next to tell of the same incidents.
    """
    path = folder / f"rejected{day:%Y%m%d}.csv"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".rejected.lock"):
            before = path.read_bytes() if path.exists() else b""
            told = {run for run in {row["EJECUCION"] for row in rows} if run.encode() in before}
            lines = [_line(row) for row in rows if row["EJECUCION"] not in told or _line(row) not in before]
            write_whole(path, (before or _line(dict(zip(COLUMNS, COLUMNS, strict=True)))) + b"".join(lines))
    except OSError as error:
        why = error.strerror or error
        raise DependencyError(f"No se ha podido escribir {path}: {why}. Compruebe la carpeta y repita.") from error
    return path


def _line(row: dict[str, str]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\r\n")
    writer.writerow({name: _harmless(value) for name, value in row.items()})
    return text.getvalue().encode()


def _harmless(value: str) -> str:
    """A spreadsheet must not take a cell for a formula."""
    return f"'{value}" if value.startswith(("=", "+", "-", "@", "\t", "\r")) else value
