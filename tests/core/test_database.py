"""core/database.py: which file or server, how it is tuned, and what is told when it cannot be used."""

import socket
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from core.database import Database
from core.errors import DependencyError, UsageError
from core.write_ahead import locked, write_ahead

SECRET = "postgresql://ana:secreto@127.0.0.1:{port}/spai"


@pytest.mark.parametrize(
    ("url", "queue", "decisions"),
    [
        pytest.param(None, "cola.db", "decisiones.db", id="embedded"),
        pytest.param("sqlite:///{folder}/otra.db", "otra.db", "decisiones.db", id="a file of its own"),
    ],
)
def test_files(url: str | None, queue: str, decisions: str, tmp_path: Path) -> None:
    database = Database(tmp_path, url.format(folder=tmp_path) if url else None)
    assert not database.served
    assert (database.file("cola"), database.file("decisiones")) == (tmp_path / queue, tmp_path / decisions)
    with pytest.raises(ValueError, match="no server"):
        _ = database.address


def test_a_file_is_tuned_and_kept(tmp_path: Path) -> None:
    database = Database(tmp_path / "nueva")
    engine = database.open("cola")
    with engine.begin() as connection:
        found = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous")]
        connection.execute(sa.text("CREATE TABLE cosas (x INTEGER)"))
        connection.execute(sa.text("INSERT INTO cosas VALUES (7)"))
    engine.dispose()
    assert found == ["wal", 1]
    with sqlite3.connect(database.file("cola")) as raw:
        assert raw.execute("SELECT x FROM cosas").fetchall() == [(7,)]
    raw.close()


@pytest.mark.faults
def test_many_that_open_a_new_file_at_once_all_get_it(tmp_path: Path) -> None:
    """SQLite's own wait does not cover the change of journal: without ours about one round in ten had a refusal."""
    at_once = 8
    start = threading.Barrier(at_once)

    def opened(folder: Path) -> str:
        start.wait(10)
        engine = Database(folder).open("decisiones")
        with engine.connect() as connection:
            mode = connection.exec_driver_sql("PRAGMA journal_mode").scalar_one()
        engine.dispose()
        return str(mode)

    with ThreadPoolExecutor(at_once) as pool:
        for number in range(25):
            assert set(pool.map(opened, [tmp_path / str(number)] * at_once)) == {"wal"}


@pytest.mark.faults
def test_a_file_that_somebody_keeps_is_told(tmp_path: Path) -> None:
    path = tmp_path / "cola.db"
    with (
        closing(sqlite3.connect(path, isolation_level=None)) as holder,
        closing(sqlite3.connect(path, timeout=0)) as own,
    ):
        holder.execute("CREATE TABLE cosas (x INTEGER)")
        holder.execute("BEGIN EXCLUSIVE")
        with pytest.raises(sqlite3.OperationalError) as caught:
            write_ahead(own, seconds=0.05)
        assert locked(caught.value)
        holder.execute("COMMIT")
        write_ahead(own, seconds=0.05)


@pytest.mark.faults
def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "cola.db").write_bytes(b"no soy una base de datos" * 200)
    with pytest.raises(DependencyError, match="No se puede usar la base de datos"):
        Database(tmp_path).open("cola")


@pytest.mark.faults
def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "fichero").touch()
    with pytest.raises(DependencyError, match="Compruebe"):
        Database(tmp_path / "fichero" / "dentro").open("cola")


@pytest.mark.faults
def test_a_server_that_is_down_is_named_without_its_password(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(DependencyError, match=f"127.0.0.1:{port}/spai") as caught:
        Database(tmp_path, SECRET.format(port=port)).open("cola")
    assert "pg_isready" in str(caught.value)
    assert "secreto" not in str(caught.value)


def test_a_url_that_is_none_is_not_shown(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        Database(tmp_path, "postgresql://ana:secreto@:nopuerto/x").open("cola")
    assert "secreto" not in str(caught.value)
