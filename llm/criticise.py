"""Does the proposed solution really fit? The verdict has no default."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from core.ports import Critique
from llm.call import Caller
from llm.task import Output, Task

_Line = Annotated[str, Field(max_length=600)]


class Verdict(Output):
    """The reason is written first so that the verdict follows from it."""

    reason: Annotated[_Line, Field(alias="motivo", min_length=1)]
    verdict: Annotated[Literal["aprobada", "rechazada"], Field(alias="veredicto")]
    problem_type: Annotated[_Line, Field(alias="tipo_problema")]
    avoid: Annotated[
        list[Literal["cierre", "en espera", "reasignacion", "api", "manual"]], Field(alias="evitar", max_length=5)
    ]
    approach: Annotated[_Line, Field(alias="enfoque")]


class Criticise:
    """`await criticise(incident, candidate, action)` gives whether it is approved, and the critique."""

    def __init__(self, directory: Path, caller: Caller) -> None:
        self._task = Task.load(directory, ("incidencia", "candidato", "accion"), Verdict, "criticise", caller)

    async def __call__(self, incident: str, candidate: str, action: str) -> tuple[bool, Critique]:
        answer = await self._task(incidencia=incident, candidato=candidate, accion=action)
        critique = Critique(
            reason=answer.reason,
            problem_type=answer.problem_type,
            avoid_solution_types=tuple(dict.fromkeys(answer.avoid)),
            recommended_approach=answer.approach,
        )
        return answer.verdict == "aprobada", critique
