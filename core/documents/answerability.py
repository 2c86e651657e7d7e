"""From evidence to P(this stretch answers the question): calibrated, with the threshold it was fitted for.

The small model's own word that it knows does not count (design §4.1); its logit of «sí» against «no» does, beside the
search scores. Fitted by `python -m finetune.answerability` on documents and questions of another organisation.
"""

import math
from importlib import resources
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from core.documents.windows import Fit
from core.errors import UsageError

Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Answerability(BaseModel):
    """P = σ(intercept + logit·clip(logit, range) + Σ weight·score); answered where it reaches `threshold`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    embeddings: str
    judge: str
    prompt: str
    intercept: Annotated[float, Field(allow_inf_nan=False)]
    logit: Weight
    logit_range: tuple[float, float]
    scores: dict[str, Weight]
    threshold: Annotated[float, Field(ge=0, le=1)]
    fitted: dict[str, object] = {}
    """How: date, sizes, figures by cross-validation."""

    @model_validator(mode="after")
    def _known_scores(self) -> "Answerability":
        unknown = set(self.scores) - set(Fit.__dataclass_fields__)
        if unknown or self.logit_range[0] > self.logit_range[1]:
            raise ValueError(f"puntuaciones desconocidas: {sorted(unknown)}, o intervalo del logit al revés")
        return self

    @property
    def judged(self) -> bool:
        """Whether the judge changes anything: where the fit gave its logit no weight, no model is asked."""
        return self.logit > 0

    def probability(self, fit: Fit, logit: float) -> float:
        """0..1. Not a number counts as the worst logit."""
        low, high = self.logit_range
        logit = low if math.isnan(logit) else min(max(logit, low), high)
        z = self.intercept + self.logit * logit
        z += sum(weight * float(getattr(fit, name)) for name, weight in self.scores.items())
        return 1 / (1 + math.exp(-z)) if z > -700 else 0.0

    def hopeless(self, fit: Fit) -> bool:
        """Whether not even the surest judge would make it an answer: then none is asked."""
        return self.probability(fit, self.logit_range[1]) < self.threshold


class _Fits(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    fits: tuple[Answerability, ...]


def load_answerability(embeddings: str, path: Path | None = None) -> Answerability:
    """The fit in force for these embeddings; the shipped one unless `path` names another. Raises `UsageError`."""
    shipped = resources.files("core.documents").joinpath("answerability.json")
    try:
        fits = _Fits.model_validate_json((path or shipped).read_text("utf-8")).fits
    except (OSError, UnicodeDecodeError, ValidationError) as error:
        raise UsageError(f"La calibración {path or 'de las respuestas'} no se puede leer: {error}") from error
    for fit in fits:
        if fit.embeddings == embeddings:
            return fit
    raise UsageError(
        f"No hay calibración de las respuestas para EMBEDDING_MODEL={embeddings}: ejecute "
        "`python -m finetune.answerability`."
    )
