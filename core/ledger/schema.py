"""The ledger's tables: numbered migrations that run on SQLite and PostgreSQL, and the same tables for queries."""

import sqlalchemy as sa

from core.errors import DependencyError

SCHEMA = "spai"
"""Where the tables are on PostgreSQL; a SQLite file has them by themselves."""

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """
        CREATE TABLE {at}decisions (
            id TEXT PRIMARY KEY,
            incident TEXT NOT NULL,
            run TEXT NOT NULL,
            created TEXT NOT NULL,
            fingerprint TEXT NOT NULL,
            entry TEXT,
            kind TEXT NOT NULL,
            mailbox TEXT NOT NULL,
            target TEXT,
            approval INTEGER,
            autonomy TEXT NOT NULL,
            phase TEXT NOT NULL,
            reason TEXT NOT NULL DEFAULT '',
            state_before TEXT NOT NULL DEFAULT '',
            mailbox_before TEXT NOT NULL DEFAULT '',
            state_after TEXT NOT NULL DEFAULT '',
            mailbox_after TEXT NOT NULL DEFAULT '',
            fingerprint_after TEXT NOT NULL DEFAULT '',
            sent_at TEXT NOT NULL DEFAULT '',
            closed_at TEXT NOT NULL DEFAULT ''
        )
        """,
        "CREATE INDEX decisions_by_incident ON {at}decisions (incident)",
        """
        CREATE TABLE {at}outcomes (
            decision TEXT NOT NULL,
            label TEXT NOT NULL,
            incident TEXT NOT NULL,
            entry TEXT,
            who TEXT NOT NULL,
            said TEXT NOT NULL,
            reason TEXT NOT NULL DEFAULT '',
            PRIMARY KEY (decision, label)
        )
        """,
        """
        CREATE TABLE {at}controls (
            name TEXT PRIMARY KEY,
            value TEXT NOT NULL,
            who TEXT NOT NULL,
            said TEXT NOT NULL
        )
        """,
    ),
    (
        "ALTER TABLE {at}decisions ADD COLUMN entry_hash TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE {at}decisions ADD COLUMN evidence TEXT NOT NULL DEFAULT '{{}}'",
        "CREATE INDEX decisions_by_phase ON {at}decisions (phase, created)",
    ),
)
"""Number n brings the tables from version n - 1 to n. Never edited once released; the next one is added."""

_metadata = sa.MetaData()
_TEXTS = (
    "incident", "run", "created", "fingerprint", "entry", "kind", "mailbox", "target", "autonomy", "phase", "reason",
    "state_before", "mailbox_before", "state_after", "mailbox_after", "fingerprint_after", "sent_at", "closed_at",
    "entry_hash", "evidence",
)  # fmt: skip
decisions = sa.Table(
    "decisions",
    _metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("approval", sa.Integer),
    *(sa.Column(name, sa.Text) for name in _TEXTS),
)
outcomes = sa.Table(
    "outcomes",
    _metadata,
    sa.Column("decision", sa.Text, primary_key=True),
    sa.Column("label", sa.Text, primary_key=True),
    *(sa.Column(name, sa.Text) for name in ("incident", "entry", "who", "said", "reason")),
)
controls = sa.Table(
    "controls",
    _metadata,
    sa.Column("name", sa.Text, primary_key=True),
    *(sa.Column(name, sa.Text) for name in ("value", "who", "said")),
)
_LOCK = 7_306_004_211
"""An advisory lock of our own on PostgreSQL: one process at a time migrates or counts towards a cap."""


def begin(connection: sa.Connection, *, alone: bool = True) -> None:
    """Start a transaction; `alone`: nobody else writes meanwhile what is read in it."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    elif alone:
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})


def migrate(engine: sa.Engine) -> None:
    """Bring the tables up to date, all or nothing. Raises `DependencyError` when they are newer than this program."""
    served = engine.dialect.name != "sqlite"
    at = f"{SCHEMA}." if served else ""
    with engine.connect() as connection:
        begin(connection)
        if served:
            connection.exec_driver_sql(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
        connection.exec_driver_sql(f"CREATE TABLE IF NOT EXISTS {at}ledger_version (number INTEGER NOT NULL)")
        known = sa.table("ledger_version", sa.column("number"), schema=SCHEMA if served else None)
        version = connection.scalar(sa.select(sa.func.max(known.c.number))) or 0
        if version > len(MIGRATIONS):
            raise DependencyError(
                f"La base de datos de decisiones es de una versión más nueva ({version}) que este programa "
                f"({len(MIGRATIONS)}). Actualice el programa, o use otro DIRECTORIO_ESTADO u otra DATABASE_URL."
            )
        for number, statements in enumerate(MIGRATIONS[version:], start=version + 1):
            for statement in statements:
                connection.exec_driver_sql(statement.format(at=at))
            connection.execute(sa.insert(known).values(number=number))
        connection.commit()
