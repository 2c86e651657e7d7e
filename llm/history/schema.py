"""The tables of `historico.db`, by numbered migrations, and how the file is opened."""

import sqlite3
from pathlib import Path

from core.errors import DependencyError
from core.write_ahead import write_ahead

FILE = "historico.db"

MIGRATIONS = (
    """
    CREATE TABLE texts (
        sha256 TEXT PRIMARY KEY,              -- of the content in UTF-8, hexadecimal
        content TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE calls (
        id TEXT PRIMARY KEY,
        time TEXT NOT NULL,                   -- when it began, ISO 8601, UTC
        module TEXT NOT NULL,                 -- the task: relevance, choose, …
        provider TEXT NOT NULL,
        model TEXT NOT NULL,
        prompt_hash TEXT NOT NULL REFERENCES texts (sha256),   -- the prompt file
        input_hash TEXT NOT NULL REFERENCES texts (sha256),    -- the messages, a JSON list of role and content
        output_hash TEXT REFERENCES texts (sha256),            -- the reply; null when there was none
        input_tokens INTEGER NOT NULL,
        output_tokens INTEGER NOT NULL,
        milliseconds REAL NOT NULL,
        run TEXT NOT NULL,
        incident TEXT NOT NULL,
        stage TEXT NOT NULL,
        ok INTEGER NOT NULL,                  -- 1: the reply was read and used
        error TEXT,                           -- the reason code when not ok
        repair INTEGER NOT NULL,              -- 1: the second try, with the error shown
        logit REAL                            -- judgements: log P(sí) - log P(no)
    );
    CREATE INDEX calls_by_module ON calls (module, time);
    CREATE INDEX calls_by_incident ON calls (incident, time);
    """,
)
"""Number n brings the file from version n - 1 to n. Never edited once released; the next one is added."""


def connect(directory: Path) -> sqlite3.Connection:
    """Open `historico.db` in `directory`, made and brought up to date as needed.

    Raises `DependencyError` naming the file when it cannot be used.
    """
    path = directory / FILE
    try:
        directory.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, timeout=5, isolation_level=None, check_same_thread=False)
        try:
            write_ahead(connection)
            _migrate(connection, path)
        except BaseException:
            connection.close()
            raise
    except (OSError, sqlite3.Error) as error:
        raise DependencyError(
            f"No se puede usar el histórico {path}: {error}. Compruebe el permiso y el espacio en disco, "
            "o aparte el fichero si está dañado."
        ) from error
    return connection


def open_existing(directory: Path) -> sqlite3.Connection:
    """As `connect`, for reading: raises `DependencyError` where there is no history yet."""
    path = directory / FILE
    if not path.is_file():
        raise DependencyError(f"No hay histórico en {path}. Se crea con la primera ejecución, o indique --directorio.")
    return connect(directory)


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > len(MIGRATIONS):
            raise DependencyError(
                f"El histórico {path} es de una versión más nueva ({version}) que este programa ({len(MIGRATIONS)}). "
                "Actualice el programa o use otro directorio."
            )
        for number, script in enumerate(MIGRATIONS[version:], start=version + 1):
            for statement in _statements(script):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number}")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _statements(script: str) -> list[str]:
    """One by one: `executescript` would commit the transaction that makes a migration all or nothing."""
    statements, current = [], ""
    for line in script.splitlines():
        current += line + "\n"
        if sqlite3.complete_statement(current):
            statements.append(current)
            current = ""
    return statements
