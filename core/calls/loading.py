"""`load`: a CSV log of calls into the store, a chunk at a time, only what is new or changed."""

import logging
import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict

from core.calls.call_id import shown_id
from core.calls.mapping import CallMap
from core.calls.reading import Chunk, Layout, chunks, look_at
from core.calls.store import CallRow, CallStore, hashed
from core.calls.tally import NO_VALUE, Ints
from core.errors import UsageError
from core.table import RowProblem

if TYPE_CHECKING:
    from pandas import Series

logger = logging.getLogger(__name__)

Scrub = Callable[[str], str]
Progress = Callable[[int, int], None]
"""(bytes read, bytes in all)"""

MAX_STEPS = 200
"""Steps of one call; a history beyond that goes round in circles."""
_ARROWS = ("->", "→", "=>", ">", "|", ";", "/", ",")
_SHOWN = 200
"""Problems that the report has one by one; further ones are counted."""
_NOTE = 300
"""Characters of a note that are kept."""
SETTLED = 100_000
"""Calls that are kept at once."""
_REMEMBERED = 10_000
"""Distinct texts kept at hand: beyond, they are looked into anew, so that memory stays as it is."""
_REMEMBERED_TEXT = 4_000_000
"""Letters of theirs."""


class LoadReport(BaseModel):
    """What a load did, in calls."""

    model_config = ConfigDict(frozen=True)

    file: str
    encoding: str
    separator: str
    step_separator: str
    rows: int
    added: int
    changed: int
    unchanged: int
    skipped: int
    reasons: dict[str, int]
    """Why rows were skipped -> how many."""
    undated: int
    """Calls whose date could not be read: they count, but in no hour."""
    problems: tuple[RowProblem, ...]
    seconds: float

    def summary(self) -> str:
        """For the terminal."""
        lines = [
            f"{self.file}: {self.rows} filas ({self.encoding}, separador «{_visible(self.separator)}»). Llamadas "
            f"nuevas: {self.added}; cambiadas: {self.changed}; iguales: {self.unchanged}; filas saltadas: "
            f"{self.skipped}."
        ]
        lines += [f"  {count} de ellas: {why}" for why, count in Counter(self.reasons).most_common(8)]
        lines += [f"  {problem}" for problem in self.problems[:5]]
        if len(self.problems) > 5:
            lines.append("  … las demás, en el informe")
        if self.undated:
            lines.append(f"  Sin fecha que se pueda leer: {self.undated}; cuentan, pero en ninguna hora ni semana.")
        return "\n".join(lines)


def _visible(separator: str) -> str:
    return {"\t": "tabulador"}.get(separator, separator)


@dataclass
class _Known:
    """What the distinct texts of the file stand for, so that each is looked into once."""

    histories: dict[str, int | str] = field(default_factory=dict)
    """Text -> id, or what is wrong with it."""
    values: dict[str, int] = field(default_factory=dict)
    notes: dict[str, int] = field(default_factory=dict)
    steps: dict[str, str] = field(default_factory=dict)

    def trim(self) -> None:
        """Memory stays as it is, however many distinct texts there are."""
        for texts in (self.histories, self.values, self.notes, self.steps):
            if len(texts) > _REMEMBERED or sum(map(len, texts)) > _REMEMBERED_TEXT:
                texts.clear()


class Loader:
    """Loads one file. `scrub` takes personal data out of steps, values and notes; `shown_id`, out of ids."""

    def __init__(self, store: CallStore, mapped: CallMap, scrub: Scrub) -> None:
        self._store = store
        self._map = mapped
        self._scrub = scrub
        self._known = _Known()
        self._arrow = ""

    def load(self, path: Path, *, strict: bool = False, progress: Progress | None = None) -> LoadReport:
        """Bring the calls of `path` into the store, `SETTLED` at a time: a load that is cut goes on where it was.

        Raises `UsageError` when the file is no log of calls, or with `strict` at the first bad row.
        """
        started = time.perf_counter()
        layout = look_at(path, self._map)
        totals: Counter[str] = Counter()
        reasons: Counter[str] = Counter()
        shown: list[RowProblem] = []
        for chunk in chunks(path, layout):
            problems = [*chunk.problems, *self._take(chunk, path, totals)]
            problems.sort(key=lambda problem: problem.line)
            if strict and problems:
                raise UsageError(f"{problems[0]}\nCon --estricto una fila mala detiene la carga.")
            reasons.update(_kind_of(problem) for problem in problems)
            shown += problems[: _SHOWN - len(shown)]
            totals["skipped"] += len(problems)
            if self._store.staged >= SETTLED:
                self._settle(totals)
            if progress:
                progress(min(chunk.read, layout.size), layout.size)
        self._settle(totals)
        if not totals["rows"] and not totals["skipped"]:
            raise UsageError(f"{path}: no tiene ninguna llamada, solo la cabecera.")
        logger.info("llamadas cargadas", extra={"action": "calls_loaded", "rows": totals["rows"]})
        return self._report(path, layout, totals, reasons, shown, time.perf_counter() - started)

    def _settle(self, totals: Counter[str]) -> None:
        added, changed = self._store.settle()
        totals.update(added=added, changed=changed)

    def _report(
        self,
        path: Path,
        layout: Layout,
        totals: Counter[str],
        reasons: Counter[str],
        shown: list[RowProblem],
        seconds: float,
    ) -> LoadReport:
        return LoadReport(
            file=str(path),
            encoding=layout.encoding.removesuffix("-sig"),
            separator=layout.separator,
            step_separator=self._arrow,
            rows=totals["rows"] + totals["skipped"],
            added=totals["added"],
            changed=totals["changed"],
            unchanged=totals["rows"] - totals["added"] - totals["changed"],
            skipped=totals["skipped"],
            reasons=dict(reasons.most_common(50)),
            undated=totals["undated"],
            problems=tuple(shown),
            seconds=round(seconds, 3),
        )

    def _take(self, chunk: Chunk, path: Path, totals: Counter[str]) -> list[RowProblem]:
        """Keep a chunk's calls; the problems of those that cannot be."""
        table = chunk.table
        if not len(table):
            return []
        self._known.trim()
        wrong: dict[int, str] = {}
        self._learn(table["steps_history"].unique().tolist())
        history = self._each(table["steps_history"], self._known.histories.__getitem__, wrong)
        failed = self._failed(table, wrong)
        ids = table["call_id"].str.strip().map(shown_id)
        for i in np.flatnonzero((ids == "").to_numpy()):
            wrong[int(i)] = "no tiene call_id"
        columns = {
            "id": hashed(ids.tolist()),
            "history": history,
            "segment": self._attribute(table, "user_segment", "segmento"),
            "type": self._attribute(table, "call_type", "tipo"),
            "code": self._attribute(table, "error_code", "codigo"),
            "failed": failed,
            "note": self._note(table, failed),
        }
        columns["hour"], columns["day"] = self._when(table)
        kept = np.ones(len(table), np.bool_)
        kept[list(wrong)] = False
        order = np.flatnonzero(kept)
        names = ("history", "segment", "type", "code", "hour", "day", "failed", "note")
        rows: list[CallRow] = list(
            zip(
                columns["id"][order].tolist(),
                ids.to_numpy()[order].tolist(),
                *(columns[name][order].tolist() for name in names),
                strict=True,
            )
        )
        self._store.put(rows)
        totals.update(rows=len(rows))
        if "timestamp" in table:
            totals["undated"] += int((columns["day"][order] < 0).sum())
        return [RowProblem(file=str(path), line=int(chunk.lines[i]), message=why) for i, why in wrong.items()]

    def _each(self, column: "Series[str]", look_up: Callable[[str], int | str], wrong: dict[int, str]) -> Ints:
        """(rows,) what `look_up` says of each distinct text; its complaints go to `wrong`."""
        codes, texts = column.factorize()
        found = [look_up(text) for text in texts]
        bad = {i: why for i, why in enumerate(found) if isinstance(why, str)}
        numbers = np.array([NO_VALUE if isinstance(one, str) else one for one in found], np.int64)[codes]
        for i in np.flatnonzero(np.isin(codes, list(bad))) if bad else ():
            wrong.setdefault(int(i), bad[int(codes[i])])
        return np.asarray(numbers, np.int64)

    def _learn(self, texts: Sequence[str]) -> None:
        """Look into the histories that are new, and keep them all at once."""
        known = self._known.histories
        parsed = {text: self._parsed(text) for text in texts if text not in known}
        good = {text: steps for text, steps in parsed.items() if not isinstance(steps, str)}
        known.update({text: wrong for text, wrong in parsed.items() if isinstance(wrong, str)})
        known.update(zip(good, self._store.history_ids(list(good.values())), strict=True))

    def _parsed(self, text: str) -> tuple[str, ...] | str:
        """The steps, or what is wrong with them."""
        arrow = self._arrow or self._map.formato.separador_pasos or _arrow(text)
        clean = self._known.steps
        steps = []
        for raw in text.split(arrow) if arrow else [text]:
            if raw not in clean:
                clean[raw] = self._clean(" ".join(raw.split()))[:120]
            steps.append(clean[raw])
        steps = [step for step in steps if step]
        if not steps:
            return "no tiene ningún paso"
        if len(steps) > MAX_STEPS:
            return f"tiene {len(steps)} pasos; el máximo es {MAX_STEPS} (¿un recorrido que da vueltas?)"
        self._arrow = self._arrow or arrow
        return tuple(steps)

    def _clean(self, text: str) -> str:
        return self._scrub(text).replace("\x1f", " ")

    def _failed(self, table: "Series[str]", wrong: dict[int, str]) -> Ints:
        def look_up(status: str) -> int | str:
            if not status.strip():
                return 2  # the error code decides
            failed = self._map.failed(status)
            if failed is None:
                return f"estado desconocido «{self._clean(status)[:40]}»: dígalo en llamadas.toml, [estados]"
            return int(failed)

        failed = self._each(table["final_status"], look_up, wrong)
        unsaid = np.flatnonzero(failed == 2)
        if len(unsaid):
            coded = table["error_code"].str.strip().to_numpy() != "" if "error_code" in table else None
            for i in unsaid:
                if coded is not None and coded[i]:
                    failed[i] = 1
                else:
                    wrong.setdefault(int(i), "no tiene final_status ni código de error")
        return failed

    def _attribute(self, table: "Series[str]", column: str, kind: str) -> Ints:
        if column not in table:
            return np.full(len(table), NO_VALUE, np.int64)

        def look_up(text: str) -> int:
            key = f"{kind}: {text}"
            if key not in self._known.values:
                plain = " ".join(text.split())
                shown = "" if plain.casefold() in _NOTHING else self._clean(plain)[:80]
                self._known.values[key] = self._store.value_id(kind, shown)
            return self._known.values[key]

        return self._each(table[column], look_up, {})

    def _note(self, table: "Series[str]", failed: Ints) -> Ints:
        """Notes of failing calls: they are what tells one failure from another of the same steps."""
        if "notes" not in table:
            return np.full(len(table), NO_VALUE, np.int64)

        def look_up(text: str) -> int:
            if not text:
                return NO_VALUE
            if text not in self._known.notes:
                self._known.notes[text] = self._store.note_ids([self._clean(text)[:_NOTE]])[0]
            return self._known.notes[text]

        notes = table["notes"].str.strip().where(failed == 1, "").str.slice(0, 2 * _NOTE)
        return self._each(notes, look_up, {})

    def _when(self, table: "Series[str]") -> tuple[Ints, Ints]:
        """(rows,) hour 0–23 and day as an ordinal number; `NO_VALUE` where it cannot be read."""
        import pandas as pd

        nothing = np.full(len(table), NO_VALUE, np.int64)
        if "timestamp" not in table:
            return nothing, nothing
        text = table["timestamp"].str.strip()
        formats = [self._map.formato.fecha] if self._map.formato.fecha else ["ISO8601", *_DATE_FORMATS]
        when = pd.Series(pd.NaT, index=text.index, dtype="datetime64[ns, UTC]")
        for form in formats:
            left = when.isna()
            if not left.any():
                break
            # The clock on the wall counts, not the zone: the hour is the one written.
            plain = text[left].str.replace(_ZONE, "", regex=True)
            when[left] = pd.to_datetime(plain, format=form, errors="coerce", utc=True)
        read = when.notna().to_numpy()
        hour = np.where(read, when.dt.hour.fillna(0).to_numpy(), NO_VALUE).astype(np.int64)
        days = (when - pd.Timestamp(0, tz="UTC")).dt.days.fillna(0).to_numpy()
        return hour, np.where(read, days + _EPOCH, NO_VALUE).astype(np.int64)


_NOTHING = frozenset({"", "none", "null", "nan", "n/a", "na", "-", "ninguno", "sin error"})
_ZONE = r"(?:Z|[+-]\d\d:?\d\d)$"
_DATE_FORMATS = (
    "%d/%m/%Y %H:%M:%S",
    "%d/%m/%Y %H:%M",
    "%d-%m-%Y %H:%M:%S",
    "%d-%m-%Y %H:%M",
    "%d/%m/%Y",
    "%Y/%m/%d %H:%M:%S",
)
_EPOCH = datetime(1970, 1, 1).toordinal()  # noqa: DTZ001 - a day, not a moment
_WORDS = re.compile(r"«[^»]*»|\d+")


def _arrow(text: str) -> str:
    """What stands between the steps of this history; empty where it is one step."""
    return next((arrow for arrow in _ARROWS if arrow in text), "")


def _kind_of(problem: RowProblem) -> str:
    """The reason without what differs from row to row."""
    return _WORDS.sub("…", problem.message.partition(":")[0] if "«" not in problem.message else problem.message)
