"""The log's lines of an incident as events."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from core.reason import Reason
from core.screen import STAGES
from core.story.event import Event, Fact, Source

Line = Mapping[str, Any]
Described = Callable[[str], str]
"""A row's id -> what the catalogue says of it, or the id."""

_HEADLINES = {
    "stage_done": "Etapa terminada",
    "stage_failed": "Etapa fallida",
    "judged": "Candidato juzgado",
    "critic_rejected": "El crítico rechaza la propuesta",
    "capped": "Tope de acciones automáticas: queda en propuesta",
    "change_confirmed": "La mesa confirma el cambio",
    "change_stopped": "Cambio sin confirmar",
    "reopened": "La mesa la muestra abierta otra vez",
    "undone": "Una persona deshace la decisión",
    "approved": "Una persona aprueba la propuesta",
    "rejected": "Una persona rechaza la propuesta",
    "outcome": "Desenlace",
    "model_called": "Llamada al modelo",
    "model_failed": "Llamada al modelo fallida",
    "http_answered": "Petición respondida",
    "internal_error": "Fallo inesperado (el detalle, en el registro)",
    "note_failed": "No se pudo dejar la nota",
    "gave_up": "Tumbaba el proceso: se deja a una persona",
    "incident_done": "Terminada",
}
_NAMES = {
    "attempt": "intento",
    "stage": "etapa",
    "label": "desenlace",
    "result": "resultado",
    "kind": "acción",
    "target": "buzón",
    "reason": "motivo",
    "row": "fila",
    "problem": "fila",
    "approval": "aprobación",
    "critic": "crítico",
    "confirmed": "confirmada",
    "simulated": "simulada",
    "scope": "tope",
    "phase": "fase",
    "autonomy": "autonomía",
    "decision": "decisión",
    "task": "tarea",
    "model": "modelo",
    "method": "método",
    "status": "estado",
    "service": "servicio",
    "prompt_version": "prompt",
    "failed": "fallida",
    "logit": "juicio",
    "e5": "e5",
    "use": "USE",
    "bm25": "BM25",
    "ngrams": "n-gramas",
    "margin": "ventaja",
    "lift": "relieve",
    "csls": "vecindad",
    "candidates": "candidatos",
    "calls": "llamadas",
    "judgements": "juicios",
    "tokens_in": "tokens leídos",
    "tokens_out": "tokens escritos",
    "ms": "ms",
    "begun": "veces empezada",
    "done": "hecha",
}
"""Field -> what it is called, in the order in which they are told."""
_ORDER = {name: place for place, name in enumerate(_NAMES)}
_NOT_SHOWN = frozenset(
    {"time", "level", "logger", "message", "action", "incident", "run", "exc_info", "stack_info", "taskName", "minilm"}
)


def log_events(lines: Sequence[Line], described: Described, *, without: Collection[str] = ()) -> list[Event]:
    """An event per line that says something; `without`: actions that a better source tells of."""
    told = (line for line in lines if line.get("action") not in without and not _idle(line))
    return [_event(line, described) for line in told]


def _idle(line: Line) -> bool:
    """A stage that had nothing to do: most incidents have no attachment, and nothing to choose from."""
    ms = line.get("ms")
    return line.get("action") == "stage_done" and not line.get("failed") and isinstance(ms, int | float) and ms < 1


def _event(line: Line, described: Described) -> Event:
    action = str(line.get("action", ""))
    return Event(
        hora=datetime.fromisoformat(str(line["time"])),
        fuente=Source.LOG,
        que=_HEADLINES.get(action) or str(line.get("message") or action),
        ejecucion=str(line.get("run", "")),
        datos=_facts(line, described),
    )


def _facts(line: Line, described: Described) -> dict[str, Fact]:
    """Those that say something, the stages' times of an end put together."""
    told = {name: value for name, value in line.items() if name not in _NOT_SHOWN and not name.endswith("_ms")}
    facts: dict[str, Fact] = {}
    for name, value in sorted(told.items(), key=lambda item: _ORDER.get(item[0], len(_ORDER))):
        if not isinstance(value, Fact) or value in ("", False):
            continue
        if name == "row":
            facts["fila"] = described(str(value))
        elif name != "problem" or "fila" not in facts:  # the row's own words are there already
            facts[_NAMES.get(name, name)] = _word(name, value)
    stages = {name.removesuffix("_ms"): ms for name, ms in line.items() if name.endswith("_ms")}
    if slow := {name: ms for name, ms in stages.items() if isinstance(ms, int | float) and ms >= 1}:
        facts["etapas"] = ", ".join(f"{STAGES.get(name, name)} {ms:g} ms" for name, ms in slow.items())
    return facts


def _word(name: str, value: Fact) -> Fact:
    if name == "stage":
        return STAGES.get(str(value), str(value))
    if name == "reason" and value in Reason.__members__:
        return Reason[str(value)].text
    return value
