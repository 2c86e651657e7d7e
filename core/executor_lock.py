"""That a process lives, for the others to see: a lock which goes with it, whatever killed it."""

import asyncio
import fcntl
import hashlib
import logging
import os
import secrets
import socket
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import psycopg

from core.database import CONNECT_SECONDS, Database

logger = logging.getLogger(__name__)

LOOK_SECONDS = 5.0
"""How often a worker renews its own lock and looks at the others'."""
_GRACE_SECONDS = 20.0
_ANSWER_SECONDS = 5.0
_KEEPALIVE = {"idle": 10, "interval": 5, "count": 3}
"""A machine that is gone is found out after 25 s; the server's default is two hours."""


class Hold(Protocol):
    """This process's lock, and what it may know of the others' locks."""

    me: str
    """The executor id: another one for each process, so that a restart never passes for the one before."""
    grace: float
    """Seconds that a lock must be free at every look before its owner counts as dead."""

    async def take(self) -> None: ...
    async def keep(self) -> None:
        """Renew it; a lost session is taken again, however long the server is away."""
        ...

    async def owner(self, workflow: str) -> str | None:
        """The execution that holds this incident now; changes when it is handed to another."""
        ...

    def free(self, executor: str) -> AbstractAsyncContextManager[bool]:
        """Whether nobody holds that executor's lock; within the block we do."""
        ...

    async def release(self) -> None: ...


def open_hold(database: Database) -> Hold:
    """The lock that suits the database; it is taken by `take`."""
    return SessionHold(database.address) if database.served else FileHold(database.file("cola").parent / "ejecutores")


def _new_id() -> str:
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"


class FileHold:
    """A locked file per executor: the kernel lets go of it on any death, and the living cannot lose it."""

    grace = 0.0

    def __init__(self, folder: Path) -> None:
        self.me = _new_id()
        self._folder = folder
        self._descriptor: int | None = None

    async def take(self) -> None:
        """Raises `OSError` when the folder cannot be used."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._descriptor = self._lock(self.me)

    async def keep(self) -> None:
        """Nothing can happen to it."""

    async def owner(self, workflow: str) -> str | None:
        """Always the same: nobody takes anything from the living."""
        return self.me

    @asynccontextmanager
    async def free(self, executor: str) -> AsyncIterator[bool]:
        """True where the executor is dead; its file is gone afterwards."""
        descriptor = self._lock(executor)
        try:
            yield descriptor is not None
        finally:
            if descriptor is not None:
                self._path(executor).unlink(missing_ok=True)
                os.close(descriptor)

    async def release(self) -> None:
        """Let go of it."""
        if self._descriptor is not None:
            self._path(self.me).unlink(missing_ok=True)
            os.close(self._descriptor)
            self._descriptor = None

    def _path(self, executor: str) -> Path:
        return self._folder / f"{executor}.lock"

    def _lock(self, executor: str) -> int | None:
        descriptor = os.open(self._path(executor), os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        return descriptor


class SessionHold:
    """A PostgreSQL advisory lock on a session of its own.

    Killed process: the kernel closes the socket and the server frees the lock. Vanished machine: the server's
    keepalives. Stopped or slow process: its kernel goes on answering, and nobody touches its work. A restarted server
    frees everybody's: the living have theirs again within a second, hence the grace.
    """

    grace = _GRACE_SECONDS

    def __init__(self, address: str) -> None:
        self.me = _new_id()
        self._address = address
        self._session: psycopg.AsyncConnection[Any] | None = None
        self._seen = 0.0
        self._mending = asyncio.Lock()

    async def take(self) -> None:
        """Raises `psycopg.Error` or `OSError` when the server cannot be reached."""
        session = await _session(self._address)
        if not await _try_lock(session, self.me):
            await session.close()
            raise psycopg.OperationalError("another session still holds this executor's lock")
        self._session, self._seen = session, time.monotonic()

    async def keep(self) -> None:
        """Ask something of the server; where it does not answer, connect until it does."""
        async with self._mending:
            if time.monotonic() - self._seen < LOOK_SECONDS / 2:
                return
            try:
                await self._ask("SELECT 1")
            except (psycopg.Error, OSError, TimeoutError):
                logger.warning("se ha perdido la sesión del cerrojo", extra={"action": "lock_lost"})
                await self._take_again()

    async def owner(self, workflow: str) -> str | None:
        """The claim's token in the journal: DBOS writes a new one each time an incident changes hands."""
        query = "SELECT owner_xid FROM dbos.workflow_status WHERE workflow_uuid = %s AND status = 'PENDING'"
        while True:
            try:
                row = await self._ask(query, workflow)
            except (psycopg.Error, OSError, TimeoutError):
                self._seen = 0.0
                await self.keep()
            else:
                return str(row[0]) if row else None

    @asynccontextmanager
    async def free(self, executor: str) -> AsyncIterator[bool]:
        """On another session: advisory locks are re-entrant, and closing it gives this one back."""
        async with await _session(self._address) as session:
            yield await _try_lock(session, executor)

    async def release(self) -> None:
        """Let go of it."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _ask(self, query: str, *values: object) -> tuple[Any, ...] | None:
        if self._session is None:
            raise psycopg.OperationalError("no session")
        async with asyncio.timeout(_ANSWER_SECONDS):
            row = await (await self._session.execute(query, values or None)).fetchone()
        self._seen = time.monotonic()
        return row

    async def _take_again(self) -> None:
        if self._session is not None:
            await self._session.close()
        while True:
            try:
                return await self.take()
            except (psycopg.Error, OSError):
                await asyncio.sleep(1)


def advisory_key(name: str) -> int:
    """A name as the signed 64-bit number that advisory locks take."""
    return int.from_bytes(hashlib.sha256(f"spai.{name}".encode()).digest()[:8], "big", signed=True)


async def _try_lock(session: psycopg.AsyncConnection[Any], executor: str) -> bool:
    key = advisory_key(f"ejecutor.{executor}")
    row = await (await session.execute("SELECT pg_try_advisory_lock(%s)", (key,))).fetchone()
    return bool(row and row[0])


async def _session(address: str) -> psycopg.AsyncConnection[Any]:
    session = await psycopg.AsyncConnection.connect(
        address,
        autocommit=True,
        connect_timeout=CONNECT_SECONDS,
        application_name="spai_ejecutor",
        keepalives=1,
        keepalives_idle=_KEEPALIVE["idle"],
        keepalives_interval=_KEEPALIVE["interval"],
        keepalives_count=_KEEPALIVE["count"],
        tcp_user_timeout=15000,
    )
    for name, value in _KEEPALIVE.items():
        await session.execute(f"SET tcp_keepalives_{name} = {value}")
    return session
