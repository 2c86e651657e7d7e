"""What the queue has on file: added, found, read, put back and removed. Knows DBOS's client only by its shape."""

import asyncio
import functools
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from core.database import passing
from core.steps import Json
from core.worked import CHUNK, Worked, chunks

logger = logging.getLogger(__name__)

NAME = "incidencias"
WORKFLOW = "incidencia"
VERSION = "1"
"""To be raised when the order of an incident's steps changes."""
_BROKEN = ["ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"]
"""Never an incident's own end: DBOS writes `ERROR` where it found no room for the result."""
_UNFINISHED = ["PENDING", "ENQUEUED", *_BROKEN]

Got = TypeVar("Got")


@dataclass(frozen=True)
class Item:
    """One state of an incident: `id` names it, the rest finds it again. No text of it."""

    id: str
    code: str
    status: str
    mailbox: str
    priority: int = 0
    """1..2³¹-1 in the queue, the lowest first."""


class Client(Protocol):
    """What is used of `dbos.DBOSClient`."""

    @property
    def list_workflows(self) -> Callable[..., list[Any]]: ...
    @property
    def delete_workflows(self) -> Callable[..., None]: ...
    @property
    def resume_workflows(self) -> Callable[..., Any]: ...
    @property
    def enqueue_in_transaction(self) -> Callable[..., Any]: ...


class Records:
    """Every method waits while the database is locked or away and raises `SQLAlchemyError` for anything else.

    `again` queues what DBOS gave up, its steps kept. `own`: threads that outlive DBOS, which takes the loop's pool
    with it when it goes.
    """

    def __init__(
        self,
        client: Client,
        engine: sa.Engine,
        worked: Worked,
        own: ThreadPoolExecutor,
        again: Callable[[str], None],
    ) -> None:
        self._client = client
        self._engine = engine
        self._own = own
        self._again = again
        self.worked = worked

    async def kept(self, call: Callable[..., Got], *args: Any, **named: Any) -> Got:
        """A call of the database in a thread, made again while the database is locked or away."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                return await loop.run_in_executor(self._own, functools.partial(call, *args, **named))
            except SQLAlchemyError as error:
                if not passing(error):
                    raise
                logger.warning("la base de datos de la cola no está libre", extra={"action": "queue_busy"})
                await asyncio.sleep(1)

    async def add(self, items: Sequence[Item]) -> None:
        """Put them in the queue; one that is known already stays as it is."""
        for start in range(0, len(items), CHUNK):
            await self.kept(self._add, items[start : start + CHUNK])

    def _add(self, items: Sequence[Item]) -> None:
        with self._engine.begin() as connection:
            for item in items:
                options = {
                    "workflow_name": WORKFLOW,
                    "queue_name": NAME,
                    "workflow_id": item.id,
                    "app_version": VERSION,
                    "priority": item.priority,
                }
                self._client.enqueue_in_transaction(connection, options, item.code, item.status, item.mailbox)

    async def known(self, ids: Sequence[str]) -> set[str]:
        """Those of `ids` that are in the queue or were."""
        found: set[str] = set()
        for some in chunks(ids):
            found |= {w.workflow_id for w in await self._listed(workflow_ids=list(some))}
        return found

    async def unfinished(self, ids: Sequence[str] | None = None) -> set[str]:
        """What waits or is in hand, of `ids` or of all."""
        which: dict[str, Any] = {} if ids is None else {"workflow_ids": list(ids)}
        return {w.workflow_id for w in await self._listed(status=_UNFINISHED, **which)}

    async def results(self, ids: Sequence[str]) -> dict[str, Json]:
        """id -> what its work gave, of those of `ids` that have ended."""
        found: dict[str, Json] = {}
        for some in chunks(ids):
            for ended in await self._listed(workflow_ids=list(some), status="SUCCESS", load_output=True):
                found[ended.workflow_id] = ended.output
        return {work: found[work] for work in ids if work in found}

    async def renew(self, ids: Sequence[str]) -> None:
        """Forget these, so that they can be added again."""
        for some in chunks(ids):
            await self.kept(self._client.delete_workflows, list(some))
        await self.kept(self.worked.forget, ids)

    async def forget(self, days: int) -> int:
        """Remove what ended more than `days` ago; how many. An incident still open and unchanged is then new again."""
        before = (datetime.now(UTC) - timedelta(days=days)).isoformat()
        forgotten = 0
        while old := await self._listed(status="SUCCESS", completed_before=before, limit=CHUNK):
            await self.renew([w.workflow_id for w in old])
            forgotten += len(old)
        return forgotten

    async def mend(self) -> None:
        """What DBOS gave up waits for a worker again, the steps that it kept with it."""
        for broken in await self._listed(status=_BROKEN):
            await self.kept(self._again, broken.workflow_id)

    async def holders(self) -> set[str]:
        """The executors that have incidents in hand."""
        return {w.executor_id for w in await self._listed(status="PENDING")}

    async def put_back(self, executor: str) -> int:
        """What this executor had in hand waits for a worker again; how many."""
        ids = [w.workflow_id for w in await self._listed(status="PENDING", executor_id=executor)]
        if ids:
            await self.kept(self._client.resume_workflows, ids, queue_name=NAME)
        return len(ids)

    async def _listed(self, *, load_output: bool = False, **which: Any) -> list[Any]:
        return await self.kept(self._client.list_workflows, load_input=False, load_output=load_output, **which)
