"""Whether more calls failed than chance explains: exact tails of stratified two-by-two tables."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from core.calls.tally import Ints

Floats = NDArray[np.float64]

_FAR = 9.0
"""Standard deviations on each side of the mean that a distribution is worked out for: beyond, under 1e-18."""


def moments(calls: Ints, failed: Ints, all_calls: Ints, all_failed: Ints) -> tuple[Floats, Floats, Floats]:
    """(candidates,) failures seen, expected and their variance, over strata with fixed margins.

    `calls`, `failed`: (candidates, strata) with the condition; `all_calls`, `all_failed`: the stratum's own, (strata,)
    or (candidates, strata). Hypergeometric in each stratum (Cochran 1954; Mantel and Haenszel 1959).
    """
    size = np.maximum(all_calls, 1)
    share = all_failed / size
    expected = (calls * share).sum(axis=1)
    spread = calls * share * (1 - share) * (all_calls - calls) / np.maximum(all_calls - 1, 1)
    return failed.sum(axis=1).astype(np.float64), expected, spread.sum(axis=1)


def upper_tail(seen: int, strata: Iterable[tuple[int, int, int]]) -> float:
    """P(failures with the condition >= `seen`) when failing has nothing to do with it.

    `strata`: (calls with the condition, calls, failed) each. In every one the count is hypergeometric (Fisher's exact
    test); their sum is convolved.
    """
    low, chances = 0, np.ones(1)
    for n, size, failures in strata:
        if n and failures and n < size:
            start, part = _hypergeometric(n, size, failures)
            low, chances = low + start, np.convolve(chances, part)
        else:
            low += failures if n >= size else 0
    tail = chances[max(seen - low, 0) :].sum() if seen - low < len(chances) else 0.0
    return float(min(max(tail, np.finfo(np.float64).tiny), 1.0))


def _hypergeometric(n: int, size: int, failures: int) -> tuple[int, Floats]:
    """Where it starts, and P(count) from there on."""
    from scipy.special import gammaln

    mean = n * failures / size
    spread = (mean * (1 - failures / size) * (size - n) / max(size - 1, 1)) ** 0.5
    reach = _FAR * spread + 40
    start = max(0, n + failures - size, int(mean - reach))
    counts = np.arange(start, min(n, failures, int(mean + reach)) + 1, dtype=np.float64)

    def choose(total: Floats | float, part: Floats | float) -> Floats:
        result: Floats = gammaln(np.add(total, 1)) - gammaln(np.add(part, 1)) - gammaln(np.subtract(total, part) + 1)
        return result

    logs = choose(float(failures), counts) + choose(float(size - failures), n - counts) - choose(float(size), float(n))
    return start, np.exp(logs)


def weighted_discoveries(p_values: Floats, family: Ints) -> Floats:
    """(tests,) p-values after Benjamini–Hochberg over all tests, families weighing the same whatever their size.

    Weights average one (Genovese, Roeder and Wasserman 2006): the thousands of sub-sequences must not drown the few
    dozen steps.
    """
    from scipy.stats import false_discovery_control

    if not len(p_values):
        return p_values
    sizes = np.bincount(family)
    weights = len(family) / (np.count_nonzero(sizes) * sizes[family])
    adjusted: Floats = false_discovery_control(np.minimum(p_values / weights, 1.0), method="bh")
    return adjusted


def wilson(failed: int, calls: int) -> tuple[float, float]:
    """Wilson's interval of the failure rate, 95 %."""
    from scipy.stats import binomtest

    interval = binomtest(failed, calls).proportion_ci(0.95, method="wilson")
    return float(interval.low), float(interval.high)
