"""What the answers given add up to: share answered, precision per intent, time, share out of context."""

import json
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from core.feedback.answer import Answer, Label
from core.files import write_fresh
from core.spread import share, spread

NO_INTENT = "ninguna"


def figures(answers: Sequence[Answer]) -> dict[str, Any]:
    """In the report's words. Shares are None where there is nothing to divide by."""
    by_intent: dict[str, list[Answer]] = defaultdict(list)
    for answer in answers:
        by_intent[answer.intent or NO_INTENT].append(answer)
    return {
        "total": _of(answers),
        "por_intencion": {name: _of(group) for name, group in sorted(by_intent.items())},
        "segundos": spread([answer.seconds for answer in answers]),
    }


def _of(answers: Sequence[Answer]) -> dict[str, Any]:
    given = [answer for answer in answers if answer.answered]
    rated = [answer for answer in given if answer.rating]
    good = sum(answer.rating is not None and answer.rating.label is Label.GOOD for answer in rated)
    tried = [answer for answer in answers if answer.answered or answer.out_of_context]
    return {
        "preguntas": len(answers),
        "respondidas": len(given),
        "parte_respondida": share(len(given), len(answers)),
        "valoradas": len(rated),
        "bien": good,
        "precision": share(good, len(rated)),
        "fuera_de_contexto": sum(answer.out_of_context for answer in answers),
        "parte_fuera_de_contexto": share(sum(answer.out_of_context for answer in answers), len(tried)),
    }


def write_report(answers: Sequence[Answer], reports: Path, now: datetime) -> tuple[dict[str, Any], Path]:
    """Write `reporte_respuestas_YYYYMMDD_HHMM.json` under `reports`. Raises `DependencyError`."""
    found = figures(answers)
    path = reports / f"reporte_respuestas_{now:%Y%m%d_%H%M}.json"
    content = json.dumps({"fecha": now.isoformat(timespec="seconds"), **found}, ensure_ascii=False, indent=2)
    return found, write_fresh(path, content + "\n")


def told(found: dict[str, Any], report: Path) -> str:
    """For the terminal."""
    total, seconds = found["total"], found["segundos"]
    lines = [
        f"Respuestas guardadas: {total['preguntas']}; respondidas {_percent(total['parte_respondida'])}, "
        f"fuera de contexto {_percent(total['parte_fuera_de_contexto'])} "
        f"(escritas sin apoyo en sus fuentes, y retiradas), {seconds['mediana']} s de mediana (p95 {seconds['p95']} s)",
        f"Valoradas {total['valoradas']}: precisión {_percent(total['precision'])}",
    ]
    for name, of in found["por_intencion"].items():
        lines.append(
            f"  {name}: {of['preguntas']} preguntas, respondidas {_percent(of['parte_respondida'])}, "
            f"precisión {_percent(of['precision'])} de {of['valoradas']} valoradas"
        )
    return "\n".join([*lines, f"Informe: {report}"])


def _percent(share: float | None) -> str:
    return "—" if share is None else f"{share:.0%}"
