"""llm/embedded.py over a server object of our own: what is asked of llama.cpp and what its replies become."""

import json
import sys
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import httpx
import pytest
import respx
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage

from core.errors import Retryable, StageError, Terminal
from core.reason import Reason
from llm import native
from llm.embedded import EmbeddedChat

ADDRESS = "http://127.0.0.1:9"
REPLY: dict[str, Any] = {
    "choices": [{"message": {"content": "hola"}, "finish_reason": "stop", "logprobs": {"content": []}}],
    "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7},
}


class FakeServer:
    """Stands for `xllamacpp.Server`: replies with `reply`, remembers the requests and the parameters."""

    listening_address = ADDRESS

    def __init__(self, params: Any) -> None:
        self.params = params
        self.reply: Any = REPLY
        self.requests: list[dict[str, Any]] = []
        self.in_turn: list[bool] = []

    def handle_chat_completions(self, request: dict[str, Any]) -> Any:
        self.requests.append(request)
        self.in_turn.append(native.LOCK.locked())
        return self.reply


class LoadMode(Enum):
    """Stands for `xllamacpp.llama_load_mode`."""

    LLAMA_LOAD_MODE_NONE = 0
    LLAMA_LOAD_MODE_MMAP = 1


def _params() -> SimpleNamespace:
    return SimpleNamespace(model=SimpleNamespace(), cpuparams=SimpleNamespace(), cpuparams_batch=SimpleNamespace())


@pytest.fixture
def chat(monkeypatch: pytest.MonkeyPatch) -> Iterator[EmbeddedChat]:
    module = ModuleType("xllamacpp")
    module.__dict__.update(
        Server=FakeServer, CommonParams=_params, llama_load_mode=LoadMode, CommonAdapterLoraInfo=lambda *given: given
    )
    monkeypatch.setitem(sys.modules, "xllamacpp", module)
    opened = EmbeddedChat(path=Path("modelo.gguf"), context_tokens=2048, time_limit=7.5)
    yield opened
    opened.close()


def _server(chat: EmbeddedChat) -> FakeServer:
    server = chat._server
    assert isinstance(server, FakeServer)
    return server


def test_the_server_is_for_this_process_alone(chat: EmbeddedChat) -> None:
    params = _server(chat).params
    assert params.model.path == "modelo.gguf"
    assert params.n_ctx == 2048
    assert params.hostnames == ["127.0.0.1"]
    assert params.ctx_shift is False
    assert params.load_mode is LoadMode.LLAMA_LOAD_MODE_NONE, "mapped, the weights would be in memory twice"
    assert params.ui is params.endpoint_slots is False
    [key] = params.api_keys
    assert len(key) >= 24
    assert chat._client.headers["authorization"] == f"Bearer {key}"
    assert chat._llm_type == "embedded"


def test_what_is_asked(chat: EmbeddedChat) -> None:
    chat.invoke([SystemMessage("s"), HumanMessage("h"), AIMessage("a")])
    [request] = _server(chat).requests
    assert request == {
        "messages": [
            {"role": "system", "content": "s"},
            {"role": "user", "content": "h"},
            {"role": "assistant", "content": "a"},
        ],
        "max_tokens": 256,
        "temperature": 0,
        "seed": 1,
        "t_max_predict_ms": 7500,
    }
    assert _server(chat).in_turn == [True]


def test_options_of_a_call(chat: EmbeddedChat) -> None:
    schema = {"title": "Eleccion", "type": "object"}
    chat.invoke([HumanMessage("h")], stop=["fin"], max_tokens=1, logprobs=True, json_schema=schema)
    chat.invoke([HumanMessage("h")], json_schema={"type": "object"})
    first, second = _server(chat).requests
    assert first["stop"] == ["fin"]
    assert first["max_tokens"] == 1
    assert (first["logprobs"], first["top_logprobs"]) == (True, 40)
    assert first["response_format"]["json_schema"] == {"name": "Eleccion", "strict": True, "schema": schema}
    assert second["response_format"]["json_schema"]["name"] == "respuesta"
    assert "logprobs" not in second


@pytest.mark.parametrize("reply", [REPLY, json.dumps(REPLY), json.dumps(REPLY).encode()], ids=["dict", "str", "bytes"])
async def test_a_reply(reply: Any, chat: EmbeddedChat) -> None:
    _server(chat).reply = reply
    message = await chat.ainvoke([HumanMessage("h")])
    assert message.text == "hola"
    assert message.response_metadata["finish_reason"] == "stop"
    assert message.response_metadata["logprobs"] == {"content": []}
    assert message.usage_metadata == {"input_tokens": 5, "output_tokens": 2, "total_tokens": 7}


def test_an_empty_reply(chat: EmbeddedChat) -> None:
    _server(chat).reply = {"choices": [{"message": {"content": None}}]}
    message = chat.invoke([HumanMessage("h")])
    assert message.text == ""
    assert message.usage_metadata == {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}


@pytest.mark.faults
@pytest.mark.parametrize(
    ("error", "kind", "reason"),
    [
        pytest.param(
            {"message": "the request exceeds the available context size"},
            Terminal,
            Reason.PROMPT_TOO_LONG,
            id="too long",
        ),
        pytest.param({"message": "decode failed"}, Retryable, Reason.MODEL_UNAVAILABLE, id="failed"),
        pytest.param({"code": 500}, Retryable, Reason.MODEL_UNAVAILABLE, id="no message"),
        pytest.param({"message": "x" * 9000}, Retryable, Reason.MODEL_UNAVAILABLE, id="very long"),
    ],
)
def test_errors_of_the_server(
    error: dict[str, Any], kind: type[StageError], reason: Reason, chat: EmbeddedChat
) -> None:
    _server(chat).reply = {"error": error}
    with pytest.raises(kind) as caught:
        chat.invoke([HumanMessage("h")])
    assert caught.value.reason is reason
    assert 0 < len(str(caught.value)) <= 300
    assert not native.LOCK.locked()


@pytest.mark.faults
@pytest.mark.parametrize("reply", ["no es JSON", {}, {"choices": []}], ids=["no json", "nothing", "no choice"])
def test_a_reply_of_another_shape_is_an_error(reply: Any, chat: EmbeddedChat) -> None:
    """`llm.call` maps these to a reason; here they must not pass for an answer."""
    _server(chat).reply = reply
    with pytest.raises((ValueError, LookupError)):
        chat.invoke([HumanMessage("h")])


def test_counting_tokens(chat: EmbeddedChat) -> None:
    with respx.mock(base_url=ADDRESS) as service:
        route = service.post("/tokenize").respond(json={"tokens": [1, 2, 3]})
        assert chat.count_tokens("unas palabras") == 3
        assert json.loads(route.calls.last.request.content) == {"content": "unas palabras"}


@pytest.mark.faults
def test_a_count_that_fails_is_an_error(chat: EmbeddedChat) -> None:
    with respx.mock(base_url=ADDRESS) as service:
        service.post("/tokenize").respond(500)
        with pytest.raises(httpx.HTTPStatusError):
            chat.count_tokens("unas palabras")


def test_every_call_says_which_adapter_it_takes_on(monkeypatch: pytest.MonkeyPatch, chat: EmbeddedChat) -> None:
    adapters = {"otro": Path("otro.gguf"), "relevance": Path("relevance.gguf")}
    tuned = EmbeddedChat(path=Path("modelo.gguf"), adapters=adapters)
    assert _server(tuned).params.lora_adapters == [("otro.gguf", 0.0), ("relevance.gguf", 0.0)]
    for options in ({"adapter": "relevance"}, {}):
        tuned.invoke([HumanMessage("hola")], **options)
    told = [request["lora"] for request in _server(tuned).requests]
    assert told == [
        [{"id": 0, "scale": 0.0}, {"id": 1, "scale": 1.0}],
        [{"id": 0, "scale": 0.0}, {"id": 1, "scale": 0.0}],
    ]
    tuned.close()
    chat.invoke([HumanMessage("hola")])
    assert "lora" not in _server(chat).requests[-1]
