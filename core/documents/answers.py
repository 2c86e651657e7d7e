"""A question answered from the documents alone, with sources that code has checked; «no lo sé» otherwise."""

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from pydantic import BaseModel, ConfigDict

from core.documents.answerability import Answerability
from core.documents.citations import Citation, Sentence, faults
from core.documents.pieces import Piece
from core.documents.windows import Window, fitted
from core.errors import Terminal
from core.intents import Classification, Classifier, Intent
from core.lexical import Tokenise, stems
from core.ports import Embedder
from core.privacy import PersonalData, strip_identifiers
from core.reason import Reason
from core.search import Candidate, Searcher

logger = logging.getLogger(__name__)

PIECES = 4
"""The nearest pieces, out of which the answer is taken."""
JUDGED = 1
"""Windows that the model judges, at most."""
UNKNOWN = "No lo sé: ningún documento lo responde con seguridad."


class Drafted(BaseModel):
    """What a model wrote: sentences, each with the numbers of the passages that it rests on, from 1."""

    model_config = ConfigDict(frozen=True)
    sentences: tuple[tuple[str, tuple[int, ...]], ...]


class QuestionTasks(Protocol):
    """What a language model does for questions. Raises `StageError` with a model reason code."""

    async def answers(self, question: str, passages: Sequence[str]) -> list[float]:
        """logit P(sí) - logit P(no) per passage: does it answer the question? One forward pass each."""
        ...

    async def compose(self, question: str, passages: Sequence[str]) -> Drafted: ...


class Unasked:
    """`QuestionTasks` where no model is asked: the fit does without, and answers are quoted."""

    async def answers(self, question: str, passages: Sequence[str]) -> list[float]:
        raise Terminal(Reason.MODEL_UNAVAILABLE, "no hay ningún modelo que juzgue")

    async def compose(self, question: str, passages: Sequence[str]) -> Drafted:
        raise Terminal(Reason.MODEL_UNAVAILABLE, "no hay ningún modelo que redacte")


@dataclass(frozen=True)
class Judged:
    """A window with what it is worth as an answer. `logit` is None where no model was asked."""

    window: Window
    probability: float
    logit: float | None = None


@dataclass(frozen=True)
class Reply:
    """What is said to a question, all of it without personal data."""

    question: str
    sentences: tuple[Sentence, ...]
    citations: tuple[Citation, ...]
    found: tuple[Judged, ...]
    """The best windows, quoted or not, best first."""
    intent: Classification | None
    missing: tuple[str, ...]
    """How to ask for what the question would have to say to be seen to."""
    void: str = ""
    """Why a written answer was withheld."""
    seconds: float = 0.0

    @property
    def answered(self) -> bool:
        return bool(self.sentences)

    @property
    def text(self) -> str:
        """The answer with its citations, or that it does not know."""
        return "\n".join(str(sentence) for sentence in self.sentences) or UNKNOWN


@dataclass(frozen=True)
class Intents:
    """The known intents, and what tells them apart."""

    known: dict[str, Intent]
    classifier: Classifier


class Answerer:
    """Answers one question at a time per call; safe to share among tasks."""

    def __init__(
        self,
        searcher: Searcher[Piece],
        embedder: Embedder,
        personal: PersonalData,
        tasks: QuestionTasks,
        fit: Answerability,
        intents: Intents | None = None,
        *,
        written: bool = False,
    ) -> None:
        """`written`: the model writes the answer; otherwise sentences are quoted as they stand."""
        self._searcher = searcher
        self._embedder = embedder
        self._personal = personal
        self._tasks = tasks
        self._fit = fit
        self._intents = intents
        self._written = written
        self._stems: Tokenise = stems()

    async def answer(self, question: str) -> Reply:
        """Raises `StageError` when the model or Qdrant fails: then nothing is said."""
        started = time.perf_counter()
        hidden = (await asyncio.to_thread(self._personal.replace, question)).text
        asked = strip_identifiers(hidden)
        intent, missing = await asyncio.to_thread(self._intent, hidden, asked)
        found = await self.judged(asked) if asked.strip() else []
        good = [judged for judged in found[:JUDGED] if judged.probability >= self._fit.threshold]
        reply = Reply(hidden, (), (), tuple(found), intent, missing)
        if good:
            reply = await self._with_answer(reply, asked, [judged.window for judged in good])
        return replace(reply, seconds=time.perf_counter() - started)

    async def judged(self, asked: str) -> list[Judged]:
        """The best windows for a question without identifiers, by how likely they answer it."""
        windows = await asyncio.to_thread(self.windows, asked)
        hopeful = [window for window in windows if not self._fit.hopeless(window.fit)]
        best = separate(hopeful)[:JUDGED]
        logits: Sequence[float | None] = [None] * len(best)
        if best and self._fit.judged:
            logits = await self._tasks.answers(asked, [window.told for window in best])
        judged = [
            Judged(window, self._fit.probability(window.fit, logit or 0.0), logit)
            for window, logit in zip(best, logits, strict=True)
        ]
        low = self._fit.logit_range[0]
        rest = [Judged(w, self._fit.probability(w.fit, low)) for w in separate(windows)[:PIECES] if w not in best]
        return sorted(judged, key=lambda j: -j.probability) + rest

    def windows(self, asked: str) -> list[Window]:
        """The windows of the nearest pieces, best first; pieces that answered this badly before left out."""
        refused = {i for i, piece in self._searcher.entries.items() if asked in map(strip_identifiers, piece.refused)}
        candidates: list[Candidate[Piece]] = self._searcher.search([asked], without=refused)[:PIECES]
        return fitted(asked, candidates, self._embedder)

    def _intent(self, hidden: str, asked: str) -> tuple[Classification | None, tuple[str, ...]]:
        if self._intents is None or not asked.strip():
            return None, ()
        [found] = self._intents.classifier.classify([asked])
        return found, self._intents.known[found.intent].missing(hidden) if found.intent else ()

    async def _with_answer(self, reply: Reply, asked: str, windows: Sequence[Window]) -> Reply:
        citations = tuple(Citation.of(number, window) for number, window in enumerate(windows, 1))
        if not self._written:
            sentences = tuple(Sentence(window.text, (n,), verbatim=True) for n, window in enumerate(windows, 1))
        else:
            drafted = await self._tasks.compose(asked, [window.told for window in windows])
            sentences = tuple(Sentence(text, numbers) for text, numbers in drafted.sentences)
        wrong = faults(sentences, citations, [window.told for window in windows], self._stems)
        if wrong:
            logger.warning("respuesta anulada", extra={"action": "answer_void", "why": wrong})
            return replace(reply, void=wrong)
        used = {number for sentence in sentences for number in sentence.citations}
        return replace(reply, sentences=sentences, citations=tuple(c for c in citations if c.number in used))


def separate(windows: Sequence[Window]) -> list[Window]:
    """The best of those that share a sentence."""
    kept: list[Window] = []
    for window in windows:
        if not any(window.overlaps(other) for other in kept):
            kept.append(window)
    return kept
