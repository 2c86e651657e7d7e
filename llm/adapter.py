"""Weights of ours that the embedded model takes on for one task: LoRA adapters, made by `python -m finetune.adapter`.

Each is a GGUF file under `llm/adapters/` beside a JSON file that tells its hash, its base model and how it was made.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from core.errors import UsageError

FOLDER = Path(__file__).with_name("adapters")
_REMEDY = "Recupere la carpeta llm/adapters del repositorio."


class Made(BaseModel):
    """What is told of an adapter beside it."""

    model_config = ConfigDict(frozen=True, extra="allow")

    sha256: str
    base_sha256: str
    """Of the model file that it was fitted on; on another one it means nothing."""


@dataclass(frozen=True)
class Adapter:
    """One file, checked against its hash."""

    path: Path
    version: str
    """The first eight digits of its SHA-256."""


def shipped(base_sha256: str, folder: Path = FOLDER) -> dict[str, Adapter]:
    """Task -> its adapter on this base model, in order of name. Raises `UsageError` for a file that is not whole."""
    found: dict[str, Adapter] = {}
    for told in sorted(folder.glob("*.json")):
        path = told.with_suffix(".gguf")
        try:
            made = Made.model_validate_json(told.read_bytes())
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError as error:
            raise UsageError(f"{error.filename}: no se puede leer: {error.strerror}. {_REMEDY}") from error
        except ValidationError as error:
            raise UsageError(f"{told}: {error.errors()[0]['msg']}. {_REMEDY}") from error
        if digest != made.sha256:
            raise UsageError(f"{path}: su SHA-256 es {digest} y debería ser {made.sha256}. {_REMEDY}")
        if made.base_sha256 == base_sha256:
            found[path.stem] = Adapter(path, digest[:8])
    return found


def named(model: str, task: str, adapters: Mapping[str, Adapter]) -> str:
    """The model's name as it does `task`: with the adapter's version where it takes one on."""
    return f"{model}+{task}-{adapters[task].version}" if task in adapters else model
