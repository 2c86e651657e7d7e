"""The lines that dashboards count: one per run, stage, model call and request, with their facts and nothing else."""

import asyncio
import logging
from pathlib import Path
from typing import Any

import httpx
import pytest
import respx
import stamina

from api.gestor_incidencias import HttpIncidentDesk
from api.http import open_client, retry_policy
from api.memory import MemoryDesk
from api.sistema import HttpSystem
from core.errors import Retryable, StageError, Terminal
from core.ports import DeskListing
from core.reason import Reason
from core.run import Run, Selection, select
from core.trace import current, stage, tracing
from llm.scripted import Said, Script, scripted_provider
from llm.tasks import ModelTasks

BASE = "http://sistema.test"


def _facts(caplog: pytest.LogCaptureFixture, action: str) -> list[dict[str, Any]]:
    """What each line of this action has beyond what every record has."""
    plain = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
    return [
        {name: value for name, value in vars(record).items() if name not in plain}
        for record in caplog.records
        if getattr(record, "action", "") == action
    ]


@pytest.fixture(autouse=True)
def _all_lines(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


def test_a_stage_tells_how_long_it_took(caplog: pytest.LogCaptureFixture) -> None:
    with stage("judge"):
        pass
    with pytest.raises(KeyError), stage("act"):
        raise KeyError
    done, failed = _facts(caplog, "stage_done")
    assert 0 <= done.pop("ms") < 1000
    assert done == {"action": "stage_done", "stage": "judge", "failed": False}
    assert (failed["stage"], failed["failed"]) == ("act", True)


def test_a_stage_that_returns_has_not_failed(caplog: pytest.LogCaptureFixture) -> None:
    def work() -> int:
        with stage("intake"):
            return 1

    assert work() == 1
    assert [line["failed"] for line in _facts(caplog, "stage_done")] == [False]


async def test_a_model_call_tells_its_cost(caplog: pytest.LogCaptureFixture) -> None:
    tasks = ModelTasks(scripted_provider(Script([Said('{"consulta": "No entra"}')])))
    await tasks.reformulate("no entro, soy Ana", None)
    (line,) = _facts(caplog, "model_called")
    assert line["tokens_in"] > 0
    assert line["tokens_out"] > 0
    assert line["ms"] > 0
    assert len(line["prompt_version"]) == 12
    assert line["model"] == tasks.model_name
    assert (line["task"], line["failed"]) == ("reformulate", False)
    assert "Ana" not in str(line)


async def test_a_model_call_that_fails_is_told_too(caplog: pytest.LogCaptureFixture) -> None:
    tasks = ModelTasks(scripted_provider(Script([Said("", error=httpx.ConnectError("nobody there"))])))
    with pytest.raises(Retryable):
        await tasks.reformulate("no entro", None)
    (line,) = _facts(caplog, "model_called")
    assert (line["failed"], line["tokens_in"], line["tokens_out"]) == (True, 0, 0)


@respx.mock
async def test_a_request_tells_its_status_and_never_its_path(caplog: pytest.LogCaptureFixture) -> None:
    respx.get(url__startswith=BASE).mock(
        side_effect=[httpx.Response(503), httpx.ConnectError("no"), httpx.Response(200, json={"estado": "en vigor"})]
    )
    with stamina.set_testing(True, attempts=3, cap=True):
        async with open_client(BASE, 5.0) as client:
            await HttpSystem(client, retry_policy(3)).policy("POL-12345678")
    lines = _facts(caplog, "http_answered")
    assert [line["status"] for line in lines] == [503, 0, 200]
    assert all(line["method"] == "GET" and line["ms"] >= 0 for line in lines)
    assert {line["service"] for line in lines} == {"el sistema de negocio"}
    assert "12345678" not in "".join(str(vars(record)) for record in caplog.records)


@respx.mock
@pytest.mark.parametrize("status", [404, 422])
async def test_a_refusal_tells_its_status(caplog: pytest.LogCaptureFixture, status: int) -> None:
    respx.get(url__startswith=BASE).respond(status)
    async with open_client(BASE, 5.0) as client:
        with pytest.raises((StageError, Terminal)):
            await HttpIncidentDesk(client, retry_policy(1)).attachment("foto.png", 100)
    assert [line["status"] for line in _facts(caplog, "http_answered")] == [status]


def _run(folder: Path) -> Run:
    return Run(folder, "1", 2, simulate=True)


async def test_a_run_tells_its_beginning_and_its_end(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    run = _run(tmp_path)

    async def work(_: object) -> Any:
        raise AssertionError

    with run.told():
        assert current().run == run.id
        await run.over(DeskListing(incidents=(), invalid=(("INC-9", "sin título"),)), work, asyncio.Event())
    (begun,), (done,) = _facts(caplog, "run_started"), _facts(caplog, "run_done")
    assert begun == {
        "action": "run_started",
        "run": run.id,
        "version": "1",
        "hands": 2,
        "simulated": True,
    }
    assert 0 <= done.pop("ms") < 60_000
    counts = {"automatica": 0, "propuesta": 0, "humano": 0, "error": 1}
    assert done == {"action": "run_done", "run": run.id, "incidents": 1, "left": 0, **counts}
    assert _facts(caplog, "run_failed") == []


async def test_a_run_that_is_cut_short_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    desk = MemoryDesk([])
    desk.fail_next("list_open", Retryable(Reason.DESK_UNAVAILABLE))
    with pytest.raises(Retryable), _run(tmp_path).told():
        await select(desk, Selection())
    assert [line["error"] for line in _facts(caplog, "run_failed")] == ["Retryable"]
    assert _facts(caplog, "run_done") == []


def test_lines_of_a_stage_carry_the_incident(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    from observabilidad.logs import configure_logs

    with configure_logs(tmp_path) as log, tracing(run="r", incident="INC1"), stage("search"):
        pass
    assert '"incident": "INC1", "run": "r", "stage": "search"' in log.path.read_text("utf-8")
