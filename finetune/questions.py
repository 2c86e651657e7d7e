"""Documents with questions whose answers are known, and questions without one: read, loaded in memory, searched."""

import json
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from qdrant_client import QdrantClient

from core.catalogue import normalised
from core.documents.collection import DocumentBase
from core.documents.document import ReadingLimits
from core.documents.load import Loader
from core.documents.outcome import DocumentOutcome
from core.documents.pieces import Piece
from core.documents.windows import Window
from core.errors import UsageError
from core.ports import Embedder, Vectors
from core.privacy import PersonalData
from core.search import Searcher
from llm.documents.reader import IsolatedReader
from llm.embed import E5Use
from llm.native import threads


class Question(BaseModel):
    """A line of `preguntas.jsonl`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: Annotated[str, Field(alias="pregunta", min_length=1)]
    source: Annotated[str | None, Field(alias="fuente")]
    """The document that answers it, without its ending; None where none does."""
    contains: Annotated[tuple[str, ...], Field(alias="contiene")] = ()
    """What a right answer says."""
    intent: Annotated[str | None, Field(alias="intencion")] = None
    kind: Annotated[str, Field(alias="tipo")] = ""

    def right(self, source: str, text: str) -> bool:
        """Whether `text` from the document `source` answers it."""
        said = normalised(text)
        return bool(
            self.source
            and Path(source).stem == self.source
            and all(normalised(wanted) in said for wanted in self.contains)
        )

    def answered_by(self, window: Window) -> bool:
        """Whether the window is a right answer."""
        return self.right(window.piece.source, window.text)


def read_questions(path: Path) -> list[Question]:
    """Raises `UsageError` naming file and line."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} no se puede leer: {error}") from error
    found = []
    for number, line in enumerate(lines, 1):
        try:
            found.append(Question.model_validate(json.loads(line)))
        except (ValueError, ValidationError) as error:
            raise UsageError(f"{path}:{number}: no es una pregunta: {error}") from error
    return found


@contextmanager
def loaded(folder: Path, embedder: Embedder) -> Iterator[tuple[Searcher[Piece], Sequence[DocumentOutcome]]]:
    """The documents of `folder` in memory, ready to be searched, and what became of each."""
    limits, client = ReadingLimits(), QdrantClient(location=":memory:")
    counter = embedder if isinstance(embedder, E5Use) else E5Use()
    try:
        base = DocumentBase(client, embedder)
        with IsolatedReader(limits, threads()) as reader:
            outcomes = Loader(base, reader, PersonalData(), counter.tokens, limits).load(folder)
        yield Searcher(base, embedder, 20, crowds=False), outcomes
    finally:
        client.close()


class Remembering:
    """An embedder that embeds each passage once: the same windows come up for many questions."""

    def __init__(self, embedder: Embedder) -> None:
        self.dimensions, self.version = embedder.dimensions, embedder.version
        self._embedder = embedder
        self._known: dict[str, dict[str, Vectors]] = {}

    def queries(self, texts: Sequence[str], *, without: Collection[str] = ()) -> dict[str, Vectors]:
        return self._embedder.queries(texts, without=without)

    def passages(self, texts: Sequence[str]) -> dict[str, Vectors]:
        fresh = [text for text in dict.fromkeys(texts) if text not in self._known]
        if fresh:
            made = self._embedder.passages(fresh)
            self._known |= {text: {name: made[name][i] for name in made} for i, text in enumerate(fresh)}
        return {name: np.stack([self._known[text][name] for text in texts]) for name in self.dimensions}
