"""The product's own provider, and the whole pipeline, on a real Ollama."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import chain
from pathlib import Path

import httpx
import pytest
from langchain_core.messages import HumanMessage

from config import ROOT, Settings
from core.errors import DependencyError, Terminal, UsageError
from core.reason import Reason
from core.usage import metering
from llm.model import Provider
from llm.provider import open_provider
from llm.tasks import ModelTasks
from tests.live.imported import SERVER_CONTEXT, ModelServer
from tests.live.product import Product

pytestmark = [pytest.mark.live, pytest.mark.slow, pytest.mark.timeout(900)]

CONTEXT = 2 * SERVER_CONTEXT
UNREAD = {"MODEL_UNPARSEABLE", "MODEL_NO_LOGPROBS", "PROMPT_TOO_LONG"}
NEAR = 0.5
"""Logits: the two builds of llama.cpp round differently, and the embedded one alone moves 0.1 with its cache."""
INCIDENT = "Un cliente llama porque al entrar en la oficina virtual le dice que su clave ha caducado y no puede seguir."
INCIDENTS = (INCIDENT, "El banco devolvió el recibo de marzo y el asegurado pregunta cómo puede pagarlo ahora.")
ROWS = {
    "clave": "OFICINA VIRTUAL: El usuario no puede acceder porque la contraseña está caducada",
    "carta": "IMPRESIÓN: La carta de renovación sale sin el logotipo",
    "recibo": "COBROS: El banco ha devuelto un recibo domiciliado y el cliente quiere abonarlo",
}


def _settings(server: ModelServer, **more: object) -> Settings:
    fields = {"ollama_base_url": server.url, "llm_model": server.model, "llm_contexto": CONTEXT, "llm_timeout": 600}
    return Settings(**{**fields, **more})


@pytest.fixture
async def provider(ollama: ModelServer) -> AsyncIterator[Provider]:
    opened = open_provider(_settings(ollama))
    yield opened
    await opened.aclose()


async def test_check_passes_the_model_that_is_there(provider: Provider) -> None:
    await provider.check()


async def test_check_names_a_model_that_is_not(ollama: ModelServer) -> None:
    provider = open_provider(_settings(ollama, llm_model="no-hay-tal-modelo"))
    with pytest.raises(DependencyError, match="ollama pull no-hay-tal-modelo"):
        await provider.check()
    await provider.aclose()


async def test_check_refuses_a_window_that_the_model_does_not_have(ollama: ModelServer) -> None:
    provider = open_provider(_settings(ollama, llm_contexto=131_072))
    with pytest.raises(UsageError, match="LLM_CONTEXTO=131072"):
        await provider.check()
    await provider.aclose()


async def test_check_refuses_a_model_imported_without_a_template(ollama: ModelServer) -> None:
    if not ollama.importer:
        pytest.skip("en el Ollama indicado no se crean modelos")
    ollama.importer.create("spai-sin-plantilla", "")
    provider = open_provider(_settings(ollama, llm_model="spai-sin-plantilla"))
    with pytest.raises(UsageError, match="TEMPLATE"):
        await provider.check()
    await provider.aclose()


async def test_a_reply_keeps_to_the_schema_whatever_the_prompt_says(provider: Provider) -> None:
    schema = {
        "type": "object",
        "properties": {"codigo": {"enum": ["ZX-17", "ZX-18"]}},
        "required": ["codigo"],
        "additionalProperties": False,
    }
    reply = await provider.chat.ainvoke(
        [HumanMessage("Escribe un poema breve sobre el mar.")], **provider.structured(schema, 30)
    )
    assert json.loads(reply.text)["codigo"] in {"ZX-17", "ZX-18"}


async def test_tasks_come_back_as_their_types(provider: Provider) -> None:
    tasks = ModelTasks(provider)
    with metering() as usage:
        assert len(await tasks.keywords("El portal de pagos da error 500 al guardar el recibo.")) <= 8
        assert await tasks.choose(INCIDENT, ROWS) in {*ROWS, None}
    assert usage.generative >= 2
    assert usage.input_tokens > 100


async def test_a_judgement_tells_the_same_problem_from_another(provider: Provider) -> None:
    with metering() as usage:
        same, other = await ModelTasks(provider).judge(INCIDENT, [ROWS["clave"], ROWS["carta"]])
    assert same > other + 1
    assert (usage.judgements, usage.output_tokens) == (2, 2)


def _long_text(words: int) -> str:
    return "incidencia " * words


async def test_the_window_that_was_asked_for_is_given(ollama: ModelServer, provider: Provider) -> None:
    """More tokens than the server's own window holds are read to the last one: the answer stands at the beginning."""
    text = f"La clave secreta es ZX-17. {_long_text(330)} ¿Cuál es la clave secreta? Responde solo con ella."
    reply = await provider.chat.ainvoke([HumanMessage(text)], **provider.judged)
    read = reply.response_metadata["prompt_eval_count"]
    provider.inspect(reply, len(text.split()), 1)
    assert SERVER_CONTEXT < read < CONTEXT


async def test_what_does_not_fit_is_not_sent(provider: Provider) -> None:
    with pytest.raises(Terminal) as caught, metering() as usage:
        await ModelTasks(provider).judge(_long_text(CONTEXT), ["a"])
    assert caught.value.reason is Reason.PROMPT_TOO_LONG
    assert usage.judgements == 0


async def test_a_prompt_that_ollama_cuts_is_an_error(provider: Provider) -> None:
    """As if our estimate had been wrong: what comes back over HTTP 200 is refused all the same."""
    blind = replace(provider, count_tokens=lambda text: 1)
    with pytest.raises(Terminal) as caught:
        await ModelTasks(blind).judge(_long_text(CONTEXT + 500), ["a"])
    assert caught.value.reason is Reason.PROMPT_TOO_LONG


async def test_it_judges_as_the_embedded_model_does(
    ollama: ModelServer, provider: Provider, capsys: pytest.CaptureFixture[str]
) -> None:
    """The calibration was fitted on the embedded model's logits: the same file behind Ollama must give nearly those."""
    if not ollama.importer:
        pytest.skip("el Ollama indicado sirve otro modelo: no hay con qué comparar")
    served = [await ModelTasks(provider).judge(incident, list(ROWS.values())) for incident in INCIDENTS]
    await _unload(ollama)
    embedded = open_provider(Settings(llm_provider="embedded", directorio_estado=ROOT / "var", llm_contexto=CONTEXT))
    ours = [await ModelTasks(embedded).judge(incident, list(ROWS.values())) for incident in INCIDENTS]
    await embedded.aclose()
    with capsys.disabled():
        print("\nlogit del juicio, embebido y Ollama:")
        for here, there in zip(chain(*ours), chain(*served), strict=True):
            print(f"  {here:7.2f} {there:7.2f}  {there - here:+.2f}")
    for here, there in zip(ours, served, strict=True):
        assert there == pytest.approx(here, abs=NEAR)
        assert max(range(len(ROWS)), key=there.__getitem__) == max(range(len(ROWS)), key=here.__getitem__)


async def _unload(server: ModelServer) -> None:
    """Its memory is needed for the other copy."""
    async with httpx.AsyncClient(timeout=60) as client:
        done = await client.post(f"{server.url}/api/generate", json={"model": server.model, "keep_alive": 0})
    assert done.status_code == 200


def test_the_pipeline_works_the_demo_queue(ollama: ModelServer, tmp_path: Path) -> None:
    """With the two settings that the README names, and more time than a laptop needs."""
    product = Product(tmp_path, {"OLLAMA_BASE_URL": ollama.url, "LLM_MODEL": ollama.model, "LLM_TIMEOUT": "600"})
    product.build()
    report = product.work("--limite", "3", "--simular")
    assert report["resumen"]["modelo"] == ollama.model
    found = report["incidencias"]
    assert len(found) == 3
    assert "error" not in {incident["resultado"] for incident in found}
    assert not {incident["motivo"] for incident in found} & UNREAD
    assert sum(incident["llamadas_llm"] + incident["juicios"] for incident in found) > 0
