"""Prompt, output type, model and history as one callable: `await task(incidencia=…)` gives a checked value."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Generic, TypeVar

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from core.errors import Terminal
from core.reason import Reason
from llm.call import Caller, Reply
from llm.prompt import Prompt, neutralised

Out = TypeVar("Out", bound=BaseModel)

_REPAIR = (
    "Esa respuesta no sirve:\n{error}\nResponde otra vez a lo mismo, solo con el JSON pedido y sin texto alrededor."
)
_CUT = "no cabe en el espacio que hay: sé más breve"


class Output(BaseModel):
    """What a task's model writes: fields named in Spanish by alias, nothing besides, white space trimmed."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)


class Task(Generic[Out]):
    """One specialised task. The schema and the validator are built here, once."""

    def __init__(self, prompt: Prompt, output: type[Out], caller: Caller) -> None:
        self._prompt = prompt
        self._caller = caller
        self._validator = TypeAdapter(output)
        schema = caller.provider.prepare_schema(output.model_json_schema())
        self._options = caller.provider.structured(schema, prompt.max_tokens)

    @classmethod
    def load(
        cls, directory: Path, variables: Collection[str], output: type[Out], task: str, caller: Caller
    ) -> "Task[Out]":
        """The task of `directory/<task>.md`. Raises `UsageError` for a prompt file that does not hold."""
        return cls(Prompt.load(directory / f"{task}.md", variables), output, caller)

    async def __call__(self, **values: str) -> Out:
        """The model's answer, validated.

        Raises `Terminal(PROMPT_TOO_LONG)`, `Terminal(MODEL_UNPARSEABLE)` after one repair, and what `Caller.ask` does.
        """
        return await self.answer(self._prompt.render(**values))

    async def answer(self, messages: Sequence[BaseMessage]) -> Out:
        """As calling the task, with the messages already made."""
        reply = await self._caller.ask(self._prompt, messages, self._options)
        value, error = self._read(reply)
        if value is None:
            again = [
                *messages,
                AIMessage(reply.text or "(vacía)"),
                HumanMessage(_REPAIR.format(error=neutralised(error))),
            ]
            reply = await self._repair(again)
            value, error = self._read(reply)
        if value is None:
            raise Terminal(Reason.MODEL_UNPARSEABLE)
        return value

    async def _repair(self, messages: Sequence[BaseMessage]) -> Reply:
        try:
            return await self._caller.ask(self._prompt, messages, self._options, repair=True)
        except Terminal as error:
            if error.reason is Reason.PROMPT_TOO_LONG:  # the text fitted, the repair does not
                raise Terminal(Reason.MODEL_UNPARSEABLE) from error
            raise

    def _read(self, reply: Reply) -> tuple[Out | None, str]:
        """The value, or None and what is wrong; the call goes to the history either way."""
        if reply.cut:
            reply.keep(error=Reason.MODEL_UNPARSEABLE)
            return None, _CUT
        try:
            value = self._validator.validate_json(reply.text)
        except ValidationError as error:
            reply.keep(error=Reason.MODEL_UNPARSEABLE)
            return None, _told(error)
        reply.keep()
        return value, ""


def _told(error: ValidationError) -> str:
    """The first faults, a line each, without the values: those stand in the reply above."""
    faults = error.errors(include_url=False, include_context=False, include_input=False)[:5]
    return "\n".join(f"- {'.'.join(map(str, fault['loc'])) or 'JSON'}: {fault['msg']}" for fault in faults)
