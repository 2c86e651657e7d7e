"""How often each incident's work was begun, by whom, and whether its end was told: beside the queue's own tables."""

import time
from collections.abc import Collection, Iterator, Sequence
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from core import migrations
from core.database import Database

CHUNK = 500
"""Ids per statement."""

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """
        CREATE TABLE IF NOT EXISTS {at}trabajos (
            id TEXT PRIMARY KEY,
            intentos INTEGER NOT NULL,
            ejecutor TEXT NOT NULL,
            contado TEXT NOT NULL,
            cuando DOUBLE PRECISION NOT NULL
        )
        """,
        "CREATE INDEX IF NOT EXISTS trabajos_por_contar ON {at}trabajos (contado, ejecutor)",
    ),
)


class Told(StrEnum):
    """Whether a report has an incident's end."""

    NO = "no"
    YES = "si"
    FAILED = "fallida"
    """It has, and the incident ended with an error: the next run works it again."""


_metadata = sa.MetaData()
_works = sa.Table(
    "trabajos",
    _metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("intentos", sa.Integer, nullable=False),
    sa.Column("ejecutor", sa.Text, nullable=False),
    sa.Column("contado", sa.Text, nullable=False),
    sa.Column("cuando", sa.Float, nullable=False),
)


def chunks(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    """The ids, a statement's worth at a time."""
    return (ids[start : start + CHUNK] for start in range(0, len(ids), CHUNK))


class Worked:
    """The table over an engine of `Database.open("cola")`. Every method raises `SQLAlchemyError`."""

    def __init__(self, database: Database, engine: sa.Engine) -> None:
        schema = migrations.SCHEMA if database.served else None
        self._engine = engine.execution_options(schema_translate_map={None: schema})
        self._insert = postgresql.insert if database.served else sqlite.insert

    def create(self) -> None:
        """Bring the table up to date. Raises `DependencyError` when it is newer than this program."""
        migrations.migrate(self._engine, "trabajos", MIGRATIONS)

    def begin(self, work: str, executor: str) -> int:
        """Count one more beginning of this work; returns how many there are now."""
        fresh = self._insert(_works).values(id=work, intentos=1, ejecutor=executor, contado=Told.NO, cuando=time.time())
        again = fresh.on_conflict_do_update(
            index_elements=[_works.c.id],
            set_={"intentos": _works.c.intentos + 1, "ejecutor": executor, "contado": Told.NO, "cuando": time.time()},
        )
        with self._engine.begin() as connection:
            return int(connection.execute(again.returning(_works.c.intentos)).scalar_one())

    def forgive(self, work: str) -> None:
        """That beginning was ended in good order, by a stop: it does not count."""
        fewer = sa.update(_works).where(_works.c.id == work, _works.c.intentos > 0)
        with self._engine.begin() as connection:
            connection.execute(fewer.values(intentos=_works.c.intentos - 1))

    def untold(self) -> dict[str, str]:
        """Work whose end no report has, with who began it last."""
        query = sa.select(_works.c.id, _works.c.ejecutor).where(_works.c.contado == Told.NO)
        with self._engine.connect() as connection:
            return {row.id: row.ejecutor for row in connection.execute(query)}

    def inherit(self, dead: str, heir: str) -> None:
        """What a dead executor left untold is `heir`'s to tell."""
        left = sa.update(_works).where(_works.c.ejecutor == dead, _works.c.contado == Told.NO)
        with self._engine.begin() as connection:
            connection.execute(left.values(ejecutor=heir))

    def tell(self, ended: Sequence[str], failed: Collection[str]) -> None:
        """A report has the ends of these; those in `failed` ended with an error."""
        with self._engine.begin() as connection:
            for told, ids in (
                (Told.YES, [work for work in ended if work not in failed]),
                (Told.FAILED, [work for work in ended if work in failed]),
            ):
                for some in chunks(ids):
                    update = sa.update(_works).where(_works.c.id.in_(some))
                    connection.execute(update.values(contado=told, cuando=time.time()))

    def failed(self, ids: Sequence[str], *, after: float = 0.0) -> set[str]:
        """Those of `ids` that ended with an error at least `after` seconds ago."""
        found: set[str] = set()
        with self._engine.connect() as connection:
            for some in chunks(ids):
                query = sa.select(_works.c.id).where(
                    _works.c.id.in_(some), _works.c.contado == Told.FAILED, _works.c.cuando <= time.time() - after
                )
                found.update(connection.execute(query).scalars())
        return found

    def forget(self, ids: Sequence[str]) -> None:
        """These are to be new again."""
        with self._engine.begin() as connection:
            for some in chunks(ids):
                connection.execute(sa.delete(_works).where(_works.c.id.in_(some)))

    def probe(self) -> None:
        """Write something that needs room and take it back: a full disk shows."""
        with self._engine.begin() as connection:
            connection.execute(
                sa.insert(_works).values(id="-" * 20_000, intentos=0, ejecutor="", contado=Told.YES, cuando=0.0)
            )
            connection.execute(sa.delete(_works).where(_works.c.id == "-" * 20_000))
