"""*LLM*: calls, tokens, cost and time, per task and per model."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from observabilidad.boards.logql import RANGE, STEP, count, lines, or_zero, quantile, share, total
from observabilidad.boards.operacion import DONE
from observabilidad.boards.panel import BAD, GOOD, WARN, board, listing, number, over_time, parts, ranking, textbox

UID = "spai-llm"
CALLED = "model_called"
_FAILED = lines(CALLED, "failed", where="failed=`true`")


def dashboard() -> Dashboard:
    """The dashboard. What a million tokens costs is typed in: 0 for a model of one's own."""
    found = board("LLM", UID, "Llamadas, tokens, coste y tiempo, por tarea y por modelo.")
    for name, label in (("precio_entrada", "Precio del millón leído"), ("precio_salida", "Precio del millón escrito")):
        found.with_variable(textbox(name, label, "0", "En la moneda de sus cuentas; 0 con un modelo propio."))
    for part in (_figures, _along, _tables):
        part(found)
    return found


def _tokens(value: str, by: str = "", over: str = RANGE) -> str:
    return total(lines(CALLED, *dict.fromkeys((value, *([by] if by else [])))), value, by, over)


def _cost(by: str = "", over: str = RANGE) -> str:
    read, written = _tokens("tokens_in", by, over), _tokens("tokens_out", by, over)
    return f"({read} * $precio_entrada + {written} * $precio_salida) / 1000000"


def _figures(board: Dashboard) -> None:
    board.with_panel(number("Llamadas", or_zero(count(lines(CALLED))), "Juicios incluidos."))
    board.with_panel(
        number(
            "Fallidas",
            share(count(_FAILED), count(lines(CALLED))),
            "Sin respuesta, o con una que no se pudo leer.",
            unit="percentunit",
            decimals=1,
            steps=((None, GOOD), (0.02, WARN), (0.1, BAD)),
        )
    )
    board.with_panel(number("Tokens leídos", or_zero(_tokens("tokens_in")), "Instrucciones, incidencia y candidato."))
    board.with_panel(number("Tokens escritos", or_zero(_tokens("tokens_out")), "Lo que el modelo responde."))
    board.with_panel(number("Coste", or_zero(_cost()), "Con los precios indicados arriba.", decimals=2))
    board.with_panel(
        number(
            "Llamadas por incidencia",
            share(count(lines(CALLED)), count(lines(DONE))),
            "Media: lo barato y seguro va primero.",
            decimals=2,
            steps=((None, GOOD), (5, WARN), (15, BAD)),
        )
    )


def _along(board: Dashboard) -> None:
    board.with_panel(
        over_time(
            "Llamadas en el tiempo", {"{{task}}": count(lines(CALLED, "task"), "task", STEP)}, "Todas.", bars=True
        )
    )
    board.with_panel(
        over_time(
            "Tiempo por tarea, p95",
            {"{{task}}": quantile(lines(CALLED, "task"), 0.95, "ms", "task", STEP)},
            "De cada llamada, esperas del servidor incluidas.",
            unit="ms",
        )
    )
    board.with_panel(
        over_time(
            "Tokens",
            {"leídos": _tokens("tokens_in", over=STEP), "escritos": _tokens("tokens_out", over=STEP)},
            "En cada intervalo.",
            bars=True,
        )
    )
    board.with_panel(
        over_time(
            "Tiempo por modelo, mediana",
            {"{{model}}": quantile(lines(CALLED, "model"), 0.5, "ms", "model", STEP)},
            "De cada llamada.",
            unit="ms",
        )
    )
    board.with_panel(
        over_time(
            "Llamadas fallidas",
            {
                "{{task}}": count(lines(CALLED, "task", "failed", where="failed=`true`"), "task", STEP),
                "ninguna": "vector(0)",
            },
            "Por tarea.",
            bars=True,
        )
    )
    board.with_panel(
        over_time(
            "Coste en el tiempo",
            {"{{model}}": _cost("model", STEP)},
            "Por modelo, con los precios indicados.",
            bars=True,
        )
    )


def _tables(board: Dashboard) -> None:
    board.with_panel(parts("Llamadas por tarea", count(lines(CALLED, "task"), "task"), "{{task}}", "En el periodo."))
    board.with_panel(
        parts("Llamadas por modelo", count(lines(CALLED, "model"), "model"), "{{model}}", "En el periodo.")
    )
    board.with_panel(parts("Tokens por tarea", _tokens("tokens_in", "task"), "{{task}}", "Leídos, en el periodo."))
    board.with_panel(
        ranking(
            "Tiempo por tarea, mediana",
            {"{{task}}": quantile(lines(CALLED, "task"), 0.5, "ms", "task")},
            "De cada llamada, en el periodo.",
            unit="ms",
            steps=((None, GOOD), (5_000, WARN), (30_000, BAD)),
        )
    )
    slow = f"topk(10, {quantile(lines(CALLED), 1.0, 'ms', 'incident')})"
    board.with_panel(
        ranking("Incidencias con la llamada más larga", {"{{incident}}": slow}, "Las diez primeras.", unit="ms")
    )
    board.with_panel(
        listing(
            "Llamadas, una a una",
            lines(CALLED, "task", "model", "tokens_in", "tokens_out", "failed"),
            {
                "incident": "Incidencia",
                "task": "Tarea",
                "model": "Modelo",
                "tokens_in": "Leídos",
                "tokens_out": "Escritos",
                "ms": "ms",
                "failed": "Falló",
            },
            "Pulse el código para ver la historia de la incidencia.",
        )
    )
