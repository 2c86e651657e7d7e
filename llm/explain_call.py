"""Why a call failed, from the patterns and the past calls that code found; each cause names what it rests on."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import Field

from core.ports import Claim
from llm.call import Caller
from llm.task import Output, Task


class Cause(Output):
    """One cause."""

    cause: Annotated[str, Field(alias="causa", min_length=10, max_length=400)]
    evidence: Annotated[tuple[Annotated[str, Field(max_length=8)], ...], Field(alias="evidencia", max_length=6)]


class Causes(Output):
    """The causes, the most probable first; none where the evidence shows none."""

    causes: Annotated[tuple[Cause, ...], Field(alias="causas", max_length=3)]


class ExplainCall:
    """`await explain(call, evidence)` gives the causes, unchecked."""

    def __init__(self, directory: Path, caller: Caller) -> None:
        self._task = Task.load(directory, ("llamada", "evidencia"), Causes, "explain_call", caller)

    async def __call__(self, call: str, evidence: Mapping[str, str]) -> list[Claim]:
        """`evidence`: id (`P1`, `L1`) -> what it says."""
        told = "\n".join(f"{name}: {text}" for name, text in evidence.items())
        found = await self._task(llamada=call, evidencia=told)
        return [Claim(cause=one.cause, evidence=one.evidence) for one in found.causes]
