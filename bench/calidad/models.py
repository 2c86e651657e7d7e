"""The models that the bench asks: the judge through the cache, and the score that a model writes itself."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

from pydantic import Field

from config import Settings
from core.errors import Terminal
from core.ports import Capabilities, Critique, LanguageTasks, Suggestion
from core.reason import Reason
from finetune.judgements import Judgements
from llm import native
from llm.call import Caller
from llm.model import Provider
from llm.provider import open_provider
from llm.task import Output, Task
from llm.tasks import ModelTasks

WRITTEN = Path(__file__).with_name("puntuacion.md")


@asynccontextmanager
async def open_judge(settings: Settings) -> AsyncIterator[Provider]:
    """The provider of the settings, loaded and reached. Its calls are not kept in the history: nobody's work."""
    native.tame_thread_pools()
    provider = open_provider(settings)
    try:
        await provider.check()
        yield provider
    finally:
        await provider.aclose()


class CachedTasks:
    """`core.ports.LanguageTasks` whose judgements are kept; without a model it only knows those.

    What else the loop asks for goes to the model, once for the same question; without one it raises `Terminal`.
    """

    def __init__(self, judgements: Judgements, tasks: ModelTasks | None) -> None:
        self._judgements = judgements
        self._tasks = tasks
        self._answers: dict[tuple[object, ...], object] = {}
        self.capabilities = tasks.capabilities if tasks else Capabilities()
        self.model_name = tasks.model_name if tasks else "cache"
        self.asked: list[tuple[str, str]] = []
        """(incident, entry) of every judgement the loop wanted."""

    async def judge(self, incident: str, candidates: Sequence[str]) -> list[float]:
        if self._tasks:
            await self._judgements.judge(self._tasks, incident, candidates)
        self.asked += [(incident, candidate) for candidate in candidates]
        found = [self._judgements.get(incident, candidate) for candidate in candidates]
        if None in found:
            raise Terminal(Reason.MODEL_UNAVAILABLE, "ese juicio no está hecho y no hay modelo que lo haga")
        return [judgement.logit for judgement in found if judgement]

    async def reformulate(self, incident: str, critique: Critique | None) -> str:
        key = ("reformulate", incident, critique)
        if key not in self._answers:
            self._answers[key] = await self._live().reformulate(incident, critique)
        return str(self._answers[key])

    async def keywords(self, incident: str) -> list[str]:
        key = ("keywords", incident)
        if key not in self._answers:
            self._answers[key] = tuple(await self._live().keywords(incident))
        kept = self._answers[key]
        assert isinstance(kept, tuple)
        return [str(word) for word in kept]

    async def choose(self, incident: str, candidates: Mapping[str, str]) -> str | None:
        key = ("choose", incident, *sorted(candidates))
        if key not in self._answers:
            self._answers[key] = await self._live().choose(incident, candidates)
        kept = self._answers[key]
        return None if kept is None else str(kept)

    async def criticise(self, incident: str, candidate: str, action: str) -> tuple[bool, Critique]:
        key = ("criticise", incident, candidate, action)
        if key not in self._answers:
            self._answers[key] = await self._live().criticise(incident, candidate, action)
        kept = self._answers[key]
        assert isinstance(kept, tuple)
        return bool(kept[0]), Critique.model_validate(kept[1])

    async def summarise(self, text: str) -> str:
        return await self._live().summarise(text)

    async def suggest(self, incident: str, resolution: str, components: Sequence[str]) -> Suggestion:
        return await self._live().suggest(incident, resolution, components)

    async def read_image(self, image: bytes, media_type: str) -> str:
        return await self._live().read_image(image, media_type)

    def _live(self) -> LanguageTasks:
        if self._tasks is None:
            raise Terminal(Reason.MODEL_UNAVAILABLE, "esto lo escribe un modelo y no hay ninguno cargado")
        return self._tasks


class _Score(Output):
    score: Annotated[int, Field(alias="puntuacion", ge=0, le=100)]


class WrittenScore:
    """The 0..100 that a model writes when asked, kept as a judgement is: the baseline, never a decision."""

    def __init__(self, provider: Provider) -> None:
        self._task = Task.load(
            WRITTEN.parent, ("incidencia", "candidato"), _Score, WRITTEN.stem, Caller(provider, None)
        )

    async def judge(self, incident: str, candidates: Sequence[str]) -> list[float]:
        """One score per candidate, in order. Raises as `Task`."""
        return [float((await self._task(incidencia=incident, candidato=c)).score) for c in candidates]
