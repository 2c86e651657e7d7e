"""observabilidad/mlflow_spans.py: an incident's trace as MLflow keeps it, and without what must not be there."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import HumanMessage, SystemMessage

from core.errors import StageError
from core.incident_trace import IncidentTrace
from core.reason import Reason
from core.report import IncidentResult, Result
from core.spans import Span, collecting, spanning
from llm.call import Caller
from llm.prompt import Prompt
from llm.scripted import Said, Script, scripted_provider
from llm.tasks import PROMPTS
from observabilidad.mlflow_server import open_client
from observabilidad.mlflow_spans import as_spans
from observabilidad.traces import EXPERIMENT, open_traces
from tests.mlflow_backend import NEEDED, QUIET, backend


async def _asked(*messages: Any, said: Said) -> list[Span]:
    """The spans of one call to the model."""
    prompt = Prompt.load(PROMPTS / "reformulate.md")
    with collecting("incidencia") as spans, spanning("etapa"):
        caller = Caller(scripted_provider(Script([said])), None)
        with suppress(StageError):
            (await caller.ask(prompt, [SystemMessage("Eres"), *messages], {})).keep(logit=1.5)
    return spans


def _trace(spans: list[Span], **changes: Any) -> IncidentTrace:
    facts = {"resultado": Result.AUTOMATIC, "tipo": "cierre", "motivo": Reason.APPROVED, "decision": "d1"} | changes
    return IncidentTrace("r1", IncidentResult(codIncidencia="INC-1", detalle="Ana García", **facts), tuple(spans))


def _attributes(span: dict[str, Any]) -> dict[str, Any]:
    return {name: json.loads(value) for name, value in span["attributes"].items()}


async def test_a_call_has_its_messages_its_cost_and_its_prompt() -> None:
    trace = _trace(await _asked(HumanMessage("no imprime"), said=Said("dos palabras")))
    whole, stage, call = (_attributes(span) for span in as_spans(trace, bytes(16), "tr-1"))
    assert (whole["mlflow.spanType"], stage["mlflow.spanType"]) == ("CHAIN", "TASK")
    assert call["mlflow.spanType"] == "CHAT_MODEL"
    assert call["mlflow.spanInputs"]["messages"][1] == {"role": "user", "content": "no imprime"}
    assert call["mlflow.spanOutputs"] == "dos palabras"
    assert call["mlflow.chat.tokenUsage"] == {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}
    assert (call["prompt"], call["logit"]) == (Prompt.load(PROMPTS / "reformulate.md").version, 1.5)
    assert (whole["incidencia"], whole["ejecucion"], whole["motivo"]) == ("INC-1", "r1", "APPROVED")
    assert "Ana" not in json.dumps(as_spans(trace, bytes(16), "tr-1"))  # the result's free text stays out


async def test_texts_are_scrubbed_once_more() -> None:
    spans = await _asked(HumanMessage("de ana@empresa.es"), said=Said("llame al 612345678"))
    text = json.dumps(as_spans(_trace(spans), bytes(16), "tr-1"))
    assert "ana@empresa.es" not in text
    assert "612345678" not in text


async def test_what_is_read_off_a_picture_is_left_out() -> None:
    blocks = [{"type": "text", "text": "¿Qué se ve?"}, {"type": "image_url", "image_url": {"url": "data:;base64,AAAA"}}]
    spans = await _asked(HumanMessage(content=blocks), said=Said("Ficha de Ana García"))
    call = _attributes(as_spans(_trace(spans), bytes(16), "tr-1")[2])
    assert "mlflow.spanOutputs" not in call
    assert "AAAA" not in json.dumps(call)
    assert call["mlflow.spanInputs"]["messages"][1]["content"][1]["type"] == "image_url"


async def test_a_failed_call_says_why() -> None:
    spans = await _asked(HumanMessage("x"), said=Said(error=ConnectionError("http://secreto")))
    call = as_spans(_trace(spans, resultado=Result.ERROR), bytes(16), "tr-1")[2]
    assert call["status"] == {"code": "STATUS_CODE_ERROR", "message": "MODEL_UNAVAILABLE"}
    assert "secreto" not in json.dumps(call)


@NEEDED
@QUIET
async def test_mlflow_keeps_the_tree(tmp_path: Path) -> None:
    settings = backend(tmp_path, trazas_mlflow="si")
    sender = open_traces(settings)
    spans = await _asked(HumanMessage("no imprime"), said=Said("dos palabras"))
    sender.record(_trace(spans, tokens_entrada=3, tokens_salida=2))
    sender.record(_trace(spans, resultado=Result.ERROR, motivo=Reason.MODEL_TIMEOUT))
    sender.close()
    assert sender.lost == 0
    client = open_client(settings)
    place = client.get_experiment_by_name(EXPERIMENT).experiment_id
    found = {t.info.tags["resultado"]: t for t in client.search_traces(locations=[place])}
    assert {name: t.info.state.value for name, t in found.items()} == {"automatica": "OK", "error": "ERROR"}
    kept = found["automatica"]
    by_id = {span.span_id: span for span in kept.data.spans}
    tree = {span.name: by_id[span.parent_id].name if span.parent_id else None for span in kept.data.spans}
    assert tree == {"incidencia": None, "etapa": "incidencia", "reformulate": "etapa"}
    assert kept.info.client_request_id == "d1"
    assert kept.info.trace_metadata["mlflow.trace.session"] == "r1"
    assert kept.info.token_usage == {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}


@pytest.mark.parametrize("facts", [{}, {"entrada": "[]", "modelo": "m"}], ids=["stage", "call"])
def test_a_span_that_never_ended_ends_with_the_whole(facts: dict[str, Any]) -> None:
    whole = Span("incidencia", 1, 9)
    spans = as_spans(_trace([whole, Span("cortada", 2, parent=whole, facts=facts)]), bytes(16), "tr-1")
    assert spans[1]["end_time_unix_nano"] == 9
