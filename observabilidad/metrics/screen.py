"""The figures as an operator reads them on the terminal."""

from collections.abc import Iterable, Mapping

from rich.console import Console
from rich.text import Text

from core.reason import Reason
from core.screen import STAGES
from observabilidad.metrics.figures import Figures, ModelUse
from observabilidad.metrics.report import Metrics
from observabilidad.metrics.rows import Row
from observabilidad.metrics.spread import Spread

_RESULTS = {
    "automatica": "resueltas automáticamente",
    "propuesta": "propuestas",
    "humano": "para una persona",
    "error": "con error",
}
_SCORES = {"approval": "aprobación", "logit": "juicio", "margin": "ventaja", "csls": "vecindad"}
_MOST_ROWS = 10
_BAR = 30


def show(metrics: Metrics, console: Console) -> None:
    """Everything, the most important first."""
    figures = metrics.cifras
    since, until = metrics.primera_linea[:16].replace("T", " "), metrics.ultima_linea[:16].replace("T", " ")
    runs = "1 ejecución" if figures.ejecuciones == 1 else f"{figures.ejecuciones} ejecuciones"
    console.print(f"\n[bold]{figures.incidencias} incidencias[/bold] en {runs}")
    console.print(Text(f"Registro de {since} a {until} (UTC)", "dim"))
    if metrics.lineas_ilegibles:
        console.print(f"[bold]Atención:[/bold] {metrics.lineas_ilegibles} líneas del registro no se pueden leer.")
    for title, lines in (
        ("Resultado", _results(metrics)),
        ("Tiempo", _times(figures)),
        ("Errores", _errors(figures)),
        ("Rechazos del crítico", _reasons(figures.rechazos)),
        ("Aprobación del mejor candidato", _bars(figures.aprobacion)),
        ("Modelo", _model(figures)),
        ("Deriva", _drift(metrics)),
    ):
        console.print(Text(f"\n{title}", "bold"))
        for line in lines:
            console.print(Text(f"  {line}"))
    rows = metrics.filas
    _show_rows("Filas del catálogo muy rechazadas", rows.muy_rechazadas, console)
    _show_rows("Filas reabiertas o deshechas", rows.reabiertas, console)
    _show_rows(f"Filas nunca juzgadas (de {rows.en_el_catalogo})", rows.sin_coincidencias, console)


def _results(metrics: Metrics) -> Iterable[str]:
    figures, outcomes = metrics.cifras, metrics.desenlaces
    counts = [f"{count} {_RESULTS.get(name, name)}" for name, count in figures.por_resultado.items()]
    yield ", ".join(counts) or "nada trabajado en el periodo"
    yield f"Resueltas automáticamente: {_percent(figures.parte_automatica)}"
    if outcomes.precision_conocida is None:
        yield "Acciones automáticas en el registro de decisiones: ninguna"
    else:
        yield (
            f"Acciones automáticas: {outcomes.acciones_automaticas}; equivocadas conocidas: {outcomes.equivocadas} "
            f"(precisión conocida {_percent(outcomes.precision_conocida)}, lo que nadie ha dicho cuenta como acertado)"
        )
    if outcomes.por_desenlace:
        yield "Desenlaces: " + _counted(outcomes.por_desenlace)
    if outcomes.propuestas_pendientes:
        yield f"Propuestas que esperan: {outcomes.propuestas_pendientes} (python main.py --pendientes)"
    if outcomes.sin_saber:
        yield f"Cambios de los que no se sabe si tuvieron efecto: {outcomes.sin_saber}"
    if figures.topes:
        yield "Topes alcanzados: " + _counted(figures.topes)


def _times(figures: Figures) -> Iterable[str]:
    yield f"Por incidencia: {_spread(figures.segundos_por_incidencia)}"
    for stage, value in sorted(figures.segundos_por_etapa.items(), key=lambda item: -item[1].p95):
        yield f"{STAGES.get(stage, stage)}: {_spread(value)}"


def _errors(figures: Figures) -> Iterable[str]:
    errors = figures.errores
    yield f"Incidencias con error: {_counted(errors.incidencias) or 'ninguna'}"
    if errors.etapas:
        yield "Etapas que fallaron: " + _counted({STAGES.get(k, k): v for k, v in errors.etapas.items()})
    if errors.modelo:
        yield "Llamadas al modelo fallidas: " + _counted(errors.modelo)
    if errors.http.peticiones:
        yield f"Peticiones a mesa y sistema: {errors.http.peticiones}, con error {errors.http.errores}"
    yield f"Avisos y errores en el registro: {errors.avisos}"


def _reasons(counts: Mapping[str, int]) -> Iterable[str]:
    for code, count in counts.items():
        yield f"{count:>4}  {Reason[code].text if code in Reason.__members__ else code}"
    if not counts:
        yield "ninguno"


def _bars(bins: Mapping[str, int]) -> Iterable[str]:
    most = max(bins.values(), default=0)
    if not most:
        yield "no se ha juzgado nada"
        return
    for name, count in bins.items():
        yield f"{name:>6}  {'█' * round(_BAR * count / most)} {count}"


def _model(figures: Figures) -> Iterable[str]:
    yield _use("en total", figures.modelo)
    for task, use in figures.modelo_por_tarea.items():
        yield _use(task, use)
    if len(figures.modelo_por_nombre) > 1:
        for name, use in figures.modelo_por_nombre.items():
            yield _use(name, use)


def _use(name: str, use: ModelUse) -> str:
    failed = f", {use.fallidas} fallidas" if use.fallidas else ""
    cost = f", coste {use.coste:.4f}" if use.coste else ""
    return (
        f"{name}: {use.llamadas} llamadas{failed}, {use.tokens_entrada} + {use.tokens_salida} tokens{cost}; "
        f"{_spread(use.segundos)}"
    )


def _drift(metrics: Metrics) -> Iterable[str]:
    drift = metrics.deriva
    if drift.aviso:
        yield f"Sin comparar: {drift.aviso} (hay {drift.juicios})"
        return
    yield f"{drift.juicios} juicios contra {drift.referencia}:"
    for score, shift in drift.puntuaciones.items():
        yield f"{_SCORES.get(score, score)}: {shift.juicio} (índice {shift.indice})"


def _show_rows(title: str, rows: tuple[Row, ...], console: Console) -> None:
    console.print(Text(f"\n{title}: {len(rows) or 'ninguna'}", "bold"))
    for row in rows[:_MOST_ROWS]:
        times = f"{row.veces:>4}  " if row.veces else "  "
        console.print(Text(times + row.descripcion), overflow="ellipsis", no_wrap=True)
    if len(rows) > _MOST_ROWS:
        console.print(Text(f"  … y {len(rows) - _MOST_ROWS} más (con --json, todas)"))


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())


def _percent(share: float | None) -> str:
    return "—" if share is None else f"{100 * share:.1f} %".replace(".", ",")


def _spread(value: Spread | None) -> str:
    return "sin datos" if value is None else f"mediana {value.mediana} s, p95 {value.p95} s ({value.n})"
