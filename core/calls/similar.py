"""Past calls that failed like this one: found by meaning, ordered by what they have in common with it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from core.calls.call import Call
from core.calls.collection import NarrativeBase
from core.calls.narrative import Narrative, narrate
from core.calls.pattern import Pattern

_LOOKED_AT = 80
"""Nearest narratives that are compared step by step."""
_WEIGHTS = {"vectores": 0.35, "pasos": 0.35, "patrones": 0.3}
_NEAREST, _FARTHEST = 1.0, 0.7
"""Cosines of texts that are the same, and of texts that have nothing to do with each other, with these embedders."""
FLOOR = 0.4
"""Least score: below it a call is not like this one."""


@dataclass(frozen=True)
class SimilarCall:
    """A past call, or several that read the same."""

    narrative: Narrative
    score: float
    """0–1; `parts` has what it is made of."""
    parts: Mapping[str, float]


def matched(call: Call, patterns: Sequence[Pattern]) -> list[Pattern]:
    """The patterns that the call meets, the highest failure rate first."""
    found = [
        pattern
        for pattern in patterns
        if pattern.condition.completed(call.steps) and pattern.condition.has(call.segment, call.kind, call.hour)
    ]
    return sorted(found, key=lambda pattern: -pattern.rate)


def similar_calls(call: Call, base: NarrativeBase, patterns: Sequence[Pattern], limit: int = 5) -> list[SimilarCall]:
    """Up to `limit` failing past calls, most alike first; fewer where fewer are alike at all.

    Raises `KnowledgeMissing` where none are indexed.
    """
    text = narrate(call.steps, segment=call.segment, kind=call.kind, code=call.code)
    asked = base.embedder.queries([text])
    vectors = {name: matrix[0] for name, matrix in asked.items() if matrix[0].any()}  # zeros: not for this language
    hits = base.nearest(vectors, _LOOKED_AT)
    ids = sorted({point_id for found in hits.values() for point_id, _ in found})
    stored = {point.id: point for point in base.shelf.retrieve(base.shelf.name, ids, vectors=True)}
    mine = {pattern.id for pattern in matched(call, patterns)}
    found = []
    for point in stored.values():
        cosines = [
            float(np.dot(point.vectors[name], vector)) for name, vector in vectors.items() if name in point.vectors
        ]
        past = base.read(point)
        if past.failed:
            found.append(_compared(call, past, float(np.mean(cosines)) if cosines else 0.0, mine, patterns))
    found.sort(key=lambda one: (-one.score, one.narrative.id))
    return [one for one in found[:limit] if one.score >= FLOOR]


def _compared(call: Call, past: Narrative, cosine: float, mine: set[str], patterns: Sequence[Pattern]) -> SimilarCall:
    other = Call(past.steps, past.code, past.segment, past.kind, call.hour)
    theirs = {pattern.id for pattern in matched(other, patterns)}
    parts = {
        "vectores": min(max((cosine - _FARTHEST) / (_NEAREST - _FARTHEST), 0.0), 1.0),
        "pasos": _steps_alike(call, past),
        "patrones": len(mine & theirs) / len(mine | theirs) if mine else 0.0,
    }
    weights = _WEIGHTS if mine else {name: weight for name, weight in _WEIGHTS.items() if name != "patrones"}
    score = sum(weights[name] * parts[name] for name in weights) / sum(weights.values())
    return SimilarCall(past, round(score, 4), {name: round(part, 4) for name, part in parts.items()})


def _steps_alike(call: Call, past: Narrative) -> float:
    """0–1: transitions and steps in common, and the same error."""
    mine, theirs = set(call.steps), set(past.steps)
    moves = set(zip(call.steps, call.steps[1:], strict=False))
    their_moves = set(zip(past.steps, past.steps[1:], strict=False))
    steps = len(mine & theirs) / max(len(mine | theirs), 1)
    ways = len(moves & their_moves) / max(len(moves | their_moves), 1)
    error = float(call.code == past.code) if call.code else 0.0
    return (steps + ways + error) / 3 if call.code else (steps + ways) / 2
