"""Sub-sequences that enough calls have in common, by prefix projection (Pei et al., PrefixSpan, 2001; `effspm`)."""

import importlib.util
from collections.abc import Sequence

import numpy as np

from core.calls.tally import Ints

LONGEST = 3
"""Steps of a sub-sequence: longer ones are as rare as they are hard to tell from their parts."""
_SAMPLE = 20_000
"""Calls that are mined, drawn evenly in the order of their histories: only which sub-sequences are worth counting is
taken from them, every figure comes from all calls."""
_MINED_STEPS = 16
_SECONDS = 30


def gaps_looked_for() -> bool:
    """Whether sub-sequences can be mined here."""
    return importlib.util.find_spec("effspm") is not None


def frequent_sequences(steps: Sequence[tuple[str, ...]], calls: Ints, support: float) -> list[tuple[str, ...]]:
    """Sub-sequences of two or three steps, gaps allowed, in at least `support` of the calls or nearly so.

    `calls`: (len(steps),) how many calls have each history. Nothing where `effspm` has no wheel for this Python.
    """
    if not gaps_looked_for():
        return []
    from effspm import PrefixProjection

    ids: dict[str, int] = {}
    drawn = np.bincount(_drawn(calls), minlength=len(steps)) if len(steps) else np.zeros(0, np.int64)
    sample: list[list[int]] = []
    for i in np.flatnonzero(drawn).tolist():
        if steps[i]:
            sample += [[ids.setdefault(step, len(ids) + 1) for step in _without_cycles(steps[i])]] * int(drawn[i])
    if not sample:
        return []
    names = {number: step for step, number in ids.items()}
    # A pattern at exactly the least support is missed by half the samples: a little below it, none are.
    found = PrefixProjection(sample, minsup=0.8 * support, time_limit=_SECONDS)["patterns"]
    # It marks where an element of one item begins by a minus sign.
    numbers = {tuple(abs(number) for number in pattern) for pattern in found if 2 <= len(pattern) <= LONGEST}
    return sorted(tuple(names[number] for number in pattern) for pattern in numbers)


def _drawn(calls: Ints) -> Ints:
    """Which history each sampled call has: every n-th call, histories in order."""
    ends = np.cumsum(calls)
    total = int(ends[-1]) if len(ends) else 0
    size = min(total, _SAMPLE)
    at = (np.arange(size) + 0.5) * (total / max(size, 1))
    return np.searchsorted(ends, at, side="right")


def _without_cycles(steps: tuple[str, ...]) -> list[str]:
    """The steps with each at most twice: a history that goes round in circles says no more the third time, and its
    sub-sequences would be countless."""
    kept: list[str] = []
    for step in steps:
        if kept.count(step) < 2:
            kept.append(step)
    return kept[:_MINED_STEPS]
