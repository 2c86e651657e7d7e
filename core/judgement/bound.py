"""How wrong may it be? A one-sided bound that holds for finite samples, and the lowest threshold within a risk.

Learn then Test (Angelopoulos et al. 2021): every threshold is a hypothesis "its risk is above the allowed one", tested
by Clopper and Pearson's bound from the strictest threshold down. With fixed-sequence testing alone a single unlucky
error among the few strictest would end it, so the level is shared out beforehand over a few starting points and carried
on from each threshold that passes to the next (the fallback procedure, Wiens 2003; Learn then Test names it as well).
The starts depend on how many outcomes there are, never on how they turned out or on the risk: whatever is certified
holds with the confidence given, and more allowed risk never certifies less.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

CONFIDENCE = 0.95
LEAST_START = 60
"""Outcomes at a starting point, unless there are fewer in all: the fewest that certify 5 % without an error."""


@lru_cache(maxsize=4096)
def upper_bound(errors: int, n: int, level: float = 1 - CONFIDENCE) -> float:
    """The risk that `errors` in `n` exclude from being higher, but for a chance of `level`: 1 where n is 0.

    Clopper and Pearson 1934. Solved by halving the interval on the binomial's exact tail: SciPy has it ready, but would
    be 110 MB of run-time for this one number (the tests compare the two).
    """
    if errors >= n:
        return 1.0
    i = np.arange(1, errors + 1, dtype=np.float64)
    log_choose = np.concatenate(([0.0], np.cumsum(np.log((n - i + 1) / i))))
    hits = np.arange(errors + 1)
    low, high = errors / n, 1.0
    while high - low > 1e-12:
        risk = (low + high) / 2
        tail = np.exp(log_choose + hits * np.log(risk) + (n - hits) * np.log1p(-risk)).sum() if risk < 1 else 0.0
        low, high = (risk, high) if tail > level else (low, risk)
    return high


@dataclass(frozen=True)
class Trial:
    """What is known of a threshold: how many outcomes reach it, and how many of those are wrong."""

    threshold: float
    n: int
    errors: int


@dataclass(frozen=True)
class Certified:
    """A threshold whose risk is at most `bound`, with the confidence asked for over the whole search."""

    trial: Trial
    bound: float


def trials_of(outcomes: Sequence[tuple[float, bool]]) -> list[Trial]:
    """(approval, right) of each outcome: a trial per approval that occurs, the strictest first.

    No threshold below the lowest approval with an outcome is among them: of what was never done nothing is known.
    """
    values = np.array([approval for approval, _ in outcomes], dtype=np.float64)
    right = np.array([good for _, good in outcomes], dtype=bool)
    return [
        Trial(float(t), int((values >= t).sum()), int((~right[values >= t]).sum())) for t in np.unique(values)[::-1]
    ]


def certify(trials: Sequence[Trial], risk: float, confidence: float = CONFIDENCE) -> Certified | None:
    """The lowest of `trials` (the strictest first) that is certified for `risk`; None when none is."""
    shares, parts = _starts(trials)
    found: Certified | None = None
    held = 0
    for trial, share in zip(trials, shares, strict=True):
        held += share
        if not held:
            continue
        bound = upper_bound(trial.errors, trial.n, (1 - confidence) * held / parts)
        if bound <= risk:
            found = Certified(trial, bound)
        else:
            held = 0
    return found


def least_risk(trials: Sequence[Trial], confidence: float = CONFIDENCE) -> float | None:
    """The smallest risk for which anything is certified; None without outcomes, or where all are wrong."""
    _, parts = _starts(trials)
    levels = [(1 - confidence) * held / parts for held in range(1, parts + 1)]
    bounds = sorted({upper_bound(t.errors, t.n, level) for t in trials for level in levels} - {1.0})
    low, high = 0, len(bounds)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if certify(trials, bounds[middle], confidence) else (middle + 1, high)
    return bounds[low] if low < len(bounds) else None


def _starts(trials: Sequence[Trial]) -> tuple[list[int], int]:
    """How many equal parts of the level start at each trial, and how many parts there are.

    One starts where all outcomes are in, one where half are, a quarter, and so on down to `LEAST_START`.
    """
    shares = [0] * len(trials)
    most = max((trial.n for trial in trials), default=0)
    wanted, parts = float(most), 0
    while parts == 0 or wanted >= LEAST_START:
        start = next((i for i, trial in enumerate(trials) if trial.n >= wanted), None)
        if start is not None:
            shares[start] += 1
        parts += 1
        wanted /= 2
    return shares, parts
