"""The feedback's tables: numbered migrations that run on SQLite and PostgreSQL, and the same tables for queries."""

import sqlalchemy as sa

from core import migrations

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """
        CREATE TABLE {at}answers (
            id TEXT PRIMARY KEY,
            kind TEXT NOT NULL,
            asked TEXT NOT NULL,
            question TEXT NOT NULL,
            retrieved TEXT NOT NULL,
            answer TEXT NOT NULL,
            intent TEXT NOT NULL DEFAULT '',
            answered INTEGER NOT NULL,
            out_of_context INTEGER NOT NULL DEFAULT 0,
            seconds REAL NOT NULL DEFAULT 0
        )
        """,
        "CREATE INDEX answers_by_time ON {at}answers (asked)",
        """
        CREATE TABLE {at}ratings (
            answer TEXT PRIMARY KEY,
            label TEXT NOT NULL,
            correction TEXT NOT NULL DEFAULT '',
            who TEXT NOT NULL,
            said TEXT NOT NULL
        )
        """,
    ),
)

_META = sa.MetaData()

answers = sa.Table(
    "answers",
    _META,
    sa.Column("id", sa.Text, primary_key=True),
    *(sa.Column(name, sa.Text) for name in ("kind", "asked", "question", "retrieved", "answer", "intent")),
    sa.Column("answered", sa.Integer),
    sa.Column("out_of_context", sa.Integer),
    sa.Column("seconds", sa.Float),
)

ratings = sa.Table(
    "ratings",
    _META,
    sa.Column("answer", sa.Text, primary_key=True),
    *(sa.Column(name, sa.Text) for name in ("label", "correction", "who", "said")),
)


def migrate(engine: sa.Engine) -> None:
    """Bring the tables up to date. Raises `DependencyError` when they are newer than this program."""
    migrations.migrate(engine, "feedback", MIGRATIONS)
