"""Any OpenAI-compatible server, by `langchain-openai` (an extra): vLLM, llama.cpp, a cloud."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import openai
from httpx_aiohttp import HttpxAiohttpClient
from langchain_core.callbacks import AsyncCallbackManagerForLLMRun
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatResult
from langchain_openai import ChatOpenAI
from pydantic import SecretStr

from config import Settings
from core.errors import DependencyError, Retryable, StageError, UsageError
from core.ports import Capabilities
from core.reason import Reason
from llm.model import JSONSchema, Provider, estimated_tokens, explain_network, explain_status, sees
from llm.model_server import CONNECTIONS, ask, shown

CLOUD: Final = "https://api.openai.com/v1"
HANDS: Final = 8
"""Incidents in hand at once unless the settings say."""

_TOP: Final = 20
"""The most that the API gives."""

_NOT_STRICT = {
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "minimum",
    "maximum",
    "pattern",
    "format",
    "default",
    "title",
}
"""Keywords that strict mode refuses or ignores; Pydantic checks them afterwards."""


class _Chat(ChatOpenAI):
    """Sends and reads plain JSON. The client's typed way holds each message against every kind that there is, and

    builds an object of each part of the reply: a third of a call's CPU. What comes back is checked here all the same.
    """

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        payload = self._get_request_payload(messages, stop=stop, **kwargs)
        more = payload.pop("extra_body", {})
        reply = await self.root_async_client.post("/chat/completions", cast_to=object, body=payload | more)
        return self._create_chat_result(reply)


def open_openai(settings: Settings) -> Provider:
    """The server at `OPENAI_BASE_URL`, or the cloud; no network. Raises `UsageError` without `LLM_MODEL`."""
    if not settings.llm_model:
        raise UsageError("El proveedor openai necesita LLM_MODEL: el nombre del modelo en ese servidor.")
    url = settings.openai_base_url or CLOUD
    key = settings.openai_api_key.get_secret_value() if settings.openai_api_key else "sin-clave"
    model = settings.llm_model
    hands = settings.concurrencia or HANDS
    client = HttpxAiohttpClient(timeout=settings.llm_timeout, limits=CONNECTIONS)

    def chat(**extra: Any) -> ChatOpenAI:
        return _Chat(
            model=model,
            base_url=url,
            api_key=SecretStr(key),
            temperature=0,
            timeout=settings.llm_timeout,
            max_retries=0,  # who calls decides whether to try again
            http_async_client=client,
            use_responses_api=False,
            **extra,
        )

    def limit(max_tokens: int) -> dict[str, Any]:
        # The cloud refuses the old name for its newer models; compatible servers may know only the old one. It goes in
        # `extra_body`, since langchain-openai would rename it.
        name = "max_completion_tokens" if (urlsplit(url).hostname or "").endswith("openai.com") else "max_tokens"
        return {name: max_tokens}

    def structured(schema: JSONSchema, max_tokens: int) -> dict[str, Any]:
        form = {"type": "json_schema", "json_schema": {"name": "respuesta", "strict": True, "schema": schema}}
        return {"extra_body": {"response_format": form, **limit(max_tokens)}}

    async def check() -> None:
        await check_openai(url, key, model)

    return Provider(
        name="openai",
        model_name=model,
        chat=chat(),
        judge_chat=chat(logprobs=True, top_logprobs=_TOP),
        capabilities=Capabilities(logprobs=True, vision=sees(model)),
        context_tokens=settings.llm_contexto,
        count_tokens=estimated_tokens,
        structured=structured,
        judged={"extra_body": limit(1)},
        prepare_schema=strict_schema,
        failures=(openai.OpenAIError, httpx.HTTPError, ValueError, TypeError, KeyError, AttributeError),
        explain=explain,
        seconds=settings.llm_timeout,
        concurrency=hands,
        # Twice the incidents in hand: a slot of the server never waits for us, and httpx's pool, whose cost grows with
        # the square of what is under way, stays small. One incident's judgements always go together.
        turns=asyncio.Semaphore(max(2 * hands, settings.candidatos_juicio)),
        check=check,
        aclose=client.aclose,
    )


def strict_schema(schema: JSONSchema) -> dict[str, Any]:
    """The schema within what strict mode takes: every property required, nothing besides, no bounds."""
    strict: dict[str, Any] = {}
    for key, value in schema.items():
        if key in ("properties", "$defs"):  # their keys are names, not keywords
            strict[key] = {name: strict_schema(child) for name, child in value.items()}
        elif key not in _NOT_STRICT:
            strict[key] = _strict_value(value)
    if strict.get("type") == "object":
        strict["additionalProperties"] = False
        strict["required"] = list(strict.get("properties", {}))
    return strict


def _strict_value(value: Any) -> Any:
    if isinstance(value, list):
        return [_strict_value(item) for item in value]
    return strict_schema(value) if isinstance(value, Mapping) else value


def explain(error: Exception) -> StageError:
    """The client's exceptions as ours. Its messages are left out: they may carry part of the key or of the incident."""
    if isinstance(error, openai.APITimeoutError) and isinstance(error.__cause__, httpx.HTTPError):
        return explain_network(error.__cause__)
    if isinstance(error, openai.APITimeoutError):
        return Retryable(Reason.MODEL_TIMEOUT)
    if isinstance(error, openai.APIStatusError):
        return explain_status(error.status_code, str(error)[:500])
    if isinstance(error, openai.APIConnectionError):
        return Retryable(Reason.MODEL_UNAVAILABLE)
    return explain_network(error)


async def check_openai(url: str, key: str, model: str) -> None:
    """Raises `DependencyError` unless the server answers, takes the key and has the model."""
    remedy = "Inicie el servidor o corrija OPENAI_BASE_URL."
    status, listing = await ask(
        "GET", f"{url}/models", remedy, headers={"Authorization": f"Bearer {key}"}, proxies=True
    )
    if status in (401, 403):
        raise DependencyError(f"El servidor {shown(url)} no admite la clave (HTTP {status}). Corrija OPENAI_API_KEY.")
    if status != 200 or not isinstance(listing, dict) or not isinstance(listing.get("data"), list):
        raise DependencyError(f"En {shown(url)} no hay un servidor compatible con OpenAI (HTTP {status}). {remedy}")
    names = [str(item["id"]) for item in listing["data"] if isinstance(item, dict) and "id" in item]
    if model not in names:
        some = ", ".join(names[:5]) or "ninguno"
        raise DependencyError(f"El servidor {shown(url)} no tiene el modelo {model}; tiene: {some}. Corrija LLM_MODEL.")
