"""The durable queue: one workflow per state of an incident, on SQLite or PostgreSQL. The one place that knows DBOS.

A workflow ends only by its result: whatever must not pass for one (a stop, a full disk, another worker that has taken
the incident over) is raised as `Unrecorded` and leaves it to be taken up again.
"""

import asyncio
import functools
import logging
import math
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

import psycopg
import sqlalchemy as sa
from dbos import DBOS, DBOSClient, DBOSConfig, DBOSPortableJSONSerializer
from dbos import error as dbos_error
from sqlalchemy.exc import SQLAlchemyError

from core.database import Database, passing
from core.errors import DependencyError, Retryable, StageError, Terminal
from core.executor_lock import Hold, open_hold
from core.past_work import PastClient
from core.reason import Reason
from core.records import NAME, VERSION, WORKFLOW, Item, Records
from core.steps import Json, Steps, Unrecorded
from core.watch import Watch
from core.worked import Worked

logger = logging.getLogger(__name__)

_POLL = {False: 0.05, True: 0.25}
"""Seconds between looks for work, by whether the database is a server."""
_GLANCE = 0.2
_LAST_STEP = 1_000_000
"""After every step there can be."""
_REASONS = {reason.value: reason for reason in Reason}

Work = Callable[[Item, Steps, int], Awaitable[Json]]
"""(the item, its journal, how often it was begun with this) -> its result, which is kept. Raises no `Exception`."""


class JournalSteps:
    """`core.steps.Steps` in DBOS's journal."""

    def __init__(self, hold: Hold, workflow: str, token: str | None, fail: Callable[[Exception], None]) -> None:
        self._hold = hold
        self._workflow = workflow
        self._token = token
        self._fail = fail

    async def once(self, name: str, run: Callable[[], Awaitable[Json]]) -> Json:
        """As `core.steps.Steps`. Errors are kept by their code only: their texts may quote an incident."""
        errors: list[Exception] = []

        async def body() -> Json:
            try:
                return {"valor": await run()}
            except StageError as error:
                errors.append(error)
                return {"fallo": error.reason.value, "repetible": isinstance(error, Retryable)}
            except Exception as error:  # raised again below; here only kept from the journal
                logger.debug("paso fallido", extra={"action": "step_failed", "step": name}, exc_info=True)
                errors.append(error)
                return {"fallo": Reason.INTERNAL_ERROR.value, "repetible": False}

        try:
            kept = await DBOS.run_step_async({"name": name}, body)
        except dbos_error.DBOSUnexpectedStepError as error:
            raise Terminal(Reason.STATE_CHANGED) from error
        except (SQLAlchemyError, sqlite3.Error) as error:
            self._fail(error)
            raise Unrecorded(type(error).__name__) from error
        if errors:
            raise errors[0]
        if "fallo" in kept:
            raise (Retryable if kept["repetible"] else Terminal)(_REASONS[kept["fallo"]])
        return kept["valor"]

    async def mine(self) -> None:
        """DBOS writes a new token at each claim: another one than at the start means another worker."""
        if await self._hold.owner(self._workflow) != self._token:
            raise Unrecorded("taken over")


class Queue:
    """Add to its `records`, `start` to work what is in it, `wait`, `stop`; the records can be read until it closes."""

    records: Records

    def __init__(self, database: Database, work: Work, *, hands: int, stop: asyncio.Event) -> None:
        self._database = database
        self._work = work
        self._hands = hands
        self._room = asyncio.Semaphore(hands)
        self._stop = stop
        self._hold = open_hold(database)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._own = ThreadPoolExecutor(4, "cola")
        self._watch: Watch | None = None
        self._fault: Exception | None = None
        self._launched = False

    @property
    def me(self) -> str:
        """This process's executor id."""
        return self._hold.me

    async def open(self) -> None:
        """Bring the tables up to date and take up what dead processes left.

        Raises `DependencyError` when the database cannot be used.
        """
        self._engine = self._database.open("cola")
        try:
            await self._hold.take()
            client = self._launch()
            worked, again = Worked(self._database, self._engine), functools.partial(_again, client)
            self.records = Records(client, self._engine, worked, self._own, again)
            await self.records.kept(self.records.worked.create)
            self._watch = Watch(self._hold, self.records, self._fail, lambda: bool(self._tasks))
            await self._watch.sweep()
        except (SQLAlchemyError, psycopg.Error, OSError) as error:
            raise self._database.unavailable(error) from error

    def _launch(self) -> DBOSClient:
        """In the loop's thread, so that workflows run on this loop."""
        log = logging.getLogger("dbos")
        if not log.handlers:  # or DBOS adds one that writes to standard error, past our log
            log.addHandler(logging.NullHandler())
        log.propagate = True

        @DBOS.workflow(name=WORKFLOW)
        async def incident(code: str, status: str, mailbox: str) -> Json:
            return await self._one(Item(str(DBOS.workflow_id), code, status, mailbox))

        serializer = DBOSPortableJSONSerializer()
        self._launched = True
        DBOS(
            config=DBOSConfig(
                name="spai",
                system_database_url=self._database.address if self._database.served else "sqlite://",
                system_database_engine=self._engine,
                application_version=VERSION,
                executor_id=self.me,
                log_level="WARNING",
                serializer=serializer,
                use_listen_notify=False,
                notification_listener_polling_interval_sec=0.2,  # so long it sleeps, too, when it is to stop
            )
        )
        DBOS.launch()
        return DBOSClient(
            system_database_engine=self._engine,
            serializer=serializer,
            application_name="spai",
            retry_connection_errors=False,
        )

    async def start(self) -> None:
        """From now on incidents are taken from the queue, and the locks are looked after."""
        poll = _POLL[self._database.served]
        await DBOS.register_queue_async(
            NAME, worker_concurrency=self._hands, polling_interval_sec=poll, on_conflict="always_update"
        )
        if self._watch:
            self._watch.start()

    async def _one(self, item: Item) -> Json:
        """The workflow's body: never ends by an `Exception`, which would be kept as the incident's end."""
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        steps = JournalSteps(self._hold, item.id, await self._hold.owner(item.id), self._fail)
        async with self._room:  # the queue's limit is one for all workers; this one is ours
            if self._stop.is_set():
                raise Unrecorded("stopping")
            worked = self.records.worked
            try:
                begun = await self.records.kept(worked.begin, item.id, self.me)
            except SQLAlchemyError as error:
                self._fail(error)
                raise Unrecorded(type(error).__name__) from error
            try:
                return await self._work(item, steps, begun)
            except (asyncio.CancelledError, Unrecorded) as error:
                if isinstance(error.__cause__, DependencyError):  # the ledger cannot be written
                    self._fail(error.__cause__)
                self._own.submit(worked.forgive, item.id)
                raise

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if isinstance(error, SQLAlchemyError | sqlite3.Error):  # its end could not be written
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        """The journal cannot be written: nothing more is begun, and whoever waits hears of it."""
        logger.error("no se puede escribir en la cola", extra={"action": "journal_failed", "error": str(error)[:200]})
        self._fault = self._fault or error
        self._stop.set()

    def check(self) -> None:
        """Raises `DependencyError` when the journal could not be written."""
        if self._fault is not None:
            if isinstance(self._fault, DependencyError):
                raise self._fault
            raise self._database.unavailable(self._fault) from self._fault

    async def wait(self, ids: Iterable[str], progress: Callable[[int, int], None] | None = None) -> None:
        """Until all of them have ended, here or elsewhere, or `stop` is set. `progress` hears how many have."""
        left = list(ids)
        total = len(left)
        while left and not self._stop.is_set():
            still = await self.records.unfinished(left[:50])
            left = [work for work in left[:50] if work in still] + left[50:]
            if progress:
                progress(total - len(left), total)
            if still:
                with suppress(TimeoutError):
                    async with asyncio.timeout(_GLANCE):
                        await self._stop.wait()

    async def stop(self, grace: float) -> int:
        """Take no more; what is in hand may end within `grace` seconds, the rest goes back. How many went back."""
        if not self._launched:
            return 0
        self._launched = False
        self._stop.set()
        if self._watch:
            self._watch.stop()
        loop, until = asyncio.get_running_loop(), time.monotonic() + grace
        ending = loop.run_in_executor(
            self._own,
            functools.partial(
                DBOS.destroy,
                destroy_registry=True,
                workflow_completion_timeout_sec=math.ceil(grace) + 2 if self._tasks else 0,
            ),
        )
        while not ending.done():
            if time.monotonic() > until:
                for task in list(self._tasks):
                    task.cancel()
            await asyncio.wait([ending], timeout=0.05)
        loop.set_default_executor(ThreadPoolExecutor())  # DBOS has left its own there, shut down
        await ending
        try:
            return await self.records.put_back(self.me)
        except SQLAlchemyError as error:
            if not passing(error):
                self._fault = self._fault or error
            return 0  # whoever comes next takes it up: our lock is free then

    async def close(self) -> None:
        """Let go of the lock and the database."""
        await self.stop(0.0)
        await self._hold.release()
        self._own.shutdown()
        if hasattr(self, "_engine"):
            self._engine.dispose()


def _again(client: DBOSClient, workflow: str) -> None:
    """Queue it with all its steps; another worker may have done so already."""
    with suppress(dbos_error.DBOSException):
        client.rewind_workflow(workflow, start_step=_LAST_STEP, queue_name=NAME)


@contextmanager
def open_past(database: Database) -> Iterator[PastClient | None]:
    """The queue's records for reading: no lock, no work. None before there is a queue. Raises `DependencyError`."""
    if not database.served and not database.file("cola").exists():
        yield None
        return
    engine = database.open("cola")
    try:
        if not sa.inspect(engine).has_table("workflow_status", schema="dbos" if database.served else None):
            yield None
            return
        client = DBOSClient(
            system_database_engine=engine,
            serializer=DBOSPortableJSONSerializer(),
            application_name="spai",
            retry_connection_errors=False,
        )
        try:
            yield client
        finally:
            client.destroy()
    except SQLAlchemyError as error:
        raise database.unavailable(error) from error
    finally:
        engine.dispose()


@asynccontextmanager
async def open_queue(database: Database, work: Work, *, hands: int, stop: asyncio.Event) -> AsyncIterator[Queue]:
    """A queue with what dead processes left taken up, not yet worked. Raises `DependencyError`."""
    queue = Queue(database, work, hands=max(1, hands), stop=stop)
    try:
        await queue.open()
        yield queue
    finally:
        await queue.close()
