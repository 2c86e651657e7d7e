"""The product's commands, in a process and folders of their own."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from config import ROOT, Settings


@dataclass(frozen=True)
class Product:
    """State and resources under `folder`, and settings beside them; nothing from outside."""

    folder: Path
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def record(self) -> Path:
        """The log of record."""
        return self.folder / "estado" / "logs" / "spai.jsonl"

    def build(self) -> None:
        """The knowledge base, from the demo catalogue."""
        resources = self.folder / "recursos"
        resources.mkdir()
        for name in ("PROBLEMAS_GLOBALES.csv", "CORRECTIVOS_ABIERTOS.csv"):
            (resources / name).write_bytes((ROOT / "resources" / name).read_bytes())
        self.run("batch.py")

    def work(self, *arguments: str) -> dict[str, Any]:
        """The report of `main.py`."""
        report: dict[str, Any] = json.loads(self.run("main.py", "--json", *arguments))
        return report

    def run(self, *arguments: str) -> str:
        """What a command writes on standard output; it must end with 0."""
        clean = {name: value for name, value in os.environ.items() if name.lower() not in Settings.model_fields}
        folders = {
            "DIRECTORIO_ESTADO": str(self.folder / "estado"),
            "DIRECTORIO_RECURSOS": str(self.folder / "recursos"),
        }
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=ROOT,
            env=clean | folders | self.settings,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{arguments}: {done.returncode}\n{done.stderr[-3000:]}"
        return done.stdout
