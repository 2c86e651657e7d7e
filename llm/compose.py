"""An answer written from numbered passages, each sentence with what it rests on; code checks it afterwards."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field

from core.documents.answers import Drafted
from llm.call import Caller
from llm.task import Output, Task


class _Sentence(Output):
    text: Annotated[str, Field(alias="texto", min_length=1, max_length=600)]
    citations: Annotated[list[Annotated[int, Field(ge=1, le=20)]], Field(alias="citas", max_length=5)]


class _Answer(Output):
    sentences: Annotated[list[_Sentence], Field(alias="frases", max_length=4)]


class Compose:
    """`await compose(question, passages)` gives the sentences and their citations, as the model wrote them."""

    def __init__(self, directory: Path, caller: Caller) -> None:
        self._task = Task.load(directory, ("pregunta", "fragmentos"), _Answer, "compose", caller)

    async def __call__(self, question: str, passages: Sequence[str]) -> Drafted:
        numbered = "\n".join(f"[{number}] {passage}" for number, passage in enumerate(passages, 1))
        answer = await self._task(pregunta=question, fragmentos=numbered)
        return Drafted(sentences=tuple((s.text, tuple(dict.fromkeys(s.citations))) for s in answer.sentences))
