"""Whether what is judged today looks like what the approval was fitted on, or like what was judged at first."""

from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from observabilidad.metrics.spread import LEAST, MUCH, SOME, deciles, shares, stability_index
from observabilidad.record import Line

SCORES = ("approval", "logit", "margin", "csls")
"""What the approval is made of, and itself."""
FIRST = 200
"""Judgements that serve as reference where the calibration keeps no distribution."""


class Reference(BaseModel):
    """A distribution to compare with: bins by their inner edges, and the share of each."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    edges: tuple[float, ...]
    shares: tuple[float, ...]


class Shift(BaseModel):
    """How far one score has moved (population stability index)."""

    model_config = ConfigDict(frozen=True)

    indice: float
    juicio: Literal["estable", "algo distinta", "muy distinta"]


class Drift(BaseModel):
    """`referencia` says against what; `puntuaciones` is empty, and `aviso` says why, where there is too little."""

    model_config = ConfigDict(frozen=True)

    referencia: str
    juicios: int
    puntuaciones: dict[str, Shift] = {}
    aviso: str = ""


def drift(judged: Sequence[Line], first: Sequence[Line], fitted: Mapping[str, object]) -> Drift:
    """`judged`: the judgements of the period; `first`: the oldest `FIRST` in the record; `fitted`: how the calibration
    was made."""
    references, name, now = _of_calibration(fitted), "el conjunto de la calibración", judged
    if not references and len(first) >= LEAST:
        name = f"los primeros {len(first)} juicios del registro"
        references = {score: _of_values(_values(first, score)) for score in SCORES}
        now = [line for line in judged if str(line["time"]) > str(first[-1]["time"])]
    if not references or len(now) < LEAST:
        return Drift(
            referencia=name if references else "ninguna",
            juicios=len(now),
            aviso=f"hacen falta {LEAST} juicios para comparar",
        )
    values = {score: _values(now, score) for score in references}
    found = {score: _shift(references[score], kept) for score, kept in values.items() if len(kept) >= LEAST}
    return Drift(referencia=name, juicios=len(now), puntuaciones=found)


def _of_calibration(fitted: Mapping[str, object]) -> dict[str, Reference]:
    """What `finetune.calibration` wrote down of the judged candidates that could have passed."""
    kept = fitted.get("distribution")
    if not isinstance(kept, Mapping):
        return {}
    try:
        return {score: Reference.model_validate(kept[score]) for score in SCORES if score in kept}
    except ValidationError:  # of an older fit
        return {}


def _of_values(values: Sequence[float]) -> Reference:
    edges = deciles(values)
    return Reference(edges=tuple(edges), shares=tuple(shares(edges, values)))


def _values(lines: Sequence[Line], score: str) -> list[float]:
    return [float(line[score]) for line in lines if isinstance(line.get(score), int | float)]


def _shift(reference: Reference, values: Sequence[float]) -> Shift:
    index = stability_index(reference.edges, reference.shares, values)
    judgement: Literal["estable", "algo distinta", "muy distinta"] = (
        "estable" if index < SOME else "algo distinta" if index < MUCH else "muy distinta"
    )
    return Shift(indice=round(index, 3), juicio=judgement)
