"""A few-shot classifier: the nearest examples name the intent, and say how likely it is to be any of them.

"None of these" is calibrated on the examples alone. Each is classified twice without itself: once among all intents,
where its own should come first, and once with its own intent taken away, where none is right. A logistic regression
over the best score and its lead over the second tells the two cases apart, so that a new file of intents needs no
labelled questions. What it was fitted on is never what it is measured on.
"""

import hashlib
import json
import logging
import math
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.errors import DependencyError
from core.evidence import WEIGHTS
from core.files import atomic_writer
from core.intents.catalogue import Intent
from core.ports import Embedder
from core.search import ENGLISH_ONLY

logger = logging.getLogger(__name__)

Matrix = NDArray[np.float64]

NEIGHBOURS = 2
"""An intent's score is the mean of its nearest so many examples: one alone is at the mercy of its wording."""
_RIDGE = 1e-2
_STEPS = 50


@dataclass(frozen=True)
class Classification:
    """`intent` is None for none of these. `probability`: that `best` is right."""

    intent: str | None
    probability: float
    best: str


@dataclass(frozen=True)
class _Fit:
    """P(right) = σ(weights · (1, score, lead)) on standardised features."""

    weights: Matrix
    mean: Matrix
    scale: Matrix

    def probability(self, score: float, lead: float) -> float:
        z = float(self.weights @ np.concatenate([[1.0], (np.array([score, lead]) - self.mean) / self.scale]))
        return 1 / (1 + math.exp(-max(-500.0, min(500.0, z))))


class Classifier:
    """Safe to share among threads. Embeds the examples once and keeps their vectors in `cache`, if given."""

    def __init__(
        self, intents: Mapping[str, Intent], embedder: Embedder, *, cache: Path | None = None, threshold: float = 0.5
    ) -> None:
        """`threshold`: the least probability for an intent to be named."""
        self._embedder = embedder
        self._names = list(intents)
        texts = [text for intent in intents.values() for text in intent.examples]
        self._owners = np.repeat(np.arange(len(self._names)), [len(i.examples) for i in intents.values()])
        self._examples = _cached(texts, embedder, cache)
        self._fit = self._calibrate()
        self._threshold = threshold

    @property
    def version(self) -> str:
        """Changes with the examples and the embedder."""
        return hashlib.sha256(self._examples.tobytes()).hexdigest()[:12]

    def classify(self, texts: Sequence[str]) -> list[Classification]:
        """One per text, which should have no personal data."""
        if not texts:
            return []
        similar = _joined(self._embedder, texts) @ self._examples.T
        return [self._named(self._scores(row)) for row in similar]

    def _named(self, scores: Matrix) -> Classification:
        score, lead, best = _features(scores)
        probability = self._fit.probability(score, lead)
        name = self._names[best]
        return Classification(name if probability >= self._threshold else None, probability, name)

    def _scores(self, similar: Matrix) -> Matrix:
        """(intents,) from the similarities with every example; those at -inf do not count."""
        scores = np.full(len(self._names), -np.inf)
        for intent in range(len(self._names)):
            mine = similar[self._owners == intent]
            mine = mine[np.isfinite(mine)]
            if len(mine):
                scores[intent] = np.sort(mine)[-NEIGHBOURS:].mean()
        return scores

    def _calibrate(self) -> _Fit:
        similar = self._examples @ self._examples.T
        features, labels = [], []
        for row, owner in enumerate(self._owners):
            without = similar[row].copy()
            without[row] = -np.inf
            score, lead, best = _features(self._scores(without))
            features.append((score, lead))
            labels.append(float(best == owner))
            without[self._owners == owner] = -np.inf
            score, lead, _ = _features(self._scores(without))
            features.append((score, lead))
            labels.append(0.0)
        return _logistic(np.array(features), np.array(labels))


def _features(scores: Matrix) -> tuple[float, float, int]:
    order = np.argsort(scores)
    best, second = scores[order[-1]], scores[order[-2]] if len(order) > 1 else -np.inf
    return float(best), float(best - second) if np.isfinite(second) else 0.0, int(order[-1])


def _logistic(features: Matrix, labels: Matrix) -> _Fit:
    """Newton's method with a small ridge; the two classes weigh the same."""
    mean, scale = features.mean(axis=0), features.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    x = np.hstack([np.ones((len(features), 1)), (features - mean) / scale])
    share = np.clip(labels.mean(), 1e-6, 1 - 1e-6)
    mass = np.where(labels > 0, 0.5 / share, 0.5 / (1 - share))
    weights = np.zeros(x.shape[1])
    for _ in range(_STEPS):
        p = 1 / (1 + np.exp(-np.clip(x @ weights, -30, 30)))
        gradient = x.T @ (mass * (p - labels)) + _RIDGE * weights
        hessian = (x.T * (mass * p * (1 - p))) @ x + _RIDGE * np.eye(len(weights))
        step = np.linalg.solve(hessian, gradient)
        weights = weights - step
        if np.abs(step).max() < 1e-8:
            break
    return _Fit(weights, mean, scale)


def _joined(embedder: Embedder, texts: Sequence[str]) -> Matrix:
    """The embeddings side by side, each by the root of its weight in search: products add up to its score.

    One that reads one language only would set apart the texts in it, whatever they are about.
    """
    vectors = embedder.queries(texts, without=ENGLISH_ONLY)
    return np.hstack([np.sqrt(WEIGHTS.get(name, 1.0)) * rows.astype(np.float64) for name, rows in vectors.items()])


def _cached(texts: Sequence[str], embedder: Embedder, cache: Path | None) -> Matrix:
    """The texts' vectors, from `cache` where they were made before with this embedder."""
    used = {name: width for name, width in embedder.dimensions.items() if name not in ENGLISH_ONLY}
    key = hashlib.sha256(json.dumps([embedder.version, list(used), *texts]).encode()).hexdigest()
    path = cache / f"{key[:24]}.npz" if cache else None
    if path and path.exists():
        try:
            with path.open("rb") as file, np.load(file) as stored:
                found: Matrix = stored["vectors"]
            if found.shape == (len(texts), sum(used.values())) and np.isfinite(found).all():
                return found
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            logger.info("vectores de intenciones ilegibles: se rehacen", extra={"action": "intents_cache_damaged"})
    made = _joined(embedder, texts)
    if path:
        try:
            with atomic_writer(path) as stream:
                np.savez(stream, vectors=made)
        except DependencyError as error:  # only a cache
            logger.warning("no se guardan los vectores", extra={"action": "cache_failed", "error": str(error)})
    return made
