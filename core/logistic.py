"""A logistic regression over a judge's logit and raw search scores, as it is checked in: no weight below zero."""

import math
from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Coefficient = Annotated[float, Field(allow_inf_nan=False)]


class Logistic(BaseModel):
    """P = σ(intercept + logit·clip(logit, range) + Σ weight·score); better evidence never lowers it.

    `logit_range` is where the fit saw logits: a model that is surer of itself than the one it was fitted with cannot
    buy anything with that alone.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    KNOWN: ClassVar[frozenset[str]]
    """The scores that there are: attributes of what is given as evidence."""

    embeddings: str
    """The `EMBEDDING_MODEL` it was fitted with."""
    judge: str
    """The model whose logits it was fitted on."""
    prompt: str
    """Version of the judge's prompt it was fitted with."""
    intercept: Coefficient
    logit: Weight
    logit_range: tuple[float, float]
    scores: dict[str, Weight]
    """Weight per raw search score."""
    fitted: dict[str, object] = {}
    """How: command, date, sets, sizes, figures on what was left out."""

    @model_validator(mode="after")
    def _known_scores(self) -> "Logistic":
        unknown = set(self.scores) - self.KNOWN
        if unknown or self.logit_range[0] > self.logit_range[1]:
            raise ValueError(f"puntuaciones desconocidas: {sorted(unknown)}, o intervalo del logit al revés")
        return self

    def held(self, logit: float) -> float:
        """The logit inside `logit_range`. Not a number counts as the worst."""
        low, high = self.logit_range
        return min(max(logit, low), high) if not math.isnan(logit) else low

    def score(self, evidence: object, logit: float) -> float:
        """The log-odds."""
        z = self.intercept + self.logit * self.held(logit)
        return z + sum(weight * float(getattr(evidence, name)) for name, weight in self.scores.items())

    def probability(self, evidence: object, logit: float) -> float:
        """0..1."""
        z = self.score(evidence, logit)
        return 1 / (1 + math.exp(-z)) if z > -700 else 0.0
