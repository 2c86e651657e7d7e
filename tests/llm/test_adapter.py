"""llm/adapter.py on files of our own."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from core.errors import UsageError
from llm.adapter import Adapter, named, shipped
from llm.weights import SHA256

CONTENT = b"GGUF de prueba"


def _write(folder: Path, task: str = "relevance", **told: Any) -> Path:
    path = folder / f"{task}.gguf"
    path.write_bytes(CONTENT)
    facts = {"sha256": hashlib.sha256(CONTENT).hexdigest(), "base_sha256": SHA256, "command": "python -m …"} | told
    path.with_suffix(".json").write_text(json.dumps(facts), "utf-8")
    return path


def test_an_adapter_is_known_by_its_task_and_its_hash(tmp_path: Path) -> None:
    path = _write(tmp_path)
    version = hashlib.sha256(CONTENT).hexdigest()[:8]
    assert shipped(SHA256, tmp_path) == {"relevance": Adapter(path, version)}
    assert named("modelo", "relevance", shipped(SHA256, tmp_path)) == f"modelo+relevance-{version}"
    assert named("modelo", "answers", shipped(SHA256, tmp_path)) == "modelo"


def test_one_of_another_model_is_left_alone(tmp_path: Path) -> None:
    _write(tmp_path, base_sha256="0" * 64)
    assert shipped(SHA256, tmp_path) == {}


def test_none_is_needed(tmp_path: Path) -> None:
    assert shipped(SHA256, tmp_path / "no existe") == {}


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (lambda path: path.write_bytes(CONTENT[:-1]), "SHA-256"),
        (lambda path: path.unlink(), "no se puede leer"),
        (lambda path: path.with_suffix(".json").write_text("{", "utf-8"), "JSON"),
        (lambda path: path.with_suffix(".json").write_text("{}", "utf-8"), "Field required"),
    ],
    ids=["cut", "gone", "told badly", "told nothing"],
)
def test_a_file_that_is_not_whole_is_never_loaded(tmp_path: Path, harm: Any, told: str) -> None:
    harm(_write(tmp_path))
    with pytest.raises(UsageError, match=told) as caught:
        shipped(SHA256, tmp_path)
    assert "llm/adapters" in str(caught.value)


def test_those_that_ship_are_whole_and_of_the_embedded_model() -> None:
    assert "relevance" in shipped(SHA256)
