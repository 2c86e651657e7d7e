"""core/desk_queue.py: what goes into the queue, what a run takes up, and that each end is told once."""

import asyncio
import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from api.memory import MemoryDesk
from core.database import Database
from core.desk_queue import DeskQueue
from core.errors import Retryable, UsageError
from core.incident import Incident
from core.past_work import past_work
from core.queue import open_past, open_queue
from core.queued_work import as_item
from core.reason import Reason
from core.records import Item
from core.report import IncidentResult, Result, RunReport
from core.run import Run, Selection
from core.steps import Json, Steps

TAG = "[SPAI] "


def _incidents(count: int, **fields: Any) -> list[Incident]:
    return [Incident(code=f"INC-{n}", status="Abierta", mailbox="WEB", **fields) for n in range(count)]


class World:
    """A desk and a queue in a folder; each `run` is a process of its own."""

    def __init__(self, folder: Path, incidents: list[Incident]) -> None:
        self.folder = folder
        self.desk = MemoryDesk(incidents)
        self.worked: list[str] = []
        self.reasons: dict[str, list[Reason]] = {}
        self.stop = asyncio.Event()
        self.on_work: Callable[[str], None] = lambda code: None

    async def _work(self, item: Item, steps: Steps, begun: int) -> Json:
        self.worked.append(item.code)
        self.on_work(item.code)
        await asyncio.sleep(0)
        reason = self.reasons.get(item.code, []).pop(0) if self.reasons.get(item.code) else Reason.NO_CANDIDATE
        ending = Result.HUMAN if reason is Reason.NO_CANDIDATE else Result.ERROR
        result = IncidentResult(codIncidencia=item.code, resultado=ending, tipo="manual", motivo=reason)
        row = {"FECHA": "2026", "EJECUCION": "r", "INCIDENCIA": item.code, "INTENTO": "1"}
        return {"resultado": result.model_dump(mode="json"), "rechazos": [row]}

    async def run(self, selection: Selection = Selection(), *, serve: bool = False) -> RunReport:  # noqa: B008 - frozen
        """One run, its stop not yet asked for."""
        self.stop.clear()
        self.worked.clear()
        async with open_queue(Database(self.folder), self._work, hands=2, stop=self.stop) as queue:
            desk_queue = DeskQueue(queue, self.desk, TAG, Run(self.folder / "r", "1", 2), 30)
            if serve:
                report, _ = await desk_queue.serve(selection, 5.0, 0.05, self.stop)
            else:
                report, _ = await desk_queue.drain(selection, 5.0)
        return report

    @property
    def rejected(self) -> list[str]:
        """The incidents in the rejections, once per row."""
        [path] = (self.folder / "r" / "rejected").glob("*.csv")
        return [row["INCIDENCIA"] for row in csv.DictReader(path.read_text("utf-8").splitlines())]


def _codes(report: RunReport) -> list[str]:
    return sorted(result.codIncidencia for result in report.incidencias)


async def test_the_same_state_is_worked_once_and_told_once(tmp_path: Path) -> None:
    world = World(tmp_path, _incidents(3))
    assert _codes(await world.run()) == ["INC-0", "INC-1", "INC-2"]
    assert _codes(await world.run()) == []
    world.desk.touch("INC-1")
    assert _codes(await world.run()) == ["INC-1"]


async def test_what_a_stop_left_is_taken_up_first(tmp_path: Path) -> None:
    world = World(tmp_path, _incidents(6))
    world.on_work = lambda code: world.stop.set()
    first = await world.run()
    world.on_work = lambda code: None
    assert 1 <= len(first.incidencias) <= 2
    assert first.resumen["sin_empezar"] == 6 - len(first.incidencias)
    second = await world.run(Selection(limit=1))
    assert sorted(_codes(first) + _codes(second)) == [f"INC-{n}" for n in range(6)]
    assert sorted(world.rejected) == [f"INC-{n}" for n in range(6)]


async def test_ends_that_nobody_told_are_told_by_the_next(tmp_path: Path) -> None:
    """The run before was cut after the work and before its report."""
    world = World(tmp_path, _incidents(2))
    async with open_queue(Database(tmp_path), world._work, hands=2, stop=world.stop) as queue:
        items = [as_item(incident, TAG) for incident in _incidents(2)]
        await queue.records.add(items)
        await queue.start()
        await queue.wait([item.id for item in items])
    report = await world.run()
    assert world.worked == []
    assert _codes(report) == ["INC-0", "INC-1"] == sorted(world.rejected)


async def test_errors_are_worked_again_by_the_next_run(tmp_path: Path) -> None:
    world = World(tmp_path, _incidents(2))
    world.reasons = {"INC-1": [Reason.MODEL_UNAVAILABLE]}
    first = await world.run()
    assert first.resumen["por_resultado"]["error"] == 1
    assert _codes(await world.run()) == ["INC-1"]
    assert _codes(await world.run()) == []


async def test_what_changed_while_it_lay_is_worked_from_the_beginning(tmp_path: Path) -> None:
    world = World(tmp_path, _incidents(2))
    world.reasons = {"INC-0": [Reason.STATE_CHANGED]}
    report = await world.run()
    assert sorted(world.worked) == ["INC-0", "INC-0", "INC-1"]
    assert {r.codIncidencia: r.motivo for r in report.incidencias} == dict.fromkeys(
        ["INC-0", "INC-1"], Reason.NO_CANDIDATE
    )


async def test_an_incident_asked_for_by_name_is_worked_whatever_was(tmp_path: Path) -> None:
    world = World(tmp_path, _incidents(2))
    for _ in range(2):
        assert _codes(await world.run(Selection(code="INC-1"))) == ["INC-1"]
    with pytest.raises(UsageError):
        await world.run(Selection(code="INC-9"))


async def test_the_limit_counts_what_is_new(tmp_path: Path) -> None:
    world = World(tmp_path, _incidents(5))
    seen = [_codes(await world.run(Selection(limit=2))) for _ in range(4)]
    assert [len(codes) for codes in seen] == [2, 2, 1, 0]
    assert len({code for codes in seen for code in codes}) == 5


@pytest.mark.faults
async def test_a_worker_outlives_a_desk_that_is_down_and_reports_at_its_stop(tmp_path: Path) -> None:
    world = World(tmp_path, _incidents(4))
    world.desk.fail_next("list_open", Retryable(Reason.DESK_UNAVAILABLE), times=2)
    world.on_work = lambda code: world.stop.set() if len(world.worked) == 4 else None
    report = await world.run(serve=True)
    assert _codes(report) == [f"INC-{n}" for n in range(4)]
    assert sorted(world.rejected) == [f"INC-{n}" for n in range(4)]
    [path] = (tmp_path / "r" / "reportes").iterdir()
    assert json.loads(path.read_text("utf-8"))["ejecucion"] == report.ejecucion


async def test_every_look_at_the_desk_tells_how_long_the_queue_is(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(tmp_path, _incidents(3))
    with caplog.at_level("INFO"):
        await world.run()
        world.desk.touch("INC-1")
        await world.run()
    told = [vars(line) for line in caplog.records if vars(line).get("action") == "desk_listed"]
    assert [(facts["open"], facts["added"], facts["waiting"]) for facts in told] == [(3, 3, 3), (3, 1, 1)]


async def test_the_queue_s_past_is_read_while_it_works_and_after(tmp_path: Path) -> None:
    world = World(tmp_path, _incidents(2))
    during: list[str] = []

    def look(code: str) -> None:
        with open_past(Database(tmp_path)) as client:
            assert client
            during.extend(work.status for work in past_work(client, code))

    with open_past(Database(tmp_path)) as client:
        assert client is None
    assert list(tmp_path.iterdir()) == []
    world.on_work = look
    await world.run()
    assert during == ["PENDING", "PENDING"]
    with open_past(Database(tmp_path)) as client:
        assert client
        [work] = past_work(client, "INC-1")
        assert past_work(client, "INC") == []
    assert (work.status, work.output["resultado"]["codIncidencia"]) == ("SUCCESS", "INC-1")
    assert work.queued <= work.updated
