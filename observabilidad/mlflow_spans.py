"""An incident's trace in MLflow's terms: two requests a trace, and no text with personal data."""

import base64
import hashlib
import json
import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from core.incident_trace import IncidentTrace
from core.privacy import scrub
from core.report import Result
from core.spans import Span

if TYPE_CHECKING:
    from mlflow import MlflowClient

_TEXTS = ("entrada", "salida")
_JSON = dict[str, Any]


def send(client: "MlflowClient", experiment: str, trace: IncidentTrace) -> None:
    """Keep the trace. Raises what MLflow raises."""
    from mlflow.entities import Span as MlflowSpan
    from mlflow.entities import TraceInfo, TraceLocation, TraceState
    from mlflow.tracing.client import TracingClient

    number = secrets.token_bytes(16)
    request = f"tr-{number.hex()}"
    root, result = trace.spans[0], trace.result
    tokens = {"input_tokens": result.tokens_entrada, "output_tokens": result.tokens_salida}
    info = TraceInfo(
        trace_id=request,
        trace_location=TraceLocation.from_experiment_id(experiment),
        request_time=root.started // 1_000_000,
        state=TraceState.ERROR if result.resultado is Result.ERROR else TraceState.OK,
        request_preview=result.codIncidencia,
        response_preview=f"{result.resultado.value}: {result.motivo.value}",
        client_request_id=result.decision,
        execution_duration=(root.ended - root.started) // 1_000_000,
        trace_metadata={
            "mlflow.trace.session": trace.run,
            "mlflow.source.name": "spai",
            "mlflow.trace.tokenUsage": json.dumps(tokens | {"total_tokens": sum(tokens.values())}),
        },
        tags={
            "mlflow.traceName": root.name,
            "incidencia": result.codIncidencia,
            "resultado": result.resultado.value,
            "motivo": result.motivo.value,
        },
    )
    tracing = TracingClient(client.tracking_uri)
    tracing.start_trace(info)
    tracing.log_spans(experiment, [MlflowSpan.from_dict(one) for one in as_spans(trace, number, request)])


def as_spans(trace: IncidentTrace, number: bytes, request: str) -> list[_JSON]:
    """Each span as `mlflow.entities.Span.from_dict` reads it."""
    ids = {id(span): index.to_bytes(8, "big") for index, span in enumerate(trace.spans, 1)}
    found: list[_JSON] = []
    for span in trace.spans:
        facts = _result(trace) if span is trace.spans[0] else span.facts
        parent = ids.get(id(span.parent)) if span.parent else None
        found.append(
            {
                "trace_id": _encoded(number),
                "span_id": _encoded(ids[id(span)]),
                "parent_span_id": _encoded(parent) if parent else None,
                "name": span.name,
                "start_time_unix_nano": span.started,
                "end_time_unix_nano": span.ended or trace.spans[0].ended,
                "events": [],
                "status": {"code": "STATUS_CODE_ERROR" if span.error else "STATUS_CODE_OK", "message": span.error},
                "attributes": {name: json.dumps(v) for name, v in _attributes(span, facts, request).items()},
            }
        )
    return found


def _attributes(span: Span, facts: Mapping[str, Any], request: str) -> _JSON:
    called = "modelo" in facts
    kind = "CHAT_MODEL" if called else "CHAIN" if span.parent is None else "TASK"
    found: _JSON = {"mlflow.traceRequestId": request, "mlflow.spanType": kind}
    if facts.get("entrada"):
        found["mlflow.spanInputs"] = {"messages": [_message(one) for one in json.loads(facts["entrada"])]}
    if facts.get("salida") is not None:
        found["mlflow.spanOutputs"] = scrub(facts["salida"])
    if called:
        counts = facts.get("tokens_entrada", 0), facts.get("tokens_salida", 0)
        usage = {"input_tokens": counts[0], "output_tokens": counts[1], "total_tokens": sum(counts)}
        found["mlflow.chat.tokenUsage"] = usage
        found["mlflow.llm.model"] = facts["modelo"]
    if facts.get("prompt"):
        found["prompt"] = hashlib.sha256(facts["prompt"].encode()).hexdigest()[:12]
    rest = {k: v for k, v in facts.items() if k not in (*_TEXTS, "prompt") and v is not None}
    return found | rest


def _message(message: Mapping[str, Any]) -> _JSON:
    """As the history has it, pictures as their hash; the texts scrubbed once more, as those of the log are."""
    content = message["content"]
    if isinstance(content, str):
        return {"role": message["role"], "content": scrub(content)}
    blocks = [{**b, "text": scrub(b["text"])} if isinstance(b.get("text"), str) else b for b in content]
    return {"role": message["role"], "content": blocks}


def _result(trace: IncidentTrace) -> _JSON:
    """What is known of the whole; never the result's free text."""
    result = trace.result
    return {
        "incidencia": result.codIncidencia,
        "ejecucion": trace.run,
        "resultado": result.resultado.value,
        "motivo": result.motivo.value,
        "aprobacion": result.aprobacion,
        "fila": result.fila,
        "decision": result.decision,
        "confirmada": result.confirmada,
        "llamadas_llm": result.llamadas_llm,
        "juicios": result.juicios,
    }


def _encoded(number: bytes) -> str:
    return base64.b64encode(number).decode()
