"""A replay as an operator reads it on the terminal: the figures, then what to look at first."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

from core.closed import Skip
from core.ending import Did
from core.reason import Reason
from core.replay import Match
from core.terminal import short

MOST = 10
"""Disagreements and rows shown; the report has them all."""

_DID = {Did.CLOSED: "la cerraron", Did.WAITED: "la pusieron en espera", Did.REASSIGNED: "la reasignaron"}
_WIDE = 70
"""Characters of a text that is shown in a table or a line."""
_NUMBERS_WIDE = 58
"""Columns of the terminal that the counts of a table take."""
_SKIPPED = {why.value: why.text for why in Skip}
_CAUTION = (
    "Que las personas hicieran lo mismo no prueba que la solución fuera la misma, ni hacer otra cosa que la nuestra "
    "estuviera mal: solo las de fila conocida son seguras."
)


def show_replay(content: Mapping[str, Any], path: Path, console: Console) -> None:
    """`content` as the report has it."""
    found = content["historico"]
    console.print(
        f"\n[bold]Ejecución {content['ejecucion']}[/bold]: {found['decididas']} incidencias cerradas, decididas"
    )
    console.print("como si se acabaran de abrir. No se ha cambiado nada.\n")
    for line in _figures(content["resumen"], found):
        console.print(line, highlight=False, soft_wrap=True)
    if content["discrepancias"]:
        console.print(_disagreements(content["discrepancias"]))
    for title, rows in (("Por tipo", found["por_tipo"]), ("Por fila", found["por_fila"])):
        if rows:
            console.print(_counts(title, rows, console.width - _NUMBERS_WIDE))
    console.print(_CAUTION, highlight=False)
    console.print(f"Informe: {path}", highlight=False, markup=False, soft_wrap=True)


def _figures(summary: Mapping[str, Any], found: Mapping[str, Any]) -> Iterator[str]:
    acted, closings, proposed = found["automaticas"], found["cierres"], found["propuestas"]
    yield f"Se habrían hecho solas: {acted} de {found['decididas']}{_percent(found['cobertura'])}"
    sure, by_action = found["con_fila_conocida"], found["solo_por_accion"]
    if sure["comparadas"]:
        with_row = found["tienen_fila"]
        yield (
            f"  con fila conocida: {sure['correctas']} correctas, {sure['equivocadas']} equivocadas (tienen fila "
            f"{with_row['incidencias']}; resueltas de ellas, {with_row['resueltas']})"
        )
    if by_action["comparadas"]:
        yield (
            f"  sin fila conocida: {by_action['iguales']} como las personas, {by_action['distintas']} de otra manera"
        )
    if found["sin_comparar"]:
        yield f"  sin comparar: {found['sin_comparar']} (se habría preguntado a un sistema)"
    if closings["cuantos"]:
        yield (
            f"Cierres: {closings['cuantos']}, de ellos erróneos {closings['erroneos']}, quizá erróneos "
            f"{closings['quiza_erroneos']} (las personas no se limitaron a cerrarla)"
        )
    if proposed["cuantas"]:
        yield f"Se habrían propuesto a una persona: {proposed['cuantas']}{_percent(proposed['acuerdo'], 'de acuerdo')}"
    waiting = {code: n for code, n in summary["por_motivo"].items() if Reason[code] is not Reason.APPROVED}
    for code, number in list(waiting.items())[:MOST]:
        yield f"  {number:>4}  {Reason[code].text}"
    for code, number in found["omitidas"].items():
        yield f"Sin mirar, {number}: {_SKIPPED[code]}"
    if found["sin_empezar"]:
        yield f"[bold]Sin empezar: {found['sin_empezar']}[/bold]. Repita la orden: lo ya decidido no se repite."


def _disagreements(items: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(title=f"Mire primero ({len(items)} discrepancias)", title_justify="left", box=SIMPLE, pad_edge=False)
    table.add_column("Incidencia", no_wrap=True)
    table.add_column("Aprob.", justify="right")
    table.add_column("Habríamos hecho")
    table.add_column("Qué se sabe")
    for item in items[:MOST]:
        ours = item["habriamos_hecho"]
        action = f"{ours['tipo']} → {ours['buzon_destino']}" if ours["buzon_destino"] else ours["tipo"]
        approval = "" if item["aprobacion"] is None else str(item["aprobacion"])
        table.add_row(
            Text(item["codIncidencia"]),
            approval,
            Text(f"{action}: {short(ours['descripcion_fila'] or '', _WIDE)}"),
            Text(_known(item)),
        )
    return table


def _known(item: Mapping[str, Any]) -> str:
    theirs = item["hicieron"]
    parts = []
    if item["comparacion"] == Match.WRONG_ROW:
        parts.append("no es su fila" if not theirs["ninguna_fila_la_describe"] else "ninguna fila la describe")
    if theirs["accion"]:
        where = f" a {theirs['buzon']}" if theirs["accion"] == Did.REASSIGNED else ""
        parts.append(f"las personas {_DID[Did(theirs['accion'])]}{where}")
    note = f": «{short(theirs['nota'], _WIDE)}»" if theirs["nota"] else ""
    return "; ".join(parts) + note


def _counts(title: str, rows: Sequence[Mapping[str, Any]], room: int) -> Table:
    table = Table(title=title, title_justify="left", box=SIMPLE, pad_edge=False)
    table.add_column("")
    for name in ("Automáticas", "Coinciden", "Discrepan", "Sin comparar"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows[:MOST]:
        numbers = (row["automaticas"], row["coinciden"], row["discrepan"], row["sin_comparar"])
        table.add_row(Text(short(row["descripcion_fila"] or row["clave"], max(room, 20))), *map(str, numbers))
    return table


def _percent(share: float | None, what: str = "") -> str:
    return "" if share is None else f" ({share:.0%}{' ' + what if what else ''})".replace("%", " %")
