"""The calls of a store as they are counted: sorted once, on disk, and read a part at a time."""

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from core.calls.scratch import Scratch
from core.calls.tally import Ints, Tally

SEP = "\x1f"
"""Between the steps of a stored history."""
PART = 10_000
"""Cells that are in memory at once."""
_PART_TEXT = 1_000_000
"""Letters of their histories."""
_CELLS = """
SELECT ((((historia * 512 + segmento + 1) * 512 + tipo + 1) * 32 + hora + 1) * 1024 + codigo + 1) AS celda,
    COUNT(*), SUM(falla)
FROM llamada GROUP BY celda
"""
"""A call's attributes as one number. SQLite sorts on disk what does not fit into its cache."""


@dataclass(frozen=True)
class CountedCalls:
    """See `CallLog`. Good as long as the connection's transaction and the scratch are open."""

    db: sqlite3.Connection
    cells: Scratch
    segments: Sequence[str]
    kinds: Sequence[str]
    codes: Sequence[str]
    weeks: float | None
    total: int
    total_failed: int

    def parts(self) -> Iterator[Tally]:
        """Every call once, histories in the order of their ids."""
        for cells, calls, failed in self.cells:
            start = 0
            for end, ids, texts in self._histories(cells >> 33):
                yield self._part(cells[start:end], calls[start:end], failed[start:end], ids, texts)
                start = end

    def _histories(self, ids: Ints) -> Iterator[tuple[int, list[int], list[str]]]:
        """(how far they reach, ids, texts) of the histories of cells, so many at a time as fit."""
        wanted = set(ids.tolist())
        numbers: list[int] = []
        texts: list[str] = []
        letters = 0
        query = "SELECT id, pasos FROM historia WHERE id BETWEEN ? AND ? ORDER BY id"
        for number, text in self.db.execute(query, (int(ids[0]), int(ids[-1]))):
            if number in wanted:
                numbers.append(number)
                texts.append(text)
                letters += len(text)
            if letters > _PART_TEXT:
                yield int(np.searchsorted(ids, number, side="right")), numbers, texts
                numbers, texts, letters = [], [], 0
        if numbers:
            yield len(ids), numbers, texts

    def _part(self, cells: Ints, calls: Ints, failed: Ints, ids: list[int], texts: list[str]) -> Tally:
        names: dict[str, str] = {}  # each name once, however many histories have it
        histories = [tuple([names.setdefault(step, step) for step in text.split(SEP)]) for text in texts]
        return Tally(
            histories, self.segments, self.kinds, self.codes,
            history=np.searchsorted(np.array(ids, np.int64), cells >> 33),
            segment=(cells >> 24) % 512 - 1, kind=(cells >> 15) % 512 - 1, hour=(cells >> 10) % 32 - 1,
            code=cells % 1024 - 1, calls=calls, failed=failed, weeks=self.weeks,
        )  # fmt: skip


def count_cells(db: sqlite3.Connection, cells: Scratch) -> tuple[int, int]:
    """Write to `cells` each combination that occurs, with its calls and failures; how many of both there are in all."""
    total = total_failed = 0
    rows = db.execute(_CELLS)
    while some := rows.fetchmany(PART):
        group = np.array(some, np.int64).T
        cells.write(tuple(np.ascontiguousarray(column) for column in group))
        total += int(group[1].sum())
        total_failed += int(group[2].sum())
    return total, total_failed
