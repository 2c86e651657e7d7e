"""What simpler methods would put first, and how sure they would be."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np

from core.search import Candidate

PRODUCT, BM25, ALWAYS, WRITTEN = "producto", "BM25", "aprobar siempre", "nota escrita"
_NOTHING = -1e9
"""Score of having found nothing."""


class PlainBm25:
    """BM25 as it comes (k1 1.2, b 0.75, whole words, no stemming) over a set's entries."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        import bm25s

        self._ids = list(texts)
        self._index = bm25s.BM25(method="lucene", k1=1.2, b=0.75)
        rows = [_words(text) or ["∅"] for text in texts.values()]
        self._vocabulary = {word for row in rows for word in row}
        self._index.index(rows, show_progress=False)

    def ranked(self, text: str, without: Collection[str] = ()) -> list[tuple[str, float]]:
        """(id, score) of the entries that share a word with `text`, best first."""
        words = [word for word in _words(text) if word in self._vocabulary]
        if not words:
            return []
        scores = self._index.get_scores(words)
        order = np.argsort(-scores, kind="stable")
        return [(self._ids[i], float(scores[i])) for i in order if scores[i] > 0 and self._ids[i] not in without]


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def by_cosine(found: Sequence[Candidate], names: Iterable[str]) -> dict[str, list[tuple[str, float]]]:
    """Per embedding (entry id, cosine), best first, of the candidates: each retriever's own first is among them."""
    rows = {name: [(c.entry.id, float(getattr(c.evidence, name))) for c in found] for name in names}
    return {f"coseno {name}": sorted(hits, key=lambda hit: hit[1], reverse=True) for name, hits in rows.items()}


def top(hits: Sequence[tuple[str, float]]) -> tuple[str | None, float]:
    """The first and its score."""
    return hits[0] if hits else (None, _NOTHING)


def in_use(scores: Iterable[float]) -> bool:
    """Whether a method ever gave a score: an embedding may be left out for a catalogue's language."""
    return any(score not in (0.0, _NOTHING) for score in scores)


def rank_of(ids: Sequence[str], right: Collection[str]) -> int | None:
    """From 1; None when none of `right` is there."""
    return next((place for place, entry_id in enumerate(ids, 1) if entry_id in right), None)
