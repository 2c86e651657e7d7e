"""From evidence to P(this stretch answers the question): calibrated, with the threshold it was fitted for.

The small model's own word that it knows does not count (design §4.1); its logit of «sí» against «no» does, beside the
search scores. Fitted by `python -m finetune.answerability` on documents and questions of another organisation.
"""

from importlib import resources
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core.documents.windows import Fit
from core.errors import UsageError
from core.logistic import Logistic


class Answerability(Logistic):
    """P that a window answers a question; answered where it reaches `threshold`."""

    KNOWN = frozenset(Fit.__dataclass_fields__)

    threshold: Annotated[float, Field(ge=0, le=1)]

    @property
    def judged(self) -> bool:
        """Whether the judge changes anything: where the fit gave its logit no weight, no model is asked."""
        return self.logit > 0

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
