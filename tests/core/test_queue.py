"""core/queue.py on SQLite: each state once, steps kept, stops in good order, what must not pass for an end."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

import core.database
from core.database import Database
from core.errors import DependencyError, Retryable, Terminal
from core.queue import Queue, open_queue
from core.reason import Reason
from core.records import Item
from core.steps import Steps, Unrecorded

SECRET = "el cliente 12345678Z dice que no funciona"


def items(count: int, **more: Any) -> list[Item]:
    return [Item(f"I{n}-h", f"I{n}", "Abierta", "WEB", **{"priority": 100 + n} | more) for n in range(count)]


@asynccontextmanager
async def opened(
    folder: Path,
    work: Callable[[Item, Steps, int], Awaitable[Any]],
    *,
    hands: int = 4,
    stop: asyncio.Event | None = None,
) -> AsyncIterator[Queue]:
    async with open_queue(Database(folder), work, hands=hands, stop=stop or asyncio.Event()) as queue:
        yield queue


async def _echo(item: Item, steps: Steps, begun: int) -> Any:
    return [item.code, item.status, item.mailbox, begun]


async def test_each_is_worked_once_and_its_result_kept(tmp_path: Path) -> None:
    seen, told = [], []

    async def work(item: Item, steps: Steps, begun: int) -> Any:
        seen.append(item.id)
        return await _echo(item, steps, begun)

    ids = [item.id for item in items(6)]
    for _ in range(2):
        async with opened(tmp_path, work) as queue:
            await queue.records.add(items(6))
            await queue.start()
            await queue.wait(ids, lambda done, total: told.append((done, total)))
            assert await queue.stop(5) == 0
            assert await queue.records.known([*ids, "otra"]) == set(ids)
            assert (await queue.records.results(ids))["I3-h"] == ["I3", "Abierta", "WEB", 1]
            assert await queue.records.unfinished() == set()
            queue.check()
    assert sorted(seen) == ids
    assert told[-1] == (6, 6)


async def test_the_most_urgent_first_and_no_more_than_there_are_hands(tmp_path: Path) -> None:
    seen: list[str] = []
    now = most = 0

    async def work(item: Item, steps: Steps, begun: int) -> None:
        nonlocal now, most
        seen.append(item.code)
        now += 1
        most = max(most, now)
        await both.wait()  # with fewer hands it would wait for ever
        now -= 1

    given = items(8)
    both = asyncio.Barrier(2)
    async with opened(tmp_path, work, hands=2) as queue:
        await queue.records.add(list(reversed(given)))
        await queue.start()
        await queue.wait([item.id for item in given])
    assert most == 2
    assert sorted(seen[:2]) == ["I0", "I1"]
    assert sorted(seen[-2:]) == ["I6", "I7"]


async def test_a_completed_step_is_not_run_again(tmp_path: Path) -> None:
    ran: list[str] = []
    reached = asyncio.Event()

    async def work(item: Item, steps: Steps, begun: int) -> Any:
        async def step(name: str) -> str:
            ran.append(name)
            return name

        first = await steps.once("uno", lambda: step("uno"))
        if not reached.is_set():
            reached.set()
            await asyncio.Event().wait()
        return first + await steps.once("dos", lambda: step("dos"))

    async with opened(tmp_path, work) as queue:
        await queue.records.add(items(1))
        await queue.start()
        await reached.wait()
        assert await queue.stop(0.0) == 1
    async with opened(tmp_path, work) as queue:
        assert await queue.records.unfinished() == {"I0-h"}
        await queue.start()
        await queue.wait(["I0-h"])
        assert await queue.records.results(["I0-h"]) == {"I0-h": "unodos"}
    assert ran == ["uno", "dos"]


@pytest.mark.parametrize(
    ("error", "raised", "reason"),
    [
        pytest.param(Terminal(Reason.DESK_REFUSED, SECRET), Terminal, Reason.DESK_REFUSED, id="terminal"),
        pytest.param(Retryable(Reason.MODEL_TIMEOUT, SECRET), Retryable, Reason.MODEL_TIMEOUT, id="retryable"),
        pytest.param(ValueError(SECRET), Terminal, Reason.INTERNAL_ERROR, id="a defect"),
    ],
)
async def test_a_step_that_fails_is_kept_by_its_code(
    error: Exception, raised: type[Terminal | Retryable], reason: Reason, tmp_path: Path
) -> None:
    """The first time it is the error itself, after a crash one like it; its text is nowhere on disk."""
    seen: list[Exception] = []
    reached = asyncio.Event()

    async def fails() -> None:
        raise error

    async def work(item: Item, steps: Steps, begun: int) -> None:
        try:
            await steps.once("juzgar", fails)
        except (Terminal, Retryable, ValueError) as caught:
            seen.append(caught)
        reached.set()
        if len(seen) == 1:
            await asyncio.Event().wait()

    async with opened(tmp_path, work) as queue:
        await queue.records.add(items(1))
        await queue.start()
        await reached.wait()
    async with opened(tmp_path, work) as queue:
        await queue.start()
        await queue.wait(["I0-h"])
    assert seen[0] is error
    assert type(seen[1]) is raised
    assert isinstance(seen[1], raised)
    assert seen[1].reason is reason
    assert all(SECRET.encode() not in path.read_bytes() for path in tmp_path.rglob("*.db*"))


async def test_another_order_of_steps_is_told(tmp_path: Path) -> None:
    caught: list[Reason] = []
    reached = asyncio.Event()

    async def nothing() -> None:
        return None

    async def work(item: Item, steps: Steps, begun: int) -> None:
        try:
            await steps.once("elegir" if reached.is_set() else "juzgar", nothing)
        except Terminal as error:
            caught.append(error.reason)
            return
        reached.set()
        await asyncio.Event().wait()

    async with opened(tmp_path, work) as queue:
        await queue.records.add(items(1))
        await queue.start()
        await reached.wait()
    async with opened(tmp_path, work) as queue:
        await queue.start()
        await queue.wait(["I0-h"])
    assert caught == [Reason.STATE_CHANGED]


async def test_a_stop_lets_work_in_hand_end_and_begins_nothing(tmp_path: Path) -> None:
    stop, seen = asyncio.Event(), list[str]()

    async def work(item: Item, steps: Steps, begun: int) -> str:
        seen.append(item.code)
        stop.set()
        await asyncio.sleep(0.01)
        return "hecho"

    async with opened(tmp_path, work, hands=1, stop=stop) as queue:
        await queue.records.add(items(5))
        await queue.start()
        await queue.wait([item.id for item in items(5)])
        await queue.stop(5.0)
        assert await queue.records.results([item.id for item in items(5)]) == {"I0-h": "hecho"}
        assert len(await queue.records.unfinished()) == 4
    assert seen == ["I0"]


async def test_an_orderly_stop_does_not_count_as_a_crash(tmp_path: Path) -> None:
    counts: list[int] = []
    reached = asyncio.Event()

    async def work(item: Item, steps: Steps, begun: int) -> None:
        counts.append(begun)
        reached.set()
        if len(counts) < 3:
            raise Unrecorded("taken over")

    for _ in range(3):
        async with opened(tmp_path, work) as queue:
            await queue.records.add(items(1))
            await queue.start()
            await reached.wait()
        reached.clear()
    assert counts == [1, 1, 1]


@pytest.mark.faults
async def test_a_full_disk_stops_the_run_and_ends_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`PRAGMA max_page_count` is a full disk that any machine can have."""
    engines: list[sa.Engine] = []
    opening = core.database.Database.open

    def watched(self: Database, name: str, **more: Any) -> sa.Engine:
        engines.append(opening(self, name, **more))
        return engines[-1]

    monkeypatch.setattr(core.database.Database, "open", watched)

    async def work(item: Item, steps: Steps, begun: int) -> str:
        return str(await steps.once("juzgar", lambda: asyncio.sleep(0, "x" * 20_000)))

    ids = [item.id for item in items(40)]
    async with opened(tmp_path, work) as queue:
        await queue.records.add(items(40))
        with engines[0].connect() as connection:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar()

        @sa.event.listens_for(engines[0], "begin")
        def full(connection: sa.Connection) -> None:
            connection.exec_driver_sql(f"PRAGMA max_page_count={pages + 60}")

        await queue.start()
        async with asyncio.timeout(30):
            await queue.wait(ids)
        await queue.stop(1.0)
        with pytest.raises(DependencyError, match="hay sitio en el disco"):
            queue.check()
    monkeypatch.undo()
    async with opened(tmp_path, work) as queue:
        await queue.start()
        await queue.wait(ids)
        assert len(await queue.records.results(ids)) == 40
        assert set((await queue.records.results(ids)).values()) == {"x" * 20_000}


@pytest.mark.faults
async def test_a_database_that_another_process_holds_is_waited_for(tmp_path: Path) -> None:
    async with opened(tmp_path, _echo) as queue:
        await queue.records.add(items(4))
        other = sqlite3.connect(tmp_path / "cola.db", isolation_level=None, check_same_thread=False)
        other.execute("BEGIN IMMEDIATE")
        asyncio.get_running_loop().call_later(0.5, other.rollback)
        await queue.start()
        await queue.wait([item.id for item in items(4)])
        assert len(await queue.records.results([item.id for item in items(4)])) == 4
        other.close()


async def test_what_ended_is_forgotten_by_age(tmp_path: Path) -> None:
    async with opened(tmp_path, _echo) as queue:
        await queue.records.add(items(3))
        await queue.start()
        await queue.wait([item.id for item in items(3)])
        await queue.records.add([Item("nueva-h", "nueva", "Abierta", "WEB", 1)])
        await queue.stop(0.0)
        assert await queue.records.forget(1) == 0
        assert await queue.records.forget(-1) >= 3
        assert await queue.records.known(["I0-h"]) == set()
    with sqlite3.connect(tmp_path / "cola.db") as raw:
        assert raw.execute("SELECT count(*) FROM trabajos WHERE id LIKE 'I%'").fetchone() == (0,)
        assert raw.execute("SELECT count(*) FROM operation_outputs").fetchone() == (0,)
    raw.close()


async def test_only_codes_are_kept_and_nothing_is_pickled(tmp_path: Path) -> None:
    async with opened(tmp_path, _echo) as queue:
        await queue.records.add(items(1))
        await queue.start()
        await queue.wait(["I0-h"])
    with sqlite3.connect(tmp_path / "cola.db") as raw:
        dump = "\n".join(raw.iterdump())
    raw.close()
    assert '"I0","Abierta","WEB"' in dump.replace(", ", ",")
    assert "pickle" not in dump


async def test_a_queue_of_the_first_version_opens_and_goes_on(tmp_path: Path) -> None:
    """`cola_1.sql`: one incident done, one stopped after its judgement, one waiting. Never to be made anew."""
    asked: list[str] = []

    async def judge(code: str) -> str:
        asked.append(code)
        return "de ahora"

    async def work(item: Item, steps: Steps, begun: int) -> Any:
        return {"resultado": await steps.once("juzgar", lambda: judge(item.code))}

    with sqlite3.connect(tmp_path / "cola.db") as old:
        old.executescript(Path(__file__).with_name("cola_1.sql").read_text("utf-8"))
    old.close()
    ids = ["HECHA-1", "A-MEDIAS-1", "EN-COLA-1"]
    async with opened(tmp_path, work) as queue:
        assert await queue.records.unfinished() == set(ids[1:])
        await queue.start()
        await queue.wait(ids)
        assert await queue.records.results(ids) == {
            "HECHA-1": {"resultado": "de antes"},
            "A-MEDIAS-1": {"resultado": "de antes"},
            "EN-COLA-1": {"resultado": "de ahora"},
        }
        assert set(await queue.records.kept(queue.records.worked.untold)) == set(ids)
    assert asked == ["EN-COLA"]


async def test_a_queue_of_a_newer_program_is_left_alone(tmp_path: Path) -> None:
    async with opened(tmp_path, _echo):
        pass
    newer = sqlite3.connect(tmp_path / "cola.db")
    with newer:
        newer.execute("INSERT INTO trabajos_version VALUES (99)")
    newer.close()
    with pytest.raises(DependencyError, match="versión más nueva"):
        async with opened(tmp_path, _echo):
            pass
