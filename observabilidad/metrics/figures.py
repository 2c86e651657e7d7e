"""The figures over the lines of the record. Every time is in seconds, every share 0..1."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict

from core.report import FAULTS
from observabilidad.metrics.spread import Spread, spread, tens
from observabilidad.record import Line

_FAULTS = frozenset(reason.value for reason in FAULTS)


class Prices(BaseModel):
    """Of a million tokens, in whatever currency the operator counts in; 0 for a model of one's own."""

    model_config = ConfigDict(frozen=True)

    entrada: float = 0.0
    salida: float = 0.0

    def cost(self, tokens_in: int, tokens_out: int) -> float:
        """What so many tokens cost."""
        return (tokens_in * self.entrada + tokens_out * self.salida) / 1_000_000


class ModelUse(BaseModel):
    """Calls of one task to one model, or of all."""

    model_config = ConfigDict(frozen=True)

    llamadas: int
    fallidas: int
    tokens_entrada: int
    tokens_salida: int
    coste: float
    segundos: Spread | None


class Http(BaseModel):
    """Requests to desk and system."""

    model_config = ConfigDict(frozen=True)

    peticiones: int
    errores: int
    """Answered with 400 or more, or not at all (status 0)."""
    por_estado: dict[str, int]
    segundos: Spread | None


class Errors(BaseModel):
    """What failed, by what."""

    model_config = ConfigDict(frozen=True)

    incidencias: dict[str, int]
    """Reason -> incidents that ended with an error."""
    etapas: dict[str, int]
    """Stage -> times it failed."""
    modelo: dict[str, int]
    """Reason -> calls that failed."""
    http: Http
    avisos: int
    """Lines of level WARNING or above."""


class Solutions(BaseModel):
    """How good what search and judge found was."""

    model_config = ConfigDict(frozen=True)

    con_candidato_juzgado: int
    """Incidents with at least one candidate worth judging."""
    aprobadas: int
    """Of those, the ones that the critic approved."""
    aprobacion_mediana_aprobadas: float | None
    aprobacion_mediana_rechazadas: float | None
    margen_mediano_aprobadas: float | None
    """How far the approved row stood above the next one."""


class Figures(BaseModel):
    """Of a stretch of the record."""

    model_config = ConfigDict(frozen=True)

    incidencias: int
    ejecuciones: int
    por_resultado: dict[str, int]
    por_tipo: dict[str, int]
    por_motivo: dict[str, int]
    parte_automatica: float | None
    segundos_por_incidencia: Spread | None
    segundos_por_etapa: dict[str, Spread]
    segundos_de_busqueda: Spread | None
    errores: Errors
    soluciones: Solutions
    aprobacion: dict[str, int]
    """Approval of the best candidate, in tens."""
    rechazos: dict[str, int]
    """Reason -> proposals that the critic turned down."""
    topes: dict[str, int]
    """Cap -> times it was reached."""
    modelo: ModelUse
    modelo_por_tarea: dict[str, ModelUse]
    modelo_por_nombre: dict[str, ModelUse]


_COUNTED: Mapping[str, frozenset[str]] = {
    "judged": frozenset({"time", "run", "incident", "row", "approval", "logit", "margin", "csls"}),
    "critic_rejected": frozenset({"row", "reason"}),
    "stage_failed": frozenset({"stage"}),
    "model_called": frozenset({"task", "model", "tokens_in", "tokens_out", "ms", "failed"}),
    "model_failed": frozenset({"reason"}),
    "http_answered": frozenset({"status", "ms"}),
    "capped": frozenset({"scope"}),
}
"""What is kept of a line, by action, beside the ends of incidents, which are kept whole: a full record is 220 MB."""


@dataclass
class Tally:
    """The lines that count, by action, collected in one pass."""

    by_action: dict[str, list[Line]] = field(default_factory=lambda: defaultdict(list))
    runs: set[str] = field(default_factory=set)
    warnings: int = 0
    first: str = ""
    last: str = ""

    @classmethod
    def of(cls, lines: Iterable[Line], *, simulated: bool = False) -> "Tally":
        """`simulated`: count incidents that were only simulated, instead of leaving them out."""
        tally = cls()
        for line in lines:
            tally.first = tally.first or str(line["time"])
            tally.last = str(line["time"])
            tally.warnings += line.get("level") in ("WARNING", "ERROR", "CRITICAL")
            if line.get("simulated") and not simulated:
                continue
            action = str(line.get("action", ""))
            if action == "incident_done":
                tally.by_action[action].append(line)
                tally.runs.add(str(line.get("run", "")))
            elif wanted := _COUNTED.get(action):
                tally.by_action[action].append({name: line[name] for name in wanted if name in line})
        return tally

    def __getitem__(self, action: str) -> list[Line]:
        return self.by_action.get(action, [])


def figures(tally: Tally, prices: Prices) -> Figures:
    """All of them."""
    done = tally["incident_done"]
    results = Counter(str(line.get("result")) for line in done)
    stages = _by_stage(done)
    return Figures(
        incidencias=len(done),
        ejecuciones=len(tally.runs),
        por_resultado=_ordered(results),
        por_tipo=_count(done, "kind", where=lambda line: line.get("result") == "automatica"),
        por_motivo=_count(done, "reason"),
        parte_automatica=_share(results["automatica"], len(done)),
        segundos_por_incidencia=spread(_seconds(done)),
        segundos_por_etapa=stages,
        segundos_de_busqueda=stages.get("search"),
        errores=_errors(tally, done),
        soluciones=_solutions(tally, done),
        aprobacion=tens(_numbers(done, "approval")),
        rechazos=_count(tally["critic_rejected"], "reason"),
        topes=_count(tally["capped"], "scope"),
        modelo=_use(tally["model_called"], prices),
        modelo_por_tarea=_grouped(tally["model_called"], "task", prices),
        modelo_por_nombre=_grouped(tally["model_called"], "model", prices),
    )


def _by_stage(done: Sequence[Line]) -> dict[str, Spread]:
    """Per incident: what all turns of a stage took together, as the end of the incident says."""
    found: dict[str, list[float]] = defaultdict(list)
    for line in done:
        for name, value in line.items():
            if name.endswith("_ms") and isinstance(value, int | float):
                found[name.removesuffix("_ms")].append(value / 1000)
    return {stage: kept for stage, values in sorted(found.items()) if (kept := spread(values))}


def _errors(tally: Tally, done: Sequence[Line]) -> Errors:
    answered = tally["http_answered"]
    statuses = _count(answered, "status")
    return Errors(
        incidencias=_count(done, "reason", where=lambda line: line.get("reason") in _FAULTS),
        etapas=_count(tally["stage_failed"], "stage"),
        modelo=_count(tally["model_failed"], "reason"),
        http=Http(
            peticiones=len(answered),
            errores=sum(count for status, count in statuses.items() if status == "0" or status >= "400"),
            por_estado=statuses,
            segundos=spread(_seconds(answered)),
        ),
        avisos=tally.warnings,
    )


def _solutions(tally: Tally, done: Sequence[Line]) -> Solutions:
    judged_of = {(line.get("run"), line.get("incident")) for line in tally["judged"]}
    margins = {
        (line.get("run"), line.get("incident"), line.get("row")): float(line.get("margin", 0.0))
        for line in tally["judged"]
    }
    approved = [line for line in done if line.get("critic") == "APPROVED"]
    rejected = [line for line in done if line.get("critic") == "REJECTED"]
    above = [margins.get((line.get("run"), line.get("incident"), line.get("row"))) for line in approved]
    return Solutions(
        con_candidato_juzgado=sum((line.get("run"), line.get("incident")) in judged_of for line in done),
        aprobadas=len(approved),
        aprobacion_mediana_aprobadas=_median(_numbers(approved, "approval")),
        aprobacion_mediana_rechazadas=_median(_numbers(rejected, "approval")),
        margen_mediano_aprobadas=_median([value for value in above if value is not None]),
    )


def _use(calls: Sequence[Line], prices: Prices) -> ModelUse:
    tokens_in = int(sum(_numbers(calls, "tokens_in")))
    tokens_out = int(sum(_numbers(calls, "tokens_out")))
    return ModelUse(
        llamadas=len(calls),
        fallidas=sum(bool(line.get("failed")) for line in calls),
        tokens_entrada=tokens_in,
        tokens_salida=tokens_out,
        coste=round(prices.cost(tokens_in, tokens_out), 4),
        segundos=spread(_seconds(calls)),
    )


def _grouped(calls: Sequence[Line], name: str, prices: Prices) -> dict[str, ModelUse]:
    groups: dict[str, list[Line]] = defaultdict(list)
    for line in calls:
        groups[str(line.get(name, ""))].append(line)
    return {key: _use(lines, prices) for key, lines in sorted(groups.items())}


def _count(lines: Iterable[Line], name: str, where: Any = None) -> dict[str, int]:
    return _ordered(Counter(str(line[name]) for line in lines if name in line and (where is None or where(line))))


def _ordered(counts: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _numbers(lines: Iterable[Line], name: str) -> list[float]:
    return [float(line[name]) for line in lines if isinstance(line.get(name), int | float)]


def _seconds(lines: Iterable[Line]) -> list[float]:
    return [ms / 1000 for ms in _numbers(lines, "ms")]


def _median(values: Sequence[float]) -> float | None:
    found = spread(values)
    return found.mediana if found else None


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None
