"""Calls counted by what they went through: all that the patterns are computed from, however many calls there are."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

NO_VALUE = -1
"""In an attribute of a cell: the call does not say."""


@dataclass(frozen=True)
class Tally:
    """Calls by distinct history, segment, type, hour and error code: one cell for each combination that occurs.

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
    history_ids: Sequence[int] = field(default=())
    """Of the store, in the order of `histories`."""

    @property
    def total(self) -> int:
        """How many calls."""
        return int(self.calls.sum())

    @property
    def total_failed(self) -> int:
        """How many of them failed."""
        return int(self.failed.sum())

    def along(self, histories: Sequence[tuple[str, ...]]) -> "Tally":
        """The same calls with other histories (one for each of ours, many alike), error codes left aside."""
        ids: dict[tuple[str, ...], int] = {}
        new = np.array([ids.setdefault(steps, len(ids)) for steps in histories], np.int64)[self.history]
        columns = (new, self.segment, self.kind, self.hour)
        key = np.zeros(len(new), np.int64)
        for column in columns:
            key = key * (int(column.max(initial=0)) + 2) + column + 1
        _, first, cell = np.unique(key, return_index=True, return_inverse=True)
        sums = [np.bincount(cell, weights=w, minlength=len(first)).astype(np.int64) for w in (self.calls, self.failed)]
        history, segment, kind, hour = (column[first] for column in columns)
        return replace(
            self, histories=tuple(ids), codes=(), history=history, segment=segment, kind=kind, hour=hour,
            code=np.full(len(first), NO_VALUE), calls=sums[0], failed=sums[1], history_ids=(),
        )  # fmt: skip

    def by_history(self, weights: Ints) -> Ints:
        """(histories,) sums of `weights`, one per cell."""
        sums = np.bincount(self.history, weights=weights, minlength=len(self.histories))
        return sums.astype(np.int64)
