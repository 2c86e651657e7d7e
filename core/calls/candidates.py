"""Everything that is tested, chosen without a look at which calls failed, and which ways complete it when."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from core.calls.mining import Sample, frequent_sequences
from core.calls.outcome_steps import Outcomes, StepCounts
from core.calls.pattern import Attribute, Condition
from core.calls.scratch import Scratch
from core.calls.step_patterns import SAME, Kept, Pairs, Shapes
from core.calls.tally import CallLog, Ints
from core.calls.walks import BEYOND, Cells, Walks, walks

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Mask = NDArray[np.bool_]

_WINDOWS = (1, 2, 3, 4, 6)
"""Hours in a row that are tested by themselves."""
HOURS = 24


@dataclass(frozen=True)
class Part(Cells):
    """A part of the calls as it is tested on.

    `depth`: (ways,) how many steps; `completed`: (step patterns, ways) after how many steps each is complete, 0 where
    it never is.
    """

    depth: Ints
    completed: "csr_array"
    _asked: dict[int, Ints] = field(default_factory=dict)
    held: dict[int, Mask] = field(default_factory=dict)
    """What was asked of it by candidate: many tests ask the same."""

    def by_way(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """(ways,) sums of `weights`, one per cell."""
        sums = np.bincount(self.way, weights=weights, minlength=len(self.depth))
        return np.asarray(sums, np.float64)

    def completed_at(self, row: int) -> Ints:
        """(ways,) after how many steps a step pattern is complete; 0: never."""
        if row not in self._asked:
            found = np.zeros(len(self.depth), np.int64)
            mine = slice(self.completed.indptr[row], self.completed.indptr[row + 1])
            found[self.completed.indices[mine]] = self.completed.data[mine]
            self._asked[row] = found
        return self._asked[row]

    def cells(self, row: int, one: "Slice") -> Mask:
        """(cells,) where a step pattern and a slice both hold."""
        held: Mask = (self.completed_at(row)[self.way] > 0) & one.cells(self)
        return held


@dataclass(frozen=True)
class Slice:
    """One attribute's values: positions from `first` to `last` of its column."""

    attribute: Attribute | None
    values: tuple[str, ...]
    first: int
    last: int

    def cells(self, part: Cells) -> Mask:
        """(cells,) which of a part have them."""
        match self.attribute:
            case None:
                return np.ones(len(part.calls), np.bool_)
            case Attribute.SEGMENT:
                column = part.segment
            case Attribute.TYPE:
                column = part.kind
            case Attribute.HOUR:
                column = part.hour
        held: Mask = (column >= self.first) & (column <= self.last)
        return held


@dataclass(frozen=True)
class Candidates:
    """`conditions[i]` asks for step pattern `row[i]` and the attribute of `slices[slice_of[i]]`."""

    conditions: tuple[Condition, ...]
    row: Ints
    slice_of: Ints
    slices: tuple[Slice, ...]
    equivalents: dict[Condition, tuple[Condition, ...]]
    total: int
    total_failed: int
    deepest: int
    """Steps of the longest way."""
    kept: Scratch

    def parts(self) -> Iterator[Part]:
        """All calls, a part at a time, as often as wanted."""
        from scipy.sparse import csr_array

        for way, segment, kind, hour, calls, failed, depth, data, indices, ends in self.kept:
            completed = csr_array((data, indices, ends), shape=(len(ends) - 1, len(depth)))
            yield Part(way, segment, kind, hour, calls, failed, depth, completed)

    def cells(self, index: int, part: Part) -> Mask:
        """(cells,) where in a part the condition holds."""
        if index not in part.held:
            part.held[index] = part.cells(int(self.row[index]), self.slices[int(self.slice_of[index])])
        return part.held[index]

    def completed_at(self, index: int, part: Part) -> Ints:
        """(ways,) after how many steps; 0: never."""
        return part.completed_at(int(self.row[index]))


def candidates(
    log: CallLog, counts: StepCounts, outcomes: Outcomes, support: float, ways: Scratch, kept: Scratch
) -> Candidates:
    """The conditions that at least `support` of the calls meet, each distinct set of calls once.

    What is worth counting is found first: steps and transitions by sums that forget the rare, sub-sequences in a
    sample. All of it is then counted over all calls. `ways` and `kept` are empty and hold the calls on the way.
    """
    least = max(2, int(np.ceil(support * log.total)))
    names = sorted(step for step, (n, *_) in counts.counts.items() if n >= least and step not in outcomes.steps)
    numbers = {name: number for number, name in enumerate(names, start=1)}
    pairs, sample = Pairs(len(names) + 1), Sample(log.total)
    for part in walks(log, outcomes, numbers):
        ways.write(part.arrays())
        pairs.take(part)
        sample.take(part)
    shapes = Shapes(range(1, len(names) + 1), pairs.frequent(least), frequent_sequences(sample.ways, support))
    held, values = _counted(ways, shapes, log)
    step_patterns = Kept(shapes, held, log.total, least, names)
    slices = tuple(_slices(log, values, least))
    deepest, inside = _settled(ways, kept, shapes, step_patterns, slices)
    conditions, rows, of = _crossings(step_patterns.conditions, slices, inside, least)
    return Candidates(
        tuple(conditions), np.array(rows, np.int64), np.array(of, np.int64), slices, step_patterns.equivalents,
        log.total, log.total_failed, deepest, kept,
    )  # fmt: skip


def _parts(ways: Scratch) -> Iterator[Walks]:
    for arrays in ways:
        yield Walks(*arrays)


def _counted(ways: Scratch, shapes: Shapes, log: CallLog) -> tuple[Ints, dict[Attribute, Ints]]:
    """(shapes,) calls that complete each; and how many calls have each segment, type and hour."""
    held = np.zeros(len(shapes), np.int64)
    sizes = {Attribute.SEGMENT: len(log.segments), Attribute.TYPE: len(log.kinds), Attribute.HOUR: HOURS}
    values = {attribute: np.zeros(size, np.int64) for attribute, size in sizes.items()}
    for part in _parts(ways):
        calls = part.by_way(part.calls)
        for position, rows, _ in shapes.completed(part.grid):
            held[position] += calls[rows].sum()
        columns = {Attribute.SEGMENT: part.segment, Attribute.TYPE: part.kind, Attribute.HOUR: part.hour}
        for attribute, column in columns.items():
            said = column >= 0
            sums = np.bincount(column[said], weights=part.calls[said], minlength=sizes[attribute])
            values[attribute] += sums.astype(np.int64)
    return held, values


def _slices(log: CallLog, values: dict[Attribute, Ints], least: int) -> Iterator[Slice]:
    """All calls, then each attribute's values that enough calls have."""
    yield Slice(None, (), 0, 0)
    for attribute, names in ((Attribute.SEGMENT, log.segments), (Attribute.TYPE, log.kinds)):
        for number, name in enumerate(names):
            if least <= values[attribute][number] < log.total:
                yield Slice(attribute, (name,), number, number)
    for width in _WINDOWS:
        for start in range(HOURS - width + 1):
            if least <= values[Attribute.HOUR][start : start + width].sum() < log.total:
                hours = tuple(f"{hour:02d}" for hour in range(start, start + width))
                yield Slice(Attribute.HOUR, hours, start, start + width - 1)


def _settled(ways: Scratch, kept: Scratch, shapes: Shapes, found: Kept, slices: Sequence[Slice]) -> tuple[int, Ints]:
    """Write to `kept` what is tested on; the most steps of a way, and (step patterns, slices) calls that have both, 0
    where a step pattern is not looked at within an attribute."""
    within = sum(one.contiguous or len(one.steps) <= 1 for one in found.conditions)  # they come first
    counts = np.zeros((len(found.conditions), len(slices)), np.int64)
    wanted = shapes.only(found.positions)
    deepest = 0
    for part in _parts(ways):
        completed = wanted.matrix(part.grid)
        depth = (part.grid > BEYOND).sum(axis=1)
        deepest = max(deepest, int(depth.max(initial=0)))
        held = ones(completed)
        for number, one in enumerate(slices):
            weights = part.by_way(np.where(one.cells(part), part.calls, 0)).astype(np.float64)
            rows = top(held, within) if number else held
            counts[: rows.shape[0], number] += np.rint(rows @ weights).astype(np.int64)
        kept.write((*part.columns(), depth, completed.data, completed.indices, completed.indptr))
    return deepest, counts


def _crossings(
    conditions: Sequence[Condition], slices: Sequence[Slice], held: Ints, least: int
) -> tuple[list[Condition], list[int], list[int]]:
    """The conditions with enough calls, and for each its step pattern and its slice."""
    found, rows, of = [], [], []
    for number, part in enumerate(slices):
        whole = int(held[0, number])
        for i in np.flatnonzero(held[:, number] >= least).tolist():
            condition = conditions[i]
            # Nearly all calls, or nearly all those of the slice: the condition says nothing, or no more than it.
            telling = held[i, number] < SAME * whole if condition.steps else part.attribute is not None
            if telling and (part.attribute is None or _crossed(condition, part)):
                found.append(replace(condition, attribute=part.attribute, values=part.values))
                rows.append(i)
                of.append(number)
    return found, rows, of


def _crossed(condition: Condition, part: Slice) -> bool:
    """Which step patterns are looked at within an attribute: none, steps, and transitions; hours by four for these."""
    if not condition.steps:
        return True
    if len(condition.steps) > 1 and not condition.contiguous:
        return False
    return part.attribute is not Attribute.HOUR or (len(part.values) == 4 and int(part.values[0]) % 2 == 0)


def ones(matrix: "csr_array") -> "csr_array":
    """1 where there is anything."""
    return like(matrix, np.ones(len(matrix.data)))


def like(matrix: "csr_array", data: NDArray[np.float64]) -> "csr_array":
    """Other numbers in the same places, which are not copied."""
    from scipy.sparse import csr_array

    return csr_array((data, matrix.indices, matrix.indptr), shape=matrix.shape)


def top(matrix: "csr_array", rows: int) -> "csr_array":
    """Its first rows, which are not copied."""
    from scipy.sparse import csr_array

    ends = matrix.indptr[: rows + 1]
    width = cast(int, matrix.shape[1])
    return csr_array((matrix.data[: ends[-1]], matrix.indices[: ends[-1]], ends), shape=(rows, width))
