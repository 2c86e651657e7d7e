"""core/sweeper.py: the dead are told from the slow; and core/executor_lock.py's file locks."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from core.executor_lock import FileHold
from core.sweeper import Sweeper


@dataclass
class Locks:
    """`core.executor_lock.Hold` of which the test says who is free."""

    grace: float
    gone: set[str] = field(default_factory=set)
    me: str = "yo"

    async def take(self) -> None: ...
    async def keep(self) -> None: ...
    async def release(self) -> None: ...

    async def owner(self, workflow: str) -> str | None:
        return None

    @asynccontextmanager
    async def free(self, executor: str) -> AsyncIterator[bool]:
        yield executor in self.gone


@dataclass
class Shelf:
    """Executor -> how much it has in hand."""

    hands: dict[str, int]

    async def holders(self) -> set[str]:
        return set(self.hands)

    async def put_back(self, executor: str) -> int:
        return self.hands.pop(executor, 0)


class Scene:
    """A sweeper and all around it; `at` looks at a time."""

    def __init__(self, grace: float, **hands: int) -> None:
        self.locks, self.shelf, self.now = Locks(grace), Shelf(hands), 0.0
        self.inherited: list[str] = []
        self._sweeper = Sweeper(self.locks, self.shelf, self._inherit, clock=lambda: self.now)

    async def _inherit(self, dead: str) -> None:
        self.inherited.append(dead)

    async def at(self, now: float, *word: str) -> int:
        self.now = now
        return await self._sweeper.sweep(word)


async def test_the_living_and_we_are_left_alone() -> None:
    scene = Scene(0, yo=3, vivo=2)
    scene.locks.gone = {"yo"}
    assert [await scene.at(now) for now in (0, 50, 100)] == [0, 0, 0]
    assert scene.shelf.hands == {"yo": 3, "vivo": 2}


async def test_without_grace_the_first_look_tells() -> None:
    scene = Scene(0, muerto=2)
    scene.locks.gone = {"muerto"}
    assert await scene.at(0) == 2
    assert scene.inherited == ["muerto"]


async def test_with_grace_it_must_be_free_at_every_look() -> None:
    scene = Scene(20, otro=2)
    scene.locks.gone = {"otro"}
    assert await scene.at(0) == 0
    scene.locks.gone = set()  # it has its lock again
    assert await scene.at(15) == 0
    scene.locks.gone = {"otro"}
    assert await scene.at(25) == 0
    assert await scene.at(44) == 0
    assert await scene.at(45) == 2


async def test_who_left_nothing_in_hand_leaves_its_word() -> None:
    scene = Scene(0)
    scene.locks.gone = {"callado"}
    assert await scene.at(0, "callado", "yo") == 0
    assert scene.inherited == ["callado"]


async def test_each_process_has_a_lock_of_its_own(tmp_path: Path) -> None:
    one, other = FileHold(tmp_path / "e"), FileHold(tmp_path / "e")
    await one.take()
    await other.take()
    assert one.me != other.me
    async with one.free(other.me) as free:
        assert not free
    assert await one.owner("x") == await one.owner("y")
    await one.keep()
    await other.release()
    async with one.free(other.me) as free:
        assert free
    await one.release()
    await one.release()
    assert list((tmp_path / "e").iterdir()) == []


async def _is_free(hold: FileHold, executor: str) -> bool:
    async with hold.free(executor) as free:
        return free


@pytest.mark.faults
def test_a_killed_process_lets_go(tmp_path: Path) -> None:
    """Its file stays behind, its lock does not."""
    told = "import asyncio, sys, pathlib, os; from core.executor_lock import FileHold; hold = FileHold(pathlib.Path("
    code = f"{told}{str(tmp_path)!r})); asyncio.run(hold.take()); print(hold.me, flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        other = process.stdout.readline().strip()
        assert other
        assert not asyncio.run(_is_free(FileHold(tmp_path), other))
        process.kill()
    assert asyncio.run(_is_free(FileHold(tmp_path), other))
