"""Numbered migrations of our own tables, run on SQLite and PostgreSQL: each once, in order, all or nothing."""

from collections.abc import Sequence

import sqlalchemy as sa

from core.errors import DependencyError

SCHEMA = "spai"
"""Where our tables are on PostgreSQL; a SQLite file has them by themselves."""

Migrations = Sequence[Sequence[str]]
"""Statements by number, from 1; `{at}` stands for the schema and its dot where there is one."""

_LOCK = 7_306_004_211
"""An advisory lock of our own on PostgreSQL: one process at a time migrates or counts towards a cap."""


def begin(connection: sa.Connection, *, alone: bool = True) -> None:
    """Start a transaction; `alone`: nobody else writes meanwhile what is read in it."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    elif alone:
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})


def migrate(engine: sa.Engine, name: str, migrations: Migrations) -> None:
    """Bring the tables of `name` up to date. Raises `DependencyError` when they are newer than this program."""
    served = engine.dialect.name != "sqlite"
    at = f"{SCHEMA}." if served else ""
    with engine.connect() as connection:
        begin(connection)
        if served:
            connection.exec_driver_sql(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
        connection.exec_driver_sql(f"CREATE TABLE IF NOT EXISTS {at}{name}_version (number INTEGER NOT NULL)")
        known = sa.table(f"{name}_version", sa.column("number"), schema=SCHEMA if served else None)
        version = connection.scalar(sa.select(sa.func.max(known.c.number))) or 0
        if version > len(migrations):
            raise DependencyError(
                f"La base de datos ({name}) es de una versión más nueva ({version}) que este programa "
                f"({len(migrations)}). Actualice el programa, o use otro DIRECTORIO_ESTADO u otra DATABASE_URL."
            )
        for number, statements in enumerate(migrations[version:], start=version + 1):
            for statement in statements:
                connection.exec_driver_sql(statement.format(at=at))
            connection.execute(sa.insert(known).values(number=number))
        connection.commit()
