"""Reviewed rows into the catalogue: all or none, the one before kept, the knowledge base brought up to date."""

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from core.batch import BatchOutcome, Progress, read_inputs, run_batch
from core.catalogue import COLUMNS, CatalogueEntry, normalised, read_catalogue, read_open_fixes, write_catalogue
from core.errors import DependencyError, UsageError
from core.files import write_fresh
from core.knowledge import KnowledgeBase
from core.table import SEPARATORS

_NOTHING = "No se ha cambiado nada."


@dataclass(frozen=True)
class Merge:
    """What reviewed rows change in a catalogue."""

    catalogue: Path
    fixes: Path | None
    entries: tuple[CatalogueEntry, ...]
    """The catalogue with the rows in it."""
    added: tuple[CatalogueEntry, ...]
    replaced: tuple[tuple[CatalogueEntry, CatalogueEntry], ...]
    """(before, now)"""
    unchanged: int


@dataclass(frozen=True)
class Applied:
    """A merge carried out."""

    merge: Merge
    copy: Path | None
    """The catalogue before; None when nothing had to be written."""
    batch: BatchOutcome

    def summary(self) -> str:
        """For the terminal: what changed, row by row."""
        merge = self.merge
        lines = [
            f"Catálogo {merge.catalogue}: {len(merge.added)} filas nuevas, {len(merge.replaced)} cambiadas, "
            f"{merge.unchanged} ya estaban igual."
        ]
        lines += [f"  Nueva: {_named(entry)} [{entry.kind}]" for entry in merge.added]
        for before, now in merge.replaced:
            lines.append(f"  Cambiada: {_named(now)}")
            lines += [
                f"    {what}: {old or '(vacío)'} -> {new or '(vacío)'}" for what, old, new in _changes(before, now)
            ]
        if self.copy:
            lines.append(f"El catálogo anterior está en {self.copy}")
        return "\n".join([*lines, self.batch.summary()])


def plan_merge(reviewed: Path, catalogue: Path, fixes: Path | None) -> Merge:
    """Read and check everything; nothing is written. New rows go last, a row with a known id takes its place.

    Raises `UsageError` for any bad row in any of the files: a catalogue written anew would lose its bad rows.
    """
    try:
        rows = read_catalogue(reviewed, strict=True).entries
        present = read_inputs(catalogue, None, strict=True).entries
        under_way = {entry.id for entry in read_open_fixes(fixes).entries} if fixes else set()
    except UsageError as error:
        raise UsageError(f"{error}\n{_NOTHING} Corrija las filas y repita la orden.") from error
    _check_columns(catalogue)
    for row in rows:
        if row.id in under_way:
            raise UsageError(f"{reviewed}: «{_named(row)}» está también en {fixes}. {_NOTHING} Déjela solo en uno.")
    known = {entry.id: entry for entry in present}
    merged = known | {row.id: row for row in rows}
    return Merge(
        catalogue=catalogue,
        fixes=fixes,
        entries=tuple(merged.values()),
        added=tuple(row for row in rows if row.id not in known),
        replaced=tuple((known[row.id], row) for row in rows if row.id in known and known[row.id] != row),
        unchanged=sum(known.get(row.id) == row for row in rows),
    )


def apply_merge(
    merge: Merge,
    knowledge: KnowledgeBase,
    *,
    copies: Path,
    reports: Path,
    now: datetime,
    progress: Progress | None = None,
) -> Applied:
    """Keep a copy of the catalogue under `copies`, write it merged, bring the knowledge base up to date.

    Raises `DependencyError`. A knowledge base that cannot be asked stops it before anything is written; one that
    fails while it is updated leaves the catalogue merged, since `python batch.py` takes it from there.
    """
    knowledge.shelf.current()
    copy = None
    if merge.added or merge.replaced:
        copy = write_fresh(copies / f"PROBLEMAS_GLOBALES_{now:%Y%m%d_%H%M%S}.csv", merge.catalogue.read_bytes())
        write_catalogue(merge.catalogue, merge.entries)
    try:
        outcome = run_batch(read_inputs(merge.catalogue, merge.fixes), knowledge, reports, progress=progress)
    except DependencyError as error:
        raise DependencyError(
            f"{error}\nEl catálogo {merge.catalogue} ya tiene las filas aplicadas"
            + (f" (el anterior está en {copy})" if copy else "")
            + ", pero la base de conocimiento puede no tenerlas todavía. Cuando se haya arreglado, ejecute "
            "`python batch.py`: con eso queda al día."
        ) from error
    return Applied(merge, copy, outcome)


def _check_columns(catalogue: Path) -> None:
    """Further columns are left aside on reading: writing the catalogue anew would lose them."""
    with catalogue.open(encoding="utf-8-sig", newline="") as stream:
        first = next(line for line in stream if line.strip())
    separator = max(SEPARATORS, key=first.count)
    wanted = {normalised(name) for name in COLUMNS}
    more = [name for name in next(csv.reader([first], delimiter=separator)) if _key(name) not in wanted]
    if more:
        raise UsageError(
            f"{catalogue}: tiene columnas que se perderían al escribirlo de nuevo: {', '.join(map(repr, more))}. "
            f"{_NOTHING} Quite esas columnas, o añada las filas a mano y ejecute `python batch.py`."
        )


def _key(name: str) -> str:
    return normalised(name.replace("_", " "))


def _named(entry: CatalogueEntry) -> str:
    return f"{entry.component}: {entry.description}" if entry.component else entry.description


def _changes(before: CatalogueEntry, now: CatalogueEntry) -> Iterable[tuple[str, str, str]]:
    pairs = zip(COLUMNS, _cells(before), _cells(now), strict=True)
    return [(name, old, new) for name, old, new in pairs if old != new]


def _cells(entry: CatalogueEntry) -> tuple[str, ...]:
    fields = (entry.component, entry.description, entry.incident_type, entry.solution, entry.resolved_on)
    return (*fields, entry.kind, entry.mailbox)
