"""Calls that are alike in some patterns: among them others are tested."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.calls.candidates import Candidates, Part
from core.calls.contrast import Floats
from core.calls.tally import Ints

_MOST = 256
"""Strata that are compared within. Calls in a rarer combination of patterns are left out of the comparison: it holds
without them, and tables would grow with the calls."""
_MOST_KNOWN = 4_096
_FEW = 12
"""Patterns whose combinations can all be counted."""
_NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True)
class Placed:
    """A part by strata: `label` (cells,) 0 for calls with none of the patterns, -1 for those left out; `spent` (cells,)
    see `Strata`; `reached` (ways,) when the first pattern is complete, None without patterns."""

    label: Ints
    spent: Floats
    reached: Ints | None


class Strata:
    """The strata by `chosen` candidates. `learn` from every part, then `settle`, then `place` parts.

    For calls that reach a chosen pattern, `spent` is the part of the usual risk that they had behind them. Where a
    failure ends the call, those that failed on the way never got there. Compared with the calls that did not reach the
    pattern alone, every step on the way to it would seem to fail more than it does. So calls that passed count among
    the others for the risk they passed: how much earlier failing calls end than the rest do.
    """

    def __init__(self, found: Candidates, chosen: Sequence[int]) -> None:
        self._found = found
        self.chosen = tuple(chosen)
        self._calls: dict[int, int] = {}
        self._numbers: dict[int, int] = {}
        self._ends = np.zeros((2, found.deepest + 2))
        self._earlier = np.zeros(found.deepest + 2)

    @property
    def count(self) -> int:
        """How many strata."""
        return len(self._numbers) if self.chosen else 1

    def learn(self, part: Part) -> None:
        """Which combinations of the patterns there are, and where calls with none end."""
        keys, at = self._keys(part)
        sums = np.bincount(at, weights=part.calls, minlength=len(keys))
        for key, calls in zip(keys, sums.tolist(), strict=True):
            self._calls[key] = self._calls.get(key, 0) + int(calls)
        if len(self._calls) > _MOST_KNOWN:
            ranked = sorted(self._calls, key=lambda key: (-self._calls[key], key))
            self._calls = {key: self._calls[key] for key in ranked[: _MOST_KNOWN // 2]}
        none = np.array([key == 0 for key in keys])[at]
        depth = part.depth[part.way]
        for row, weights in enumerate((part.failed, part.calls - part.failed)):
            ends = np.bincount(depth, weights=np.where(none, weights, 0), minlength=self._ends.shape[1])
            self._ends[row] += ends

    def settle(self) -> None:
        """Every part was learnt from."""
        ranked = sorted((key for key in self._calls if key), key=lambda key: (-self._calls[key], key))
        self._numbers = {key: number for number, key in enumerate([0, *ranked[: _MOST - 1]])}
        shares = np.cumsum(self._ends, axis=1) / np.maximum(self._ends.sum(axis=1, keepdims=True), 1)
        self._earlier = np.maximum(shares[0] - shares[1], 0.0)

    def place(self, part: Part) -> Placed:
        """The strata of a part's cells."""
        if not self.chosen:
            return Placed(np.zeros(len(part.calls), np.int64), np.zeros(len(part.calls)), None)
        keys, at = self._keys(part)
        label = np.array([self._numbers.get(key, -1) for key in keys], np.int64)[at]
        reached = np.full(len(part.depth), _NEVER)
        for index in self.chosen:
            done = self._found.completed_at(index, part)
            reached = np.minimum(reached, np.where(done > 0, done, _NEVER))
        deepest = len(self._earlier)
        before = np.clip(np.minimum(reached, deepest) - 1, 0, deepest - 1)  # ended before the pattern was complete
        spent = np.where(reached <= deepest, self._earlier[before], 0.0)[part.way]
        return Placed(label, np.where(label > 0, spent, 0.0), reached)

    def _keys(self, part: Part) -> tuple[list[int], Ints]:
        """The combinations in a part, a bit for each pattern, and (cells,) the position of each cell's."""
        held = [self._found.cells(index, part) for index in self.chosen]
        if len(held) > _FEW:
            bits = np.ascontiguousarray(np.packbits(np.stack(held, axis=1), axis=1))
            found, at = np.unique(bits.view(f"V{bits.shape[1]}")[:, 0], return_inverse=True)
            return [int.from_bytes(key) for key in found.tolist()], at.astype(np.int64)
        code = np.zeros(len(part.calls), np.int64)
        for place, mine in enumerate(held):
            code |= mine.astype(np.int64) << place
        there = np.bincount(code, minlength=1 << len(held)) > 0  # no need to sort
        return np.flatnonzero(there).tolist(), (np.cumsum(there) - 1)[code]
