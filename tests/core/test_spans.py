"""core/spans.py and core/incident_trace.py: what is collected, who is whose parent, what failed."""

import asyncio

import pytest

from core.actions import LeaveToHuman
from core.decision import Decision
from core.errors import Retryable
from core.incident import Incident
from core.incident_trace import IncidentTrace, traced
from core.reason import Reason
from core.report import IncidentResult, Result
from core.spans import add_span, collecting, spanning
from core.trace import stage, tracing


def test_nobody_collects() -> None:
    with spanning("fuera"):
        add_span("llamada", 1.0)
    with collecting("todo") as spans:
        pass
    assert [span.name for span in spans] == ["todo"]


def test_stages_and_calls_know_their_parents() -> None:
    with collecting("incidencia") as spans:
        with stage("judge"):
            add_span("relevance", 250.0, modelo="m")
        with stage("act"):
            pass
    assert [(s.name, s.parent.name if s.parent else None) for s in spans] == [
        ("incidencia", None), ("judge", "incidencia"), ("relevance", "judge"), ("act", "incidencia"),
    ]  # fmt: skip
    whole, judge, call, _ = spans
    assert whole.started <= judge.started <= judge.ended <= whole.ended
    assert call.ended - call.started == 250_000_000
    assert call.facts == {"modelo": "m"}


async def test_tasks_at_once_do_not_mix_up_their_parents() -> None:
    async def one(name: str) -> None:
        with spanning(name):
            await asyncio.sleep(0)
            add_span(f"llamada de {name}", 1.0)

    with collecting("todo") as spans:
        await asyncio.gather(one("a"), one("b"))
    parents = {span.name: span.parent.name for span in spans if span.parent}
    assert parents == {"a": "todo", "b": "todo", "llamada de a": "a", "llamada de b": "b"}


async def test_two_incidents_at_once_have_each_their_own() -> None:
    async def one(name: str) -> list[str]:
        with collecting(name) as spans:
            await asyncio.sleep(0)
            with spanning(f"etapa de {name}"):
                await asyncio.sleep(0)
        return [span.name for span in spans]

    assert await asyncio.gather(one("a"), one("b")) == [["a", "etapa de a"], ["b", "etapa de b"]]


@pytest.mark.parametrize(
    ("error", "told"),
    [(Retryable(Reason.MODEL_TIMEOUT), "MODEL_TIMEOUT"), (ValueError("12345678Z"), "ValueError")],
    ids=["stage-error", "any-other"],
)
def test_what_failed_is_told_by_its_code_not_by_its_words(error: Exception, told: str) -> None:
    with collecting("todo") as spans, pytest.raises(type(error)), spanning("judge"):
        raise error
    assert [span.error for span in spans] == ["", told]
    assert spans[1].ended >= spans[1].started


async def test_the_sink_gets_one_trace_an_incident() -> None:
    incident = Incident.model_validate({"codIncidencia": "I1", "descripcion": "No imprime"})
    result = IncidentResult(codIncidencia="I1", resultado=Result.HUMAN, tipo="manual", motivo=Reason.NO_CANDIDATE)
    decision = Decision("d1", LeaveToHuman(reason=Reason.NO_CANDIDATE), None, Reason.NO_CANDIDATE, None)
    got: list[IncidentTrace] = []

    async def work(worked: Incident) -> tuple[IncidentResult, Decision]:
        assert worked is incident
        with stage("search"):
            return result, decision

    with tracing(run="r1"):
        assert await traced(work, got.append)(incident) == (result, decision)
    [trace] = got
    assert (trace.run, trace.result) == ("r1", result)
    assert [span.name for span in trace.spans] == ["incidencia", "search"]
