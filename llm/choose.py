"""Which candidate is the incident's problem: the model picks a number, code knows what stands behind it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, Field, create_model

from llm.call import Caller
from llm.prompt import Prompt
from llm.task import Output, Task

NONE: Final = "ninguno"


class Choice(Output):
    """The model's reason, written first so that the choice follows from it; `choice` is narrowed per task."""

    reason: Annotated[str, Field(alias="motivo", max_length=600)]
    choice: Annotated[str, Field(alias="eleccion")]


class Choose:
    """`await choose(incident, candidates)` gives an id, or None for none of them."""

    def __init__(self, directory: Path, caller: Caller) -> None:
        self._prompt = Prompt.load(directory / "choose.md", ("incidencia", "candidatos"))
        self._caller = caller
        self._tasks: dict[int, Task[Choice]] = {}

    async def __call__(self, incident: str, candidates: Mapping[str, str]) -> str | None:
        """`candidates`: id -> text. Numbers stand for the ids: a model copies «3» right, and a UUID not always."""
        if not candidates:
            return None
        listing = "\n".join(f"{number}. {_one_line(text)}" for number, text in enumerate(candidates.values(), start=1))
        answer = await self._task(len(candidates))(incidencia=incident, candidatos=listing)
        return None if answer.choice == NONE else list(candidates)[int(answer.choice) - 1]

    def _task(self, size: int) -> Task[Choice]:
        """One task per number of candidates: the schema lists the numbers that may be answered."""
        if size not in self._tasks:
            self._tasks[size] = Task(self._prompt, _choice_among(size), self._caller)
        return self._tasks[size]


def _choice_among(size: int) -> type[Choice]:
    allowed = Literal.__getitem__((*(str(number) for number in range(1, size + 1)), NONE))
    narrowed: type[BaseModel] = create_model("Choice", __base__=Choice, choice=(allowed, Field(alias="eleccion")))
    assert issubclass(narrowed, Choice)
    return narrowed


def _one_line(text: str) -> str:
    """A candidate cannot pass for two."""
    return " ".join(text.split())
