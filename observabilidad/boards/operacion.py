"""*Operación*: what was worked, what waits, what failed and how long it took."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from observabilidad.boards.logql import STEP, count, latest, lines, or_zero, quantile, share
from observabilidad.boards.panel import BAD, GOOD, WARN, board, listing, number, over_time, parts

UID = "spai-operacion"
DONE = "incident_done"
WARNINGS = f'{lines(".+")} | json nivel="level" | nivel=~`WARNING|ERROR|CRITICAL`'
"""`level` is a label of the stream too, and spelt as the collector likes: the line's own word counts."""
HTTP = lines("http_answered", "status")
HTTP_FAILED = lines("http_answered", "status", where="status >= 400 or status == 0")


def dashboard() -> Dashboard:
    """The dashboard."""
    found = board("Operación", UID, "Qué se ha trabajado, qué espera, qué ha fallado y cuánto ha tardado.")
    for part in (_figures, _along, _tables):
        part(found)
    return found


def _result(name: str) -> str:
    return lines(DONE, "result", where=f"result=`{name}`")


def _figures(board: Dashboard) -> None:
    done = count(lines(DONE))
    board.with_panel(number("Incidencias trabajadas", or_zero(done), "Las que han llegado a un resultado."))
    board.with_panel(
        number(
            "Resueltas automáticamente",
            share(count(_result("automatica")), done),
            "Parte de lo trabajado que la mesa confirmó resuelta sin una persona.",
            unit="percentunit",
            decimals=1,
        )
    )
    board.with_panel(
        number(
            "Para una persona",
            or_zero(count(lines(DONE, "result", where="result=~`humano|propuesta`"))),
            "Las que quedan, preparadas, a una persona, propuestas incluidas.",
        )
    )
    board.with_panel(
        number(
            "Con error",
            share(count(_result("error")), done),
            "Parte de lo trabajado en que falló algo (mesa, modelo, base de conocimiento).",
            unit="percentunit",
            decimals=1,
            steps=((None, GOOD), (0.02, WARN), (0.1, BAD)),
        )
    )
    board.with_panel(
        number(
            "En la cola",
            or_zero(latest(lines("desk_listed", "waiting"), "waiting")),
            "Incidencias por trabajar cuando se miró la mesa por última vez.",
            steps=((None, GOOD), (100, WARN), (500, BAD)),
        )
    )
    board.with_panel(
        number(
            "Topes alcanzados",
            or_zero(count(lines("capped"))),
            "Veces que un tope de politica.toml dejó una acción en propuesta.",
            steps=((None, GOOD), (1, WARN), (20, BAD)),
        )
    )
    board.with_panel(
        number(
            "Peticiones con error",
            share(count(HTTP_FAILED), count(HTTP)),
            "Parte de las peticiones a la mesa y al sistema sin respuesta, o con 400 o más.",
            unit="percentunit",
            decimals=1,
            steps=((None, GOOD), (0.01, WARN), (0.05, BAD)),
        )
    )
    board.with_panel(
        number(
            "Tiempo por incidencia, mediana",
            or_zero(quantile(lines(DONE), 0.5, "ms")),
            "De principio a fin, esperas incluidas.",
            unit="ms",
            steps=((None, GOOD), (15_000, WARN), (60_000, BAD)),
        )
    )
    board.with_panel(
        number(
            "Tiempo por incidencia, p95",
            or_zero(quantile(lines(DONE), 0.95, "ms")),
            "Una de cada veinte tarda más.",
            unit="ms",
            steps=((None, GOOD), (60_000, WARN), (180_000, BAD)),
        )
    )
    board.with_panel(
        number(
            "Búsqueda, p95",
            or_zero(quantile(lines(DONE, "search_ms"), 0.95, "search_ms")),
            "Lo que la búsqueda tarda por incidencia, todos sus intentos.",
            unit="ms",
            steps=((None, GOOD), (1_000, WARN), (5_000, BAD)),
        )
    )
    board.with_panel(
        number(
            "Reabiertas",
            or_zero(count(lines("outcome", "label", where="label=`reabierta`"))),
            "Cierres nuestros que la mesa vuelve a mostrar abiertos.",
            steps=((None, GOOD), (1, WARN), (5, BAD)),
        )
    )
    board.with_panel(
        number(
            "Avisos y errores",
            or_zero(count(WARNINGS)),
            "Líneas del registro de nivel aviso o superior.",
            steps=((None, GOOD), (1, WARN), (50, BAD)),
        )
    )


def _along(board: Dashboard) -> None:
    board.with_panel(
        over_time(
            "Resultados",
            {"{{result}}": count(lines(DONE, "result"), "result", STEP)},
            "Incidencias terminadas, por resultado.",
            bars=True,
        )
    )
    board.with_panel(
        over_time(
            "Tiempo por incidencia",
            {
                "mediana": quantile(lines(DONE), 0.5, "ms", over=STEP),
                "p95": quantile(lines(DONE), 0.95, "ms", over=STEP),
            },
            "De principio a fin.",
            unit="ms",
        )
    )
    board.with_panel(
        over_time(
            "Tiempo por etapa, p95",
            {"{{stage}}": quantile(lines("stage_done"), 0.95, "ms", "stage", STEP)},
            "Cada vez que una etapa termina.",
            unit="ms",
        )
    )
    board.with_panel(
        over_time(
            "Peticiones a mesa y sistema",
            {"{{method}} {{status}}": count(lines("http_answered", "method", "status"), "method, status", STEP)},
            "Por método y estado de la respuesta; 0: sin respuesta.",
            bars=True,
        )
    )
    board.with_panel(
        over_time(
            "La cola",
            {
                "abiertas en la mesa": latest(lines("desk_listed", "open"), "open", STEP),
                "por trabajar": latest(lines("desk_listed", "waiting"), "waiting", STEP),
            },
            "Cada vez que se mira la mesa.",
        )
    )
    board.with_panel(
        over_time(
            "Avisos y errores en el tiempo",
            {"{{action}}": count(WARNINGS, "action", STEP), "ninguno": "vector(0)"},
            "Por lo que los causó.",
            bars=True,
        )
    )


def _tables(board: Dashboard) -> None:
    board.with_panel(parts("Resultado", count(lines(DONE, "result"), "result"), "{{result}}", "En todo el periodo."))
    board.with_panel(
        parts("Por qué quedan a una persona", count(_left(), "reason"), "{{reason}}", "Código de motivo del informe.")
    )
    board.with_panel(
        parts(
            "Acciones",
            count(lines(DONE, "result", "kind", where="result=`automatica`"), "kind"),
            "{{kind}}",
            "De lo resuelto automáticamente.",
        )
    )
    columns = {"incident": "Incidencia", "result": "Resultado", "reason": "Motivo", "approval": "Aprobación"}
    board.with_panel(
        listing(
            "Lo que espera a una persona",
            _left("result", "approval", "problem"),
            {**columns, "problem": "Fila más parecida"},
            "Pulse el código para ver su historia.",
        )
    )
    board.with_panel(
        listing(
            "Hecho por el sistema",
            lines(DONE, "result", "kind", "approval", "target", "problem", where="result=`automatica`"),
            {
                "incident": "Incidencia",
                "kind": "Acción",
                "target": "Buzón",
                "approval": "Aprobación",
                "problem": "Fila",
                "decision": "Decisión",
            },
            "Lo confirmado por la mesa. Se deshace con python main.py --deshacer DECISIÓN.",
        )
    )


def _left(*more: str) -> str:
    names = dict.fromkeys(("result", "reason", *more))
    return lines(DONE, *names, where="result!=`automatica`")
