"""Sub-sequences that enough calls have in common, by prefix projection (Pei et al., PrefixSpan, 2001; `effspm`)."""

import importlib.util
from collections.abc import Sequence

import numpy as np

from core.calls.walks import OTHER, Walks

LONGEST = 3
"""Steps of a sub-sequence: longer ones are as rare as they are hard to tell from their parts."""
_SAMPLE = 20_000
"""Calls that are mined, drawn evenly in the order of their histories: only which sub-sequences are worth counting is
taken from them, every figure comes from all calls."""
_MINED_STEPS = 16
_SECONDS = 30

Numbers = tuple[int, ...]
"""Steps by their number."""


def gaps_looked_for() -> bool:
    """Whether sub-sequences can be mined here."""
    return importlib.util.find_spec("effspm") is not None


class Sample:
    """Every n-th call, so that at most `size` of `total` are held."""

    def __init__(self, total: int, size: int = _SAMPLE) -> None:
        size = min(total, size)
        self._at = (np.arange(size) + 0.5) * (total / max(size, 1))
        self._seen = 0
        self.ways: list[list[int]] = []
        """Steps of each call drawn that have some."""

    def take(self, part: Walks) -> None:
        """Draw from the calls that come next."""
        ends = self._seen + np.cumsum(part.by_way(part.calls))
        if not len(ends):
            return
        mine = self._at[(self._at >= self._seen) & (self._at < ends[-1])]
        drawn = np.bincount(np.searchsorted(ends, mine, side="right"), minlength=len(ends))
        self._seen = int(ends[-1])
        for i in np.flatnonzero(drawn).tolist():
            if way := _without_cycles(part.grid[i][part.grid[i] > OTHER].tolist()):
                self.ways += [way] * int(drawn[i])


def frequent_sequences(ways: Sequence[Sequence[int]], support: float) -> list[Numbers]:
    """Sub-sequences of two or three steps, gaps allowed, in nearly `support` of the ways or more, short ones first.

    Nothing where `effspm` has no wheel for this Python.
    """
    if not gaps_looked_for() or not ways:
        return []
    from effspm import PrefixProjection

    # A pattern at exactly the least support is missed by half the samples: a little below it, none are.
    found = PrefixProjection(list(map(list, ways)), minsup=0.8 * support, time_limit=_SECONDS)["patterns"]
    # It marks where an element of one item begins by a minus sign.
    numbers = {tuple(abs(number) for number in pattern) for pattern in found if 2 <= len(pattern) <= LONGEST}
    return sorted(numbers, key=lambda pattern: (len(pattern), pattern))


def _without_cycles(steps: list[int]) -> list[int]:
    """The steps with each at most twice: a history that goes round in circles says no more the third time, and its
    sub-sequences would be countless."""
    kept: list[int] = []
    for step in steps:
        if kept.count(step) < 2:
            kept.append(step)
    return kept[:_MINED_STEPS]
