"""Labelled folders are read whole, sampled the same for the same seed, and refused by file and line."""

from pathlib import Path

import pytest

from core.errors import UsageError
from finetune.labelled import REMOVED, labelled_folders, of_split, read_set, sample
from tests.labelled_folder import write_rows, write_set


def test_a_folder_is_read_in_order(tmp_path: Path) -> None:
    labelled = read_set(write_set(tmp_path / "uno", "banco"))
    assert list(labelled.entries) == [f"p{i}" for i in range(6)]
    assert [i.none_type for i in labelled.incidents] == [""] * 12 + ["ajeno"] * 4
    assert {pair.kind for pair in labelled.pairs} == {"gold", "azar"}


def test_pairs_alone_make_a_catalogue_of_their_solutions(tmp_path: Path) -> None:
    write_rows(
        tmp_path / "pairs.jsonl",
        [
            {"incident": "b", "solution": "S1", "label": 1},
            {"incident": "b", "solution": "S2", "label": 0},
            {"incident": "a", "solution": "S2", "label": 0},
        ],
    )
    labelled = read_set(tmp_path)
    assert sorted(labelled.entries.values()) == ["S1", "S2"]
    assert [(i.text, len(i.relevant), i.solvable) for i in labelled.incidents] == [("a", 0, False), ("b", 1, True)]
    assert [pair.kind for pair in labelled.pairs] == ["gold"] * 3


def test_an_entry_without_text_is_its_title_and_examples(tmp_path: Path) -> None:
    write_rows(tmp_path / "corpus.jsonl", [{"id": "a", "title": "T", "examples": ["uno", "dos"]}])
    labelled = read_set(tmp_path)
    assert labelled.entries == {"a": "T: uno | dos"}
    assert labelled.examples == {"a": ("uno", "dos")}


def test_catalogue_examples_are_never_asked_for(tmp_path: Path) -> None:
    write_rows(tmp_path / "corpus.jsonl", [{"id": "a", "text": "A"}])
    write_rows(
        tmp_path / "queries.jsonl",
        [
            {"id": str(n), "text": "x", "relevant": ["a"], "split": split}
            for n, split in enumerate(("catalogue_example", "test", "val"))
        ],
    )
    labelled = read_set(tmp_path)
    assert [i.split for i in labelled.incidents] == ["test", "val"]
    assert [i.split for i in of_split(labelled, "val").incidents] == ["val"]
    assert of_split(labelled, "otra") == labelled


def test_a_sample_is_the_same_for_the_same_seed_and_takes_out_other_incidents(tmp_path: Path) -> None:
    labelled = read_set(write_set(tmp_path / "uno", "banco"))
    chosen = sample(labelled, 1, 4, 2, 3).incidents
    assert chosen == sample(labelled, 1, 4, 2, 3).incidents
    assert chosen != sample(labelled, 2, 4, 2, 3).incidents
    assert [(i.solvable, i.none_type) for i in chosen] == (
        [(True, "")] * 4 + [(False, "ajeno")] * 2 + [(False, REMOVED)] * 3
    )
    assert len({i.id for i in chosen}) == 9


def test_folders_are_found_as_given_and_one_below(tmp_path: Path) -> None:
    one, two = write_set(tmp_path / "a" / "z", "uno"), write_set(tmp_path / "b", "dos")
    assert labelled_folders([tmp_path / "a", two, two]) == [two, one]


@pytest.mark.parametrize(
    ("corpus", "query", "message"),
    [
        ("{", '{"id": "q", "text": "t", "relevant": []}', r"corpus\.jsonl, línea 1: no es JSON"),
        ('{"text": "x"}', "", r"corpus\.jsonl, línea 1: debe ser un objeto con id"),
        ('{"id": "a", "text": "x"}', '{"id": "q", "text": "t"}', r"queries\.jsonl, línea 1: .*relevant"),
        ('{"id": "a", "text": "x"}', '{"id": "q", "text": "t", "relevant": ["b"]}', "la entrada b, que no está"),
    ],
    ids=["not-json", "no-id", "no-relevant", "unknown-entry"],
)
def test_a_bad_line_is_named(tmp_path: Path, corpus: str, query: str, message: str) -> None:
    (tmp_path / "corpus.jsonl").write_text(corpus, "utf-8")
    (tmp_path / "queries.jsonl").write_text(query, "utf-8")
    with pytest.raises(UsageError, match=message):
        read_set(tmp_path)


@pytest.mark.parametrize("name", ["", "falta"], ids=["empty", "missing"])
def test_no_sets_at_all(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=r"ningún conjunto|no es una carpeta"):
        labelled_folders([tmp_path / name])
