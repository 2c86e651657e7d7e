"""Calls counted by what they went through, a part at a time: all that the patterns are computed from."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

NO_VALUE = -1
"""In an attribute of a cell: the call does not say."""


@dataclass(frozen=True)
class Tally:
    """Calls by history, segment, type, hour and error code: one cell for each combination that occurs.

    `history`, `segment`, `kind`, `hour`, `code`: (cells,) positions in `histories`, `segments`, `kinds`, hours 0–23 and
    `codes`, or `NO_VALUE`. `calls` and `failed`: (cells,) how many.
    """

    histories: Sequence[tuple[str, ...]]
    segments: Sequence[str]
    kinds: Sequence[str]
    codes: Sequence[str]
    history: Ints
    segment: Ints
    kind: Ints
    hour: Ints
    code: Ints
    calls: Ints
    failed: Ints
    weeks: float | None = None
    """How long the calls span; None where they carry no dates."""

    @property
    def total(self) -> int:
        """How many calls."""
        return int(self.calls.sum())

    @property
    def total_failed(self) -> int:
        """How many of them failed."""
        return int(self.failed.sum())

    def parts(self) -> Iterator["Tally"]:
        """Itself, in one piece: see `CallLog`."""
        yield self

    def by_history(self, weights: Ints) -> Ints:
        """(histories,) sums of `weights`, one per cell."""
        sums = np.bincount(self.history, weights=weights, minlength=len(self.histories))
        return sums.astype(np.int64)


class CallLog(Protocol):
    """All calls of one installation, however many: only a part of them is in memory at any time."""

    @property
    def segments(self) -> Sequence[str]: ...
    @property
    def kinds(self) -> Sequence[str]: ...
    @property
    def codes(self) -> Sequence[str]: ...
    @property
    def weeks(self) -> float | None: ...
    @property
    def total(self) -> int: ...
    @property
    def total_failed(self) -> int: ...

    def parts(self) -> Iterator[Tally]:
        """Every call once, as often as it is asked for. A history may stand in several parts; names are the same in
        all of them."""
        ...
