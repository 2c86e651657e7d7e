"""The incident in the catalogue's words, for another search."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from core.ports import Critique
from llm.call import Caller
from llm.task import Output, Task


class Reformulation(Output):
    """A search query."""

    query: Annotated[str, Field(alias="consulta", min_length=3, max_length=400)]


class Reformulate:
    """`await reformulate(incident, critique)` gives the query; identifiers in it are the caller's to strip."""

    def __init__(self, directory: Path, caller: Caller) -> None:
        self._task = Task.load(directory, ("incidencia", "critica"), Reformulation, "reformulate", caller)

    async def __call__(self, incident: str, critique: Critique | None) -> str:
        answer = await self._task(incidencia=incident, critica=_told(critique) if critique else "(ninguna)")
        return answer.query


def _told(critique: Critique) -> str:
    lines = [f"Se rechazó lo encontrado: {critique.reason}", f"Tipo de problema: {critique.problem_type}"]
    if critique.avoid_solution_types:
        lines.append(f"Soluciones que no valen: {', '.join(critique.avoid_solution_types)}")
    if critique.recommended_approach:
        lines.append(f"Conviene: {critique.recommended_approach}")
    return "\n".join(lines)
