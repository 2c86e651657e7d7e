"""The durable tables' databases: SQLite files under the state folder, or one PostgreSQL. The one place to open them."""

import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from core.errors import DependencyAway, DependencyError, UsageError
from core.write_ahead import locked, write_ahead

CONNECT_SECONDS = 5
_BUSY_SECONDS = 30
"""How long a statement waits for another process that holds the SQLite file."""
_IDLE_SECONDS = 20
"""PostgreSQL ends a transaction whose process says nothing for so long: a frozen worker must not hold row locks."""


@dataclass(frozen=True)
class Database:
    """Where the durable tables are: SQLite files in `folder`, or the server of `url` (`postgresql://…`).

    `url` may also name one SQLite file: the queue is kept in it, the other files beside it.
    """

    folder: Path
    url: str | None = None

    @property
    def served(self) -> bool:
        """It is a PostgreSQL server, which several machines can share."""
        return bool(self.url and self.url.startswith("postgresql"))

    @property
    def address(self) -> str:
        """The server's URL as libpq takes it, password included: not to be shown."""
        if not self.url or not self.served:
            raise ValueError("there is no server")
        return "postgresql://" + self.url.partition("://")[2]

    def file(self, name: str) -> Path:
        """The SQLite file of the tables called `name`."""
        if self.url and not self.served:
            named = Path(self.url.partition(":///")[2])
            return named if name == "cola" else named.with_name(f"{name}.db")
        return self.folder / f"{name}.db"

    @property
    def shown(self) -> str:
        """Where it is, without user or password."""
        if not self.served:
            return str(self.file("cola").parent)
        url = sa.make_url(self.address)
        return f"{url.host or 'localhost'}:{url.port or 5432}/{url.database or ''}"

    def open(self, name: str, *, connections: int = 8) -> sa.Engine:
        """An engine for the tables called `name`; whoever opens it disposes of it.

        Raises `DependencyError` when the database cannot be used, `UsageError` when its URL is none.
        """
        try:
            engine = self._served(connections) if self.served else self._embedded(name, connections)
        except (sa.exc.ArgumentError, ValueError):  # its message shows the URL, with the password
            raise UsageError("DATABASE_URL no es una URL de base de datos que se entienda.") from None
        except OSError as error:
            raise self.unavailable(error) from error
        try:
            with engine.connect() as connection:
                connection.execute(sa.text("SELECT 1"))
        except SQLAlchemyError as error:
            engine.dispose()
            raise self.unavailable(error) from error
        return engine

    def unavailable(self, error: BaseException) -> DependencyError:
        """What to tell about a database that cannot be used: where it is, why not and what to do."""
        kind = DependencyAway if isinstance(error, SQLAlchemyError) and passing(error) else DependencyError
        if not self.served:
            return kind(
                f"No se puede usar la base de datos de {self.shown}: {_why(error)}. Compruebe que hay sitio en el "
                "disco y que nadie más la tiene bloqueada, y repita: lo que quedó a medias se retoma."
            )
        return kind(
            f"No se llega a PostgreSQL en {self.shown} (DATABASE_URL): {_why(error)}. Compruebe que está en marcha "
            "(`pg_isready`, `systemctl start postgresql`), que la base de datos existe (`createdb`) y el usuario puede "
            "crear esquemas en ella. Lo que quedó a medias se retoma al repetir la orden."
        )

    def _served(self, connections: int) -> sa.Engine:
        url = sa.make_url(self.address).set(drivername="postgresql+psycopg")
        return sa.create_engine(
            url,
            pool_size=connections,
            max_overflow=0,
            pool_pre_ping=True,
            hide_parameters=True,
            connect_args={
                "application_name": "spai",
                "connect_timeout": CONNECT_SECONDS,
                "options": f"-c idle_in_transaction_session_timeout={_IDLE_SECONDS * 1000}",
            },
        )

    def _embedded(self, name: str, connections: int) -> sa.Engine:
        path = self.file(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        url = sa.URL.create("sqlite", database=str(path.absolute()))
        engine = sa.create_engine(url, pool_size=connections, max_overflow=0, hide_parameters=True)
        sa.event.listen(engine, "connect", _tuned)
        return engine


def passing(error: SQLAlchemyError) -> bool:
    """Whether waiting may help: another process holds the file, or the server is being restarted."""
    original = getattr(error, "orig", None)
    if isinstance(original, sqlite3.OperationalError):
        return locked(original)
    full = str(getattr(original, "sqlstate", None) or "").startswith("53")  # insufficient resources
    return isinstance(error, sa.exc.OperationalError | sa.exc.InterfaceError) and not full


def _tuned(connection: Any, _: ConnectionPoolEntry) -> None:
    """A step costs 1.6 ms with WAL and NORMAL, 13.9 without (measured); a kill loses nothing that was committed."""
    assert isinstance(connection, sqlite3.Connection)
    connection.isolation_level = "IMMEDIATE"
    connection.execute(f"PRAGMA busy_timeout={_BUSY_SECONDS * 1000}")
    write_ahead(connection, _BUSY_SECONDS)
    connection.execute("PRAGMA foreign_keys=ON")


def _why(error: BaseException) -> str:
    """The driver's own words, first line only; the statement and its parameters stay out."""
    told = str(getattr(error, "orig", None) or getattr(error, "strerror", None) or error).strip()
    return told.splitlines()[0].rstrip(".") if told else type(error).__name__
