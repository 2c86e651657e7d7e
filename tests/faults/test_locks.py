"""core/executor_lock.py and core/model_slots.py on a real PostgreSQL: sessions lost, places shared."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from core.database import Database
from core.executor_lock import SessionHold, open_hold
from core.model_slots import open_slots
from core.queue import open_queue
from core.records import Item
from core.steps import Steps, Unrecorded
from tests.faults.conftest import Postgres

pytestmark = [pytest.mark.faults, pytest.mark.slow]


def _end_sessions(postgres: Postgres, application: str) -> int:
    """As when the server loses a client; how many there were."""
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s"
        return len(connection.execute(query, (application,)).fetchall())


async def test_a_lost_session_has_its_lock_again(postgres: Postgres, tmp_path: Path) -> None:
    database = Database(tmp_path, postgres.url)
    mine, other = open_hold(database), open_hold(database)
    assert isinstance(mine, SessionHold)
    await mine.take()
    async with other.free(mine.me) as free:
        assert not free
    assert _end_sessions(postgres, "spai_ejecutor") == 1
    async with other.free(mine.me) as free:
        assert free
    mine._seen = 0.0
    await mine.keep()
    async with other.free(mine.me) as free:
        assert not free
    await mine.release()
    async with other.free(mine.me) as free:
        assert free


async def _drain(folder: Path, postgres: Postgres, work: Callable[[Item, Steps, int], Awaitable[Any]]) -> list[Any]:
    async with open_queue(Database(folder, postgres.url), work, hands=2, stop=asyncio.Event()) as queue:
        await queue.records.add([Item("I-h", "I", "Abierta", "WEB", 1)])
        await queue.start()
        await queue.wait(["I-h"])
        return list((await queue.records.results(["I-h"])).values())


async def test_the_claim_has_a_token_that_changes_hands(postgres: Postgres, tmp_path: Path) -> None:
    """`owner_xid` is a column of DBOS's tables, not of its interface: another version may rename it."""
    tokens: list[str | None] = []
    refused: list[str] = []

    async def work(item: Item, steps: Steps, begun: int) -> str:
        await steps.mine()
        with psycopg.connect(postgres.url, autocommit=True) as connection:
            [(token,)] = connection.execute("SELECT owner_xid FROM dbos.workflow_status").fetchall()
            tokens.append(token)
            connection.execute("UPDATE dbos.workflow_status SET owner_xid = 'another'")
            try:
                await steps.mine()
            except Unrecorded as error:
                refused.append(str(error))
            connection.execute("UPDATE dbos.workflow_status SET owner_xid = %s", (token,))
        return "hecho"

    assert await _drain(tmp_path, postgres, work) == ["hecho"]
    assert refused == ["taken over"]
    assert tokens[0]


async def test_the_token_is_asked_of_a_session_that_was_lost(postgres: Postgres, tmp_path: Path) -> None:
    async def work(item: Item, steps: Steps, begun: int) -> str:
        assert _end_sessions(postgres, "spai_ejecutor") >= 1
        await steps.mine()
        return "hecho"

    assert await _drain(tmp_path, postgres, work) == ["hecho"]


async def test_places_are_shared_by_processes(postgres: Postgres, tmp_path: Path) -> None:
    """Two openings are two sessions, as of two processes."""
    database, now, most = Database(tmp_path, postgres.url), 0, 0
    async with open_slots(database, 2) as one, open_slots(database, 2) as other:

        async def call(number: int) -> None:
            nonlocal now, most
            async with (one, other)[number % 2]():
                now += 1
                most = max(most, now)
                await asyncio.sleep(0.01)
                now -= 1

        await asyncio.gather(*(call(number) for number in range(12)))
        assert most == 2
        async with one():
            assert _end_sessions(postgres, "spai_modelo") == 2
        async with asyncio.timeout(10), other():
            pass
