"""*Calidad*: how sure the approvals are, what turned out, what is turned down, which rows of the catalogue to mend."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from observabilidad.boards.logql import STEP, count, lines, or_zero, quantile, share
from observabilidad.boards.operacion import DONE
from observabilidad.boards.panel import BAD, GOOD, WARN, board, listing, number, over_time, parts, ranking

UID = "spai-calidad"
THRESHOLDS = (50, 65, 75, 85, 95)
"""At which the coverage and the risk so far are shown."""
AUTOMATIC = lines(DONE, "result", where="result=`automatica`")
WRONG = lines("outcome", "label", "autonomy", where="label=~`reabierta|revertida` | autonomy=`automatica`")
_RISK = ((None, GOOD), (0.05, WARN), (0.1, BAD))


def dashboard() -> Dashboard:
    """The dashboard."""
    found = board("Calidad", UID, "Aprobación, aciertos conocidos, rechazos y filas del catálogo por arreglar.")
    for part in (_figures, _risk, _rejections, _rows):
        part(found)
    return found


def _figures(board: Dashboard) -> None:
    board.with_panel(
        number(
            "Precisión conocida",
            f"1 - ({share(count(WRONG), count(AUTOMATIC))})",
            "Parte de las acciones automáticas que nadie ha deshecho ni visto reabierta. Es una cota por arriba: "
            "lo que nadie ha dicho cuenta como acertado.",
            unit="percentunit",
            decimals=1,
            steps=((None, BAD), (0.9, WARN), (0.95, GOOD)),
        )
    )
    board.with_panel(
        number(
            "Equivocadas conocidas",
            or_zero(count(WRONG)),
            "Acciones automáticas deshechas por una persona o reabiertas en la mesa.",
            steps=((None, GOOD), (1, WARN), (5, BAD)),
        )
    )
    board.with_panel(
        number(
            "Aprobadas por el crítico",
            share(count(_critic("APPROVED")), count(lines(DONE, "critic", where="critic!=``"))),
            "De lo que llegó al crítico.",
            unit="percentunit",
            decimals=1,
            steps=((None, BAD), (0.05, WARN), (0.15, GOOD)),
        )
    )
    board.with_panel(
        number(
            "Rechazadas por el crítico",
            or_zero(count(lines("critic_rejected"))),
            "Propuestas, no incidencias: una puede tener varias.",
        )
    )
    board.with_panel(
        number(
            "Aprobación mediana",
            or_zero(quantile(lines(DONE, "approval", where="approval!=``"), 0.5, "approval")),
            "Del mejor candidato de cada incidencia.",
        )
    )
    board.with_panel(
        number(
            "Sin nada parecido",
            share(count(lines(DONE, "reason", where="reason=`NO_CANDIDATE`")), count(lines(DONE))),
            "Parte de lo trabajado para lo que el catálogo no tiene nada.",
            unit="percentunit",
            decimals=1,
        )
    )


def _critic(state: str) -> str:
    return lines(DONE, "critic", where=f"critic=`{state}`")


def _at_least(threshold: int) -> str:
    """A number compared with a field that is not there is an error to Loki, not a line left out."""
    return f"approval!=`` | approval >= {threshold}"


def _risk(board: Dashboard) -> None:
    """Risk and coverage so far, as they would be at each threshold."""

    def approved(threshold: int) -> str:
        return lines(DONE, "result", "approval", where=f"result=`automatica` | {_at_least(threshold)}")

    def above(threshold: int) -> str:
        return lines(DONE, "approval", where=_at_least(threshold))

    def wrong(threshold: int) -> str:
        fields = ("label", "autonomy", "approval")
        told = "label=~`reabierta|revertida` | autonomy=`automatica`"
        return lines("outcome", *fields, where=f"{told} | {_at_least(threshold)}")

    board.with_panel(
        ranking(
            "Cobertura por umbral",
            {f"≥ {at}": share(count(above(at)), count(lines(DONE))) for at in THRESHOLDS},
            "Parte de lo trabajado cuyo mejor candidato llega a esa aprobación.",
            unit="percentunit",
        )
    )
    board.with_panel(
        ranking(
            "Riesgo conocido por umbral",
            {f"≥ {at}": share(count(wrong(at)), count(approved(at))) for at in THRESHOLDS},
            "Parte de las acciones automáticas con esa aprobación o más que resultó equivocada, que se sepa.",
            unit="percentunit",
            steps=_RISK,
        )
    )
    tens = '| label_format decena=`{{printf "%02d" (mul (div (int .approval) 10) 10)}}`'
    board.with_panel(
        ranking(
            "Distribución de la aprobación",
            {"{{decena}}–": count(lines(DONE, "approval", where=f"approval!=`` {tens}"), "decena")},
            "Mejor candidato de cada incidencia, de diez en diez.",
        )
    )
    board.with_panel(
        over_time(
            "Puntuaciones de lo juzgado, mediana",
            {
                name: quantile(lines("judged", field), 0.5, field, over=STEP)
                for name, field in (("juicio (logit)", "logit"), ("ventaja", "margin"), ("vecindad", "csls"))
            },
            "Si se mueven, el catálogo o las incidencias ya no son los de la calibración "
            "(python -m observabilidad.metrics da el índice).",
        ).min(-6)
    )


def _rejections(board: Dashboard) -> None:
    rejected = lines("critic_rejected", "reason")
    board.with_panel(parts("Veredictos", count(lines(DONE, "critic"), "critic"), "{{critic}}", "Por incidencia."))
    board.with_panel(parts("Motivos de rechazo", count(rejected, "reason"), "{{reason}}", "Por propuesta."))
    board.with_panel(
        over_time("Rechazos", {"{{reason}}": count(rejected, "reason", STEP)}, "Por motivo.", bars=True, width=8)
    )
    board.with_panel(
        over_time(
            "Desenlaces",
            {"{{label}}": count(lines("outcome", "label"), "label", STEP), "ninguno": "vector(0)"},
            "Lo que personas y mesa dicen después: acertada, revertida, reabierta.",
            bars=True,
        )
    )
    board.with_panel(
        over_time(
            "Aprobación",
            {
                "mediana": quantile(lines(DONE, "approval", where="approval!=``"), 0.5, "approval", over=STEP),
                "cuartil alto": quantile(lines(DONE, "approval", where="approval!=``"), 0.75, "approval", over=STEP),
            },
            "Del mejor candidato.",
        ).max(100)
    )


def _rows(board: Dashboard) -> None:
    rejected = count(lines("critic_rejected", "problem"), "problem")
    board.with_panel(
        ranking(
            "Filas más rechazadas",
            {"{{problem}}": f"topk(10, {rejected})"},
            "Candidatas a otra redacción en el catálogo.",
            steps=((None, GOOD), (3, WARN), (10, BAD)),
        )
    )
    used = count(lines(DONE, "result", "problem", where="result=`automatica`"), "problem")
    board.with_panel(ranking("Filas que más resuelven", {"{{problem}}": f"topk(10, {used})"}, "Acciones confirmadas."))
    board.with_panel(
        listing(
            "Rechazos, uno a uno",
            lines("critic_rejected", "attempt", "approval", "reason", "problem"),
            {
                "incident": "Incidencia",
                "attempt": "Intento",
                "approval": "Aprobación",
                "reason": "Motivo",
                "problem": "Fila",
            },
            "Pulse el código para ver su historia.",
        )
    )
