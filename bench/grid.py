"""A table of texts: on the terminal and as Markdown."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_WIDE = 160
"""Columns into a file or a pipe: nothing to fit into."""


@dataclass(frozen=True)
class Grid:
    """One table of texts."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]

    def markdown(self) -> str:
        """As GitHub reads it."""
        lines = [self.columns, tuple("---" for _ in self.columns), *self.rows]
        return f"**{self.title}**\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def show(grids: Iterable[Grid], notes: Iterable[str] = (), *, wide: int = _WIDE) -> None:
    """Print them and the notes below; `wide`: columns where there is no terminal."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    if not console.is_terminal:
        console = Console(width=wide)
    for grid in grids:
        table = Table(*grid.columns, title=grid.title)
        for row in grid.rows:
            table.add_row(*row)
        console.print(table)
    for line in notes:
        console.print(line, highlight=False)
