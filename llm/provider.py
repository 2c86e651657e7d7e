"""Which models there are: embedded, Ollama, any OpenAI-compatible server."""

from dataclasses import replace

import httpx
import langsmith

from config import Settings
from core.errors import UsageError
from core.ports import Capabilities
from llm.adapter import shipped
from llm.model import Provider, explain_network
from llm.ollama_server import open_ollama
from llm.weights import SHA256, ready_model

__all__ = ["Provider", "open_provider"]


def open_provider(settings: Settings) -> Provider:
    """The provider that the settings ask for. Loads the embedded model; asks nothing of a server.

    Raises `UsageError` for a setting that is missing, `DependencyError` for an embedded model that cannot be loaded.
    """
    # LANGCHAIN_TRACING_V2 and its like in the environment would send every prompt to a service outside.
    langsmith.configure(enabled=False)
    openers = {"embedded": _open_embedded, "ollama": open_ollama, "openai": _open_openai}
    provider = openers[settings.provider](settings)
    able = provider.capabilities.model_copy(update={"writes_verdicts": settings.llm_veredictos == "si"})
    return replace(provider, capabilities=able)


def _open_embedded(settings: Settings) -> Provider:
    """One model in this process; llama.cpp is imported only here."""
    path = ready_model(settings.directorio_estado / "models", settings.llm_gguf)
    adapters = {} if settings.llm_gguf else shipped(SHA256)
    from llm.embedded import EmbeddedChat

    chat = EmbeddedChat(
        path=path,
        context_tokens=settings.llm_contexto,
        time_limit=settings.llm_timeout,
        adapters={task: adapter.path for task, adapter in adapters.items()},
    )

    async def aclose() -> None:
        chat.close()

    return Provider(
        name="embedded",
        model_name=path.stem,
        chat=chat,
        judge_chat=chat,
        capabilities=Capabilities(logprobs=True, vision=False),
        context_tokens=settings.llm_contexto,
        count_tokens=chat.count_tokens,
        structured=lambda schema, max_tokens: {"json_schema": schema, "max_tokens": max_tokens},
        judged={"max_tokens": 1, "logprobs": True},
        adapters=adapters,
        failures=(httpx.HTTPError, ValueError, KeyError, TypeError),
        explain=explain_network,
        concurrency=1,
        in_turn=True,
        aclose=aclose,
    )


def _open_openai(settings: Settings) -> Provider:
    """An extra: the package may not be there."""
    try:
        from llm.openai_server import open_openai
    except ModuleNotFoundError as error:
        raise UsageError(
            "El proveedor openai necesita el paquete langchain-openai. Instálelo con: pip install langchain-openai"
        ) from error
    return open_openai(settings)
