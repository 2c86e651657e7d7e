"""One call explained: what is alike, what it matches, and a model's causes with every claim checked against them."""

import logging
import re
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from core.calls.call import Call
from core.calls.collection import NarrativeBase
from core.calls.narrative import narrate
from core.calls.pattern import Pattern
from core.calls.similar import SimilarCall, matched, similar_calls
from core.calls.wording import percent
from core.errors import StageError
from core.ports import Claim

logger = logging.getLogger(__name__)

NO_EVIDENCE = "no hay evidencia"
_NUMBER = re.compile(r"\d+(?:[.,]\d+)?")
_CLIENT = re.compile(r"\bcliente (\w+)", re.IGNORECASE)
_CODE = re.compile(r"\b[A-Z][A-Z0-9]*_[A-Z0-9_]+\b|\b[A-Z]{2,}-?\d+\b")


class ExplainCall(Protocol):
    """`llm.tasks.ModelTasks.explain_call`."""

    def __call__(self, call: str, evidence: Mapping[str, str]) -> Awaitable[list[Claim]]: ...


@dataclass(frozen=True)
class Explanation:
    """Why a call failed, as far as the evidence goes."""

    call: Call
    patterns: tuple[Pattern, ...]
    similar: tuple[SimilarCall, ...]
    claims: tuple[Claim, ...]
    """The model's causes that rest on evidence, most probable first."""
    dropped: int
    """Causes that did not, and were dropped."""
    trouble: str = ""
    """Why the model said nothing, where it could not be asked."""

    @property
    def evidence(self) -> dict[str, str]:
        """Id (`P…` a pattern, `L…` a past call) -> what it says."""
        told = {pattern.id: pattern_told(pattern) for pattern in self.patterns}
        return told | {f"L{i}": past.narrative.embed_text for i, past in enumerate(self.similar, start=1)}

    @property
    def grounded(self) -> bool:
        """Whether there is any evidence at all."""
        return bool(self.patterns or self.similar)


def pattern_told(pattern: Pattern) -> str:
    """A pattern in one sentence, for the model and for a person."""
    codes = f" Su error más propio es {pattern.codes[0].code}." if pattern.codes else ""
    return (
        f"Las llamadas con «{pattern.condition}» fallan el {percent(pattern.rate)} ({pattern.failed} de "
        f"{pattern.calls}), frente al {percent(pattern.elsewhere)} de las demás.{codes}"
    )


async def explain(
    call: Call, base: NarrativeBase | None, patterns: Sequence[Pattern], model: ExplainCall | None
) -> Explanation:
    """The evidence on `call`, and what `model` makes of it; without evidence nobody is asked."""
    hits = tuple(matched(call, patterns))
    alike = tuple(similar_calls(call, base, patterns)) if base else ()
    found = Explanation(call, hits, alike, (), 0)
    if not found.grounded or model is None:
        return found
    told = narrate(call.steps, segment=call.segment, kind=call.kind, code=call.code)
    try:
        claims = await model(told, found.evidence)
    except StageError as error:
        logger.warning("explicación fallida", extra={"action": "explanation_failed", "reason": error.reason})
        return Explanation(call, hits, alike, (), 0, str(error))
    kept = tuple(claim for claim in claims if supported(claim, found.evidence, told))
    return Explanation(call, hits, alike, kept, len(claims) - len(kept))


def supported(claim: Claim, evidence: Mapping[str, str], call: str) -> bool:
    """Whether a claim rests on what it cites: all it cites was given, every figure and error code in it stands in that
    evidence or in the call, and it does not make the customer of another segment's call out of this one."""
    cited = [name.strip("[]«»() .") for name in claim.evidence]
    if not cited or not all(name in evidence for name in cited):
        return False
    ground = " ".join([call, *(evidence[name] for name in cited), *cited])
    figures = {one.replace(",", ".") for one in _NUMBER.findall(ground)}
    said = {one.replace(",", ".") for one in _NUMBER.findall(claim.cause)}
    codes = all(code in ground for code in _CODE.findall(claim.cause))
    mine = {name.casefold() for name in _CLIENT.findall(call)}
    others = {name.casefold() for name in _CLIENT.findall(ground)} - mine
    named = {name.casefold() for name in _CLIENT.findall(claim.cause)}
    return said <= figures and codes and not (mine and named & others)
