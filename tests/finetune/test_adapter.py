"""finetune/adapter: what the judge's adapter is fitted on, and how prompts are laid over each other."""

import json
import random
from collections import Counter
from pathlib import Path

import pytest

from config import ROOT
from core.errors import UsageError
from finetune.adapter.__main__ import main
from finetune.adapter.packing import packs
from finetune.adapter.pairs import FITS, chat_text, examples
from finetune.labelled import labelled_folders, read_set
from llm.prompt import Prompt
from llm.tasks import PROMPTS

PAIRS = ROOT / "finetune" / "pairs"
LACKING = "línea 1: debe ser un objeto con id, row"
PROMPT = Prompt.load(PROMPTS / "relevance.md")


def test_every_incident_has_one_row_that_is_right_and_some_that_are_not() -> None:
    for folder in labelled_folders([PAIRS]):
        found = examples(folder, PROMPT, 1)
        per_incident = Counter(example.group for example in found)
        right = Counter(example.group for example in found if example.label)
        assert len(per_incident) == 120
        assert set(per_incident.values()) <= {2, 3}
        assert set(right.values()) == {1}
        assert right.keys() == per_incident.keys()


def test_no_row_is_always_right() -> None:
    for folder in labelled_folders([PAIRS]):
        labels: dict[str, set[int]] = {}
        for example in examples(folder, PROMPT, 1):
            row = example.prompt.split("<problema>")[1]
            labels.setdefault(row, set()).add(example.label)
        assert sum(found == {1} for found in labels.values()) <= 0.1 * len(labels)


def test_what_teaches_is_not_what_measures() -> None:
    measured = [text for folder in labelled_folders([ROOT / "finetune" / "data"]) for text in _texts(folder)]
    taught = {text for folder in labelled_folders([PAIRS]) for text in _texts(folder)}
    assert not taught.intersection(measured)


def _texts(folder: Path) -> list[str]:
    labelled = read_set(folder)
    return [*labelled.entries.values(), *(incident.text for incident in labelled.incidents)]


def test_a_prompt_is_what_the_embedded_model_is_given() -> None:
    text = chat_text(PROMPT, "no imprime", "IMPRESIÓN: la impresora figura sin conexión")
    assert text.startswith("<|im_start|>system\n")
    assert text.endswith("¿Es el mismo problema?<|im_end|>\n<|im_start|>assistant\n")
    assert text.index("no imprime") < text.index("IMPRESIÓN")


@pytest.mark.parametrize(
    ("name", "line", "told"),
    [
        (FITS, "{", "línea 1"),
        (FITS, "[]", LACKING),
        (FITS, '{"id": "q"}', LACKING),
        (FITS, None, "fits"),
    ],
    ids=["no json", "no object", "no row", "no file"],
)
def test_data_that_does_not_serve_is_named(tmp_path: Path, name: str, line: str | None, told: str) -> None:
    (tmp_path / "corpus.jsonl").write_text(json.dumps({"id": "p", "text": "una fila"}), "utf-8")
    query = {"id": "q", "text": "una incidencia", "relevant": [], "tempts": ["p"]}
    (tmp_path / "queries.jsonl").write_text(json.dumps(query), "utf-8")
    if line is not None:
        (tmp_path / name).write_text(line, "utf-8")
    with pytest.raises(UsageError, match=told):
        examples(tmp_path, PROMPT, 1)


def test_packs_share_beginnings_and_hide_the_rest() -> None:
    rng = random.Random(3)
    prompts = [[1, 2, *rng.choices(range(4), k=rng.randint(1, 6)), 9] for _ in range(40)]
    made = list(packs(prompts, 30))
    assert [number for pack in made for number in pack.which] == list(range(40))
    assert len(made) > 1
    for pack in made:
        visible = pack.visible()
        assert len(pack.tokens) < sum(len(prompts[number]) for number in pack.which)
        for number, end in zip(pack.which, pack.ends, strict=True):
            seen = [token for token in range(len(pack.tokens)) if visible[end, token]]
            assert [pack.tokens[token] for token in seen] == prompts[number]
            assert [pack.positions[token] for token in seen] == list(range(len(prompts[number])))


def test_folders_that_are_not_there_are_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--datos", str(tmp_path / "no"), "--salida", str(tmp_path / "a.gguf")]) == 2
    assert "no es una carpeta" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
