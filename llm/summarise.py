"""A catalogue row in one sentence, in the words of who suffers the problem."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from llm.call import Caller
from llm.task import Output, Task


class Summary(Output):
    """One sentence."""

    summary: Annotated[str, Field(alias="resumen", min_length=3, max_length=600)]


class Summarise:
    """`await summarise(text)` gives the sentence."""

    def __init__(self, directory: Path, caller: Caller) -> None:
        self._task = Task.load(directory, ("texto",), Summary, "summarise", caller)

    async def __call__(self, text: str) -> str:
        return (await self._task(texto=text)).summary
