"""Summaries of catalogue rows by a model, kept only where labelled wordings are found better with them."""

from collections.abc import Callable, Sequence
from math import sqrt
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict

from core.catalogue import COMPONENT, DESCRIPTION, CatalogueEntry, Resolution, normalised
from core.errors import DependencyError, StageError
from core.knowledge import KnowledgeBase
from core.ports import Embedder, Vectors
from core.reason import Reason
from core.table import read_rows

Summarise = Callable[[str], str]
Progress = Callable[[int, int], None]

FILE_NAME = "REDACCIONES.csv"
"""Optional, beside the catalogue: `TEXTO, COMPONENTE, DESCRIPCION`, one real wording and the row it belongs to."""

ENOUGH_WORDINGS = 20
_ONE_SIDED_95 = 1.645
_BATCH = 32


class Wording(BaseModel):
    """How somebody told a known problem, and the row that it is."""

    model_config = ConfigDict(frozen=True)

    text: str
    entry_id: str


class Trial(BaseModel):
    """Whether the summaries were kept, and why in words."""

    model_config = ConfigDict(frozen=True)

    kept: bool
    why: str
    wordings: int = 0
    without: float | None = None
    """Mean reciprocal rank of the right row, descriptions embedded."""
    with_summaries: float | None = None
    """The same, summaries embedded."""
    failed: int = 0
    """Rows that the model could not summarise: embedded by their description."""


def read_wordings(path: Path) -> list[Wording]:
    """The labelled wordings; none when there is no such file. Raises `UsageError` when it cannot be used."""
    if not path.exists():
        return []
    rows, _ = read_rows(path, ("TEXTO", COMPONENT, DESCRIPTION), normalised)
    wordings = []
    for row in rows:
        named = CatalogueEntry(
            component=row.fields[COMPONENT], description=row.fields[DESCRIPTION], resolution=Resolution.MANUAL
        )
        if row.fields["TEXTO"]:
            wordings.append(Wording(text=row.fields["TEXTO"], entry_id=named.id))
    return wordings


def with_summaries(
    entries: Sequence[CatalogueEntry],
    knowledge: KnowledgeBase,
    summarise: Summarise,
    wordings: Sequence[Wording],
    progress: Progress | None = None,
) -> tuple[list[CatalogueEntry], Trial]:
    """`entries` with summaries if they were measured to help, as they came otherwise.

    The model is not even asked when there are too few wordings to measure with. Summaries already stored are used
    again. Raises `DependencyError` when the model does not answer at all.
    """
    ids = {entry.id for entry in entries}
    usable = [wording for wording in wordings if wording.entry_id in ids]
    if len(usable) < ENOUGH_WORDINGS:
        why = (
            f"no se resume: hacen falta {ENOUGH_WORDINGS} redacciones etiquetadas en {FILE_NAME} para medir si ayuda, "
            f"y hay {len(usable)}"
        )
        return list(entries), Trial(kept=False, why=why, wordings=len(usable))
    summarised, failed = _summarised(entries, knowledge, summarise, progress)
    without = _reciprocal_ranks(entries, knowledge, usable)
    improved = _reciprocal_ranks(summarised, knowledge, usable)
    gain = [b - a for a, b in zip(without, improved, strict=True)]
    mean = sum(gain) / len(gain)
    error = sqrt(sum((g - mean) ** 2 for g in gain) / (len(gain) - 1) / len(gain))
    kept = mean > _ONE_SIDED_95 * error
    verdict = "mejora" if kept else "no se ha medido que mejore"
    trial = Trial(
        kept=kept,
        why=f"con los resúmenes la búsqueda {verdict} (MRR {sum(without) / len(gain):.3f} sin ellos, "
        f"{sum(improved) / len(gain):.3f} con ellos, {len(gain)} redacciones)",
        wordings=len(gain),
        without=sum(without) / len(gain),
        with_summaries=sum(improved) / len(gain),
        failed=failed,
    )
    return (summarised if kept else list(entries)), trial


def _summarised(
    entries: Sequence[CatalogueEntry], knowledge: KnowledgeBase, summarise: Summarise, progress: Progress | None
) -> tuple[list[CatalogueEntry], int]:
    stored = knowledge.stored()
    found: list[CatalogueEntry] = []
    failed = 0
    for done, entry in enumerate(entries, start=1):
        clean = knowledge.prepared(entry)
        before = stored.get(entry.id)
        summary = before.summary if before and before.description == clean.description else ""
        if not summary:
            try:
                summary = summarise(clean.embed_text).strip()
            except StageError as error:
                if error.reason is Reason.MODEL_UNAVAILABLE:
                    raise DependencyError(f"No se puede resumir: {error}. Repita la orden sin --resumir.") from error
                failed += 1
        found.append(entry.model_copy(update={"summary": summary}))
        if progress:
            progress(done, len(entries))
    return found, failed


def _reciprocal_ranks(
    entries: Sequence[CatalogueEntry], knowledge: KnowledgeBase, wordings: Sequence[Wording]
) -> list[float]:
    """1 / rank of the right row per wording, rows ordered by the mean cosine over the named vectors."""
    rows = _embedded(knowledge.embedder, [knowledge.prepared(entry).embed_text for entry in entries], search=False)
    asked = _embedded(knowledge.embedder, [knowledge.clean(wording.text) for wording in wordings], search=True)
    position = {entry.id: i for i, entry in enumerate(entries)}
    scores = np.mean([asked[name] @ rows[name].T for name in rows], axis=0)
    right = [position[wording.entry_id] for wording in wordings]
    return [1.0 / (1 + int((row > row[i]).sum())) for row, i in zip(scores, right, strict=True)]


def _embedded(embedder: Embedder, texts: Sequence[str], *, search: bool) -> dict[str, Vectors]:
    embed = embedder.queries if search else embedder.passages
    parts = [embed(texts[i : i + _BATCH]) for i in range(0, len(texts), _BATCH)]
    return {name: np.concatenate([part[name] for part in parts]) for name in embedder.dimensions}
