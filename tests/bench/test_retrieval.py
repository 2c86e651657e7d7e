"""bench/retrieval: the figures against counting by hand, vectors kept, weights fitted on the other sets."""

import json
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from bench.retrieval.__main__ import main
from bench.retrieval.finding import GRID, NAMES, ORDER, VARIANTS, Found, fitted_elsewhere, search
from bench.retrieval.rewording import Rewordings
from bench.retrieval.row_texts import ROW_TEXTS, demo_desk
from bench.retrieval.vectors import KeptVectors, OneRole
from config import ROOT
from core.evidence import WEIGHTS
from finetune.labelled import read_set
from llm.tasks import ModelTasks
from tests.core.hash_embedder import HashEmbedder
from tests.labelled_folder import write_rows


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


def test_candidates_reached_and_named() -> None:
    found = _found([[0.9, 0.5, 0.1], [0.4, 0.6, 0.2], [0.5, 0.1, 0.0]], [2, 0, None])
    assert [found.reached({"e5": 1}, first) for first in (1, 2, 3)] == [0, 0.5, 1]
    assert found.named == 1


def test_a_rewording_moves_a_row_up_and_leaves_the_evidence(tmp_path: Path) -> None:
    rows = [{"id": "a", "text": "buzón lleno"}, {"id": "b", "text": "pantalla negra"}]
    write_rows(tmp_path / "corpus.jsonl", rows)
    write_rows(tmp_path / "queries.jsonl", [{"id": "q", "text": "pantalla de correo", "relevant": ["a"]}])
    labelled, embedder = read_set(tmp_path), HashEmbedder({"e5": 32, "use": 48})
    own = search(labelled, embedder, {})
    more = search(labelled, embedder, {}, reworded={"q": "buzón lleno"})
    assert own.reached({ORDER: 1}, 1) == 0
    assert more.reached({ORDER: 1}, 1) == 1
    assert more.measured(WEIGHTS)[0] == own.measured(WEIGHTS)[0] == 0


def test_one_role_embeds_rows_as_questions() -> None:
    inner = HashEmbedder({"e5": 32})
    assert (OneRole(inner).passages(["uno"])["e5"] == inner.queries(["uno"])["e5"]).all()
    assert OneRole(inner).version != inner.version


def test_the_demo_desk_asks_for_rows_that_are_there() -> None:
    desk = demo_desk(ROOT / "resources" / "PROBLEMAS_GLOBALES.csv")
    asked = {row for incident in desk.asked for row in incident.relevant}
    assert asked <= desk.rows.keys()
    assert sum(incident.solvable for incident in desk.asked) > 100
    assert {i.text for i in desk.asked}.isdisjoint(text for texts in desk.examples.values() for text in texts)
    for text in ROW_TEXTS.values():
        assert all(desk.as_set(text).entries.values())


async def test_rewordings_are_asked_for_once(tmp_path: Path) -> None:
    answers = iter(["uno", "dos"])

    class Tasks:
        async def reformulate(self, incident: str, critique: object) -> str:
            return next(answers)

    made = Rewordings(tmp_path / "r.jsonl", "p1", "m")
    await made.make(cast("ModelTasks", Tasks()), ["a", "b", "a"], None)
    assert (made.get("a"), made.get("b")) == ("uno", "dos")
    again = Rewordings(tmp_path / "r.jsonl", "p1", "m")
    await again.make(cast("ModelTasks", Tasks()), ["b"], None)
    assert again.get("b") == "dos"
    assert Rewordings(tmp_path / "r.jsonl", "p2", "m").get("a") is None


def test_the_door_prints_every_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "s").mkdir()
    write_rows(tmp_path / "s" / "corpus.jsonl", [{"id": "a", "text": "buzón lleno", "examples": ["no entra correo"]}])
    write_rows(tmp_path / "s" / "queries.jsonl", [{"id": "q", "text": "buzón", "relevant": ["a"]}])
    monkeypatch.setattr("bench.retrieval.__main__.E5Use", lambda names: HashEmbedder(dict.fromkeys(names, 16)))
    assert main(["--datos", str(tmp_path), "--cache", str(tmp_path / "v")]) == 0
    told = capsys.readouterr().out
    assert all(name in told for name in (*VARIANTS, *ROW_TEXTS, "todas, con 40 por buscador", "Filas nuevas"))
    assert main(["--datos", str(tmp_path / "none")]) == 2
