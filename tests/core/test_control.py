"""core/control: everybody stops within seconds of one row."""

import asyncio

import pytest

from core.control import FRESH_S, KillSwitch
from core.errors import DependencyError
from core.ledger import Ledger
from core.steps import Unrecorded


class Clock:
    time = 0.0

    def __call__(self) -> float:
        return self.time


def test_pausing_and_resuming(ledger: Ledger) -> None:
    switch = KillSwitch(ledger)
    assert switch.paused() is None
    assert [switch.pause("ana"), switch.pause("luis")] == [True, False]
    paused = switch.paused()
    assert paused is not None
    assert paused.who == "ana"
    assert [switch.resume("luis"), switch.resume("luis")] == [True, False]
    assert switch.paused() is None


def test_another_process_sees_it_within_two_seconds(ledger: Ledger) -> None:
    clock = Clock()
    other = KillSwitch(ledger, clock)
    assert other.paused() is None
    KillSwitch(ledger).pause("ana")
    clock.time = FRESH_S - 0.1
    assert other.paused() is None
    clock.time = FRESH_S
    assert other.paused() is not None


@pytest.mark.faults
async def test_without_an_answer_nothing_is_done(ledger: Ledger) -> None:
    with ledger._engine.connect() as connection:
        connection.exec_driver_sql("DROP TABLE controls")
        connection.commit()
    with pytest.raises(DependencyError):
        KillSwitch(ledger).paused()
    with pytest.raises(Unrecorded):
        await KillSwitch(ledger).gate(asyncio.Event(), wait=True)


async def test_the_gate_is_open(ledger: Ledger) -> None:
    stop = asyncio.Event()
    await KillSwitch(ledger).gate(stop, wait=False)
    assert not stop.is_set()


async def test_a_run_ends_at_a_pause(ledger: Ledger) -> None:
    KillSwitch(ledger).pause("ana")
    stop = asyncio.Event()
    with pytest.raises(Unrecorded):
        await KillSwitch(ledger).gate(stop, wait=False)
    assert stop.is_set()


async def test_a_worker_waits_until_it_is_told_to_stop(ledger: Ledger) -> None:
    KillSwitch(ledger).pause("ana")
    stop = asyncio.Event()
    waiting = asyncio.create_task(KillSwitch(ledger).gate(stop, wait=True))
    await asyncio.sleep(0)
    assert not waiting.done()
    stop.set()
    with pytest.raises(Unrecorded):
        await waiting


async def test_a_worker_goes_on_when_work_is_resumed(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.control.FRESH_S", 0.0)
    KillSwitch(ledger).pause("ana")
    waiting = asyncio.create_task(KillSwitch(ledger).gate(asyncio.Event(), wait=True))
    await asyncio.sleep(0)
    KillSwitch(ledger).resume("ana")
    await waiting
