"""From evidence to approval: a calibrated probability that this known problem is the incident's, as 0..100.

The model is a logistic regression over the judge's logit and the raw search scores (design §4.1), fitted by
`python -m finetune.calibration` and checked in. Every weight is positive, so better evidence never lowers approval.
"""

import hashlib
import math
from importlib import resources
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from core.errors import UsageError
from core.evidence import Evidence
from core.logistic import Coefficient, Logistic


class Calibration(Logistic):
    """approval = round(100·P). A model that is too sure of itself cannot buy approval with that alone."""

    KNOWN = frozenset(Evidence.__dataclass_fields__)

    before: "Calibration | None" = None
    """Of one fitted on a desk's own outcomes: the shipped fit that it was made from."""
    seen_from: Coefficient = 0.0
    """With `before`: the lowest score by it that the outcomes had. Below, where nothing was seen, the lower of both
    approvals counts: good outcomes among sure decisions say nothing of unsure ones."""

    @property
    def fingerprint(self) -> str:
        """12 hex digits, of all that decides an approval."""
        return hashlib.sha256(self.model_dump_json(exclude={"fitted"}).encode()).hexdigest()[:12]

    def probability(self, evidence: object, logit: float) -> float:
        """0..1."""
        chance = super().probability(evidence, logit)
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
