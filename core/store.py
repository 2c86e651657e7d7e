"""What our own tables share, on SQLite and PostgreSQL: brought up to date, read, written, closed."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Self

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from core import migrations
from core.errors import DependencyError


class Store:
    """Safe to share among threads and, on PostgreSQL, machines. Every method raises `DependencyError` by name when the
    database cannot be used."""

    def __init__(
        self,
        engine: sa.Engine,
        unavailable: Callable[[BaseException], DependencyError],
        migrate: Callable[[sa.Engine], None],
    ) -> None:
        self._unavailable = unavailable
        with self._explained():
            migrate(engine)
        served = engine.dialect.name != "sqlite"
        self._engine = engine.execution_options(schema_translate_map={None: migrations.SCHEMA}) if served else engine

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A connection to query with."""
        with self._explained(), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self, *, alone: bool = True) -> Iterator[sa.Connection]:
        """A transaction, committed at the block's end; `alone`: no other that reads first may run beside it."""
        with self._explained(), self._engine.connect() as connection:
            migrations.begin(connection, alone=alone)
            yield connection
            connection.commit()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            raise self._unavailable(error) from error

    def close(self) -> None:
        """Give the connections back."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
