"""Doubles for documents: words for tokens, a reader without a process, a folder with files."""

from collections.abc import Sequence
from pathlib import Path

from core.documents.document import Block, Unreadable


def count(text: str) -> int:
    """A token a word."""
    return len(text.split())


class LineReader:
    """Lines that start with `#` are headings; a file that says ROTO cannot be read. Counts what it read."""

    version = "lineas/1"

    def __init__(self) -> None:
        self.read_names: list[str] = []

    def read(self, name: str, data: bytes) -> Sequence[Block]:
        text = data.decode()
        self.read_names.append(name)
        if "ROTO" in text:
            raise Unreadable("está dañado")
        lines = [line for line in text.splitlines() if line.strip()]
        return [Block(line.lstrip("# "), len(line) - len(line.lstrip("#"))) for line in lines]


def manual(topic: str, sections: int = 3, sentences: int = 12) -> str:
    """About 100 words a section."""
    lines = [f"# Manual de {topic}"]
    for section in range(sections):
        lines.append(f"## Apartado {section} de {topic}")
        lines += [f"La frase {n} del apartado {section} habla de {topic} y nada más." for n in range(sentences)]
    return "\n".join(lines)


def folder_with(path: Path, files: dict[str, str]) -> Path:
    """The folder, with these files and no others."""
    path.mkdir(exist_ok=True)
    for old in path.iterdir():
        old.unlink()
    for name, text in files.items():
        (path / name).write_text(text, encoding="utf-8")
    return path
