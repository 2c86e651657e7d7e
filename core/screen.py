"""The run's summary as an operator reads it on the terminal."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rich.box import SIMPLE
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from core.reason import Reason
from core.report import IncidentResult, Result, RunReport

_WORDS = {
    Result.AUTOMATIC: "resueltas automáticamente",
    Result.PROPOSED: "propuestas",
    Result.HUMAN: "para una persona",
    Result.ERROR: "con error",
}


def show(report: RunReport, path: Path, console: Console) -> None:
    """What was done, what waits for a person and why, what it cost, where the report is."""
    summary = report.resumen
    simulated = " (simulación: no se ha cambiado nada)" if summary.get("simulada") else ""
    console.print(f"\n[bold]Ejecución {report.ejecucion}[/bold]: {summary['incidencias']} incidencias{simulated}")
    counts = summary["por_resultado"]
    console.print(
        "  " + ", ".join(f"{counts[kind.value]} {word}" for kind, word in _WORDS.items() if counts[kind.value])
    )
    done = [r for r in report.incidencias if r.resultado is Result.AUTOMATIC]
    if done:
        console.print(_table("Hecho por el sistema" if not simulated else "Se habría hecho", done, acted=True))
    rest = [r for r in report.incidencias if r.resultado is not Result.AUTOMATIC]
    if rest:
        console.print(_table("Esperan a una persona", rest, acted=False))
    for line in _figures(summary):
        console.print(line, highlight=False)
    console.print(f"Informe: {path}", highlight=False, markup=False, soft_wrap=True)


def _table(title: str, results: Iterable[IncidentResult], *, acted: bool) -> Table:
    table = Table(title=title, title_justify="left", box=SIMPLE, expand=False, pad_edge=False)
    table.add_column("Incidencia", no_wrap=True)
    table.add_column("Acción" if acted else "Motivo")
    table.add_column("Aprob.", justify="right")
    table.add_column("Fila del catálogo" if acted else "Lo más parecido")
    for result in results:
        row = result.descripcion_fila or next(iter(result.candidatos), "")
        action = f"{result.tipo} → {result.buzon_destino}" if result.buzon_destino else result.tipo
        why = result.motivo.text + (
            f" ({result.detalle})" if result.detalle and result.resultado is Result.ERROR else ""
        )
        if acted and result.motivo is Reason.MISSING_POLICY:
            action += " (se pide la póliza)"
        approval = "" if result.aprobacion is None else str(result.aprobacion)
        shown = row[:70] + ("…" if len(row) > 70 else "")
        # As `Text`: words in brackets from outside are no markup.
        table.add_row(*map(Text, (result.codIncidencia, action if acted else why, approval, shown)))
    return table


def _figures(summary: dict[str, Any]) -> Iterable[str]:
    seconds = summary["segundos_por_incidencia"]
    yield (
        f"Por incidencia: {seconds['mediana']} s de mediana (p95 {seconds['p95']} s), "
        f"{summary['llamadas_llm_por_incidencia']} llamadas al modelo, {summary['juicios_por_incidencia']} juicios, "
        f"{summary['tokens_por_incidencia']} tokens"
    )
    stages = sorted(summary["segundos_por_etapa"].items(), key=lambda item: -item[1]["mediana"])
    if stages:
        named = ", ".join(f"{name} {value['mediana']} (p95 {value['p95']})" for name, value in stages)
        yield f"Segundos por etapa, mediana: {named}"
    if summary["rechazadas_por_el_critico"]:
        where = escape(str(summary.get("rechazos")))
        yield f"Rechazadas por el crítico: {summary['rechazadas_por_el_critico']} ({where})"
    if against := summary.get("contra_lo_esperado"):
        wrong = f": {escape(', '.join(against['cuales']))}" if against["cuales"] else ""
        yield (
            f"Contra lo esperado: {against['equivocadas']} equivocadas de {against['automaticas']} automáticas{wrong}; "
            f"resueltas {against['resueltas_de_ellas']} de {against['con_solucion_conocida']} con solución conocida"
        )
    if summary["sin_empezar"]:
        yield f"[bold]Sin empezar: {summary['sin_empezar']}[/bold]. Repita la orden para continuar."
    if summary.get("registros_perdidos"):
        yield f"[bold]Atención:[/bold] {summary['registros_perdidos']} llamadas al modelo no se han podido guardar."
