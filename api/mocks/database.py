"""SQLite for the demo services: one short transaction per request, safe between threads and processes."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from core.write_ahead import write_ahead

_SEEDED = 1  # PRAGMA user_version of a file that has its demo content


@contextmanager
def transaction(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection inside a write transaction: committed on leaving, rolled back on any error."""
    connection = sqlite3.connect(path, timeout=10, isolation_level=None)
    try:
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("BEGIN IMMEDIATE")
        yield connection
        connection.execute("COMMIT")
    finally:
        connection.close()  # without COMMIT, closing rolls back


def prepare(path: Path, schema: tuple[str, ...], seed: Callable[[sqlite3.Connection], None]) -> None:
    """Create the tables and, the first time only, the demo content."""
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path, timeout=10, isolation_level=None)
    try:
        write_ahead(connection)
    finally:
        connection.close()
    with transaction(path) as connection:
        for statement in schema:
            connection.execute(statement)
        if connection.execute("PRAGMA user_version").fetchone()[0] != _SEEDED:
            seed(connection)
            connection.execute(f"PRAGMA user_version = {_SEEDED}")
