"""Ollama, by `langchain-ollama`."""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any, Final

import httpx
import ollama
from httpx_aiohttp import AiohttpTransport
from langchain_core.messages import AIMessage
from langchain_ollama import ChatOllama

from config import Settings
from core.errors import DependencyError, StageError, Terminal, UsageError
from core.ports import Capabilities
from core.reason import Reason
from llm.model import JSONSchema, Provider, estimated_tokens, explain_network, explain_status, sees
from llm.model_server import CONNECTIONS, ask, shown

logger = logging.getLogger(__name__)

DEFAULT_MODEL: Final = "gemma3"
HANDS: Final = 8
"""Incidents in hand at once unless the settings say."""

_TOP: Final = 20
_START = "Inicie Ollama con `ollama serve` o corrija OLLAMA_BASE_URL."


def open_ollama(settings: Settings) -> Provider:
    """Ollama at `OLLAMA_BASE_URL`; no network. Raises `UsageError` without that setting."""
    url = settings.ollama_base_url
    if not url:
        raise UsageError("El proveedor ollama necesita OLLAMA_BASE_URL, por ejemplo http://127.0.0.1:11434.")
    model = settings.llm_model or DEFAULT_MODEL
    context = settings.llm_contexto
    hands = settings.concurrencia or HANDS
    # One pool of connections for both; ours to close, which ChatOllama does not offer.
    transport = AiohttpTransport(limits=CONNECTIONS)

    def chat(**extra: Any) -> ChatOllama:
        return ChatOllama(
            model=model,
            base_url=url,
            num_ctx=context,
            temperature=0,
            reasoning=False,  # a model that thinks aloud would begin with that instead of «sí» or «no»
            client_kwargs={"timeout": settings.llm_timeout, "follow_redirects": False},
            async_client_kwargs={"transport": transport},
            **extra,
        )

    def options(max_tokens: int) -> dict[str, Any]:
        # Given per call, `options` replace the constructor's. In one piece, an answer costs half the CPU of a stream.
        return {
            "options": {"num_ctx": context, "temperature": 0, "seed": 1, "num_predict": max_tokens},
            "stream": False,
        }

    def structured(schema: JSONSchema, max_tokens: int) -> dict[str, Any]:
        return {"format": schema, **options(max_tokens)}

    def inspect(reply: AIMessage, words: int, max_tokens: int) -> None:
        refuse_cut_prompt(reply.response_metadata, words, context - max_tokens)

    async def check() -> None:
        await check_ollama(url, model, context)

    return Provider(
        name="ollama",
        model_name=model,
        chat=chat(),
        judge_chat=chat(logprobs=True, top_logprobs=_TOP, num_predict=1),
        capabilities=Capabilities(logprobs=True, vision=sees(model)),
        context_tokens=context,
        count_tokens=estimated_tokens,
        structured=structured,
        judged=options(1),
        failures=(
            ollama.ResponseError,
            httpx.HTTPError,
            ConnectionError,
            ValueError,
            TypeError,
            KeyError,
            AttributeError,
        ),
        explain=explain,
        inspect=inspect,
        seconds=settings.llm_timeout,
        concurrency=hands,
        # Ollama has few slots and keeps the rest in a queue, where our time limit runs: half as many again as hands
        # keep it busy. One incident's judgements always go together.
        turns=asyncio.Semaphore(max(hands * 3 // 2, settings.candidatos_juicio)),
        check=check,
        aclose=transport.aclose,
    )


def explain(error: Exception) -> StageError:
    """The client's exceptions as ours."""
    if isinstance(error, ollama.ResponseError):
        if error.status_code == 404:
            return Terminal(Reason.MODEL_UNAVAILABLE, "Ollama no tiene ese modelo")
        return explain_status(error.status_code, str(error)[:500])
    return explain_network(error)


def refuse_cut_prompt(metadata: Mapping[str, Any], words: int, room: int) -> None:
    """Raise `Terminal(PROMPT_TOO_LONG)` when Ollama read less than it was sent: it cuts and says 200.

    It reports how many tokens it read. A word is a token at least, so fewer tokens than words, or as many as there was
    room for, mean a cut (a server may cap `num_ctx` at what the model or its memory allows).
    The first 0.30 releases left cached tokens out of that count (ollama/ollama#16414): they cannot be checked, so they
    are refused like a cut.
    """
    read = metadata.get("prompt_eval_count")
    if not isinstance(read, int):
        raise Terminal(Reason.MODEL_UNPARSEABLE, "el servidor no dice cuántos tokens ha leído")
    if read < words or read > room:
        logger.warning(
            "el servidor ha recortado el texto", extra={"action": "prompt_cut", "tokens": read, "words": words}
        )
        raise Terminal(
            Reason.PROMPT_TOO_LONG, f"Ollama ha recortado el texto ({read} tokens leídos, {words} palabras enviadas)"
        )


async def check_ollama(url: str, model: str, context: int) -> None:
    """Raises unless Ollama answers, has the model (`DependencyError`), and it can be used as it is (`UsageError`)."""
    status, listing = await ask("GET", f"{url}/api/tags", _START)
    if status != 200 or not isinstance(listing, dict) or not isinstance(listing.get("models"), list):
        raise DependencyError(f"En {shown(url)} no hay un Ollama (HTTP {status}). {_START}")
    names = {item.get("name") for item in listing["models"] if isinstance(item, dict)}
    if model not in names and f"{model}:latest" not in names:
        raise DependencyError(
            f"Ollama, en {shown(url)}, no tiene el modelo {model}. Tráigalo con `ollama pull {model}`."
        )
    status, facts = await ask("POST", f"{url}/api/show", _START, body={"model": model})
    if not isinstance(facts, dict):
        return
    _require_window(facts, model, context)
    _require_template(facts, model)


def _require_window(facts: Mapping[str, Any], model: str, context: int) -> None:
    details = facts.get("model_info")
    if not isinstance(details, dict):
        return
    for key, size in details.items():
        if key.endswith(".context_length") and isinstance(size, int) and size < context:
            raise UsageError(
                f"LLM_CONTEXTO={context}: la ventana de {model} es de {size} tokens. Ponga {size} o menos."
            )


def _require_template(facts: Mapping[str, Any], model: str) -> None:
    """A GGUF imported with `FROM` alone may get a template that passes on the user's words and drops ours."""
    template = facts.get("template")
    if not isinstance(template, str) or not template.strip() or facts.get("renderer"):
        return
    if ".System" not in template and ".Messages" not in template:
        raise UsageError(
            f"El modelo {model} de Ollama no tiene plantilla de chat: no leería las instrucciones. Créelo otra vez con "
            "un Modelfile que lleve TEMPLATE (en el README hay uno)."
        )
