"""Worker processes that start fast, and a PostgreSQL of the system's packages on a port and folder of its own."""

import multiprocessing
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Barrier
from pathlib import Path
from tempfile import mkdtemp

import psycopg
import pytest

from tests.faults import worker

USER = "spai"


def until(what: Callable[[], bool], seconds: float, why: str) -> None:
    """Wait for something that comes about in another process. Fails with `why`."""
    deadline = time.monotonic() + seconds
    while not what():
        if time.monotonic() > deadline:
            pytest.fail(f"{why}: not within {seconds} s")
        time.sleep(0.02)


@dataclass
class Workers:
    """Starts workers and lets none outlive the test."""

    context: multiprocessing.context.ForkServerContext
    started: list[BaseProcess] = field(default_factory=list)
    starts: list[Barrier] = field(default_factory=list)

    def start(self, setting: worker.Setting) -> BaseProcess:
        """A process at `worker.main`, its modules loaded already."""
        return self.run(worker.main, setting)

    def start_together(self, setting: worker.Setting, count: int) -> list[BaseProcess]:
        """So many, and none begins before the last is ready: a quick one would leave the others nothing to do."""
        start = self.context.Barrier(count, timeout=60)
        self.starts.append(start)  # its semaphore goes with it, and they open it by name
        return [self.run(worker.main, setting, start) for _ in range(count)]

    def run(self, work: Callable[..., object], *arguments: object) -> BaseProcess:
        """A process at `work`."""
        process = self.context.Process(target=work, args=arguments)
        process.start()
        self.started.append(process)
        return process

    def end(self) -> None:
        """Kill whatever still runs."""
        for process in self.started:
            if process.is_alive() and process.pid:
                os.kill(process.pid, signal.SIGKILL)
            process.join()


@pytest.fixture(scope="session")
def forkserver() -> multiprocessing.context.ForkServerContext:
    """Has the modules of a worker, and no threads, for each to start in tenths of a second."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.faults.worker"])
    return context


@pytest.fixture
def workers(forkserver: multiprocessing.context.ForkServerContext) -> Iterator[Workers]:
    """Processes of this test."""
    found = Workers(forkserver)
    yield found
    found.end()


@dataclass
class Postgres:
    """A server that can be stopped and started."""

    binaries: Path
    folder: Path
    port: int

    @property
    def url(self) -> str:
        """As DATABASE_URL takes it; every test has the database to itself."""
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{USER}"

    def create(self) -> None:
        """Make the data folder."""
        self._run("initdb", "-D", self._data, "-U", USER, "--auth=trust", "--no-sync", "-E", "UTF8", "--locale=C")

    def start(self) -> None:
        """Start and wait until it answers."""
        options = f"-c listen_addresses=127.0.0.1 -c port={self.port} -c unix_socket_directories= -c fsync=off"
        self._run("pg_ctl", "-D", self._data, "-w", "-l", str(self.folder / "registro"), "-o", options, "start")

    def stop(self) -> None:
        """As a crash: nobody is told."""
        self._run("pg_ctl", "-D", self._data, "-m", "immediate", "stop")

    def empty(self) -> None:
        """A database with nothing in it."""
        address = f"postgresql://{USER}@127.0.0.1:{self.port}/postgres"
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {USER} WITH (FORCE)")
            connection.execute(f"CREATE DATABASE {USER}")

    @property
    def _data(self) -> str:
        return str(self.folder / "datos")

    def _run(self, command: str, *arguments: str) -> None:
        as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        done = subprocess.run(
            [*as_user, str(self.binaries / command), *arguments],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            cwd=self.folder,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode(errors="replace")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    """One server for all tests of the session."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"), key=lambda path: float(path.parts[-3]))
    if not found:
        pytest.skip("PostgreSQL no está instalado: apt-get install postgresql")
    if os.geteuid() == 0 and not shutil.which("runuser"):
        pytest.skip("PostgreSQL no se inicia como root y falta runuser")
    folder = Path(mkdtemp(prefix="spai-pg-"))
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = Postgres(found[-1].parent, folder, port)
    try:
        server.create()
        server.start()
        yield server
        server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgres(postgres_server: Postgres) -> Postgres:
    """The server with an empty database."""
    postgres_server.empty()
    return postgres_server
