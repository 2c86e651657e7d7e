"""Everything that is tested, chosen without a look at which calls failed, and which histories complete it when."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from core.calls.mining import LONGEST, frequent_sequences
from core.calls.pattern import Attribute, Condition
from core.calls.tally import Ints, Tally

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Mask = NDArray[np.bool_]
Indices = NDArray[np.integer]
Rows = NDArray[np.int32]
"""Histories, by their number."""
Places = NDArray[np.int16]
"""After how many steps of a history."""

SAME = 0.95
"""Two conditions that share this part of their calls are one hypothesis; the simpler one stands for it."""
_MOST_SEQUENCES = 4_000
_WINDOWS = (1, 2, 3, 4, 6)
"""Hours in a row that are tested by themselves."""


@dataclass(frozen=True)
class Slice:
    """One attribute's values, and the cells of the tally that have them."""

    attribute: Attribute | None
    values: tuple[str, ...]
    cells: Mask


@dataclass(frozen=True)
class Candidates:
    """`conditions[i]` asks for the steps of `row[i]` of `completed` and the attribute of `slices[slice_of[i]]`.

    `completed`: (step patterns, histories), after how many steps each is complete, 0 where it never is.
    """

    conditions: tuple[Condition, ...]
    row: Ints
    slice_of: Ints
    slices: tuple[Slice, ...]
    completed: "csr_array"
    equivalents: dict[Condition, tuple[Condition, ...]]

    def cells(self, index: int, tally: Tally) -> Mask:
        """Which cells of the tally the condition holds in."""
        row = self.completed[[int(self.row[index])], :].toarray()[0]
        held: Mask = (row[tally.history] > 0) & self.slices[int(self.slice_of[index])].cells
        return held

    def completed_at(self, index: int) -> Ints:
        """(histories,) after how many steps; 0: never."""
        return np.asarray(self.completed[[int(self.row[index])], :].toarray()[0], np.int64)


def candidates(tally: Tally, support: float) -> Candidates:
    """The conditions that at least `support` of the calls meet, each distinct set of calls once.

    `tally`: along the steps before the outcome.
    """
    least = max(2, int(np.ceil(support * tally.total)))
    calls = tally.by_history(tally.calls)
    found = _StepPatterns(tally.histories, calls, least, support)
    slices = list(_slices(tally, least))
    conditions, rows, of = [], [], []
    completed = found.matrix()
    held = _held_calls(completed, tally, slices, found.conditions)
    for number, part in enumerate(slices):
        counts = held[:, number]
        whole = int(tally.calls[part.cells].sum())
        for i in np.flatnonzero(counts >= least).tolist():
            condition = found.conditions[i]
            # Nearly all calls, or nearly all those of the slice: the condition says nothing, or no more than it.
            telling = counts[i] < SAME * whole if condition.steps else part.attribute is not None
            if telling and (part.attribute is None or _crossed(condition, part)):
                conditions.append(replace(condition, attribute=part.attribute, values=part.values))
                rows.append(i)
                of.append(number)
    return Candidates(
        tuple(conditions), np.array(rows, np.int64), np.array(of, np.int64), tuple(slices), completed, found.equivalents
    )


def _crossed(condition: Condition, part: Slice) -> bool:
    """Which step patterns are looked at within an attribute: none, steps, and transitions; hours by four for these."""
    if not condition.steps:
        return True
    if len(condition.steps) > 1 and not condition.contiguous:
        return False
    return part.attribute is not Attribute.HOUR or (len(part.values) == 4 and int(part.values[0]) % 2 == 0)


def _held_calls(completed: "csr_array", tally: Tally, slices: Sequence[Slice], conditions: Sequence[Condition]) -> Ints:
    """(step patterns, slices) calls that have both; 0 where a step pattern is not looked at within an attribute."""
    within = np.array([i for i, one in enumerate(conditions) if one.contiguous or len(one.steps) <= 1], np.int64)
    counts = np.zeros((len(conditions), len(slices)), np.int64)
    inside = ones(completed[within])
    for number, part in enumerate(slices):  # one at a time: all their weights at once would be the most memory of all
        weights = tally.by_history(np.where(part.cells, tally.calls, 0)).astype(np.float64)
        if number:
            counts[within, number] = np.rint(inside @ weights)
        else:
            counts[:, 0] = np.rint(ones(completed) @ weights)
    return counts


def ones(matrix: "csr_array") -> "csr_array":
    """1 where there is anything."""
    return like(matrix, np.ones(len(matrix.data)))


def like(matrix: "csr_array", data: NDArray[np.float64]) -> "csr_array":
    """Other numbers in the same places, which are not copied."""
    from scipy.sparse import csr_array

    return csr_array((data, matrix.indices, matrix.indptr), shape=matrix.shape)


def _slices(tally: Tally, least: int) -> Iterator[Slice]:
    """All calls, then each attribute's values that enough calls have."""
    yield Slice(None, (), np.ones(len(tally.calls), np.bool_))
    named = ((Attribute.SEGMENT, tally.segment, tally.segments), (Attribute.TYPE, tally.kind, tally.kinds))
    for attribute, column, names in named:
        for number, name in enumerate(names):
            cells = column == number
            if _worth(tally, cells, least):
                yield Slice(attribute, (name,), cells)
    for width in _WINDOWS:
        for start in range(24 - width + 1):
            cells = (tally.hour >= start) & (tally.hour < start + width)
            if _worth(tally, cells, least):
                hours = tuple(f"{hour:02d}" for hour in range(start, start + width))
                yield Slice(Attribute.HOUR, hours, cells)


def _worth(tally: Tally, cells: Mask, least: int) -> bool:
    held = int(tally.calls[cells].sum())
    return least <= held < tally.total


class _StepPatterns:
    """Steps, transitions and sub-sequences with enough calls, without those that are another one's calls."""

    def __init__(self, histories: Sequence[tuple[str, ...]], calls: Ints, least: int, support: float) -> None:
        self._calls = calls
        self._least = least
        self._ids: dict[str, int] = {}
        self._grid = self._padded(histories)
        self.conditions: list[Condition] = [Condition()]
        self.equivalents: dict[Condition, tuple[Condition, ...]] = {}
        self._columns: list[tuple[Rows, Places]] = [
            (np.arange(len(calls), dtype=np.int32), np.ones(len(calls), np.int16))
        ]
        self._counts: list[int] = [int(calls.sum())]
        self._index: dict[Condition, int] = {}
        self._reached: dict[tuple[str, ...], tuple[Rows, Places]] = {}
        self._behind: tuple[tuple[str, ...], Places] | None = None
        self._steps()
        self._transitions()
        self._sequences(histories, support)

    def matrix(self) -> "csr_array":
        """(conditions, histories), after how many steps each is complete."""
        from scipy.sparse import csr_array

        ends = np.cumsum([0, *(len(rows) for rows, _ in self._columns)]).astype(np.int32)
        where = np.concatenate([rows for rows, _ in self._columns])
        data = np.concatenate([at for _, at in self._columns])
        return csr_array((data, where, ends), shape=(len(self._columns), len(self._calls)))

    def _padded(self, steps: Sequence[tuple[str, ...]]) -> Places:
        width = max((len(history) for history in steps), default=0)
        grid = np.full((len(steps), width + 1), -1, np.int16)
        for i, history in enumerate(steps):
            grid[i, : len(history)] = [self._ids.setdefault(step, len(self._ids)) for step in history]
        return grid

    def _add(self, condition: Condition, rows: Indices, at: Indices, parts: Sequence[Condition]) -> None:
        """Keep it, unless too few calls have it or one of `parts`, which has all its calls, has hardly any more."""
        count = int(self._calls[rows].sum())
        if count < self._least:
            return
        for simpler in parts:
            known = self._index.get(simpler)
            if known is not None and count >= SAME * self._counts[known]:
                shown = self.conditions[known]
                self.equivalents[shown] = (*self.equivalents.get(shown, ()), condition)
                self._index[condition] = known
                return
        self._index[condition] = len(self.conditions)
        self.conditions.append(condition)
        self._columns.append((rows.astype(np.int32), at.astype(np.int16)))
        self._counts.append(count)

    def _steps(self) -> None:
        for step in sorted(self._ids):
            self._add(Condition((step,)), *self._in_order((step,)), ())

    def _transitions(self) -> None:
        # Every pair of neighbours as one number, so that all its places are found at once.
        width = len(self._ids) + 1
        pairs = np.where(self._grid[:, 1:] >= 0, self._grid[:, :-1].astype(np.int64) * width + self._grid[:, 1:], -1)
        where, at = np.nonzero(pairs >= 0)
        codes = pairs[where, at]
        order = np.lexsort((at, where, codes))
        codes, where, at = codes[order], where[order], at[order]
        starts = np.flatnonzero(np.r_[True, codes[1:] != codes[:-1]]) if len(codes) else np.array([], np.int64)
        names = list(self._ids)
        for start, end in zip(starts, [*starts[1:], len(codes)], strict=True):
            rows, first = np.unique(where[start:end], return_index=True)
            pair = (names[codes[start] // width], names[codes[start] % width])
            like = [Condition((step,)) for step in pair]
            self._add(Condition(pair, contiguous=True), rows, at[start:end][first] + 2, like)

    def _sequences(self, histories: Sequence[tuple[str, ...]], support: float) -> None:
        found = frequent_sequences(histories, self._calls, support)
        for steps in sorted(found, key=lambda s: (len(s), s)):
            rows, at = self._in_order(steps)
            like = [Condition(steps[i:j]) for i in range(len(steps)) for j in range(i + 1, len(steps) + 1)]
            like += [Condition((steps[0], steps[-1]))] if len(steps) > 2 else []
            condition = Condition(steps)
            if len(steps) == 2 and self._mostly_transition(condition, rows):
                continue
            self._add(condition, rows, at, [other for other in like if other != condition])
            if len(self.conditions) >= _MOST_SEQUENCES:
                return

    def _mostly_transition(self, pair: Condition, rows: Indices) -> bool:
        """Whether its two steps nearly always come in a row: then the transition stands for it."""
        known = self._index.get(Condition(pair.steps, contiguous=True))
        if known is None or SAME * self._calls[rows].sum() > self._counts[known]:
            return False
        shown = self.conditions[known]
        self.equivalents[shown] = (*self.equivalents.get(shown, ()), pair)
        self._index[pair] = known
        return True

    def _in_order(self, steps: tuple[str, ...]) -> tuple[Rows, Places]:
        """Histories that have the steps in this order, and after how many steps the last is reached."""
        if steps not in self._reached:
            first = self._next_after(steps[:-1])[self._ids[steps[-1]]]
            within = np.flatnonzero(first)
            before = self._reached[steps[:-1]][0] if len(steps) > 1 else None
            rows = (within if before is None else before[within]).astype(np.int32)
            found = rows, first[within]
            if len(steps) == LONGEST:  # of no other one the beginning
                return found
            self._reached[steps] = found
        return self._reached[steps]

    def _next_after(self, prefix: tuple[str, ...]) -> Places:
        """(steps, histories that have the prefix) after how many steps each step is first reached behind it; 0: never.

        All of a prefix at once; only the last one is kept, since sub-sequences come in order of their prefixes.
        """
        if self._behind is None or self._behind[0] != prefix:
            if prefix:
                rows, after = self._in_order(prefix)
                grid = self._grid[rows]
            else:
                grid, after = self._grid, np.zeros(len(self._grid), np.int64)
            first = np.zeros((len(self._ids) + 1, len(grid)), np.int16)  # the last row takes the padding
            places = np.arange(len(grid))
            for at in range(grid.shape[1] - 1, -1, -1):
                step = np.where(after <= at, grid[:, at], -1)
                first[step, places] = at + 1
            self._behind = prefix, first
        return self._behind[1]
