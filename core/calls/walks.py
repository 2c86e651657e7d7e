"""Ways up to the outcome, with a number for each step that enough calls have: what is tested on."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from core.calls.outcome_steps import Outcomes
from core.calls.tally import CallLog, Ints, Tally

Grid = NDArray[np.int32]

OTHER = 0
"""A step that too few calls have."""
BEYOND = -1
"""Behind the last step."""


@dataclass(frozen=True)
class Cells:
    """The cells of a part of the calls, by way instead of history: all of them (cells,), as in `Tally`."""

    way: Ints
    segment: Ints
    kind: Ints
    hour: Ints
    calls: Ints
    failed: Ints

    def columns(self) -> tuple[Ints, ...]:
        """In the order of the fields."""
        return self.way, self.segment, self.kind, self.hour, self.calls, self.failed


@dataclass(frozen=True)
class Walks(Cells):
    """A part of the calls. `grid`: (ways, longest + 1) numbers of the steps from 1, `OTHER`, `BEYOND`."""

    grid: Grid

    def by_way(self, weights: Ints) -> Ints:
        """(ways,) sums of `weights`, one per cell."""
        return np.bincount(self.way, weights=weights, minlength=len(self.grid)).astype(np.int64)

    def arrays(self) -> tuple[NDArray[np.integer], ...]:
        """For `Scratch`."""
        return *self.columns(), self.grid


def walks(log: CallLog, outcomes: Outcomes, numbers: Mapping[str, int]) -> Iterator[Walks]:
    """The calls of `log` along their ways; steps that have no number of theirs are `OTHER`."""
    for part in log.parts():
        yield _along(part, outcomes.cut(part).steps, numbers)


def _along(part: Tally, steps: Iterable[tuple[str, ...]], numbers: Mapping[str, int]) -> Walks:
    """The cells by way instead of history, error codes left aside."""
    ids: dict[tuple[int, ...], int] = {}
    ways = [ids.setdefault(tuple([numbers.get(step, OTHER) for step in way]), len(ids)) for way in steps]
    columns = np.array(ways, np.int64)[part.history], part.segment, part.kind, part.hour
    key = np.zeros(len(part.calls), np.int64)
    for column in columns:
        key = key * (int(column.max(initial=0)) + 2) + column + 1
    _, first, cell = np.unique(key, return_index=True, return_inverse=True)
    calls, failed = (
        np.bincount(cell, weights=weights, minlength=len(first)).astype(np.int64)
        for weights in (part.calls, part.failed)
    )
    way, segment, kind, hour = (column[first] for column in columns)
    return Walks(way, segment, kind, hour, calls, failed, _grid(list(ids)))


def _grid(ways: list[tuple[int, ...]]) -> Grid:
    lengths = np.array([len(way) for way in ways], np.int64)
    grid = np.full((len(ways), int(lengths.max(initial=0)) + 1), BEYOND, np.int32)
    grid[np.arange(grid.shape[1]) < lengths[:, None]] = np.fromiter(chain.from_iterable(ways), np.int32)
    return grid
