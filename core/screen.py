"""The run's summary as an operator reads it on the terminal."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from rich.box import SIMPLE
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from core.judgement.risk import ALL
from core.reason import Reason
from core.report import IncidentResult, Result, RunReport

_WORDS = {
    Result.AUTOMATIC: "resueltas automáticamente",
    Result.PROPOSED: "propuestas",
    Result.HUMAN: "para una persona",
    Result.ERROR: "con error",
}


STAGES = {
    "attachments": "adjuntos",
    "intake": "datos personales",
    "search": "búsqueda",
    "judge": "juicio",
    "choose": "elección",
    "critic": "crítico",
    "reformulate": "reformulación",
    "act": "actuación",
}
"""Each stage in the words that people read."""
_QUICK = 0.1
"""Seconds (p95) below which a stage is not worth a word."""

MOST_CODES = 6
"""Incidents named per reason; the report has them all."""
FEW_WAITING = 5
"""As many waiting incidents as this are shown one by one, with the row each resembles most."""
MOST_DONE = 40


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
        console.print(
            _table("Hecho por el sistema" if not simulated else "Se habría hecho", done[:MOST_DONE], acted=True)
        )
        if len(done) > MOST_DONE:
            console.print(f"  … y {len(done) - MOST_DONE} más, en el informe")
    rest = [r for r in report.incidencias if r.resultado is not Result.AUTOMATIC]
    if rest:
        few = len(rest) <= FEW_WAITING
        console.print(_table("Esperan a una persona", rest, acted=False) if few else _by_reason(rest))
    console.print()
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
        why = result.motivo.text + (_because(result.detalle) if result.resultado is Result.ERROR else "")
        if acted and result.motivo is Reason.MISSING_POLICY:
            action += " (se pide la póliza)"
        approval = "" if result.aprobacion is None else str(result.aprobacion)
        shown = row[:70] + ("…" if len(row) > 70 else "")
        # As `Text`: words in brackets from outside are no markup.
        table.add_row(*map(Text, (result.codIncidencia, action if acted else why, approval, shown)))
    return table


def _by_reason(results: Sequence[IncidentResult]) -> Table:
    """Each reason with its count and a few of its incidents: the faults first, then the most frequent."""
    groups: dict[tuple[bool, Reason], list[IncidentResult]] = {}
    for result in results:
        groups.setdefault((result.resultado is Result.ERROR, result.motivo), []).append(result)
    table = Table.grid(padding=(0, 2, 0, 0), pad_edge=False)
    table.title, table.title_justify = f"\nEsperan a una persona ({len(results)})", "left"
    table.add_column(justify="right", no_wrap=True)
    table.add_column()
    for (fault, reason), group in sorted(groups.items(), key=lambda item: (not item[0][0], -len(item[1]))):
        told = Counter(result.detalle for result in group).most_common(1)[0][0]
        why = f"error: {reason.text}{_because(told)}" if fault else reason.text
        table.add_row(Text(f"  {len(group)}", "bold"), Text(why, "bold red" if fault else "bold"))
        table.add_row("", Text(_codes(group)))
    return table


def _codes(results: Sequence[IncidentResult]) -> str:
    """The nearest to being done come first, with their approval."""
    ordered = sorted(results, key=lambda result: -(result.aprobacion if result.aprobacion is not None else -1))
    named = [
        result.codIncidencia + (f" ({result.aprobacion})" if result.aprobacion is not None else "")
        for result in ordered[:MOST_CODES]
    ]
    more = len(results) - len(named)
    return ", ".join(named) + (f" … y {more} más" if more else "")


def _because(detail: str) -> str:
    return f" ({detail})" if detail else ""


def _figures(summary: dict[str, Any]) -> Iterable[str]:
    seconds = summary["segundos_por_incidencia"]
    yield (
        f"Por incidencia: {seconds['mediana']} s de mediana (p95 {seconds['p95']} s), "
        f"{summary['llamadas_llm_por_incidencia']} llamadas al modelo, {summary['juicios_por_incidencia']} juicios, "
        f"{summary['tokens_por_incidencia']} tokens"
    )
    stages = sorted(summary["segundos_por_etapa"].items(), key=lambda item: -item[1]["mediana"])
    slow = [(name, value) for name, value in stages if value["p95"] >= _QUICK]
    if slow:
        named = ", ".join(f"{STAGES.get(name, name)} {value['mediana']} (p95 {value['p95']})" for name, value in slow)
        yield f"Segundos por etapa, mediana: {named}"
    if errors := summary.get("errores_api"):
        named = ", ".join(f"{service} {count}" for service, count in errors.items())
        yield f"Errores de servicios (con reintentos): {named}"
    if summary["rechazadas_por_el_critico"]:
        where = escape(str(summary.get("rechazos")))
        yield f"Rechazadas por el crítico: {summary['rechazadas_por_el_critico']} ({where})"
    yield from _thresholds(summary.get("riesgo") or {}, summary.get("umbral"))
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


def _thresholds(risk: dict[str, Any], threshold: int | None) -> Iterable[str]:
    """Which threshold was in force, and why; what is not certified is said so that nobody overlooks it."""
    if not risk.get("maximo"):
        if threshold is not None:
            yield f"Umbral: {threshold}, puesto a mano (sin RIESGO_MAXIMO)"
        return
    for rule in risk["umbrales"]:
        group = "" if rule["tipo"] == ALL else f" ({escape(rule['tipo'])})"
        yield f"Umbral{group}: {rule['umbral']}, {rule['motivo']}"
    if not risk["certificado"]:
        yield (
            f"[bold]Atención:[/bold] RIESGO_MAXIMO={risk['maximo']:g} no está garantizado donde dice «sin certificar». "
            "Detalle: python -m core.judgement riesgo"
        )
