"""What `python -m core.judgement` does once its arguments are read. Everything is shown in Spanish."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

from config import Settings
from core.catalogue import CatalogueEntry, read_catalogue, read_open_fixes
from core.database import Database
from core.errors import UsageError
from core.judgement.calibration import Calibration, load_calibration
from core.judgement.cases import cases_of, last_judge
from core.judgement.labels import Rows, read_labels
from core.judgement.refit import Recalibration, recalibrate
from core.judgement.risk import ALL, Experience, Rule, Thresholds, percent, read_experience
from core.judgement.versions import SHIPPED, Version, Versions
from core.ledger import Hindsight, Ledger, open_ledger
from core.login import login_name

RISKS = (0.01, 0.02, 0.05, 0.10)
_MOST_PROBLEMS = 20


def label(settings: Settings, path: Path, *, strict: bool) -> int:
    """Store a file's labels: 0, or 1 when some line could not be used. Raises `UsageError`, `DependencyError`."""
    labels, problems = read_labels(path, Rows(_catalogue(settings.directorio_recursos)))
    for problem in problems[:_MOST_PROBLEMS]:
        sys.stderr.write(f"{problem}\n")
    if len(problems) > _MOST_PROBLEMS:
        sys.stderr.write(f"… y {len(problems) - _MOST_PROBLEMS} líneas más\n")
    if strict and problems:
        raise UsageError(f"{len(problems)} líneas no sirven: no se ha guardado nada (--estricto).")
    with _ledger(settings) as ledger:
        taken = Hindsight(ledger).say(labels, login_name())
    _say(f"Etiquetas guardadas: {len(labels)}; líneas que no sirven: {len(problems)}.")
    if labels:
        _say(
            f"  {taken.acted} de decisiones llevadas a cabo o propuestas: cuentan para el umbral y para recalibrar\n"
            f"  {taken.left} de decisiones que quedaron para una persona: cuentan para recalibrar\n"
            f"  {taken.waiting} sin ninguna decisión nuestra con esa fila: contarán si se decide con ella,\n"
            "  y desde el próximo `python batch.py` la incidencia, si está cerrada, es un ejemplo de su fila\n"
            f"  {taken.contradicted} decisiones con una fila distinta de la acertada: cuentan como equivocadas"
        )
    return int(bool(problems))


def show_risk(settings: Settings) -> int:
    """The threshold per kind that each allowed risk asks for."""
    entries = _catalogue(settings.directorio_recursos)
    with _ledger(settings) as ledger:
        versions, silence = Versions(settings.directorio_estado), settings.acierto_por_silencio_dias
        experience = read_experience(ledger, versions, settings.embedding_model, silence, entries)
    fallback, console = settings.critic_approval_threshold, _console()
    risks = sorted({*RISKS, *([settings.riesgo_maximo] if settings.riesgo_maximo else [])})
    found = [experience.thresholds(risk, fallback) for risk in risks]
    console.print(_risk_table(found, settings.riesgo_maximo))
    for line in _notes(found[0], experience, fallback, settings):
        console.print(line, highlight=False, soft_wrap=True, markup=False)
    return 0


def recalibrate_desk(settings: Settings, *, every_weight: bool = False) -> tuple[Recalibration, Version | None]:
    """Fit anew on the ledger's outcomes and, if that is better, put it in force.

    With `RIESGO_MAXIMO` the order of candidates stays, and so do the certified thresholds, unless `every_weight`.
    Whoever keeps track of experiments takes the result from here. Raises `UsageError`, `DependencyError`.
    """
    embeddings = settings.embedding_model
    versions = Versions(settings.directorio_estado)
    with _ledger(settings) as ledger:
        hindsight = Hindsight(ledger)
        cases = cases_of(hindsight, settings.acierto_por_silencio_dias)
    judge = last_judge([case.judged for case in cases])
    shipped, in_force = load_calibration(embeddings), versions.in_force(embeddings)
    result = recalibrate(
        [case for case in cases if case.judged.judge == judge],
        shipped,
        in_force,
        settings.critic_approval_threshold,
        keep_order=settings.riesgo_maximo is not None and not every_weight,
    )
    if not result.taken_over or result.candidate is None:
        return result, None
    return result, versions.take_over(result.candidate, result.figures())


Registry = Callable[[Settings, Calibration, Path], str | None]
"""Takes a new calibration and its file; the line to show, None where nobody keeps track of experiments."""


def tell_recalibration(settings: Settings, registry: Registry, *, every_weight: bool) -> int:
    """Recalibrate, say what came of it, and hand a calibration that took over to `registry`."""
    result, version = recalibrate_desk(settings, every_weight=every_weight)
    if result.candidate:
        ways = {"platt": "dos números sobre el ajuste entregado (Platt)", "completo": "todos los pesos"}
        _say(f"Ajustada con {result.fitted_on} resultados ({ways[result.way]}), comparada en {result.compared_on}.")
    if version is None:
        _say(f"Sigue en vigor {Versions(settings.directorio_estado).name(settings.embedding_model)}: {result.why}.")
        return 0
    _say(f"En vigor: {version.version} (antes, {version.previa}): {result.why}.")
    if result.in_force and result.tried:
        threshold = settings.critic_approval_threshold
        _say(
            f"Con umbral {threshold}, en lo comparado: antes {result.in_force.acted} acciones, {result.in_force.wrong} "
            f"equivocadas; ahora {result.tried.acted} y {result.tried.wrong}."
        )
    if result.way == "completo":
        _say("Atención: ordena las filas de otro modo, así que lo ya hecho no certifica ningún umbral con ella.")
    _say("Los umbrales certificados se calculan de nuevo con lo posterior: vea `python -m core.judgement riesgo`.")
    if line := registry(settings, version.calibracion, Versions(settings.directorio_estado).file(version.version)):
        _say(line)
    return 0


def go_back(settings: Settings) -> int:
    """Put the calibration before in force."""
    name = Versions(settings.directorio_estado).back(settings.embedding_model)
    _say(f"En vigor: {name}. Vale desde la próxima ejecución.")
    return 0


def list_versions(settings: Settings) -> int:
    """The versions kept, the one in force marked."""
    versions = Versions(settings.directorio_estado)
    embeddings = settings.embedding_model
    name = versions.name(embeddings)
    table = Table(title=f"Calibraciones ({embeddings})", title_justify="left", box=SIMPLE, pad_edge=False)
    for column in ("", "Versión", "Creada", "Sobre", "Método", "Resultados", "Log-loss antes → ahora"):
        table.add_column(column)
    mark = "en vigor"
    table.add_row(mark if name == SHIPPED else "", SHIPPED, "", "", "", "", "")
    for version in versions.all(embeddings):
        told = version.comparacion
        cells = (
            version.version, version.creada[:16].replace("T", " "), version.previa, str(told.get("metodo", "")),
            str(told.get("resultados", "")), f"{told.get('perdida_en_vigor', '')} → {told.get('perdida_nueva', '')}",
        )  # fmt: skip
        table.add_row(*map(Text, (mark if version.version == name else "", *cells)))
    _console().print(table)
    versions.in_force(embeddings)  # a broken one is said here as it would be at the start of a run
    return 0


class _Cells(NamedTuple):
    risk: str
    group: str
    threshold: str
    evidence: str
    bound: str
    coverage: str
    people: str


def _risk_table(found: Sequence[Thresholds], in_force: float | None) -> Table:
    table = Table(title="Umbral que pide cada riesgo", title_justify="left", box=SIMPLE, pad_edge=False)
    for column in ("Riesgo", "Acciones", "Umbral", "Equivocadas / n", "Riesgo, como mucho", "Cobertura", "A personas"):
        table.add_column(column, justify="left" if column == "Acciones" else "right")
    table.add_column("")
    for thresholds in found:
        for number, rule in enumerate(thresholds.rules):
            cells = _cells(thresholds, rule, first=number == 0, in_force=thresholds.risk == in_force)
            table.add_row(*map(Text, cells), Text("certificado" if rule.certified else "sin certificar"))
    return table


def _cells(thresholds: Thresholds, rule: Rule, *, first: bool, in_force: bool) -> _Cells:
    assert thresholds.risk is not None
    coverage = thresholds.coverage if first else None
    return _Cells(
        f"{100 * thresholds.risk:g} %{' *' if in_force else ''}" if first else "",
        rule.group,
        str(rule.threshold),
        f"{rule.at.errors} / {rule.at.n}",
        percent(rule.bound) if rule.at.n else "—",
        "" if coverage is None else f"{100 * coverage:.0f} %",
        "" if coverage is None else f"{100 * (1 - coverage):.0f} % o más",
    )


def _notes(thresholds: Thresholds, experience: Experience, fallback: int, settings: Settings) -> list[str]:
    """What the table rests on and what it cannot say."""
    rules = thresholds.rules
    version = Versions(settings.directorio_estado).name(settings.embedding_model)
    lines = [f"Calibración {version}; juez {experience.judge or '—'}."]
    for rule in rules:
        name = "" if rule.group == ALL else f" de {rule.group}"
        least = "nada todavía" if rule.least is None else f"un {percent(rule.least)}"
        lines.append(f"Resultados etiquetados{name}: {rule.outcomes}. El menor riesgo que certifican es {least}.")
    if thresholds.unusable:
        why = "; ".join(f"{count} ({reason})" for reason, count in thresholds.unusable.items())
        lines.append(f"Etiquetados que no cuentan: {why}.")
    lines.append("Sin ningún error, n resultados certifican alrededor de 3/n: 60 para un 5 %, 300 para un 1 %.")
    lines.append(
        f"Donde no se puede certificar vale CRITIC_APPROVAL_THRESHOLD ({fallback}), o el umbral más estricto que pida "
        "un riesgo mayor. Nada por debajo de lo que ya se ha hecho se puede certificar: no hay resultados."
    )
    if settings.riesgo_maximo is None:
        lines.append("RIESGO_MAXIMO no está puesto: en las ejecuciones vale CRITIC_APPROVAL_THRESHOLD.")
    else:
        lines.append(f"* El que está en vigor: RIESGO_MAXIMO={settings.riesgo_maximo:g}.")
    return lines


def _catalogue(resources: Path) -> list[CatalogueEntry]:
    """What can be read of it; without the files rows are known by their ids alone."""
    found: list[CatalogueEntry] = []
    for name, read in (("PROBLEMAS_GLOBALES.csv", read_catalogue), ("CORRECTIVOS_ABIERTOS.csv", read_open_fixes)):
        path = resources / name
        found += read(path).entries if path.exists() else ()
    return found


def _console() -> Console:
    """Not cut to 80 columns where nobody looks at it on a terminal."""
    return Console(width=None if sys.stdout.isatty() else 140)


def _ledger(settings: Settings) -> Ledger:
    return open_ledger(Database(settings.directorio_estado, settings.database_url))


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
