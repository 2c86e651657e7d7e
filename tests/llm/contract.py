"""One way to set up the same behaviour behind each provider: the double and the two kinds of server."""

import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import httpx

from config import Settings
from llm.model import Provider
from llm.provider import open_provider
from llm.scripted import Said, Script, scripted_provider
from tests.llm.fake_servers import Answer, serving

KINDS = ("scripted", "ollama", "openai")


@dataclass
class Set:
    """A provider, and how many calls have reached its model."""

    provider: Provider
    calls: Callable[[], int]


@contextlib.asynccontextmanager
async def provided(kind: str, *answers: Answer, seconds: float = 5.0) -> AsyncIterator[Set]:
    """The provider of that kind, whose model answers so."""
    if kind == "scripted":
        script = Script([_said(answer) for answer in answers])
        yield Set(scripted_provider(script, seconds=seconds), lambda: len(script.asked))
        return
    assert kind in ("ollama", "openai")
    with serving(kind, *answers) as server:  # type: ignore[arg-type]
        provider = open_provider(settings(kind, server.url, seconds))
        try:
            yield Set(provider, lambda: len(server.requests))
        finally:
            server.released.set()
            await provider.aclose()


def settings(kind: str, url: str, seconds: float = 5.0, **more: object) -> Settings:
    """Settings for a server at `url`."""
    where = {"ollama_base_url" if kind == "ollama" else "openai_base_url": url}
    fields = {"llm_provider": kind, "llm_model": "m", "openai_api_key": "clave", "llm_timeout": seconds}
    return Settings(**{**fields, **where, **more})


def _said(answer: Answer) -> Said:
    error: Exception | None = None
    if answer.hangs_up or answer.status >= 500:
        error = httpx.ConnectError("nobody there")
    return Said(answer.text, answer.logprobs, cut=answer.cut, hangs=answer.hangs, error=error)
