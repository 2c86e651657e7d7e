"""One call to a model: counted before, limited in time, its errors translated, kept whatever comes of it."""

import asyncio
import hashlib
import json
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage

from core import trace
from core.errors import Retryable, StageError, Terminal
from core.model_slots import Slots, unlimited
from core.reason import Reason
from core.spans import add_span
from core.usage import Usage, count, count_error
from llm.history import Call, History
from llm.model import Provider
from llm.prompt import ROLES, Prompt

logger = logging.getLogger(__name__)

_SERVICE = "el modelo"
_NO_ANSWER = frozenset({Reason.MODEL_UNAVAILABLE, Reason.MODEL_TIMEOUT})
"""The service failed; any other reason is about the prompt or the reply."""


@dataclass(frozen=True)
class Reply:
    """What came back; `keep` must be called once it is known whether it could be read."""

    message: AIMessage
    text: str
    cut: bool
    """It ended for want of room, not because it was complete."""
    _call: Call
    _history: History | None

    def keep(self, *, error: Reason | None = None, logit: float | None = None) -> None:
        """Write the call to the history: used, or not read because of `error`."""
        done = replace(self._call, ok=error is None, error=error.value if error else None, logit=logit)
        _keep(self._history, done)


@dataclass(frozen=True)
class Caller:
    """Makes calls to one provider, no more at a time than it has turns and all workers together have `slots`."""

    provider: Provider
    history: History | None
    slots: Slots = unlimited

    async def ask(
        self,
        prompt: Prompt,
        messages: Sequence[BaseMessage],
        options: dict[str, Any],
        *,
        judge: bool = False,
        repair: bool = False,
    ) -> Reply:
        """Send `messages` with the provider's `options`.

        Raises `Terminal(PROMPT_TOO_LONG)` before sending what does not fit, `Retryable` for a server that does not
        answer in time or at all, `Terminal` for one that refuses.
        """
        asked = list(messages)
        await self._require_room(asked, prompt.max_tokens)
        async with self.provider.turns, self.slots():
            return await self._ask(prompt, asked, options, judge, repair)

    async def _ask(
        self, prompt: Prompt, asked: list[BaseMessage], options: dict[str, Any], judge: bool, repair: bool
    ) -> Reply:
        where = trace.current()
        call = Call(
            time=datetime.now(UTC).isoformat(timespec="milliseconds"),
            module=prompt.task,
            provider=self.provider.name,
            model=self.provider.named(prompt.task),
            prompt=prompt.source,
            input=json.dumps([_plain(message) for message in asked], ensure_ascii=False),
            output=None,
            run=where.run,
            incident=where.incident,
            stage=where.stage,
            repair=repair,
        )
        started = time.perf_counter()
        reply: AIMessage | None = None
        failed: Reason | None = Reason.INTERRUPTED
        try:
            reply = await self._send(asked, options, judge)
            words = sum(len(message.text.split()) for message in asked)
            self.provider.inspect(reply, words, prompt.max_tokens)
            failed = None
        except StageError as error:
            failed = error.reason
            if failed in _NO_ANSWER:
                count_error(_SERVICE)
            logger.warning(
                "llamada al modelo fallida",
                extra={"action": "model_failed", "task": prompt.task, "reason": error.reason.value},
            )
            raise
        finally:
            call = self._measured(call, reply, (time.perf_counter() - started) * 1000, judge)
            logger.info("llamada al modelo", extra=_facts(call, prompt, failed))
            if failed is not None:
                _keep(self.history, replace(call, ok=False, error=failed.value))
        finish = reply.response_metadata.get("finish_reason") or reply.response_metadata.get("done_reason")
        return Reply(reply, reply.text, finish == "length", call, self.history)

    async def _require_room(self, messages: list[BaseMessage], max_tokens: int) -> None:
        try:
            fits = await self.provider.fits(messages, max_tokens)
        except self.provider.failures as error:
            raise self.provider.explain(error) from error
        if not fits:
            raise Terminal(Reason.PROMPT_TOO_LONG)

    async def _send(self, messages: list[BaseMessage], options: dict[str, Any], judge: bool) -> AIMessage:
        chat = self.provider.judge_chat if judge else self.provider.chat
        try:
            async with asyncio.timeout(self.provider.seconds):
                return await chat.ainvoke(messages, **options)
        except TimeoutError as error:
            raise Retryable(Reason.MODEL_TIMEOUT) from error
        except self.provider.failures as error:
            raise self.provider.explain(error) from error

    @staticmethod
    def _measured(call: Call, reply: AIMessage | None, milliseconds: float, judge: bool) -> Call:
        """The call with what it cost, also added to the incident's meter."""
        usage = reply.usage_metadata if reply is not None else None
        tokens_in, tokens_out = (usage["input_tokens"], usage["output_tokens"]) if usage else (0, 0)
        count(Usage(generative=int(not judge), judgements=int(judge), input_tokens=tokens_in, output_tokens=tokens_out))
        return replace(
            call,
            output=None if reply is None else reply.text,
            input_tokens=tokens_in,
            output_tokens=tokens_out,
            milliseconds=round(milliseconds, 3),
        )


def _facts(call: Call, prompt: Prompt, failed: Reason | None) -> dict[str, Any]:
    """What the log says of a call."""
    return {
        "action": "model_called",
        "task": prompt.task,
        "model": call.model,
        "prompt_version": prompt.version,
        "tokens_in": call.input_tokens,
        "tokens_out": call.output_tokens,
        "ms": call.milliseconds,
        "failed": failed is not None,
    }


def _keep(history: History | None, call: Call) -> None:
    """In the history, and as a span for whoever collects them.

    What a model reads off a picture has not been through the hiding of personal data yet, nor has the repair that
    quotes it: here it goes through, and a span leaves it out.
    """
    picture = '"sha256"' in call.input
    if picture:
        call = _without_personal_data(call)
    if history is not None:
        history.record(call)
    add_span(
        call.module,
        call.milliseconds,
        call.error or "",
        modelo=call.model,
        proveedor=call.provider,
        prompt=call.prompt,
        entrada=call.input,
        salida=None if picture else call.output,
        tokens_entrada=call.input_tokens,
        tokens_salida=call.output_tokens,
        logit=call.logit,
        reparacion=call.repair,
    )


def _without_personal_data(call: Call) -> Call:
    from core.privacy import scrub  # heavy recognisers, for pictures only

    def hidden(content: Any) -> Any:
        if isinstance(content, str):
            return scrub(content)
        return [part | {"text": scrub(part["text"])} if "text" in part else part for part in content]

    messages = [message | {"content": hidden(message["content"])} for message in json.loads(call.input)]
    output = scrub(call.output) if call.output else call.output
    return replace(call, input=json.dumps(messages, ensure_ascii=False), output=output)


def _plain(message: BaseMessage) -> dict[str, object]:
    """A message as the history keeps it: pictures by their hash only."""
    role = ROLES[message.type]
    if isinstance(message.content, str):
        return {"role": role, "content": message.content}
    return {"role": role, "content": [_plain_block(block) for block in message.content]}


def _plain_block(block: str | dict[str, Any]) -> object:
    if isinstance(block, str) or block.get("type") == "text":
        return block
    data = json.dumps(block, sort_keys=True).encode()
    return {"type": block.get("type"), "sha256": hashlib.sha256(data).hexdigest()}
