"""Is this known problem the incident's? One forward pass: how much likelier «sí» is than «no» as the next token."""

import asyncio
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from langchain_core.messages import AIMessage

from core.errors import Terminal
from core.reason import Reason
from llm.call import Caller
from llm.prompt import Prompt

YES: Final = frozenset({"s", "sí", "si", "sì", "yes", "y"})
"""«sí» may be cut in two, so its first letter counts too."""
NO: Final = frozenset({"n", "no"})
_EDGES: Final = " \t\n▁Ġ\"'«».:*�"
"""White space, vocabularies' marks for it, signs, and the half of a letter cut in two."""

LOWEST: Final = -20.0
"""Log-probability below which a difference says nothing."""


INCIDENT_NAMES: Final = ("incidencia", "candidato")
ANSWER_NAMES: Final = ("pregunta", "fragmento")
"""The variables of a prompt: what is asked about, and a candidate."""

Reading = Callable[[Mapping[str, float]], float]
"""The first token's log-probabilities -> the judgement. Raises `Terminal(MODEL_UNPARSEABLE)`."""


class Relevance:
    """Judges candidates; raises as `Caller.ask`, and `Terminal` when the probabilities cannot be read.

    `names`: the prompt's variables for what is asked about and for a candidate, in this order.
    """

    def __init__(
        self,
        file: Path,
        caller: Caller,
        names: tuple[str, str] = INCIDENT_NAMES,
        read: Reading | None = None,
        task: str | None = None,
    ) -> None:
        """`file`: the prompt. `read`: what is made of the reply, `yes_no_logit` unless told.

        `task`: the one that the prompt words anew, whose adapter the model takes on; unless told, the prompt's own.
        """
        prompt = Prompt.load(file, names)
        self._prompt = replace(prompt, task=task) if task else prompt
        self._names = names
        self._caller = caller
        self._read = read or yes_no_logit

    async def __call__(self, incident: str, candidates: Sequence[str]) -> list[float]:
        """log P(sí) - log P(no) for each candidate, or what `read` makes of it, in order."""
        if self._caller.provider.in_turn:  # what the prompts begin with alike is read once
            return [await self._judge(incident, candidate) for candidate in candidates]
        judgements = (self._judge(incident, candidate) for candidate in candidates)
        results = await asyncio.gather(*judgements, return_exceptions=True)
        logits: list[float] = []
        for result in results:
            if isinstance(result, BaseException):
                raise result
            logits.append(result)
        return logits

    async def _judge(self, incident: str, candidate: str) -> float:
        messages = self._prompt.render(**dict(zip(self._names, (incident, candidate), strict=True)))
        reply = await self._caller.ask(
            self._prompt, messages, self._caller.provider.judgement(self._prompt.task), judge=True
        )
        try:
            logit = self._read(first_token(reply.message))
        except Terminal as error:
            reply.keep(error=error.reason)
            raise
        reply.keep(logit=logit)
        return logit


def first_token(message: AIMessage) -> dict[str, float]:
    """Token -> log-probability, of the likeliest first tokens.

    Takes OpenAI's shape ({"content": [...]}) and Ollama's (the list itself, of objects). Raises
    `Terminal(MODEL_NO_LOGPROBS)` when there are none.
    """
    logprobs = message.response_metadata.get("logprobs")
    positions = logprobs.get("content") if isinstance(logprobs, Mapping) else logprobs
    if not isinstance(positions, Sequence) or isinstance(positions, str) or not positions:
        raise Terminal(Reason.MODEL_NO_LOGPROBS)
    listed = _field(positions[0], "top_logprobs")
    if not isinstance(listed, Sequence) or isinstance(listed, str) or not listed:
        raise Terminal(Reason.MODEL_NO_LOGPROBS)
    tokens: dict[str, float] = {}
    for item in listed:
        token, logprob = _field(item, "token"), _field(item, "logprob")
        if not isinstance(token, str) or not isinstance(logprob, int | float) or math.isnan(logprob):
            raise Terminal(Reason.MODEL_UNPARSEABLE)
        # Two tokens may read alike once decoded.
        tokens[token] = _log_sum((tokens[token], logprob)) if token in tokens else float(logprob)
    return tokens


def _field(item: Any, name: str) -> Any:
    return item.get(name) if isinstance(item, Mapping) else getattr(item, name, None)


def reads(token: str, side: frozenset[str]) -> bool:
    """Whether a first token counts as `YES`, or as `NO`."""
    return token.strip(_EDGES).casefold() in side


def yes_no_logit(tokens: Mapping[str, float]) -> float:
    """log P(sí) - log P(no), all spellings added up. A side that is not listed is as likely as it could still be.

    That is: no likelier than the least likely token listed, nor than all the unlisted together; at least `LOWEST`.
    Raises `Terminal(MODEL_UNPARSEABLE)` when neither is listed.
    """
    yes = [logprob for token, logprob in tokens.items() if reads(token, YES)]
    no = [logprob for token, logprob in tokens.items() if reads(token, NO)]
    if not yes and not no:
        raise Terminal(Reason.MODEL_UNPARSEABLE, "el modelo no responde «sí» ni «no»")
    rest = 1.0 - math.fsum(math.exp(min(logprob, 0.0)) for logprob in tokens.values())
    unlisted = min(min(tokens.values()), math.log(rest) if rest > 0 else LOWEST)
    return max(_log_sum(yes or [unlisted]), LOWEST) - max(_log_sum(no or [unlisted]), LOWEST)


def _log_sum(logprobs: Iterable[float]) -> float:
    values = list(logprobs)
    top = max(values)
    if top == -math.inf:
        return top
    return top + math.log(math.fsum(math.exp(value - top) for value in values))
