"""What the bench found: measures beside what was asked, as a table and as JSON with the commit."""

import json
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from config import ROOT
from core.files import write_whole
from llm.native import threads


@dataclass(frozen=True)
class Measure:
    """One line of the table. `met` is None where nothing was asked."""

    name: str
    asked: str
    measured: str
    value: float
    met: bool | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    """Whatever else is worth keeping, for the JSON only."""


def show(measures: Sequence[Measure], console: Console) -> None:
    """The table, in Spanish."""
    table = Table(title="Banco de pruebas de rendimiento")
    for column in ("medida", "se pide", "medido", ""):
        table.add_column(column)
    words = {None: "", True: "sí", False: "[bold red]no"}
    for measure in measures:
        table.add_row(measure.name, measure.asked, measure.measured, words[measure.met])
    console.print(table)


def write(measures: Sequence[Measure], path: Path | None, folder: Path) -> Path:
    """JSON at `path`, or under `folder` with the date in its name; returns where. Raises `OSError`."""
    now = datetime.now().astimezone()
    content = {
        "fecha": now.isoformat(timespec="seconds"),
        "commit": commit(ROOT),
        "procesadores": threads(),
        "medidas": [asdict(measure) for measure in measures],
    }
    target = path or folder / f"bench_{now:%Y%m%d_%H%M%S}.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    write_whole(target, (json.dumps(content, ensure_ascii=False, indent=2) + "\n").encode())
    return target


def commit(root: Path) -> str | None:
    """The commit checked out at `root`, with «+» where tracked files differ from it; None without git."""
    try:
        head = _git(root, "rev-parse", "HEAD")
        return head + ("+" if _git(root, "status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True, timeout=20)
    return done.stdout.strip()
