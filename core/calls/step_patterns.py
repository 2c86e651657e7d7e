"""Steps, transitions and sub-sequences that enough calls have, and which ways complete them when."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from core.calls.mining import Numbers
from core.calls.pattern import Condition
from core.calls.tally import Ints
from core.calls.walks import OTHER, Grid, Walks

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Rows = NDArray[np.int32]
"""Ways, by their number in a part."""
Places = NDArray[np.int16]
"""After how many steps of a way."""

SAME = 0.95
"""Two conditions that share this part of their calls are one hypothesis; the simpler one stands for it."""
_MOST = 4_000
_MOST_PAIRS = 100_000
_AT_ONCE = 128
"""Sub-sequences with one beginning that are looked for together."""


class Pairs:
    """Steps that follow each other, with nearly all calls that have them: enough to say which are worth counting."""

    def __init__(self, width: int, most: int = _MOST_PAIRS) -> None:
        self._width = width
        self._most = most
        self._codes = np.zeros(0, np.int64)
        self._calls = np.zeros(0, np.int64)

    def take(self, part: Walks) -> None:
        """Count those of a part. Of too many the half with the most calls is kept."""
        codes, ways, _ = _neighbours(part.grid, self._width)
        every = np.concatenate([self._codes, codes])
        weights = np.concatenate([self._calls, part.by_way(part.calls)[ways]])
        self._codes, at = np.unique(every, return_inverse=True)
        self._calls = np.bincount(at, weights=weights, minlength=len(self._codes)).astype(np.int64)
        if len(self._codes) > self._most:
            kept = np.sort(np.argsort(-self._calls, kind="stable")[: self._most // 2])
            self._codes, self._calls = self._codes[kept], self._calls[kept]

    def frequent(self, least: int) -> list[Numbers]:
        """Those that at least `least` calls may have, sorted."""
        codes = self._codes[self._calls >= least].tolist()
        return [(code // self._width, code % self._width) for code in codes]


@dataclass(frozen=True)
class Shapes:
    """What is counted: single steps, then transitions, then sub-sequences; positions go through all three."""

    steps: Sequence[int]
    pairs: Sequence[Numbers]
    sequences: Sequence[Numbers]

    def __len__(self) -> int:
        return len(self.steps) + len(self.pairs) + len(self.sequences)

    def completed(self, grid: Grid) -> Iterator[tuple[int, Rows, Places]]:
        """(position, the ways that complete it, after how many steps) for those that some way completes."""
        where, at = np.nonzero(grid > OTHER)
        singles = {step: i for i, step in enumerate(self.steps)}
        for code, ways, places in _first_of_each(grid[where, at], where, at):
            if code in singles:
                yield singles[code], ways, places + np.int16(1)
        width = int(grid.max(initial=0)) + 1
        couples = {a * width + b: i for i, (a, b) in enumerate(self.pairs, start=len(self.steps))}
        for code, ways, places in _first_of_each(*_neighbours(grid, width)):
            if code in couples:
                yield couples[code], ways, places + np.int16(2)
        yield from _in_order(grid, self.sequences, len(self.steps) + len(self.pairs))

    def named(self, position: int, names: Sequence[str]) -> Condition:
        """As a condition. `names[number - 1]` is a step's."""
        if position < len(self.steps):
            return Condition((names[self.steps[position] - 1],))
        behind = position - len(self.steps) - len(self.pairs)
        numbers = self.sequences[behind] if behind >= 0 else self.pairs[behind]
        return Condition(tuple(names[number - 1] for number in numbers), contiguous=behind < 0)

    def matrix(self, grid: Grid) -> "csr_array":
        """(1 + shapes, ways) after how many steps each is complete, 0 where it never is. The first is no steps at all,
        complete after the first step of every way."""
        from scipy.sparse import csr_array

        nothing = np.zeros(0, np.int32), np.zeros(0, np.int16)
        found: list[tuple[Rows, Places]] = [nothing] * (1 + len(self))
        found[0] = np.arange(len(grid), dtype=np.int32), np.ones(len(grid), np.int16)
        for position, ways, places in self.completed(grid):
            found[1 + position] = ways, places
        ends = np.cumsum([0, *(len(ways) for ways, _ in found)]).astype(np.int32)
        data = np.concatenate([places for _, places in found])
        return csr_array((data, np.concatenate([ways for ways, _ in found]), ends), shape=(len(found), len(grid)))

    def only(self, kept: Iterable[int]) -> "Shapes":
        """Those at the positions `kept`, which are in order; -1 is left out."""
        steps, pairs = len(self.steps), len(self.pairs)
        wanted = [i for i in kept if i >= 0]
        return Shapes(
            [self.steps[i] for i in wanted if i < steps],
            [self.pairs[i - steps] for i in wanted if steps <= i < steps + pairs],
            [self.sequences[i - steps - pairs] for i in wanted if i >= steps + pairs],
        )


def _neighbours(grid: Grid, width: int) -> tuple[Ints, Ints, Ints]:
    """Every two steps in a row as one number, by way and then by place; the ways, the places of the first."""
    left, right = grid[:, :-1], grid[:, 1:]
    where, at = np.nonzero((left > OTHER) & (right > OTHER))
    return left[where, at].astype(np.int64) * width + right[where, at], where, at


def _first_of_each(codes: NDArray[np.integer], where: Ints, at: Ints) -> Iterator[tuple[int, Rows, Places]]:
    """Per code the ways that have it and its first place in each. What comes in is in the order of ways and places."""
    if not len(codes):
        return
    order = np.argsort(codes, kind="stable")
    codes, where, at = codes[order], where[order], at[order]
    new_code = np.r_[True, codes[1:] != codes[:-1]]
    first = new_code | np.r_[True, where[1:] != where[:-1]]
    codes, where, at, new_code = codes[first], where[first], at[first], new_code[first]
    starts = np.flatnonzero(new_code).tolist()
    for start, end in zip(starts, [*starts[1:], len(codes)], strict=True):
        yield int(codes[start]), where[start:end].astype(np.int32), at[start:end].astype(np.int16)


def _in_order(grid: Grid, sequences: Sequence[Numbers], offset: int) -> Iterator[tuple[int, Rows, Places]]:
    """The ways that have the steps in this order, other steps between."""
    behind: dict[Numbers, tuple[Rows, Grid]] = {(): (np.arange(len(grid), dtype=np.int32), grid)}

    def after(prefix: Numbers) -> tuple[Rows, Grid]:
        """The ways that have the prefix, and their steps behind it."""
        if prefix not in behind:
            for old in [one for one in behind if one != prefix[: len(one)]]:
                del behind[old]  # sub-sequences come in order of their prefixes
            ways, rest = after(prefix[:-1])
            hit = rest == prefix[-1]
            has = np.flatnonzero(hit.any(axis=1))
            passed = np.arange(rest.shape[1]) <= hit[has].argmax(axis=1)[:, None]
            behind[prefix] = ways[has], np.where(passed, OTHER, rest[has])
        return behind[prefix]

    ordered = sorted(range(len(sequences)), key=lambda i: (sequences[i][:-1], sequences[i]))
    for prefix, alike in groupby(ordered, key=lambda i: sequences[i][:-1]):
        ways, rest = after(prefix)
        positions = list(alike)
        for start in range(0, len(positions), _AT_ONCE):
            some = positions[start : start + _AT_ONCE]
            firsts = _first_places(rest, [sequences[i][-1] for i in some])
            for position, first in zip(some, firsts, strict=True):
                has = np.flatnonzero(first)
                if len(has):
                    yield offset + position, ways[has], first[has]


def _first_places(grid: Grid, steps: Sequence[int]) -> Places:
    """(steps, ways) after how many steps each is first reached; 0: never."""
    rows = np.full(max(int(grid.max(initial=0)), *steps) + 2, len(steps))  # the last takes what is not asked for
    rows[list(steps)] = np.arange(len(steps))
    first = np.zeros((len(steps) + 1, len(grid)), np.int16)
    ways = np.arange(len(grid))
    for at in range(grid.shape[1] - 1, -1, -1):
        first[rows[grid[:, at]], ways] = at + 1
    return first[:-1]


@dataclass
class Kept:
    """The shapes that stay: enough calls have them, and they are not another one's calls."""

    shapes: Shapes
    counts: Ints
    """(shapes,) calls that complete each."""
    total: int
    least: int
    names: Sequence[str]
    positions: list[int] = field(default_factory=lambda: [-1])
    """-1: no steps at all; then positions in `shapes`, rising."""
    conditions: list[Condition] = field(default_factory=lambda: [Condition()])
    equivalents: dict[Condition, tuple[Condition, ...]] = field(default_factory=dict)
    _index: dict[Condition, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for position in range(len(self.shapes)):
            if self.counts[position] >= self.least:
                condition = self.shapes.named(position, self.names)
                if not self._another(condition, int(self.counts[position])):
                    self._index[condition] = len(self.conditions)
                    self.conditions.append(condition)
                    self.positions.append(position)
            if len(self.conditions) >= _MOST:
                return

    def _another(self, condition: Condition, count: int) -> bool:
        """Whether a simpler one, which has all its calls, has hardly any more."""
        if len(condition.steps) == 2 and not condition.contiguous:
            # Its two steps nearly always come in a row: then the transition stands for it.
            known = self._index.get(Condition(condition.steps, contiguous=True))
            if known is not None and SAME * count <= self._calls(known):
                return self._stands_for(known, condition)
        for simpler in _simpler(condition):
            known = self._index.get(simpler)
            if known is not None and count >= SAME * self._calls(known):
                return self._stands_for(known, condition)
        return False

    def _calls(self, known: int) -> int:
        position = self.positions[known]
        return self.total if position < 0 else int(self.counts[position])

    def _stands_for(self, known: int, condition: Condition) -> bool:
        shown = self.conditions[known]
        self.equivalents[shown] = (*self.equivalents.get(shown, ()), condition)
        self._index[condition] = known
        return True


def _simpler(condition: Condition) -> list[Condition]:
    steps = condition.steps
    if len(steps) == 1:
        return []
    if condition.contiguous:
        return [Condition((step,)) for step in steps]
    found = [Condition(steps[i:j]) for i in range(len(steps)) for j in range(i + 1, len(steps) + 1)]
    found += [Condition((steps[0], steps[-1]))] if len(steps) > 2 else []
    return [other for other in found if other != condition]
