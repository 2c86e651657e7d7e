"""Labelled sets, a folder each: `corpus.jsonl` and `queries.jsonl`, and `pairs.jsonl` beside them or alone.

`corpus.jsonl` has `{id, text, title?, examples?}`; `queries.jsonl` `{id, text, relevant: [ids], split?, none_type?}`,
where no `relevant` means that nothing in the corpus solves it; `pairs.jsonl` `{incident, solution, label, kind?}`.
"""

import hashlib
import json
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from core.errors import UsageError

CORPUS, QUERIES, PAIRS = "corpus.jsonl", "queries.jsonl", "pairs.jsonl"
REMOVED = "retirada"
"""The `none_type` of an incident whose right entries are taken out before searching."""
_EXAMPLE = "catalogue_example"
"""Split of utterances that also stand in the catalogue: never asked for."""


@dataclass(frozen=True)
class LabelledIncident:
    """An incident and the entries that solve it: none, one or more. `removed`: they are taken out for this one."""

    id: str
    text: str
    relevant: frozenset[str]
    split: str = ""
    none_type: str = ""
    removed: bool = False

    @property
    def solvable(self) -> bool:
        """Whether a right entry is there to be found."""
        return bool(self.relevant) and not self.removed


@dataclass(frozen=True)
class Pair:
    """Does this solution solve this incident? `kind` says where the label comes from."""

    incident: str
    solution: str
    label: int
    kind: str


@dataclass(frozen=True)
class LabelledSet:
    """One folder, in the order of its files."""

    name: str
    entries: dict[str, str]
    """Entry id -> text."""
    incidents: tuple[LabelledIncident, ...]
    pairs: tuple[Pair, ...]
    examples: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Entry id -> incidents that it solved, none of them among `incidents`; only where there are any."""
    pairs_alone: bool = False
    """There is no catalogue but the pairs' own: a question each, and a text that may answer it."""


def labelled_folders(directories: Iterable[Path]) -> list[Path]:
    """The folders of sets among `directories` and right below them, by name. Raises `UsageError` without any."""
    found = []
    for directory in directories:
        if not directory.is_dir():
            raise UsageError(f"{directory}: no es una carpeta.")
        found += [f for f in (directory, *directory.iterdir()) if (f / PAIRS).exists() or (f / CORPUS).exists()]
    if not found:
        raise UsageError(f"No hay ningún conjunto etiquetado: falta {CORPUS} o {PAIRS} en las carpetas indicadas.")
    return sorted(dict.fromkeys(found), key=lambda folder: folder.name)


def read_set(folder: Path) -> LabelledSet:
    """Everything in `folder`. Raises `UsageError` naming file and line.

    Pairs alone make a catalogue of their solutions, and their incidents are those to be solved.
    """
    pairs = tuple(_pairs(folder / PAIRS)) if (folder / PAIRS).exists() else ()
    if not (folder / CORPUS).exists():
        entries = {_key(p.solution): p.solution for p in pairs}
        return LabelledSet(folder.name, entries, _incidents_of(pairs), pairs, pairs_alone=True)
    found = list(rows(folder / CORPUS, "id"))
    entries = {str(row["id"]): _entry_text(row) for row in found}
    examples = {str(row["id"]): tuple(row["examples"]) for row in found if row.get("examples")}
    incidents = tuple(_incidents(folder / QUERIES, entries)) if (folder / QUERIES).exists() else ()
    return LabelledSet(folder.name, entries, incidents, pairs, examples)


def of_split(labelled: LabelledSet, split: str) -> LabelledSet:
    """The set with only that split's incidents; with all where it has none of it."""
    kept = tuple(i for i in labelled.incidents if i.split == split)
    return replace(labelled, incidents=kept) if kept else labelled


def sample(labelled: LabelledSet, seed: int, solved: int, unsolved: int, removed: int) -> LabelledSet:
    """So many incidents with a right entry, without one, and with theirs taken out (others than the first)."""
    rng = random.Random(f"{seed}/{labelled.name}")  # noqa: S311 - a sample, not a secret
    incidents = list(labelled.incidents)
    rng.shuffle(incidents)
    solvable = [i for i in incidents if i.relevant]
    chosen = solvable[:solved] + [i for i in incidents if not i.relevant][:unsolved]
    chosen += [replace(i, removed=True, none_type=REMOVED) for i in solvable[solved:][:removed]]
    return replace(labelled, incidents=tuple(chosen))


def _incidents(path: Path, entries: dict[str, str]) -> Iterator[LabelledIncident]:
    for row in rows(path, "id", "text", "relevant"):
        if row.get("split") == _EXAMPLE:
            continue
        unknown = [i for i in row["relevant"] if i not in entries]
        if unknown:
            raise UsageError(
                f"{path}: la consulta {row['id']} nombra la entrada {unknown[0]}, que no está en {CORPUS}."
            )
        relevant, split = frozenset(row["relevant"]), row.get("split") or ""
        none_type = "" if relevant else row.get("none_type") or "sin_solucion"
        yield LabelledIncident(str(row["id"]), row["text"], relevant, split, none_type)


def _incidents_of(pairs: Iterable[Pair]) -> tuple[LabelledIncident, ...]:
    right: dict[str, set[str]] = {}
    for pair in pairs:
        right.setdefault(pair.incident, set()).update([_key(pair.solution)] if pair.label else [])
    return tuple(
        LabelledIncident(_key(text), text, frozenset(ids), none_type="" if ids else "sin_solucion")
        for text, ids in sorted(right.items())
    )


def _pairs(path: Path) -> Iterator[Pair]:
    for row in rows(path, "incident", "solution", "label"):
        yield Pair(row["incident"], row["solution"], int(bool(row["label"])), row.get("kind") or "gold")


def _entry_text(row: dict[str, Any]) -> str:
    """A corpus may name its entries by title and examples alone."""
    return row.get("text") or ": ".join(filter(None, [row.get("title"), " | ".join(row.get("examples") or [])]))


def rows(path: Path, *needed: str) -> Iterator[dict[str, Any]]:
    """The objects of a JSON-lines file. Raises `UsageError` naming the line that is none, or lacks one of `needed`."""
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield _row(line, needed, f"{path}, línea {number}")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: no se puede leer ({error}).") from error


def _row(line: str, needed: tuple[str, ...], where: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise UsageError(f"{where}: no es JSON ({error}).") from error
    if not isinstance(row, dict) or any(row.get(name) is None for name in needed):
        raise UsageError(f"{where}: debe ser un objeto con {', '.join(needed)}.")
    return row


def _key(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
