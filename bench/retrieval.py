"""`python -m bench.retrieval --datos DIR…`: which retrievers, which weights, and what examples and languages add.

Every figure comes from the product's own knowledge base and search; variants weigh the evidence of its candidates
anew. What is fitted here is fitted on the other sets only. Vectors are kept, so a second run takes seconds.
"""

import argparse
import hashlib
import itertools
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from core.catalogue import CatalogueEntry, Resolution
from core.command_line import Parser
from core.errors import DependencyError, UsageError
from core.evidence import WEIGHTS, Evidence
from core.files import atomic_writer
from core.knowledge import KnowledgeBase
from core.ports import Embedder, Vectors
from core.search import Searcher
from finetune.labelled import LabelledSet, labelled_folders, of_split, read_set, sample

EMBEDDINGS = ("e5", "use", "minilm")
NAMES = (*EMBEDDINGS, "bm25", "ngrams")
LIMIT = 20
Matrix = NDArray[np.float64]
Weights = Mapping[str, float]

BEFORE: Weights = {"e5": 8, "use": 1, "bm25": 0.5, "ngrams": 0.5}
VARIANTS: Mapping[str, Weights] = {
    **{f"solo {name}": {name: 1.0} for name in NAMES},
    "fusión anterior": BEFORE,
    "sin use": {name: w for name, w in WEIGHTS.items() if name != "use"},
    "sin minilm": {name: w for name, w in WEIGHTS.items() if name != "minilm"},
    "sin léxico": {name: w for name, w in WEIGHTS.items() if name in EMBEDDINGS},
    "producto": WEIGHTS,
}
GRID: Sequence[Weights] = [
    {"e5": 8, "use": use, "minilm": minilm, "bm25": bm25, "ngrams": ngrams}
    for use, minilm, bm25, ngrams in itertools.product((0, 1, 2, 3), (2, 4, 6, 8), (0.25, 0.5, 1, 1.5), (0.5, 1, 1.5))
]


class KeptVectors:
    """An embedder that remembers, in a file, what it was asked for."""

    def __init__(self, inner: Embedder, path: Path) -> None:
        self._inner, self._path = inner, path
        self.dimensions, self.version = inner.dimensions, inner.version
        self._known: dict[str, dict[str, Vectors]] = {}
        self._fresh = 0
        if path.exists():
            with np.load(path) as stored:
                keys = [str(key) for key in stored["keys"]]
                columns = {name: stored[name] for name in self.dimensions}
            self._known = {key: {name: columns[name][i] for name in columns} for i, key in enumerate(keys)}

    def queries(self, texts: Sequence[str], *, without: Collection[str] = ()) -> dict[str, Vectors]:
        """All are made and kept all the same: they serve whoever asks next."""
        return {name: rows for name, rows in self._ask("q", texts).items() if name not in without}

    def passages(self, texts: Sequence[str]) -> dict[str, Vectors]:
        return self._ask("p", texts)

    def _ask(self, kind: str, texts: Sequence[str]) -> dict[str, Vectors]:
        keys = [hashlib.sha256(f"{kind}\0{text}".encode()).hexdigest() for text in texts]
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in self._known}
        if missing:
            ask = self._inner.queries if kind == "q" else self._inner.passages
            found = ask(list(missing.values()))
            for i, key in enumerate(missing):
                self._known[key] = {name: found[name][i] for name in self.dimensions}
            self._fresh += len(missing)
        return {name: np.stack([self._known[key][name] for key in keys]) for name in self.dimensions}

    def save(self) -> None:
        """Write what is new."""
        if self._fresh:
            columns = {name: np.stack([row[name] for row in self._known.values()]) for name in self.dimensions}
            with atomic_writer(self._path) as out:
                np.savez(out, allow_pickle=False, keys=np.array(list(self._known)), **columns)


@dataclass(frozen=True)
class Found:
    """The candidates of a set's incidents. `scores`: name -> (incidents, most candidates), what is missing is -inf."""

    scores: Mapping[str, Matrix]
    there: NDArray[np.bool_]
    right: NDArray[np.bool_]
    solvable: NDArray[np.bool_]

    def uses(self, weights: Weights) -> bool:
        """Whether any of the retrievers weighed said anything."""
        return any(weight and self.scores[name].any() for name, weight in weights.items())

    def measured(self, weights: Weights) -> tuple[float, float, float]:
        """Right entry first, right entry among three, and the AUROC of the best score for "there is a right entry"."""
        total: Matrix = np.where(self.there, sum(w * self.scores[name] for name, w in weights.items()), -np.inf)
        order = np.argsort(-total, axis=1)[self.solvable]
        right = np.take_along_axis(self.right[self.solvable], order, axis=1)
        best = total.max(axis=1)
        return right[:, 0].mean(), right[:, :3].any(axis=1).mean(), _auroc(best[self.solvable], best[~self.solvable])


def _auroc(positive: Matrix, negative: Matrix) -> float:
    """Share of pairs in the right order, ties by half; NaN without one of the two."""
    if not len(positive) or not len(negative):
        return float("nan")
    difference = positive[:, None] - negative[None, :]
    return float((difference > 0).mean() + (difference == 0).mean() / 2)


def search(labelled: LabelledSet, embedder: Embedder, examples: Mapping[str, tuple[str, ...]]) -> Found:
    """Every incident of `labelled` by the product's own knowledge base and search."""
    from qdrant_client import QdrantClient

    from core.privacy import strip_identifiers

    rows = {
        i: CatalogueEntry(component="", description=text, resolution=Resolution.MANUAL, examples=examples.get(i, ()))
        for i, text in labelled.entries.items()
    }
    knowledge = KnowledgeBase(QdrantClient(":memory:"), embedder, "banco")
    knowledge.build(rows.values())
    searcher = Searcher(knowledge, embedder, LIMIT, crowds=False)
    candidates, right = [], []
    for incident in labelled.incidents:
        ids = {rows[i].id for i in incident.relevant}
        found = searcher.search([strip_identifiers(incident.text)])
        candidates.append([c.evidence for c in found])
        right.append([c.entry.id in ids for c in found])
    shape = (len(candidates), max(map(len, candidates), default=0))
    there, correct = np.zeros(shape, bool), np.zeros(shape, bool)
    scores = {field.name: np.zeros(shape) for field in fields(Evidence) if field.name in NAMES}
    for i, found_here in enumerate(candidates):
        there[i, : len(found_here)], correct[i, : len(found_here)] = True, right[i]
        for name, matrix in scores.items():
            matrix[i, : len(found_here)] = [getattr(evidence, name) for evidence in found_here]
    return Found(scores, there, correct, np.array([incident.solvable for incident in labelled.incidents]))


def fitted_elsewhere(name: str, sets: Mapping[str, Found]) -> Weights:
    """The weights of `GRID` that put the right entry first most often on average over the sets other than `name`."""
    others = [found for other, found in sets.items() if other != name and found.solvable.any()]
    return max(GRID, key=lambda weights: float(np.mean([found.measured(weights)[0] for found in others])))


def _cell(found: Found, weights: Weights) -> str:
    if not found.uses(weights) or not found.solvable.any():
        return "—"
    return " ".join("—" if np.isnan(figure) else f"{figure:.3f}" for figure in found.measured(weights))


def show(with_examples: Mapping[str, Found], without: Mapping[str, Found], console: Console) -> None:
    """Variants down, sets across: right entry first, among three, AUROC of "is there any"."""
    table = Table(title="Fila correcta la primera · entre tres · AUROC de «¿hay alguna?»")
    table.add_column("variante")
    for name in with_examples:
        table.add_column(name, no_wrap=True)
    table.add_row("fusión anterior, sin ejemplos", *(_cell(found, BEFORE) for found in without.values()))
    table.add_row("producto, sin ejemplos", *(_cell(found, WEIGHTS) for found in without.values()))
    for variant, weights in VARIANTS.items():
        table.add_row(variant, *(_cell(found, weights) for found in with_examples.values()))
    if len(with_examples) > 1:
        cells = [_cell(f, fitted_elsewhere(name, with_examples)) for name, f in with_examples.items()]
        table.add_row("pesos ajustados en los demás", *cells)
    console.print(table)


def _parser() -> Parser:
    parser = Parser(prog="python -m bench.retrieval", description="Compara recuperadores sobre datos etiquetados.")
    parser.add_argument("--datos", type=Path, nargs="+", required=True, metavar="DIR", help="carpetas etiquetadas")
    parser.add_argument(
        "--muestra", type=int, default=400, metavar="N", help="incidencias por conjunto (400); 0, todas"
    )
    parser.add_argument("--semilla", type=int, default=1, metavar="S", help="de la muestra (1)")
    parser.add_argument(
        "--cache", type=Path, default=Path("var/bench/vectores"), metavar="DIR", help="vectores ya calculados"
    )
    return parser


def _run(options: argparse.Namespace, console: Console) -> None:
    from llm.embed import E5Use

    inner = E5Use(EMBEDDINGS)
    with_examples: dict[str, Found] = {}
    without: dict[str, Found] = {}
    for folder in labelled_folders(options.datos):
        labelled = of_split(read_set(folder), "test")
        if options.muestra:
            share = options.muestra * 4 // 5
            labelled = sample(labelled, options.semilla, share, options.muestra - share, 0)
        console.print(f"Buscando: {folder.name}…")
        kept = KeptVectors(
            inner, options.cache / f"{folder.name}-{hashlib.sha256(inner.version.encode()).hexdigest()[:8]}.npz"
        )
        without[folder.name] = search(labelled, kept, {})
        told = labelled.examples
        with_examples[folder.name] = search(labelled, kept, told) if told else without[folder.name]
        kept.save()
    show(with_examples, without, console)


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when everything was measured, whatever came out."""
    options = _parser().parse_args(arguments)
    try:
        _run(options, Console(width=None if sys.stdout.isatty() else 220))
    except UsageError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2
    except (DependencyError, OSError) as error:
        print(f"Error: {error}", file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
