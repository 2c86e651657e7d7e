"""A chat model that answers from a script: the double for tests and for trying the pipeline without a model."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import PrivateAttr

from core.ports import Capabilities
from llm.model import Provider, estimated_tokens, explain_network


@dataclass(frozen=True)
class Said:
    """One scripted reply."""

    text: str = ""
    logprobs: dict[str, float] | None = None
    """Token -> log-probability of the first token."""
    cut: bool = False
    error: Exception | None = None
    """Raised in place of a reply."""
    hangs: bool = False
    """Never answers."""


@dataclass
class Script:
    """Replies in order, or one function of the messages that makes them all; remembers what it was asked."""

    replies: Iterable[Said | str] | Callable[[Sequence[BaseMessage]], Said | str]
    asked: list[list[BaseMessage]] = field(default_factory=list)
    options: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._next = None if callable(self.replies) else iter(self.replies)

    def answer(self, messages: list[BaseMessage], options: dict[str, Any]) -> Said:
        """The reply to `messages`. Raises `AssertionError` when the script has come to its end."""
        self.asked.append(messages)
        self.options.append(options)
        if callable(self.replies):
            said = self.replies(messages)
        else:
            assert self._next is not None
            try:
                said = next(self._next)
            except StopIteration:
                raise AssertionError("the script has no reply left") from None
        return Said(said) if isinstance(said, str) else said


class ScriptedChat(BaseChatModel):
    """Takes the embedded model's keyword arguments and gives replies in the same shape."""

    _script: Script = PrivateAttr()

    def __init__(self, script: Script) -> None:
        super().__init__()
        self._script = script

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return _result(self._script.answer(messages, kwargs), messages)

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        said = self._script.answer(messages, kwargs)
        if said.hangs:
            await asyncio.Event().wait()
        return _result(said, messages)


def _result(said: Said, messages: list[BaseMessage]) -> ChatResult:
    if said.error is not None:
        raise said.error
    top = [{"token": token, "logprob": logprob} for token, logprob in (said.logprobs or {}).items()]
    tokens = sum(len(message.text.split()) for message in messages), len(said.text.split())
    message = AIMessage(
        content=said.text,
        response_metadata={
            "finish_reason": "length" if said.cut else "stop",
            "logprobs": {"content": [{**top[0], "top_logprobs": top}]} if top else None,
        },
        usage_metadata={"input_tokens": tokens[0], "output_tokens": tokens[1], "total_tokens": sum(tokens)},
    )
    return ChatResult(generations=[ChatGeneration(message=message)])


def scripted_provider(
    script: Script,
    *,
    capabilities: Capabilities | None = None,
    context_tokens: int = 4096,
    seconds: float | None = None,
    in_turn: bool = False,
) -> Provider:
    """A provider over a script; by default it can do everything."""
    chat = ScriptedChat(script)
    return Provider(
        name="scripted",
        model_name="scripted",
        chat=chat,
        judge_chat=chat,
        capabilities=capabilities or Capabilities(logprobs=True, writes_verdicts=True, vision=True),
        context_tokens=context_tokens,
        count_tokens=estimated_tokens,
        structured=lambda schema, max_tokens: {"json_schema": schema, "max_tokens": max_tokens},
        judged={"max_tokens": 1, "logprobs": True},
        explain=explain_network,
        seconds=seconds,
        in_turn=in_turn,
        concurrency=8,
    )
