"""Distributions in few numbers: median and tails, tens, and how far one has moved from another."""

import math
from bisect import bisect_left
from collections.abc import Sequence
from statistics import median

from pydantic import BaseModel, ConfigDict

LEAST = 30
"""Values below which a comparison of two distributions says nothing."""
SOME, MUCH = 0.1, 0.25
"""The usual bounds of the population stability index: little, some, much change."""


class Spread(BaseModel):
    """Median and 95th percentile (nearest rank) of `n` values, in their own unit."""

    model_config = ConfigDict(frozen=True)

    n: int
    mediana: float
    p95: float


def spread(values: Sequence[float]) -> Spread | None:
    """None for no values."""
    if not values:
        return None
    ordered = sorted(values)
    return Spread(
        n=len(ordered),
        mediana=round(median(ordered), 3),
        p95=round(ordered[max(0, math.ceil(len(ordered) * 0.95) - 1)], 3),
    )


def tens(values: Sequence[float]) -> dict[str, int]:
    """0..100 in ten bins, `0-9` … `90-100`."""
    names = [f"{low}-{low + 9 if low < 90 else 100}" for low in range(0, 100, 10)]
    counts = dict.fromkeys(names, 0)
    for value in values:
        counts[names[min(9, max(0, int(value // 10)))]] += 1
    return counts


def stability_index(edges: Sequence[float], before: Sequence[float], now: Sequence[float]) -> float:
    """PSI: Σ (now - before)·ln(now / before) over the bins between `edges`, outer bins open.

    `before`: each bin's share; `now`: values. Half a value is added to empty bins, so that none is infinite.
    Source: Siddiqi, *Credit Risk Scorecards* (2006), where .1 and .25 are the bounds.
    """
    counts = [0.0] * (len(edges) + 1)
    for value in now:
        counts[bisect_left(edges, value)] += 1
    shares = [max(count, 0.5) / len(now) for count in counts]
    return sum((q - p) * math.log(q / p) for p, q in zip((max(p, 1e-3) for p in before), shares, strict=True))


def deciles(values: Sequence[float]) -> list[float]:
    """The nine inner deciles, ascending, those that coincide once."""
    ordered = sorted(values)
    return sorted({ordered[min(len(ordered) - 1, len(ordered) * tenth // 10)] for tenth in range(1, 10)})


def shares(edges: Sequence[float], values: Sequence[float]) -> list[float]:
    """The share of `values` in each bin between `edges`."""
    counts = [0] * (len(edges) + 1)
    for value in values:
        counts[bisect_left(edges, value)] += 1
    return [count / len(values) for count in counts]
