"""`batch.py`'s work: the CSV files into the knowledge base, and a report of what was done."""

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from core.catalogue import CatalogueEntry, read_catalogue, read_open_fixes
from core.errors import UsageError
from core.examples import Examples
from core.files import write_fresh
from core.knowledge import BuildReport, KnowledgeBase
from core.summaries import Summarise, Trial, Wording, with_summaries
from core.table import RowProblem

CATALOGUE, FIXES = "PROBLEMAS_GLOBALES.csv", "CORRECTIVOS_ABIERTOS.csv"

Progress = Callable[[str, int, int], None]
"""(what is being done, in Spanish; done; of how many)"""


class Inputs(BaseModel):
    """What the files hold, checked: nothing was embedded or written yet."""

    model_config = ConfigDict(frozen=True)

    catalogue: Path
    fixes: Path | None
    entries: tuple[CatalogueEntry, ...]
    problems: tuple[RowProblem, ...]


class BatchOutcome(BaseModel):
    """What the run did, and where it is written."""

    model_config = ConfigDict(frozen=True)

    inputs: Inputs
    build: BuildReport
    trial: Trial | None
    examples: Examples | None
    notices: tuple[str, ...]
    report: Path

    def summary(self) -> str:
        """A few lines for the terminal."""
        built, skipped = self.build, self.inputs.problems
        how = "rehecha" if built.rebuilt else "puesta al día"
        rate = f", {built.embedded / built.seconds:.0f} filas/s" if built.embedded and built.seconds else ""
        lines = [
            f"Base de conocimiento {how}: {len(self.inputs.entries)} filas ({built.added} nuevas, "
            f"{built.changed} cambiadas, {built.unchanged} iguales, {built.removed} eliminadas) "
            f"en {built.seconds:.1f} s{rate}.",
        ]
        if skipped:
            lines.append(f"Filas descartadas: {len(skipped)}")
            lines += [f"  {problem}" for problem in skipped]
        lines += [f"Aviso: {notice}" for notice in self.notices]
        if self.examples and self.examples.total:
            lines.append(
                f"Ejemplos: {self.examples.total} en {len(self.examples.by_row)} filas ({self.examples.said} de "
                f"incidencias cuya fila dijo una persona, {self.examples.stood} de cierres que siguen cerrados)."
            )
        if self.trial:
            lines.append(f"Resúmenes: {self.trial.why}.")
        return "\n".join([*lines, f"Informe: {self.report}"])


def fixes_beside(catalogues: Path) -> Path | None:
    """The optional file of fixes under way in the folder `catalogues`, where there is one."""
    path = catalogues / FIXES
    return path if path.exists() else None


def read_inputs(catalogue: Path, fixes: Path | None, *, strict: bool = False) -> Inputs:
    """Both files read and checked; `fixes` is None where there is no such file.

    Raises `UsageError` for a file that cannot be used and, with `strict`, for any bad row.
    """
    reading = read_catalogue(catalogue, strict=strict)
    entries, problems = {entry.id: entry for entry in reading.entries}, list(reading.problems)
    if fixes is not None:
        under_way = read_open_fixes(fixes, strict=strict)
        problems += under_way.problems
        for entry in under_way.entries:
            if entry.id in entries:
                raise UsageError(
                    f"{fixes}: «{entry.description[:80]}» está también en {catalogue} con el componente "
                    f"«{entry.component}». Déjelo solo en uno de los dos."
                )
            entries[entry.id] = entry
    return Inputs(catalogue=catalogue, fixes=fixes, entries=tuple(entries.values()), problems=tuple(problems))


def run_batch(
    inputs: Inputs,
    knowledge: KnowledgeBase,
    reports: Path,
    *,
    full: bool = False,
    summarise: Summarise | None = None,
    wordings: Sequence[Wording] = (),
    examples: Examples | None = None,
    progress: Progress | None = None,
) -> BatchOutcome:
    """Make the knowledge base hold the rows of `inputs` and write `reporte_batch_YYYYMMDD_HHMM.json` under `reports`.

    With `summarise` (a text -> its summary) the rows are embedded by their summaries where that is measured better
    on `wordings`. Rows get these `examples`; None leaves them those that they have.

    Raises `DependencyError` when the model or Qdrant fails: what served goes on serving.
    """
    started = datetime.now().astimezone()
    entries = _with_examples(inputs.entries, knowledge, examples)
    trial = None
    if summarise:
        entries, trial = with_summaries(entries, knowledge, summarise, wordings, _step(progress, "Resumiendo"))
    build = knowledge.build(entries, full=full, progress=_step(progress, "Guardando"))
    notices = _notices(entries, build)
    path = reports / f"reporte_batch_{started:%Y%m%d_%H%M}.json"
    content = _content(inputs, build, trial, examples, notices, started)
    written = write_fresh(path, json.dumps(content, ensure_ascii=False, indent=2) + "\n")
    return BatchOutcome(inputs=inputs, build=build, trial=trial, examples=examples, notices=notices, report=written)


def _with_examples(
    entries: Sequence[CatalogueEntry], knowledge: KnowledgeBase, examples: Examples | None
) -> Sequence[CatalogueEntry]:
    if examples is None:
        told = {entry_id: entry.examples for entry_id, entry in knowledge.stored().items()}
    else:
        told = dict(examples.by_row)
    return [entry.model_copy(update={"examples": told.get(entry.id, ())}) for entry in entries]


def _step(progress: Progress | None, what: str) -> Callable[[int, int], None] | None:
    return (lambda done, total: progress(what, done, total)) if progress else None


def _notices(entries: Sequence[CatalogueEntry], build: BuildReport) -> tuple[str, ...]:
    named = {entry.id: entry for entry in entries}
    return tuple(
        f"la solución de «{named[entry_id].component}: {named[entry_id].description[:80]}» contiene datos personales: "
        f"se guarda sin ellos y al enviarla se toma de {CATALOGUE}; si ya no está igual, decide una persona"
        for entry_id in build.withheld
    )


def _content(
    inputs: Inputs,
    build: BuildReport,
    trial: Trial | None,
    examples: Examples | None,
    notices: Sequence[str],
    started: datetime,
) -> dict[str, Any]:
    return {
        "inicio": started.isoformat(timespec="seconds"),
        "fin": datetime.now().astimezone().isoformat(timespec="seconds"),
        "catalogo": str(inputs.catalogue),
        "correctivos": str(inputs.fixes) if inputs.fixes else None,
        "coleccion": build.collection,
        "modo": "completo" if build.rebuilt else "incremental",
        "resumen": {
            "filas": len(inputs.entries),
            "nuevas": build.added,
            "cambiadas": build.changed,
            "iguales": build.unchanged,
            "eliminadas": build.removed,
            "descartadas": len(inputs.problems),
            "vectorizadas": build.embedded,
            "segundos": round(build.seconds, 3),
        },
        "descartadas": [
            {"fichero": p.file, "linea": p.line, "columna": p.column, "motivo": p.message} for p in inputs.problems
        ],
        "avisos": list(notices),
        "ejemplos": None
        if examples is None
        else {
            "filas": len(examples.by_row),
            "textos": examples.total,
            "de_personas": examples.said,
            "de_cierres": examples.stood,
        },
        "resumenes": None
        if trial is None
        else {
            "conservados": trial.kept,
            "motivo": trial.why,
            "redacciones": trial.wordings,
            "mrr_sin": trial.without,
            "mrr_con": trial.with_summaries,
            "fallidos": trial.failed,
        },
    }
