"""What a provider is: a chat model, what it can do, and how it is asked."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import httpx
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage

from core.errors import Retryable, StageError, Terminal
from core.ports import Capabilities
from core.reason import Reason
from llm.adapter import Adapter, named

JSONSchema = Mapping[str, Any]

MESSAGE_TOKENS: Final = 16
"""What a chat template adds to a message, at most."""

IMAGE_TOKENS: Final = 1600
"""What a picture takes, at most, in the models that see: 256 in Gemma 3, up to 1445 in GPT-4o."""

_LETTERS = re.compile(r"[A-Za-zÀ-ɏ\s]+")


def estimated_tokens(text: str) -> int:
    """No fewer tokens than any current vocabulary needs for text in Spanish or English.

    Letters come two to a token or more, digits and signs may come one by one, other scripts byte by byte.
    """
    rest = _LETTERS.sub("", text)
    return (len(text) - len(rest) + 1) // 2 + len(rest.encode(errors="replace"))


def _nothing_to_add(reply: AIMessage, words: int, max_tokens: int) -> None:
    """A provider that refuses a prompt that is too long needs no check afterwards."""


async def _nothing_to_reach() -> None:
    """The embedded model is there once it is loaded."""


@dataclass(frozen=True, kw_only=True)
class Provider:
    """A chat model and how to ask it. Built once by `open_provider`; no network until the first call."""

    name: Literal["embedded", "ollama", "openai", "scripted"]
    model_name: str
    chat: BaseChatModel
    judge_chat: BaseChatModel
    """Built to give log-probabilities; the embedded model takes that per call, so there it is `chat`."""
    capabilities: Capabilities
    context_tokens: int
    count_tokens: Callable[[str], int]
    """Exact for the embedded model, an upper estimate for the others."""
    structured: Callable[[JSONSchema, int], dict[str, Any]]
    """Keyword arguments of a call for a reply in this JSON schema of at most so many tokens; cached by no one."""
    judged: dict[str, Any]
    """Keyword arguments of a call for one token with log-probabilities."""
    adapters: Mapping[str, Adapter] = field(default_factory=dict)
    """Task -> the weights of ours that judge it."""
    prepare_schema: Callable[[JSONSchema], JSONSchema] = field(default=lambda schema: schema)
    """A schema in the dialect that the provider takes; called once per task."""
    failures: tuple[type[Exception], ...] = (httpx.HTTPError, ConnectionError)
    """What a call may raise besides `StageError`."""
    explain: Callable[[Exception], StageError]
    """The `StageError` that one of `failures` stands for."""
    inspect: Callable[[AIMessage, int, int], None] = _nothing_to_add
    """Given the reply, the words of the prompt and the room for the reply: raises when the prompt was cut."""
    seconds: float | None = None
    """The longest a call may take; None where calls wait for each other and the model keeps its own limit."""
    concurrency: int = 1
    """Incidents worth having in hand at once."""
    turns: asyncio.Semaphore | nullcontext[None] = field(default_factory=nullcontext)
    """Held during a call: those beyond what keeps the server busy wait here, where no time limit runs yet."""
    in_turn: bool = False
    """One call at a time: judgements of an incident follow one another and share the model's prefix cache."""
    check: Callable[[], Awaitable[None]] = _nothing_to_reach
    """Raises `DependencyError` unless the server answers and has the model."""
    aclose: Callable[[], Awaitable[None]] = _nothing_to_reach

    def judgement(self, task: str) -> dict[str, Any]:
        """`judged`, for a task of this name."""
        return self.judged | ({"adapter": task} if task in self.adapters else {})

    def named(self, task: str) -> str:
        """The model's name as it does this task."""
        return named(self.model_name, task, self.adapters)

    async def fits(self, messages: list[BaseMessage], max_tokens: int) -> bool:
        """Whether prompt and reply have room together. Raises one of `failures` when the count itself fails."""
        pictures = sum(not isinstance(message.content, str) for message in messages)
        room = self.context_tokens - max_tokens - MESSAGE_TOKENS * (len(messages) + 1) - IMAGE_TOKENS * pictures
        text = "\n".join(message.text for message in messages)
        if len(text.encode(errors="replace")) <= room:  # no token is shorter than a byte
            return True
        return await asyncio.to_thread(self.count_tokens, text) <= room


def explain_network(error: Exception) -> StageError:
    """What every HTTP client has in common. The server's words are left out: they may echo the incident."""
    kind = type(error).__name__
    # aiohttp's transport gives a server that hangs up as `ConnectTimeout`, too: either way it is not there.
    if isinstance(error, httpx.TimeoutException | TimeoutError) and not isinstance(error, httpx.ConnectTimeout):
        return Retryable(Reason.MODEL_TIMEOUT)
    if isinstance(error, httpx.HTTPError | ConnectionError):
        return Retryable(Reason.MODEL_UNAVAILABLE, f"{Reason.MODEL_UNAVAILABLE.text} ({kind})")
    return Terminal(Reason.MODEL_UNPARSEABLE, f"{Reason.MODEL_UNPARSEABLE.text} ({kind})")


def explain_status(status: int, words: str = "") -> StageError:
    """What an HTTP status from a model server means."""
    if status in (400, 413) and re.search(
        r"context|too long|too large|num_ctx|maximum.{0,20}length", words, re.IGNORECASE
    ):
        return Terminal(Reason.PROMPT_TOO_LONG)
    message = f"{Reason.MODEL_UNAVAILABLE.text} (HTTP {status})"
    if status == 408 or status == 429 or status >= 500:
        return Retryable(Reason.MODEL_UNAVAILABLE, message)
    return Terminal(Reason.MODEL_UNAVAILABLE, message)


def sees(model: str) -> bool:
    """Whether a model of this name takes pictures, as far as its name tells."""
    if re.search(r"gemma-?3", model, re.IGNORECASE):
        return re.search(r"(270m|1b)", model, re.IGNORECASE) is None
    return re.search(r"gpt-4o|gpt-4\.1|gpt-5|-vl|vl[:\d]|vision|llava|pixtral", model, re.IGNORECASE) is not None
