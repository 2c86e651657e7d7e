"""What a run did: one record per incident and the figures over them, in the contract's words (design §3)."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from core.reason import Reason
from core.spread import spread


class Result(StrEnum):
    """How an incident ended."""

    AUTOMATIC = "automatica"
    PROPOSED = "propuesta"
    HUMAN = "humano"
    ERROR = "error"


FAULTS = frozenset(
    {
        Reason.INCIDENT_INVALID,
        Reason.DESK_UNAVAILABLE,
        Reason.DESK_REFUSED,
        Reason.NOT_CONFIRMED,
        Reason.SYSTEM_UNAVAILABLE,
        Reason.SYSTEM_ANSWER_INVALID,
        Reason.MODEL_UNAVAILABLE,
        Reason.MODEL_TIMEOUT,
        Reason.KNOWLEDGE_UNAVAILABLE,
        Reason.STATE_CHANGED,
        Reason.INTERNAL_ERROR,
    }
)
"""Reasons that mean something failed, not that the incident was hard: they end as `error` and exit code 1."""


class IncidentResult(BaseModel):
    """One incident of the report; field names are the contract's."""

    model_config = ConfigDict(frozen=True)

    codIncidencia: str  # noqa: N815 - the contract's name
    resultado: Result
    tipo: str
    fila: str | None = None
    descripcion_fila: str | None = None
    buzon_destino: str | None = None
    aprobacion: int | None = Field(default=None, ge=0, le=100)
    estado_critico: Literal["APPROVED", "REJECTED", "ALREADY_TRIED"] | None = None
    motivo: Reason
    detalle: str = ""
    confirmada: bool = False
    decision: str | None = None
    llamadas_llm: int = 0
    juicios: int = 0
    tokens_entrada: int = 0
    tokens_salida: int = 0
    segundos: float = 0.0
    etapas: dict[str, float] = {}
    """Stage -> seconds."""
    errores_api: dict[str, int] = {}
    """Service -> requests to it that failed, each try of a repeated one, whatever became of the incident."""
    impedimentos: tuple[Reason, ...] = ()
    """Every reason why it may not be done now, or only once a person has said yes."""
    candidatos: tuple[str, ...] = ()
    """The best rows found, for the person who takes it."""
    documentos: tuple[str, ...] = ()
    """Places in the documents that may help that person."""
    evidencia: tuple[str, ...] = ()
    """What else is known, for the person who takes it; never the cause of an action."""


class Expected(BaseModel):
    """What is right for an incident: the kinds of action allowed (none: it must go to a person)."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    codIncidencia: str  # noqa: N815 - the contract's name
    fila: str | None = None
    aceptable: tuple[str, ...] = ()
    buzon_destino: str | None = None

    @property
    def solvable(self) -> bool:
        """It has a known solution."""
        return self.fila is not None and bool(self.aceptable)

    def is_wrong(self, result: IncidentResult) -> bool:
        """An automatic action other than the ones allowed, by another row or to another mailbox."""
        if result.resultado is not Result.AUTOMATIC:
            return False
        if result.tipo not in self.aceptable or (self.fila and result.descripcion_fila != self.fila):
            return True
        return bool(self.buzon_destino and result.buzon_destino and result.buzon_destino != self.buzon_destino)


class RunReport(BaseModel):
    """`reporteYYYYMMDD_HHMM.json`."""

    model_config = ConfigDict(frozen=True)

    ejecucion: str
    inicio: str
    fin: str
    version: str
    resumen: dict[str, Any]
    incidencias: tuple[IncidentResult, ...]


def summarise(
    results: Sequence[IncidentResult], *, left: int = 0, expected: Mapping[str, Expected] | None = None, **more: Any
) -> dict[str, Any]:
    """The figures of a run. `left`: incidents it did not get to; `more`: facts of the run, added as they are."""
    waiting = [r for r in results if r.resultado is not Result.AUTOMATIC]
    errors: Counter[str] = Counter()
    for result in results:
        errors.update(result.errores_api)
    summary: dict[str, Any] = {
        "incidencias": len(results),
        "por_resultado": {kind.value: sum(r.resultado is kind for r in results) for kind in Result},
        "por_motivo": dict(Counter(r.motivo.value for r in results).most_common()),
        "por_tipo": dict(Counter(r.tipo for r in results if r.resultado is Result.AUTOMATIC).most_common()),
        "sin_empezar": left,
        "esperan_a_una_persona": len(waiting),
        "rechazadas_por_el_critico": sum(r.estado_critico == "REJECTED" for r in results),
        "errores_api": dict(errors.most_common()),
        "llamadas_llm_por_incidencia": _mean(r.llamadas_llm for r in results),
        "juicios_por_incidencia": _mean(r.juicios for r in results),
        "tokens_por_incidencia": _mean(r.tokens_entrada + r.tokens_salida for r in results),
        "segundos_por_incidencia": spread([r.segundos for r in results]),
        "segundos_por_etapa": {
            stage: spread([r.etapas[stage] for r in results if stage in r.etapas])
            for stage in dict.fromkeys(stage for r in results for stage in r.etapas)
        },
        **more,
    }
    if expected:
        summary["contra_lo_esperado"] = _against(results, expected)
    return summary


def _against(results: Sequence[IncidentResult], expected: Mapping[str, Expected]) -> dict[str, Any]:
    known = [(r, expected[r.codIncidencia]) for r in results if r.codIncidencia in expected]
    acted = [(r, e) for r, e in known if r.resultado is Result.AUTOMATIC]
    wrong = [r.codIncidencia for r, e in acted if e.is_wrong(r)]
    solvable = [r for r, e in known if e.solvable]
    solved = [r for r in solvable if r.resultado is Result.AUTOMATIC and r.codIncidencia not in wrong]
    return {
        "automaticas": len(acted),
        "equivocadas": len(wrong),
        "cuales": wrong,
        "precision": round(1 - len(wrong) / len(acted), 3) if acted else None,
        "con_solucion_conocida": len(solvable),
        "resueltas_de_ellas": len(solved),
        "cobertura": round(len(solved) / len(solvable), 3) if solvable else None,
    }


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return round(sum(found) / len(found), 2) if found else 0.0
