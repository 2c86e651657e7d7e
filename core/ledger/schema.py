"""The ledger's tables: numbered migrations that run on SQLite and PostgreSQL, and the same tables for queries."""

import sqlalchemy as sa

from core import migrations

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
    # Phase `left` and label `equivocada` are in use from here on: an older program would not know them.
    ("CREATE INDEX outcomes_by_incident ON {at}outcomes (incident)",),
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


def migrate(engine: sa.Engine) -> None:
    """Bring the tables up to date. Raises `DependencyError` when they are newer than this program."""
    migrations.migrate(engine, "ledger", MIGRATIONS)
