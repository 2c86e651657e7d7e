import asyncio
import logging
import sys
from contextlib import nullcontext
from pathlib import Path

import langsmith
import langsmith.utils
import pytest

from config import Settings
from core.errors import DependencyError, Terminal, UsageError
from core.reason import Reason
from llm.model import estimated_tokens, sees
from llm.openai_server import strict_schema
from llm.provider import open_provider
from llm.suggest import Row
from llm.tasks import ModelTasks
from tests.llm.contract import settings
from tests.llm.fake_servers import Answer, Kind, serving

YES_NO = {"sí": -0.5, "no": -1.5}
both = pytest.mark.parametrize("kind", ["ollama", "openai"])


async def test_what_ollama_is_sent() -> None:
    with serving("ollama", Answer('{"resumen": "Un fallo"}'), Answer("sí", YES_NO)) as server:
        provider = open_provider(settings("ollama", server.url, llm_contexto=2048))
        tasks = ModelTasks(provider)
        await tasks.summarise("texto")
        await tasks.judge("a", ["b"])
        await provider.aclose()
    written, judged = server.requests
    assert written["options"] == {"num_ctx": 2048, "temperature": 0, "seed": 1, "num_predict": 160}
    assert written["format"]["properties"].keys() == {"resumen"}
    assert written["stream"] is False
    assert written["think"] is False
    assert judged["options"]["num_ctx"] == 2048
    assert judged["options"]["num_predict"] == 1
    assert (judged["logprobs"], judged["top_logprobs"]) == (True, 20)
    assert not judged.get("format")


async def test_what_an_openai_server_is_sent() -> None:
    with serving("openai", Answer('{"resumen": "Un fallo"}'), Answer("sí", YES_NO)) as server:
        provider = open_provider(settings("openai", server.url))
        tasks = ModelTasks(provider)
        await tasks.summarise("texto")
        await tasks.judge("a", ["b"])
        await provider.aclose()
    written, judged = server.requests
    assert written["response_format"]["type"] == "json_schema"
    assert written["response_format"]["json_schema"]["strict"] is True
    assert (written["max_tokens"], written["temperature"]) == (160, 0)
    assert (judged["max_tokens"], judged["logprobs"], judged["top_logprobs"]) == (1, True, 20)
    assert "response_format" not in judged
    assert "extra_body" not in written | judged
    for body in (written, judged):
        assert [message["role"] for message in body["messages"]] == ["system", "user"]
        assert all(isinstance(message["content"], str) for message in body["messages"])
    assert "texto" in written["messages"][1]["content"]
    assert server.headers[0]["authorization"] == "Bearer clave"


@pytest.mark.parametrize(
    ("kind", "hands", "calls"),
    [
        pytest.param("openai", 0, 16, id="openai"),
        pytest.param("openai", 32, 64, id="openai, as many hands as the settings say"),
        pytest.param("openai", 1, 3, id="openai, one incident's judgements together"),
        pytest.param("ollama", 0, 12, id="ollama"),
        pytest.param("ollama", 1, 3, id="ollama, one incident's judgements together"),
    ],
)
async def test_how_many_calls_a_server_gets_at_once(kind: Kind, hands: int, calls: int) -> None:
    provider = open_provider(settings(kind, "http://127.0.0.1:9", concurrencia=hands))
    assert provider.concurrency == (hands or 8)
    for _ in range(calls):
        await asyncio.wait_for(provider.turns.__aenter__(), 1)
    assert isinstance(provider.turns, asyncio.Semaphore)
    assert provider.turns.locked()
    await provider.aclose()


@both
async def test_pictures_reach_the_server(kind: Kind) -> None:
    with serving(kind, Answer('{"descripcion": "Error 500"}', prompt_tokens=600)) as server:
        model = "gemma3" if kind == "ollama" else "qwen2-vl"
        provider = open_provider(settings(kind, server.url, llm_model=model))
        assert await ModelTasks(provider).read_image(b"\x89PNG", "image/png") == "Error 500"
        await provider.aclose()
    assert "iVBORw==" in str(server.requests[0]["messages"])


@pytest.mark.faults
@pytest.mark.parametrize(
    ("tokens", "reason"),
    [
        pytest.param(4096, Reason.PROMPT_TOO_LONG, id="the window is full"),
        pytest.param(40, Reason.PROMPT_TOO_LONG, id="fewer tokens than words"),
        pytest.param(None, Reason.MODEL_UNPARSEABLE, id="not said"),
    ],
)
async def test_a_prompt_that_ollama_cut_is_an_error_though_it_says_200(tokens: int | None, reason: Reason) -> None:
    with serving("ollama", Answer('{"resumen": "Un fallo"}', prompt_tokens=tokens)) as server:
        provider = open_provider(settings("ollama", server.url))
        with pytest.raises(Terminal) as caught:
            await ModelTasks(provider).summarise("no entro " * 100)
        await provider.aclose()
    assert caught.value.reason is reason


@pytest.mark.faults
@both
@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        pytest.param(Answer(body="<html>"), Reason.MODEL_UNPARSEABLE, id="no JSON"),
        pytest.param(Answer(body="[1]"), Reason.MODEL_UNPARSEABLE, id="JSON of another shape"),
        pytest.param(Answer(status=404, body='{"error": "no model"}'), Reason.MODEL_UNAVAILABLE, id="404"),
        pytest.param(Answer(status=401, body='{"error": "clave"}'), Reason.MODEL_UNAVAILABLE, id="401"),
        pytest.param(
            Answer(status=400, body='{"error": {"message": "maximum context length is 4096"}}'),
            Reason.PROMPT_TOO_LONG,
            id="too long",
        ),
    ],
)
async def test_what_will_not_pass_is_terminal(
    kind: Kind, answer: Answer, reason: Reason, caplog: pytest.LogCaptureFixture
) -> None:
    with serving(kind, answer) as server, caplog.at_level(logging.DEBUG):
        provider = open_provider(settings(kind, server.url, openai_api_key="sk-muy-secreta"))
        with pytest.raises(Terminal) as caught:
            await ModelTasks(provider).summarise("el texto del cliente")
        await provider.aclose()
    assert caught.value.reason is reason
    ours = "".join(str(vars(record)) for record in caplog.records if record.name.startswith("llm"))
    assert "sk-muy-secreta" not in str(caught.value) + ours
    assert "el texto del cliente" not in str(caught.value) + ours


@both
async def test_check_passes_a_server_with_the_model(kind: Kind) -> None:
    with serving(kind) as server:
        provider = open_provider(settings(kind, server.url))
        await provider.check()
        await provider.aclose()
    assert server.requests == []


@pytest.mark.faults
@pytest.mark.parametrize(
    ("kind", "answer", "models", "said"),
    [
        pytest.param("ollama", Answer(), ["otro"], "ollama pull m", id="ollama, no such model"),
        pytest.param("openai", Answer(), ["otro"], "tiene: otro", id="openai, no such model"),
        pytest.param("openai", Answer(), [], "ninguno", id="openai, no model"),
        pytest.param("openai", Answer(status=401), ["m"], "OPENAI_API_KEY", id="openai, wrong key"),
        pytest.param("ollama", Answer(status=500), ["m"], "ollama serve", id="ollama, 500"),
        pytest.param("openai", Answer(status=500), ["m"], "Inicie el servidor", id="openai, 500"),
        pytest.param("ollama", Answer(body="<html>"), ["m"], "no hay un Ollama", id="ollama, something else"),
        pytest.param("openai", Answer(body="[]"), ["m"], "no hay un servidor", id="openai, something else"),
        pytest.param("ollama", Answer(body=" " * 3_000_000), ["m"], "no hay un Ollama", id="ollama, endless answer"),
    ],
)
async def test_check_says_what_to_do(kind: Kind, answer: Answer, models: list[str], said: str) -> None:
    with serving(kind, answer) as server:
        server.models = models
        provider = open_provider(settings(kind, server.url))
        with pytest.raises(DependencyError, match=said) as caught:
            await provider.check()
        await provider.aclose()
    assert server.url in str(caught.value)


@both
async def test_check_names_a_server_that_is_not_there_without_its_password(kind: Kind) -> None:
    with serving(kind) as server:
        gone = server.url
    provider = open_provider(settings(kind, gone.replace("http://", "http://ana:secreto@")))
    with pytest.raises(DependencyError, match="no responde") as caught:
        await provider.check()
    await provider.aclose()
    assert gone in str(caught.value)
    assert "secreto" not in str(caught.value)


async def test_a_window_that_the_model_does_not_have_is_refused() -> None:
    with serving("ollama") as server:
        server.window = 2048
        provider = open_provider(settings("ollama", server.url, llm_contexto=4096))
        with pytest.raises(UsageError, match="2048"):
            await provider.check()
        await provider.aclose()


@pytest.mark.parametrize(
    ("shown", "refused"),
    [
        pytest.param({"template": "{{ .Prompt }}"}, True, id="imported without one"),
        pytest.param({"template": "{{ .Prompt }}", "renderer": "qwen3"}, False, id="rendered by Ollama itself"),
        pytest.param({"template": "{{ if .System }}{{ .System }}{{ end }}{{ .Prompt }}"}, False, id="system"),
        pytest.param({"template": "{{ range .Messages }}{{ .Content }}{{ end }}"}, False, id="messages"),
        pytest.param({"template": ""}, False, id="not said"),
    ],
)
async def test_a_model_that_would_not_read_the_instructions_is_refused(shown: dict[str, str], refused: bool) -> None:
    with serving("ollama") as server:
        server.shown = shown
        provider = open_provider(settings("ollama", server.url))
        with pytest.raises(UsageError, match="TEMPLATE") if refused else nullcontext():
            await provider.check()
        await provider.aclose()


@both
@pytest.mark.parametrize("said", ["no", "si"])
def test_written_verdicts_count_where_the_settings_say_so(kind: Kind, said: str) -> None:
    provider = open_provider(settings(kind, "http://127.0.0.1:9", llm_veredictos=said))
    assert provider.capabilities.writes_verdicts is (said == "si")


async def test_ollama_takes_gemma3_by_default() -> None:
    provider = open_provider(Settings(ollama_base_url="http://127.0.0.1:9"))
    assert (provider.name, provider.model_name, provider.capabilities.vision) == ("ollama", "gemma3", True)
    await provider.aclose()


def test_openai_needs_the_name_of_a_model() -> None:
    with pytest.raises(UsageError, match="LLM_MODEL"):
        open_provider(Settings(llm_provider="openai", openai_api_key="x"))


def test_openai_without_its_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "langchain_openai", None)
    monkeypatch.delitem(sys.modules, "llm.openai_server")
    with pytest.raises(UsageError, match="pip install langchain-openai"):
        open_provider(Settings(llm_provider="openai", openai_api_key="x", llm_model="m"))


def test_the_embedded_provider_names_the_model_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="make setup"):
        open_provider(Settings(directorio_estado=tmp_path))


@pytest.mark.parametrize("variable", ["LANGCHAIN_TRACING_V2", "LANGSMITH_TRACING", "LANGSMITH_TRACING_V2"])
async def test_nothing_is_traced_to_an_outside_service(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving("openai") as outside, serving("ollama", Answer('{"resumen": "Un fallo"}')) as server:
        monkeypatch.setenv(variable, "true")
        monkeypatch.setenv("LANGSMITH_ENDPOINT", outside.url)
        monkeypatch.setenv("LANGSMITH_API_KEY", "x")
        langsmith.utils.get_env_var.cache_clear()
        langsmith.configure(enabled=None)
        assert langsmith.utils.tracing_is_enabled(), "as it would be without us"
        provider = open_provider(settings("ollama", server.url))
        try:
            assert not langsmith.utils.tracing_is_enabled()
            await ModelTasks(provider).summarise("texto")
        finally:
            langsmith.utils.get_env_var.cache_clear()
            await provider.aclose()
    assert (outside.requests, outside.headers) == ([], [])


def test_strict_mode_gets_a_schema_it_takes() -> None:
    schema = strict_schema(Row.model_json_schema())
    assert schema["additionalProperties"] is False
    assert schema["required"] == list(schema["properties"])
    assert schema["properties"]["resolucion"]["enum"] == ["manual", "cierre", "en espera", "reasignacion"]
    assert "Length" not in str(schema)
    nested = {"type": "array", "items": {"type": "object", "properties": {"title": {"type": "string", "title": "x"}}}}
    assert strict_schema(nested)["items"] == {
        "type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"],
        "additionalProperties": False,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "tokens"),
    [("", 0), ("abcd", 2), ("2025-01-01", 10), ("año", 2), ("日本", 6), ("a 1", 2)],
)
def test_the_estimate_is_an_upper_one(text: str, tokens: int) -> None:
    assert estimated_tokens(text) == tokens


@pytest.mark.parametrize(
    ("model", "vision"),
    [("gemma3", True), ("gemma3:4b", True), ("gemma3:1b", False), ("gemma3:270m", False), ("gpt-4o-mini", True),
     ("qwen2.5vl:7b", True), ("Qwen/Qwen2-VL-7B", True), ("llama3.1", False), ("qwen2.5-coder", False)],
)  # fmt: skip
def test_which_models_see(model: str, vision: bool) -> None:
    assert sees(model) is vision
