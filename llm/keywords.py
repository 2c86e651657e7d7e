"""The technical words of an incident."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from llm.call import Caller
from llm.task import Output, Task


class Keywords(Output):
    """Words or short expressions, as they stand in the incident."""

    words: Annotated[list[Annotated[str, Field(min_length=1, max_length=80)]], Field(alias="palabras", max_length=8)]


class ExtractKeywords:
    """`await keywords(incident)` gives up to eight expressions, none twice, possibly none at all."""

    def __init__(self, directory: Path, caller: Caller) -> None:
        self._task = Task.load(directory, ("incidencia",), Keywords, "keywords", caller)

    async def __call__(self, incident: str) -> list[str]:
        answer = await self._task(incidencia=incident)
        return list({word.casefold(): word for word in answer.words}.values())
