"""From everything that fails more than elsewhere to what explains it: one pattern at a time, given those before it.

A step that merely comes along with a failing one fails more often, too. So the strongest pattern is taken, and all
others are tested again among calls that are alike in it; what was only its shadow is gone. At the end each pattern
must still hold given all the others.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from core.calls.candidates import Candidates, Mask, like, ones
from core.calls.contrast import Floats, moments, upper_tail, weighted_discoveries
from core.calls.tally import Ints, Tally

if TYPE_CHECKING:
    from scipy.sparse import csr_array

_LOOKED_AT_EXACTLY = 1.5
"""Standard deviations above what is expected from which a tail is worked out exactly; below it is no discovery."""
_BEYOND_DOUBT = 8.0
"""Standard deviations beyond which it does not matter how small a p-value is."""
_STILL_HOLDS = 1e-3
"""The largest p-value, given all other patterns, with which one stays."""
_ADDS_NOTHING = 0.01
_MOST = 200


@dataclass(frozen=True)
class Rules:
    """What is called a pattern."""

    support: float = 0.004
    """Share of all calls that must meet the condition."""
    false_discoveries: float = 0.05
    """Share of the patterns that may be chance (Benjamini–Hochberg)."""
    lift: float = 1.3
    """Least rate over that elsewhere: what fails hardly more is no pattern, however sure it is."""


@dataclass(frozen=True)
class Tested:
    """(candidates,) each; `p_value` against all other calls, exact; `q_value` after Benjamini–Hochberg."""

    calls: Ints
    failed: Ints
    p_value: Floats
    q_value: Floats


@dataclass(frozen=True)
class Chosen:
    """A candidate that stays, and how sure it is given the others."""

    index: int
    p_given: float


class Selection:
    """The stepwise choice over one tally."""

    def __init__(self, tally: Tally, found: Candidates, rules: Rules) -> None:
        self._tally = tally
        self._found = found
        self._rules = rules
        self._mine = [np.flatnonzero(found.slice_of == number) for number in range(len(found.slices))]
        # Within an attribute few step patterns are looked at: one matrix of theirs serves all slices.
        inside = np.unique(found.row[found.slice_of > 0])
        self._completed = found.completed, found.completed[inside]
        self._held = tuple(ones(completed) for completed in self._completed)
        self._rows = [found.row[mine] for mine in self._mine[:1]]
        self._rows += [np.searchsorted(inside, found.row[mine]) for mine in self._mine[1:]]
        self._depth = np.array([len(steps) for steps in tally.histories], np.int64)
        families = {(c.kind, c.attribute is not None): 0 for c in found.conditions}
        numbers = {family: i for i, family in enumerate(families)}
        self._family = np.array([numbers[(c.kind, c.attribute is not None)] for c in found.conditions], np.int64)
        nothing = np.zeros(len(tally.calls), np.int64)
        calls, failed, p_values = self._given(nothing, None)
        self.tested = Tested(
            calls.sum(axis=1), failed.sum(axis=1), p_values, weighted_discoveries(p_values, self._family)
        )

    def choose(self) -> list[Chosen]:
        """The patterns, in the order in which they were found."""
        chosen: list[int] = []
        barred: set[int] = set()
        possible = (self.tested.q_value <= self._rules.false_discoveries) & self._lifted()
        for _ in range(_MOST):
            _, _, p_values = self._given(*self._strata(chosen))
            surprising = weighted_discoveries(p_values, self._family) <= self._rules.false_discoveries
            left = possible & surprising
            left[[*chosen, *barred]] = False
            if not left.any():
                break
            chosen.append(self._simplest(self._strongest(left), chosen, possible))
            for old in chosen[:-1]:
                if self.p_given(old, [other for other in chosen if other != old]) > _STILL_HOLDS:
                    chosen.remove(old)
                    barred.add(old)
        return self._that_hold(chosen)

    def _that_hold(self, chosen: list[int]) -> list[Chosen]:
        """Drop, weakest first, what does not hold given all the others."""
        while chosen:
            given = {i: self.p_given(i, [other for other in chosen if other != i]) for i in chosen}
            weakest = max(chosen, key=lambda i: given[i])
            if given[weakest] <= _STILL_HOLDS:
                return [Chosen(i, given[i]) for i in chosen]
            chosen = [i for i in chosen if i != weakest]
        return []

    def _lifted(self) -> Mask:
        calls, failed = self.tested.calls, self.tested.failed
        outside = np.maximum(self._tally.total - calls, 1)
        elsewhere = np.maximum(self._tally.total_failed - failed, 0.5) / outside
        lifted: Mask = failed >= self._rules.lift * elsewhere * np.maximum(calls, 1)
        return lifted

    def p_given(self, index: int, others: Sequence[int]) -> float:
        """Exact p-value of a candidate among calls that are alike in `others`."""
        label, reached = self._strata(others)
        strata, calls, failed = self._tables(index, label, reached)
        return upper_tail(
            int(failed.sum()), [(int(n), int(a), int(f)) for n, (a, f) in zip(calls, strata, strict=True)]
        )

    def _strongest(self, left: Mask) -> int:
        """Most standard deviations above what is expected given `chosen`."""
        score = np.where(left, self._score, -np.inf)
        return int(score.argmax())

    def _simplest(self, best: int, chosen: Sequence[int], possible: Mask) -> int:
        """The simplest part of `best` given which `best` adds nothing; itself where there is none."""
        whole = self._found.conditions[best]
        parts = [
            i
            for i in np.flatnonzero(possible).tolist()
            if i != best
            and i not in chosen
            and (other := self._found.conditions[i]).simplicity < whole.simplicity
            and set(other.steps) <= set(whole.steps)
            and other.attribute in (None, whole.attribute)
        ]
        parts.sort(key=lambda i: (self._found.conditions[i].simplicity, -self._score[i]))
        for i in parts:
            adds = self.p_given(best, [*chosen, i]) <= _ADDS_NOTHING
            if not adds and self.p_given(i, chosen) <= _STILL_HOLDS:
                return i
        return best

    def _strata(self, chosen: Sequence[int]) -> tuple[Ints, Ints | None]:
        """(cells,) which of `chosen` a cell has, as one number, 0 for none; (histories,) when the first is complete."""
        label = np.zeros(len(self._tally.calls), np.int64)
        if not chosen:
            return label, None
        reached = np.full(len(self._tally.histories), np.iinfo(np.int64).max)
        for index in chosen:
            held = self._found.cells(index, self._tally)
            label = np.unique(label * 2 + held, return_inverse=True)[1].astype(np.int64)
            at = self._found.completed_at(index)
            reached = np.minimum(reached, np.where(at > 0, at, reached))
        return label, reached  # np.unique sorts: cells with none of them keep the lowest number

    def _spent(self, label: Ints, reached: Ints | None) -> Floats:
        """(histories,) for calls that reach a chosen pattern: the part of the usual risk that they had behind them.

        Where a failure ends the call, those that failed on the way never got there. Compared with the calls that did
        not reach the pattern alone, every step on the way to it would seem to fail more than it does. So calls that
        passed count among the others for the risk they passed: how much earlier failing calls end than the rest do.
        """
        if reached is None:
            return np.zeros(len(self._tally.histories))
        none = label == 0
        failed = np.where(none, self._tally.failed, 0)
        fine = np.where(none, self._tally.calls - self._tally.failed, 0)
        deepest = int(self._depth.max(initial=0)) + 2
        shares = []
        for weights in (failed, fine):
            at = np.bincount(self._depth[self._tally.history], weights=weights, minlength=deepest)
            shares.append(np.cumsum(at) / max(at.sum(), 1))
        earlier = np.maximum(shares[0] - shares[1], 0.0)
        before = np.clip(np.minimum(reached, deepest) - 1, 0, deepest - 1)  # ended before the pattern was complete
        spent: Floats = np.where(reached <= deepest, earlier[before], 0.0)
        return spent

    def _given(self, label: Ints, reached: Ints | None) -> tuple[Ints, Ints, Floats]:
        """(candidates, strata) calls and failures with each condition, and (candidates,) p-values given the strata."""
        from scipy.stats import norm

        tally, found = self._tally, self._found
        count = len(found.conditions)
        strata = int(label.max(initial=0)) + 1
        calls, failed = np.zeros((count, strata)), np.zeros((count, strata))
        passed, all_passed = self._passed(label, reached)
        early = () if reached is None else tuple(self._before(which, reached) for which in (0, 1))
        for number, part in enumerate(found.slices):
            mine, rows, which = self._mine[number], self._rows[number], int(number > 0)
            if not len(mine):
                continue
            held = self._held[which]
            calls[mine] = (held @ self._by_history(np.where(part.cells, tally.calls, 0), label, strata))[rows]
            failed[mine] = (held @ self._by_history(np.where(part.cells, tally.failed, 0), label, strata))[rows]
            if early:
                calls[mine, 0] += (early[which] @ _sum_by_history(tally, np.where(part.cells, passed, 0.0)))[rows]
        n, k = np.rint(calls).astype(np.int64), np.rint(failed).astype(np.int64)
        all_calls = np.bincount(label, weights=tally.calls, minlength=strata)
        all_calls[0] += all_passed
        all_n = np.rint(all_calls).astype(np.int64)
        all_k = np.rint(np.bincount(label, weights=tally.failed, minlength=strata)).astype(np.int64)
        seen, expected, variance = moments(n, k, all_n, all_k)
        self._score = (seen - expected) / np.sqrt(np.maximum(variance, 1e-9))
        p_values: Floats = norm.sf(self._score)
        near = (self._score > _LOOKED_AT_EXACTLY) & (variance > 0)
        if strata > 1:  # many tables each: only where the answer could depend on it
            near &= (self._score < _BEYOND_DOUBT) & (self.tested.q_value <= self._rules.false_discoveries)
        for i in np.flatnonzero(near):
            p_values[i] = upper_tail(int(seen[i]), zip(n[i].tolist(), all_n.tolist(), all_k.tolist(), strict=True))
        return n, k, p_values

    def _passed(self, label: Ints, reached: Ints | None) -> tuple[Floats, float]:
        """(cells,) calls that reached a chosen pattern, as far as the risk was behind them; and their sum."""
        spent = self._spent(label, reached)
        passed: Floats = np.where(label > 0, self._tally.calls * spent[self._tally.history], 0.0)
        return passed, float(passed.sum())

    def _before(self, which: int, reached: Ints) -> "csr_array":
        """1 where a step pattern is complete earlier in a history than the chosen pattern is."""
        part = self._completed[which]
        return like(part, (part.data < reached[part.indices]).astype(np.float64))

    def _tables(self, index: int, label: Ints, reached: Ints | None) -> tuple[list[tuple[int, int]], Ints, Ints]:
        """[(calls, failed) of each stratum], (strata,) calls and failures with the condition: `_given` for one."""
        tally = self._tally
        held = self._found.cells(index, tally)
        strata = int(label.max(initial=0)) + 1
        passed, all_passed = self._passed(label, reached)
        sums: list[Floats] = [
            np.bincount(label, weights=weights, minlength=strata).astype(np.float64)
            for weights in (tally.calls, tally.failed, tally.calls * held, tally.failed * held)
        ]
        sums[0][0] += all_passed
        if reached is not None:
            at = self._found.completed_at(index)[tally.history]
            sums[2][0] += passed[held & (at < reached[tally.history])].sum()
        whole: list[Ints] = [np.rint(one).astype(np.int64) for one in sums]
        return list(zip(whole[0].tolist(), whole[1].tolist(), strict=True)), whole[2], whole[3]

    def _by_history(self, weights: Ints, label: Ints, strata: int) -> Floats:
        """(histories, strata) sums."""
        size = len(self._tally.histories)
        flat = np.bincount(self._tally.history * strata + label, weights=weights, minlength=size * strata)
        return np.asarray(flat.reshape(size, strata), np.float64)


def _sum_by_history(tally: Tally, weights: Floats) -> Floats:
    """(histories,) sums of one weight per cell."""
    sums = np.bincount(tally.history, weights=weights, minlength=len(tally.histories))
    return np.asarray(sums, np.float64)
