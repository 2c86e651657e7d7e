"""An explanation as it is told, kept and given to other programs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from core.calls.call import steps_told
from core.calls.explain import NO_EVIDENCE, Explanation, pattern_told
from core.calls.ranking import as_row
from core.calls.wording import decimal


@dataclass(frozen=True)
class Answer:
    """An explanation, with what the store knows of the calls it names."""

    explanation: Explanation
    past: Sequence[tuple[int, tuple[str, ...]]]
    """Of each similar call: how many read the same, and `call_id` of a few."""
    id: str = ""
    """Under which it can be rated; empty where it was not kept."""
    seconds: float = 0.0


def lines(answer: Answer) -> Iterator[str]:
    """For the terminal."""
    found = answer.explanation
    yield f"Llamada: {steps_told(found.call)}"
    if not found.grounded:
        yield f"Por qué ha fallado: {NO_EVIDENCE}. Ninguna llamada anterior se le parece ni cumple ningún patrón."
        return
    yield from _causes(found)
    yield ""
    yield "Patrones que cumple:" if found.patterns else "No cumple ningún patrón."
    for pattern in found.patterns:
        yield f"  {pattern.id}  {pattern_told(pattern)}"
    yield "Llamadas anteriores más parecidas:" if found.similar else "Ninguna llamada anterior se le parece."
    for number, (past, (calls, ids)) in enumerate(zip(found.similar, answer.past, strict=True), start=1):
        parts = ", ".join(f"{name} {decimal(part, 2)}" for name, part in past.parts.items())
        yield f"  L{number}  {decimal(past.score, 2)} ({parts})  {', '.join(ids)}{_more(calls, len(ids))}"
        yield f"      {' -> '.join(past.narrative.steps)}"
    if answer.id:
        yield f"Para valorarla: python main.py --valorar {answer.id} bien|mal"


def _causes(found: Explanation) -> Iterator[str]:
    if found.claims:
        yield "Por qué ha fallado, según el modelo (lo más probable, primero):"
        for number, claim in enumerate(found.claims, start=1):
            yield f"  {number}. {claim.cause} [{', '.join(claim.evidence)}]"
        if found.dropped:
            yield f"  (Descartadas por no apoyarse en la evidencia: {found.dropped})"
    elif found.trouble:
        yield f"El modelo no ha podido explicarla ({found.trouble}); esto es lo que hay:"
    else:
        why = f"; descartadas {found.dropped} causas que no se apoyaban en ella" if found.dropped else ""
        yield f"Por qué ha fallado: {NO_EVIDENCE} que el modelo sepa usar{why}. Esto es lo que hay:"


def _more(calls: int, shown: int) -> str:
    return f" y {calls - shown} iguales" if calls > shown else ""


def as_json(answer: Answer) -> dict[str, Any]:
    """For other programs and for Python."""
    found = answer.explanation
    call = found.call
    return {
        "llamada": {"pasos": list(call.steps), "error": call.code, "segmento": call.segment, "tipo": call.kind},
        "explicacion": [{"causa": claim.cause, "evidencia": list(claim.evidence)} for claim in found.claims]
        if found.claims
        else NO_EVIDENCE,
        "descartadas": found.dropped,
        "aviso": found.trouble,
        "patrones": [as_row(number, pattern) for number, pattern in enumerate(found.patterns, start=1)],
        "parecidas": [
            {
                "id": f"L{number}",
                "parecido": past.score,
                "partes": dict(past.parts),
                "llamadas": calls,
                "ejemplos": list(ids),
                "pasos": list(past.narrative.steps),
                "segmento": past.narrative.segment,
                "tipo": past.narrative.kind,
                "error": past.narrative.code,
            }
            for number, (past, (calls, ids)) in enumerate(zip(found.similar, answer.past, strict=True), start=1)
        ],
        "valorar": answer.id,
        "segundos": round(answer.seconds, 3),
    }
