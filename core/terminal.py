"""What is shown on the terminal while a command works: a progress bar, on standard error, only for a person."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Show = Callable[[str, int, int], None]
"""(what is being done, done, of how many)"""


@contextmanager
def progress_bar() -> Iterator[Show | None]:
    """A bar per thing that is being done; None where standard error is not a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        tasks = {}

        def show(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total)
            bar.update(tasks[what], completed=done)

        yield show


def short(text: str, most: int) -> str:
    """One line of `most` characters at the most."""
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1] + "…"
