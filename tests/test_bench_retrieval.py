"""bench/retrieval.py: the figures against counting by hand, vectors kept, weights fitted on the other sets."""

import json
from pathlib import Path

import numpy as np
import pytest

from bench.retrieval import GRID, NAMES, Found, KeptVectors, fitted_elsewhere, search
from core.evidence import WEIGHTS
from finetune.labelled import read_set
from tests.core.hash_embedder import HashEmbedder


def _found(e5: list[list[float]], right: list[int | None], **others: list[list[float]]) -> Found:
    there = np.array([[score is not None for score in row] for row in e5])
    given = {"e5": e5} | others
    scores = {name: np.array(given.get(name, np.zeros_like(e5)), float) for name in NAMES}
    correct = np.zeros(there.shape, bool)
    for row, column in enumerate(right):
        if column is not None:
            correct[row, column] = True
    return Found(scores, there, correct, np.array([column is not None for column in right]))


def test_figures() -> None:
    found = _found([[0.9, 0.5], [0.4, 0.6], [0.5, 0.1], [0.7, 0.2]], [0, 0, None, None])
    first, three, auroc = found.measured({"e5": 1})
    assert (first, three) == (0.5, 1)
    assert auroc == pytest.approx(3 / 4)
    assert np.isnan(_found([[1, 0]], [0]).measured({"e5": 1})[2])
    assert not found.uses({"use": 1, "e5": 0})


def test_weights_are_fitted_on_the_other_sets() -> None:
    e5 = [[0.5, 0.5]]
    words, letters = [[0.0, 1.0]], [[1.0, 0.0]]
    sets = {"one": _found(e5, [1], bm25=words, ngrams=letters), "other": _found(e5, [0], bm25=words, ngrams=letters)}
    assert sets["one"].measured(fitted_elsewhere("other", sets))[0] == 1
    assert sets["other"].measured(fitted_elsewhere("other", sets))[0] == 0
    assert all(set(weights) == set(WEIGHTS) for weights in GRID)


def test_examples_find_a_row_and_vectors_are_asked_for_once(tmp_path: Path) -> None:
    rows = [{"id": "a", "text": "buzón lleno"}, {"id": "b", "text": "pantalla negra"}]
    queries = [
        {"id": "q", "text": "no llegan mensajes", "relevant": ["a"]},
        {"id": "n", "text": "hola", "relevant": []},
    ]
    for name, lines in (("corpus", rows), ("queries", queries)):
        (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    inner = HashEmbedder({"e5": 32, "use": 48})
    kept = KeptVectors(inner, tmp_path / "v" / "kept.npz")
    labelled = read_set(tmp_path)
    told = search(labelled, kept, {"a": ("no llegan los mensajes",)})
    assert told.measured(WEIGHTS)[0] == 1
    assert told.measured({"bm25": 1})[2] == 1
    kept.save()
    asked = inner.embedded
    again = search(labelled, KeptVectors(inner, tmp_path / "v" / "kept.npz"), {"a": ("no llegan los mensajes",)})
    assert inner.embedded == asked
    assert again.measured(WEIGHTS) == told.measured(WEIGHTS)
