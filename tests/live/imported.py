"""The embedded model's file behind an Ollama of our own."""

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

MODEL = "spai-pruebas"
SERVER_CONTEXT = 512
"""Our Ollama's own window: smaller than what the tests ask for, so that a request that does not name one is cut."""
TEMPLATE = '''\
TEMPLATE """{{- range .Messages }}<|im_start|>{{ .Role }}
{{ .Content }}<|im_end|>
{{ end }}<|im_start|>assistant
"""
PARAMETER stop <|im_end|>
'''
"""The README's. Of the template inside the file Ollama does not know what to make, and would drop the instructions."""


@dataclass(frozen=True)
class Importer:
    """Gives a running Ollama the model's file."""

    program: Path
    weights: Path
    folder: Path
    variables: Mapping[str, str]

    def create(self, model: str, rest: str) -> None:
        """`ollama create` from a Modelfile with `FROM` the weights, and `rest`."""
        modelfile = self.folder / "Modelfile"
        modelfile.write_text(f"FROM {self.weights.resolve()}\n{rest}", encoding="utf-8")
        command = [self.program, "create", model, "-f", modelfile]
        made = subprocess.run(command, env=os.environ | self.variables, capture_output=True, text=True, check=False)
        assert made.returncode == 0, made.stderr


@dataclass(frozen=True)
class ModelServer:
    """An Ollama and the model to ask it for."""

    url: str
    model: str
    importer: Importer | None = None
    """Where the Ollama is ours, and the model the embedded one's file."""
