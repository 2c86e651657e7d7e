"""What simpler methods would put first, and how sure they would be."""

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Protocol

import numpy as np

from core.ports import Vectors
from core.search import Candidate

Encode = Callable[[Sequence[str]], Vectors]
"""(n,) texts to (n, width), rows of length 1."""
MINILM = "coseno MiniLM"
PRODUCT, BM25, ALWAYS, WRITTEN = "producto", "BM25", "aprobar siempre", "nota escrita"
_NOTHING = -1e9
"""Score of having found nothing."""


class Ranker(Protocol):
    """A method that knows nothing of the product."""

    def ranked(self, text: str, without: Collection[str] = ()) -> list[tuple[str, float]]:
        """(id, score), best first."""
        ...


def rankers(texts: Mapping[str, str], minilm: Encode | None) -> dict[str, Ranker]:
    """The simple methods over these entries (id -> text)."""
    plain: dict[str, Ranker] = {BM25: PlainBm25(texts)}
    return plain | ({MINILM: PlainCosine(texts, minilm)} if minilm else {})


class PlainCosine:
    """The nearest by one embedding, whatever the language."""

    def __init__(self, texts: Mapping[str, str], encode: Encode) -> None:
        self._ids = list(texts)
        self._encode = encode
        self._entries = encode(list(texts.values()))

    def ranked(self, text: str, without: Collection[str] = ()) -> list[tuple[str, float]]:
        """(id, cosine) of every entry, best first."""
        cosines = self._entries @ self._encode([text])[0]
        order = np.argsort(-cosines, kind="stable")
        return [(self._ids[i], float(cosines[i])) for i in order if self._ids[i] not in without]


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
    """Per embedding (entry id, cosine), best first, of the candidates: each retriever's own first is among them.

    Not MiniLM, which the product asks only in English: `rankers` has it for every language.
    """
    rows = {name: [(c.entry.id, float(getattr(c.evidence, name))) for c in found] for name in names if name != "minilm"}
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
