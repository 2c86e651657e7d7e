"""From everything that fails more than elsewhere to what explains it: one pattern at a time, given those before it.

A step that merely comes along with a failing one fails more often, too. So the strongest pattern is taken, and all
others are tested again among calls that are alike in it; what was only its shadow is gone. At the end each pattern
must still hold given all the others. Every figure is summed over all calls, a part at a time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from core.calls.candidates import HOURS, Candidates, Mask, Part, like, ones, top
from core.calls.contrast import Floats, moments, upper_tail, weighted_discoveries
from core.calls.pattern import Attribute
from core.calls.strata import Placed, Strata
from core.calls.tally import Ints

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


Asked = tuple[int, Sequence[int]]
"""A candidate, and those that the calls it is tested among are alike in."""


class Selection:
    """The stepwise choice over one set of candidates."""

    def __init__(self, found: Candidates, rules: Rules) -> None:
        self._found = found
        self._rules = rules
        self._mine = [np.flatnonzero(found.slice_of == number) for number in range(len(found.slices))]
        families = {(c.kind, c.attribute is not None): 0 for c in found.conditions}
        numbers = {family: i for i, family in enumerate(families)}
        self._family = np.array([numbers[(c.kind, c.attribute is not None)] for c in found.conditions], np.int64)
        calls, failed, p_values = self._given(())
        self.tested = Tested(
            calls.sum(axis=1), failed.sum(axis=1), p_values, weighted_discoveries(p_values, self._family)
        )

    def choose(self) -> list[Chosen]:
        """The patterns, in the order in which they were found."""
        chosen: list[int] = []
        barred: set[int] = set()
        possible = (self.tested.q_value <= self._rules.false_discoveries) & self._lifted()
        for _ in range(_MOST):
            _, _, p_values = self._given(chosen)
            surprising = weighted_discoveries(p_values, self._family) <= self._rules.false_discoveries
            left = possible & surprising
            left[[*chosen, *barred]] = False
            if not left.any():
                break
            chosen.append(self._simplest(self._strongest(left), chosen, possible))
            barred |= self._shadows(chosen)
        return self._that_hold(chosen)

    def _shadows(self, chosen: list[int]) -> set[int]:
        """Drop from `chosen` what does not hold any more given the others, oldest first; which these are."""
        gone: set[int] = set()
        olds = chosen[:-1]
        while olds:
            given = self.p_given([(old, _without(chosen, old)) for old in olds])
            shadow = next((i for i, p_value in enumerate(given) if p_value > _STILL_HOLDS), None)
            if shadow is None:
                break
            gone.add(olds[shadow])
            chosen.remove(olds[shadow])
            olds = olds[shadow + 1 :]
        return gone

    def _that_hold(self, chosen: list[int]) -> list[Chosen]:
        """Drop, weakest first, what does not hold given all the others."""
        while chosen:
            given = dict(zip(chosen, self.p_given([(i, _without(chosen, i)) for i in chosen]), strict=True))
            weakest = max(chosen, key=lambda i: given[i])
            if given[weakest] <= _STILL_HOLDS:
                return [Chosen(i, given[i]) for i in chosen]
            chosen = _without(chosen, weakest)
        return []

    def _lifted(self) -> Mask:
        calls, failed = self.tested.calls, self.tested.failed
        outside = np.maximum(self._found.total - calls, 1)
        elsewhere = np.maximum(self._found.total_failed - failed, 0.5) / outside
        lifted: Mask = failed >= self._rules.lift * elsewhere * np.maximum(calls, 1)
        return lifted

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
        adds = self.p_given([(best, [*chosen, i]) for i in parts])
        parts = [i for i, p_value in zip(parts, adds, strict=True) if p_value > _ADDS_NOTHING]
        holds = self.p_given([(i, chosen) for i in parts])
        return next((i for i, p_value in zip(parts, holds, strict=True) if p_value <= _STILL_HOLDS), best)

    def p_given(self, asked: Sequence[Asked]) -> list[float]:
        """Exact p-value of each candidate among calls that are alike in the others beside it."""
        strata = self._strata([others for _, others in asked])
        tables = [np.zeros((4, one.count)) for one in strata]
        for part in self._found.parts() if asked else ():
            for (index, _), one, table in zip(asked, strata, tables, strict=True):
                table += self._table(index, part, one.place(part), one.count)
        return [_tail(np.rint(table).astype(np.int64)) for table in tables]

    def _strata(self, wanted: Sequence[Sequence[int]]) -> list[Strata]:
        """By each of the sets of candidates; all calls are gone through once."""
        strata = [Strata(self._found, chosen) for chosen in wanted]
        learning = [one for one in strata if one.chosen]
        for part in self._found.parts() if learning else ():
            for one in learning:
                one.learn(part)
        for one in learning:
            one.settle()
        return strata

    def _table(self, index: int, part: Part, placed: Placed, strata: int) -> Floats:
        """(4, strata) of a part: calls, failures, those with the candidate, failures of these."""
        held = self._found.cells(index, part) & (placed.label >= 0)
        table = np.stack(
            [
                _by_label(placed.label, weights, strata)
                for weights in (part.calls, part.failed, part.calls * held, part.failed * held)
            ]
        )
        if placed.reached is not None:
            passed = part.calls * placed.spent
            table[0, 0] += passed.sum()
            at = self._found.completed_at(index, part)
            table[2, 0] += passed[held & (at < placed.reached)[part.way]].sum()
        return table

    def _given(self, chosen: Sequence[int]) -> tuple[Ints, Ints, Floats]:
        """(candidates, strata) calls and failures with each condition, and (candidates,) p-values among calls that are
        alike in `chosen`."""
        [strata] = self._strata([chosen])
        count, size = len(self._found.conditions), strata.count
        calls, failed, whole = np.zeros((count, size)), np.zeros((count, size)), np.zeros((2, size))
        for part in self._found.parts():
            placed = strata.place(part)
            for row, weights in enumerate((part.calls, part.failed)):
                whole[row] += _by_label(placed.label, weights, size)
            whole[0, 0] += (part.calls * placed.spent).sum()
            self._add(part, placed, calls, failed)
        n, k, all_n, all_k = (np.rint(one).astype(np.int64) for one in (calls, failed, *whole))
        return n, k, self._p_values(n, k, all_n, all_k)

    def _add(self, part: Part, placed: Placed, calls: Floats, failed: Floats) -> None:
        """A part's calls and failures with each candidate, by stratum."""
        strata = calls.shape[1]
        held = ones(part.completed)
        early = None if placed.reached is None else _earlier(part.completed, placed.reached)
        hours = _by_hour(part, placed, strata)
        for mine, one in zip(self._mine, self._found.slices, strict=True):
            if not len(mine):
                continue
            rows = self._found.row[mine]
            if one.attribute is Attribute.HOUR and not rows.any():  # hours alone, as nearly all of them are asked for
                sums = hours[:, one.first : one.last + 1].sum(axis=1)
                calls[mine] += sums[0]
                failed[mine] += sums[1]
                calls[mine, 0] += sums[2].sum()
                continue
            depth = int(rows.max()) + 1
            inside = one.cells(part) & (placed.label >= 0)
            both = [_by_way(part, placed.label, np.where(inside, w, 0), strata) for w in (part.calls, part.failed)]
            sums = (top(held, depth) @ np.hstack(both))[rows]
            calls[mine] += sums[:, :strata]
            failed[mine] += sums[:, strata:]
            if early is not None:
                passed = part.by_way(np.where(inside, part.calls * placed.spent, 0.0))
                calls[mine, 0] += (top(early, depth) @ passed)[rows]

    def _p_values(self, n: Ints, k: Ints, all_n: Ints, all_k: Ints) -> Floats:
        """(candidates,) exact where the answer could depend on it."""
        from scipy.stats import norm

        seen, expected, variance = moments(n, k, all_n, all_k)
        self._score = (seen - expected) / np.sqrt(np.maximum(variance, 1e-9))
        p_values: Floats = norm.sf(self._score)
        near = (self._score > _LOOKED_AT_EXACTLY) & (variance > 0)
        if len(all_n) > 1:  # many tables each: only where the answer could depend on it
            near &= (self._score < _BEYOND_DOUBT) & (self.tested.q_value <= self._rules.false_discoveries)
        for i in np.flatnonzero(near):
            p_values[i] = upper_tail(int(seen[i]), zip(n[i].tolist(), all_n.tolist(), all_k.tolist(), strict=True))
        return p_values


def _without(chosen: Sequence[int], one: int) -> list[int]:
    return [other for other in chosen if other != one]


def _earlier(completed: "csr_array", reached: Ints) -> "csr_array":
    """1 where a step pattern is complete earlier in a way than the chosen patterns are."""
    return like(completed, (completed.data < reached[completed.indices]).astype(np.float64))


def _by_label(label: Ints, weights: Ints, strata: int) -> Floats:
    """(strata,) sums of one weight per cell; those left out do not count."""
    kept = label >= 0
    return np.bincount(label[kept], weights=weights[kept], minlength=strata).astype(np.float64)


def _by_hour(part: Part, placed: Placed, strata: int) -> Floats:
    """(3, hours, strata) calls, failures, and calls that passed a chosen pattern."""
    kept = (part.hour >= 0) & (placed.label >= 0)
    at = (part.hour * strata + placed.label)[kept]
    late = part.calls * placed.spent
    if placed.reached is not None:
        late = late * (placed.reached > 1)[part.way]
    tables = [np.bincount(at, weights=w[kept], minlength=HOURS * strata) for w in (part.calls, part.failed, late)]
    return np.stack(tables).reshape(3, HOURS, strata).astype(np.float64)


def _by_way(part: Part, label: Ints, weights: Ints, strata: int) -> Floats:
    """(ways, strata) sums; `weights` is 0 where a cell is left out."""
    size = len(part.depth)
    flat = np.bincount(part.way * strata + np.maximum(label, 0), weights=weights, minlength=size * strata)
    return np.asarray(flat.reshape(size, strata), np.float64)


def _tail(table: Ints) -> float:
    calls, failed, with_it, failed_with_it = table.tolist()
    return upper_tail(sum(failed_with_it), zip(with_it, calls, failed, strict=True))
