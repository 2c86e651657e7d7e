"""*Incidencia*: everything the log says of one incident, by its code; the others link here."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from observabilidad.boards.llm import CALLED
from observabilidad.boards.logql import count, latest, lines, or_zero, total
from observabilidad.boards.operacion import DONE
from observabilidad.boards.panel import INCIDENT as UID
from observabilidad.boards.panel import board, listing, log, number, parts, ranking, textbox

_DECIDED = "change_confirmed|change_stopped|approved|rejected|undone|outcome|reopened|capped"


def dashboard() -> Dashboard:
    """The dashboard. The code is a regular expression: `.+` shows all, so that nothing is empty to begin with."""
    found = board("Incidencia", UID, "La historia de una incidencia: escriba su código arriba, o llegue por un enlace.")
    found.with_variable(textbox("incidencia", "Incidencia", ".+", "Código de la incidencia; .+ para todas."))
    for part in (_figures, _tables):
        part(found)
    return found


def _of(action: str, *fields: str, where: str = "") -> str:
    """Its lines only."""
    mine = "incident=~`$incidencia`"
    query = lines(action, *fields, where=where)
    head, bar, rest = query.partition(" | json ")
    return f"{head} | {mine}{bar}{rest}" if bar else query.replace(" | action", f" | {mine} | action", 1)


def _figures(board: Dashboard) -> None:
    board.with_panel(number("Veces trabajada", or_zero(count(_of(DONE))), "Cada estado de la incidencia, una vez."))
    board.with_panel(
        number(
            "Aprobación",
            or_zero(latest(_of(DONE, "approval", where="approval!=``"), "approval")),
            "Del mejor candidato, la última vez.",
        )
    )
    board.with_panel(
        number("Tiempo", or_zero(latest(_of(DONE), "ms")), "La última vez, de principio a fin.", unit="ms")
    )
    board.with_panel(number("Llamadas al modelo", or_zero(count(_of(CALLED))), "Juicios incluidos."))
    board.with_panel(
        number("Tokens leídos", or_zero(total(_of(CALLED, "tokens_in"), "tokens_in")), "En todas las llamadas.")
    )
    board.with_panel(
        number("Rechazos del crítico", or_zero(count(_of("critic_rejected"))), "Propuestas que no aprobó.")
    )


def _tables(board: Dashboard) -> None:
    board.with_panel(
        listing(
            "Cómo terminó",
            _of(DONE, "result", "kind", "reason", "approval", "critic", "problem"),
            {
                "incident": "Incidencia",
                "result": "Resultado",
                "kind": "Acción",
                "reason": "Motivo",
                "approval": "Aprobación",
                "critic": "Crítico",
                "problem": "Fila",
                "decision": "Decisión",
                "run": "Ejecución",
            },
            "Una fila por cada vez que se trabajó.",
        )
    )
    board.with_panel(
        ranking(
            "Tiempo por etapa",
            {"{{stage}}": total(_of("stage_done"), "ms", "stage")},
            "En total.",
            unit="ms",
        )
    )
    board.with_panel(
        parts("Líneas", count(_of(".+"), "action"), "{{action}}", "De qué trata lo registrado.").span(12).height(9)
    )
    board.with_panel(
        listing(
            "Candidatos juzgados",
            _of("judged", "attempt", "row", "approval", "logit", "e5", "use", "bm25", "margin", "csls"),
            {
                "attempt": "Intento",
                "row": "Fila",
                "approval": "Aprobación",
                "logit": "Juicio",
                "e5": "e5",
                "use": "USE",
                "bm25": "BM25",
                "margin": "Ventaja",
                "csls": "Vecindad",
            },
            "Con sus puntuaciones.",
        )
    )
    board.with_panel(
        listing(
            "Llamadas al modelo, una a una",
            _of(CALLED, "task", "model", "tokens_in", "tokens_out", "failed"),
            {"task": "Tarea", "model": "Modelo", "tokens_in": "Leídos", "tokens_out": "Escritos", "ms": "ms"},
            "Con lo que costaron.",
        )
    )
    board.with_panel(
        listing(
            "Qué se hizo y qué resultó",
            _of(_DECIDED, "phase", "label", "kind"),
            {"action": "Qué", "phase": "Fase", "label": "Desenlace", "kind": "Acción", "decision": "Decisión"},
            "Cambios confirmados o parados, aprobaciones, rechazos, deshechos y reaperturas.",
        )
    )
    board.with_panel(
        log("El registro, línea a línea", _of(".+"), "De la más antigua a la más nueva.", oldest_first=True)
    )
