"""From evidence to approval: a calibrated probability that this known problem is the incident's, as 0..100.

The model is a logistic regression over the judge's logit and the raw search scores (design §4.1), fitted by
`python -m finetune.calibration` and checked in. Every weight is positive, so better evidence never lowers approval.
"""

import hashlib
import math
from importlib import resources
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from core.errors import UsageError
from core.evidence import Evidence

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
    before: "Calibration | None" = None
    """Of one fitted on a desk's own outcomes: the shipped fit that it was made from."""
    seen_from: Annotated[float, Field(allow_inf_nan=False)] = 0.0
    """With `before`: the lowest score by it that the outcomes had. Below, where nothing was seen, the lower of both
    approvals counts: good outcomes among sure decisions say nothing of unsure ones."""

    @model_validator(mode="after")
    def _known_scores(self) -> "Calibration":
        unknown = set(self.scores) - set(Evidence.__dataclass_fields__)
        if unknown or self.logit_range[0] > self.logit_range[1]:
            raise ValueError(f"puntuaciones desconocidas: {sorted(unknown)}, o intervalo del logit al revés")
        return self

    @property
    def fingerprint(self) -> str:
        """12 hex digits, of all that decides an approval."""
        return hashlib.sha256(self.model_dump_json(exclude={"fitted"}).encode()).hexdigest()[:12]

    def held(self, logit: float) -> float:
        """The logit inside `logit_range`. Not a number counts as the worst."""
        low, high = self.logit_range
        return min(max(logit, low), high) if not math.isnan(logit) else low

    def score(self, evidence: Evidence, logit: float) -> float:
        """The log-odds."""
        z = self.intercept + self.logit * self.held(logit)
        return z + sum(weight * float(getattr(evidence, name)) for name, weight in self.scores.items())

    def probability(self, evidence: Evidence, logit: float) -> float:
        """0..1."""
        z = self.score(evidence, logit)
        chance = 1 / (1 + math.exp(-z)) if z > -700 else 0.0
        if self.before and self.before.score(evidence, logit) < self.seen_from:
            return min(chance, self.before.probability(evidence, logit))
        return chance

    def ranks_as(self, other: "Calibration") -> bool:
        """Whether both put any two candidates in the same order, as a fit and its Platt scaling do."""
        if (self.embeddings, self.prompt, self.logit_range) != (other.embeddings, other.prompt, other.logit_range):
            return False
        return all(
            math.isclose(a, b, rel_tol=1e-6, abs_tol=1e-9)
            for a, b in zip(self._direction(), other._direction(), strict=True)
        )

    def _direction(self) -> list[float]:
        weights = [self.logit, *(self.scores.get(name, 0.0) for name in Evidence.__dataclass_fields__)]
        length = math.hypot(*weights)
        return [weight / length if length else 0.0 for weight in weights]

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
