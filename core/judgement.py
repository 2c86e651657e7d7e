"""From evidence to approval: a calibrated probability that this known problem is the incident's, as 0..100.

The model is a logistic regression over the judge's logit and the raw search scores (design §4.1), fitted by
`python -m finetune.calibration` and checked in. Every weight is positive, so better evidence never lowers approval.
"""

import math
from importlib import resources
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from core.errors import UsageError
from core.search import Evidence

Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Calibration(BaseModel):
    """approval = round(100·σ(intercept + Σ weight·score)), the logit first brought into `logit_range`.

    `logit_range` is where the fit saw logits: a model that is surer of itself than the one it was fitted with cannot
    buy approval with that alone.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    embeddings: str
    """The `EMBEDDING_MODEL` it was fitted with."""
    judge: str
    """The model whose logits it was fitted on."""
    prompt: str
    """Version of the relevance prompt it was fitted with."""
    intercept: Annotated[float, Field(allow_inf_nan=False)]
    logit: Weight
    logit_range: tuple[float, float]
    scores: dict[str, Weight]
    """Weight per raw search score."""
    fitted: dict[str, object] = {}
    """How: command, date, sets, sizes, figures on sets left out."""

    @model_validator(mode="after")
    def _known_scores(self) -> "Calibration":
        unknown = set(self.scores) - set(Evidence.__dataclass_fields__)
        if unknown or self.logit_range[0] > self.logit_range[1]:
            raise ValueError(f"puntuaciones desconocidas: {sorted(unknown)}, o intervalo del logit al revés")
        return self

    def probability(self, evidence: Evidence, logit: float) -> float:
        """0..1. Not a number counts as the worst logit."""
        low, high = self.logit_range
        logit = min(max(logit, low), high) if not math.isnan(logit) else low
        z = self.intercept + self.logit * logit
        z += sum(weight * float(getattr(evidence, name)) for name, weight in self.scores.items())
        return 1 / (1 + math.exp(-z)) if z > -700 else 0.0

    def approval(self, evidence: Evidence, logit: float) -> int:
        """0..100."""
        return round(100 * self.probability(evidence, logit))

    def best_possible(self, evidence: Evidence) -> int:
        """The approval if the judge were as sure as it ever is: below the threshold it need not be asked."""
        return self.approval(evidence, self.logit_range[1])


class Calibrations(BaseModel):
    """The fits that ship, one per `EMBEDDING_MODEL`."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    fits: tuple[Calibration, ...]

    def get(self, embeddings: str) -> Calibration:
        """Raises `UsageError` when there is none for these embeddings."""
        for fit in self.fits:
            if fit.embeddings == embeddings:
                return fit
        raise UsageError(
            f"No hay calibración para EMBEDDING_MODEL={embeddings}: ejecute `python -m finetune.calibration`."
        )


def load_calibration(embeddings: str, path: Path | None = None) -> Calibration:
    """The calibration in force for `embeddings`; the shipped one unless `path` names another. Raises `UsageError`."""
    try:
        text = (
            path.read_text("utf-8") if path else resources.files("core").joinpath("calibration.json").read_text("utf-8")
        )
        return Calibrations.model_validate_json(text).get(embeddings)
    except (OSError, UnicodeDecodeError, ValidationError) as error:
        raise UsageError(f"La calibración {path or 'core/calibration.json'} no se puede leer: {error}") from error
