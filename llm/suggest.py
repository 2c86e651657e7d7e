"""A new catalogue row from a closed incident; a person reviews it before it counts."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from core.ports import Suggestion
from llm.call import Caller
from llm.task import Output, Task


class Row(Output):
    """The row as the model writes it; calling a system is never the model's to propose."""

    component: Annotated[str, Field(alias="componente", min_length=1, max_length=120)]
    description: Annotated[str, Field(alias="descripcion", min_length=5, max_length=1000)]
    incident_type: Annotated[str, Field(alias="tipo_incidencia", max_length=120)]
    solution: Annotated[str, Field(alias="solucion", min_length=1, max_length=1500)]
    resolution: Annotated[Literal["manual", "cierre", "en espera", "reasignacion"], Field(alias="resolucion")]
    mailbox: Annotated[str, Field(alias="buzon", max_length=200)]

    @model_validator(mode="after")
    def _mailbox_where_it_belongs(self) -> Self:
        if self.resolution == "reasignacion" and not self.mailbox:
            raise ValueError("con «reasignacion» hace falta «buzon»")
        return self


class Suggest:
    """`await suggest(incident, resolution, components)` gives the row."""

    def __init__(self, directory: Path, caller: Caller) -> None:
        self._task = Task.load(directory, ("incidencia", "resolucion", "componentes"), Row, "suggest", caller)

    async def __call__(self, incident: str, resolution: str, components: Sequence[str]) -> Suggestion:
        """`resolution`: how people solved it; `components`: those that the catalogue has."""
        row = await self._task(
            incidencia=incident, resolucion=resolution, componentes="\n".join(components) or "(ninguno)"
        )
        return Suggestion(
            component=row.component,
            description=row.description,
            incident_type=row.incident_type,
            solution=row.solution,
            resolution=row.resolution,
            mailbox=row.mailbox if row.resolution == "reasignacion" else "",
        )
