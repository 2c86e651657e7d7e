"""Every task over one provider: behind `core.ports.LanguageTasks` and `core.documents.answers.QuestionTasks`."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from core.documents.answers import Drafted
from core.model_slots import Slots, unlimited
from core.ports import Claim, Critique, Suggestion
from llm.call import Caller
from llm.choose import Choose
from llm.compose import Compose
from llm.criticise import Criticise
from llm.explain_call import ExplainCall
from llm.history import History
from llm.keywords import ExtractKeywords
from llm.model import Provider
from llm.read_image import ReadImage
from llm.reformulate import Reformulate
from llm.relevance import ANSWER_NAMES, Relevance
from llm.suggest import Suggest
from llm.summarise import Summarise

PROMPTS = Path(__file__).parents[1] / "prompts"


class ModelTasks:
    """Loads all prompts from `prompts`; raises `UsageError` naming file and line for one that does not hold."""

    def __init__(
        self,
        provider: Provider,
        history: History | None = None,
        prompts: Path = PROMPTS,
        *,
        slots: Slots = unlimited,
    ) -> None:
        self.capabilities = provider.capabilities
        self.model_name = provider.named("relevance")
        self.concurrency = provider.concurrency
        self._history = history
        caller = Caller(provider, history, slots)
        self._relevance = Relevance(prompts / "relevance.md", caller)
        self._answers = Relevance(prompts / "answers.md", caller, ANSWER_NAMES)
        self._compose = Compose(prompts, caller)
        self._reformulate = Reformulate(prompts, caller)
        self._keywords = ExtractKeywords(prompts, caller)
        self._choose = Choose(prompts, caller)
        self._criticise = Criticise(prompts, caller)
        self._summarise = Summarise(prompts, caller)
        self._suggest = Suggest(prompts, caller)
        self._read_image = ReadImage(prompts, caller)
        self._explain_call = ExplainCall(prompts, caller)

    @property
    def lost_records(self) -> int:
        """Calls that the history could not keep, so far."""
        return self._history.lost if self._history else 0

    async def judge(self, incident: str, candidates: Sequence[str]) -> list[float]:
        return await self._relevance(incident, candidates)

    async def answers(self, question: str, passages: Sequence[str]) -> list[float]:
        return await self._answers(question, passages)

    async def compose(self, question: str, passages: Sequence[str]) -> Drafted:
        return await self._compose(question, passages)

    async def reformulate(self, incident: str, critique: Critique | None) -> str:
        return await self._reformulate(incident, critique)

    async def keywords(self, incident: str) -> list[str]:
        return await self._keywords(incident)

    async def choose(self, incident: str, candidates: Mapping[str, str]) -> str | None:
        return await self._choose(incident, candidates)

    async def criticise(self, incident: str, candidate: str, action: str) -> tuple[bool, Critique]:
        return await self._criticise(incident, candidate, action)

    async def summarise(self, text: str) -> str:
        return await self._summarise(text)

    async def suggest(self, incident: str, resolution: str, components: Sequence[str]) -> Suggestion:
        return await self._suggest(incident, resolution, components)

    async def read_image(self, image: bytes, media_type: str) -> str:
        return await self._read_image(image, media_type)

    async def explain_call(self, call: str, evidence: Mapping[str, str]) -> list[Claim]:
        return await self._explain_call(call, evidence)
