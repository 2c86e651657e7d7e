"""The candidates of labelled incidents by the product's own knowledge base and search, weighed in several ways."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.catalogue import CatalogueEntry, Resolution
from core.evidence import WEIGHTS, Evidence
from core.knowledge import KnowledgeBase
from core.ports import Embedder
from core.privacy import strip_identifiers
from core.search import Searcher
from finetune.labelled import LabelledSet

EMBEDDINGS = ("e5", "use", "minilm")
NAMES = (*EMBEDDINGS, "bm25", "ngrams")
ORDER = "orden"
"""The score that the product's search orders by: rewordings count in it, in the evidence never."""
LIMIT = 20
Matrix = NDArray[np.float64]
Weights = Mapping[str, float]

BEFORE: Weights = {"e5": 8, "use": 1, "bm25": 0.5, "ngrams": 0.5}
VARIANTS: Mapping[str, Weights] = {
    **{f"solo {name}": {name: 1.0} for name in NAMES},
    "fusión anterior": BEFORE,
    "sin use": {name: w for name, w in WEIGHTS.items() if name != "use"},
    "sin minilm": {name: w for name, w in WEIGHTS.items() if name != "minilm"},
    "sin léxico": {name: w for name, w in WEIGHTS.items() if name in EMBEDDINGS},
    "producto": WEIGHTS,
}
GRID: Sequence[Weights] = [
    {"e5": 8, "use": use, "minilm": minilm, "bm25": bm25, "ngrams": ngrams}
    for use, minilm, bm25, ngrams in itertools.product((0, 1, 2, 3), (2, 4, 6, 8), (0.25, 0.5, 1, 1.5), (0.5, 1, 1.5))
]


@dataclass(frozen=True)
class Found:
    """The candidates of a set's incidents. `scores`: name -> (incidents, most candidates), what is missing is -inf."""

    scores: Mapping[str, Matrix]
    there: NDArray[np.bool_]
    right: NDArray[np.bool_]
    solvable: NDArray[np.bool_]

    def uses(self, weights: Weights) -> bool:
        """Whether any of the retrievers weighed said anything."""
        return any(weight and self.scores[name].any() for name, weight in weights.items())

    def measured(self, weights: Weights) -> tuple[float, float, float]:
        """Right entry first, right entry among three, and the AUROC of the best score for "there is a right entry"."""
        best = self._total(weights).max(axis=1)
        return self.reached(weights, 1), self.reached(weights, 3), _auroc(best[self.solvable], best[~self.solvable])

    def reached(self, weights: Weights, first: int) -> float:
        """Share of the incidents with a right entry that have it among so many first ones."""
        order = np.argsort(-self._total(weights), axis=1)[self.solvable]
        return float(np.take_along_axis(self.right[self.solvable], order, axis=1)[:, :first].any(axis=1).mean())

    @property
    def named(self) -> float:
        """Share of the incidents with a right entry for which any retriever names it."""
        return float(self.right[self.solvable].any(axis=1).mean())

    def _total(self, weights: Weights) -> Matrix:
        return np.where(self.there, sum(w * self.scores[name] for name, w in weights.items()), -np.inf)


def _auroc(positive: Matrix, negative: Matrix) -> float:
    """Share of pairs in the right order, ties by half; NaN without one of the two."""
    if not len(positive) or not len(negative):
        return float("nan")
    difference = positive[:, None] - negative[None, :]
    return float((difference > 0).mean() + (difference == 0).mean() / 2)


def search(
    labelled: LabelledSet,
    embedder: Embedder,
    examples: Mapping[str, tuple[str, ...]],
    *,
    limit: int = LIMIT,
    reworded: Mapping[str, str] | None = None,
) -> Found:
    """Every incident of `labelled`; `limit`: rows that each retriever names; `reworded`: incident id -> second text."""
    from qdrant_client import QdrantClient

    rows = {
        i: CatalogueEntry(component="", description=text, resolution=Resolution.MANUAL, examples=examples.get(i, ()))
        for i, text in labelled.entries.items()
    }
    knowledge = KnowledgeBase(QdrantClient(":memory:"), embedder, "banco")
    knowledge.build(rows.values())
    searcher = Searcher(knowledge, embedder, limit, crowds=False)
    candidates, right = [], []
    for incident in labelled.incidents:
        ids = {rows[i].id for i in incident.relevant}
        more = (reworded or {}).get(incident.id)
        found = searcher.search([strip_identifiers(text) for text in (incident.text, more) if text])
        candidates.append(found)
        right.append([c.entry.id in ids for c in found])
    shape = (len(candidates), max(map(len, candidates), default=0))
    there, correct = np.zeros(shape, bool), np.zeros(shape, bool)
    names = [field.name for field in fields(Evidence) if field.name in NAMES]
    scores = {name: np.zeros(shape) for name in (*names, ORDER)}
    for i, found in enumerate(candidates):
        there[i, : len(found)], correct[i, : len(found)] = True, right[i]
        scores[ORDER][i, : len(found)] = [candidate.order for candidate in found]
        for name in names:
            scores[name][i, : len(found)] = [getattr(candidate.evidence, name) for candidate in found]
    return Found(scores, there, correct, np.array([incident.solvable for incident in labelled.incidents], bool))


def together(parts: Sequence[Found]) -> Found:
    """The incidents of all of them."""
    most = max(part.there.shape[1] for part in parts)

    def wide(matrix: NDArray[Any]) -> NDArray[Any]:
        return np.pad(matrix, ((0, 0), (0, most - matrix.shape[1])))

    scores = {name: np.concatenate([wide(part.scores[name]) for part in parts]) for name in parts[0].scores}
    there = np.concatenate([wide(part.there) for part in parts])
    right = np.concatenate([wide(part.right) for part in parts])
    return Found(scores, there, right, np.concatenate([part.solvable for part in parts]))


def fitted_elsewhere(name: str, sets: Mapping[str, Found]) -> Weights:
    """The weights of `GRID` that put the right entry first most often on average over the sets other than `name`."""
    others = [found for other, found in sets.items() if other != name and found.solvable.any()]
    return max(GRID, key=lambda weights: float(np.mean([found.measured(weights)[0] for found in others])))
