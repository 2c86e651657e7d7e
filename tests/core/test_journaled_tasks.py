"""core/journaled_tasks.py and core/steps.py: what a model answered is not asked again, and only for what was asked."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import pytest

from core.errors import Terminal
from core.journaled_tasks import JournaledTasks
from core.ports import Capabilities, Critique, Suggestion
from core.reason import Reason
from core.steps import DirectSteps, Json, Steps, current_steps, journalling
from core.usage import Usage, count, count_error, metering

CRITIQUE = Critique(reason="no es", problem_type="Error", avoid_solution_types=("cierre",), recommended_approach="otra")


class Kept:
    """`core.steps.Steps` that keeps in memory, in order, and gives it back from the start after `again`."""

    def __init__(self) -> None:
        self.kept: list[tuple[str, Json]] = []
        self._at = 0

    def again(self) -> None:
        self._at = 0

    async def once(self, name: str, run: Callable[[], Awaitable[Json]]) -> Json:
        if self._at == len(self.kept):
            self.kept.append((name, await run()))
        self._at += 1
        return self.kept[self._at - 1][1]

    async def mine(self) -> None: ...


class Model:
    """Counts what it is asked."""

    capabilities = Capabilities(vision=True)
    model_name = "double"

    def __init__(self, image: str = "se ve un aviso", errors: int = 0) -> None:
        self.asked: list[str] = []
        self._image = image
        self._errors = errors

    def _ask(self, what: str) -> None:
        self.asked.append(what)
        count(Usage(generative=1, input_tokens=10, output_tokens=2))
        for _ in range(self._errors):
            count_error("el modelo")

    async def judge(self, incident: str, candidates: Sequence[str]) -> list[float]:
        self._ask("judge")
        return [1.5 for _ in candidates]

    async def reformulate(self, incident: str, critique: Critique | None) -> str:
        self._ask("reformulate")
        return "otras palabras"

    async def keywords(self, incident: str) -> list[str]:
        self._ask("keywords")
        return ["una", "dos"]

    async def choose(self, incident: str, candidates: Mapping[str, str]) -> str | None:
        self._ask("choose")
        return next(iter(candidates), None)

    async def criticise(self, incident: str, candidate: str, action: str) -> tuple[bool, Critique]:
        self._ask("criticise")
        return False, CRITIQUE

    async def summarise(self, text: str) -> str:
        self._ask("summarise")
        return "resumen"

    async def suggest(self, incident: str, resolution: str, components: Sequence[str]) -> Suggestion:
        self._ask("suggest")
        return Suggestion(component="c", description="d", incident_type="t", solution="s", resolution="cierre")

    async def read_image(self, image: bytes, media_type: str) -> str:
        self._ask("read_image")
        return self._image


Call = Callable[[JournaledTasks], Awaitable[Any]]
CALLS = [
    pytest.param(lambda tasks: tasks.judge("texto", ["a", "b"]), [1.5, 1.5], id="judge"),
    pytest.param(lambda tasks: tasks.reformulate("texto", CRITIQUE), "otras palabras", id="reformulate"),
    pytest.param(lambda tasks: tasks.reformulate("texto", None), "otras palabras", id="reformulate without a critique"),
    pytest.param(lambda tasks: tasks.keywords("texto"), ["una", "dos"], id="keywords"),
    pytest.param(lambda tasks: tasks.choose("texto", {"i": "uno"}), "i", id="choose"),
    pytest.param(lambda tasks: tasks.choose("texto", {}), None, id="choose none"),
    pytest.param(lambda tasks: tasks.criticise("texto", "fila", "cierre"), (False, CRITIQUE), id="criticise"),
    pytest.param(lambda tasks: tasks.read_image(b"png", "image/png"), "se ve un aviso", id="read an image"),
]


def _same(text: str) -> str:
    return text


@pytest.mark.parametrize(("call", "answer"), CALLS)
async def test_what_was_answered_is_not_asked_again(call: Call, answer: object) -> None:
    model, steps = Model(), Kept()
    tasks = JournaledTasks(model, _same)
    costs = []
    for _ in range(2):
        steps.again()
        with journalling(steps), metering() as usage:
            assert await call(tasks) == answer
        costs.append(usage)
    assert len(model.asked) == 1
    assert costs == [Usage(generative=1, input_tokens=10, output_tokens=2)] * 2


async def test_errors_on_the_way_to_an_answer_are_counted_once_each_time_it_is_given() -> None:
    model, steps = Model(errors=2), Kept()
    tasks = JournaledTasks(model, _same)
    for _ in range(2):
        steps.again()
        with journalling(steps), metering() as usage:
            await tasks.keywords("texto")
        assert usage.errors == {"el modelo": 2}
        steps.kept = json.loads(json.dumps(steps.kept))
    assert len(model.asked) == 1


async def test_a_cost_kept_without_errors_is_read() -> None:
    steps = Kept()
    tasks = JournaledTasks(Model(), _same)
    with journalling(steps):
        await tasks.keywords("texto")
        del steps.kept[0][1]["coste"]["errors"]
        steps.again()
        with metering() as usage:
            assert await tasks.keywords("texto") == ["una", "dos"]
    assert usage == Usage(generative=1, input_tokens=10, output_tokens=2)


@pytest.mark.parametrize(("call", "answer"), CALLS)
async def test_without_a_journal_it_is_asked_each_time(call: Call, answer: object) -> None:
    model = Model()
    tasks = JournaledTasks(model, _same)
    with metering() as usage:
        assert [await call(tasks) for _ in range(2)] == [answer, answer]
    assert usage.generative == len(model.asked) == 2


async def test_another_question_is_not_answered_from_the_journal() -> None:
    model, steps = Model(), Kept()
    tasks = JournaledTasks(model, _same)
    with journalling(steps):
        await tasks.judge("texto", ["una fila"])
        steps.again()
        with pytest.raises(Terminal) as caught:
            await tasks.judge("texto", ["la fila, cambiada"])
    assert caught.value.reason is Reason.STATE_CHANGED


async def test_an_image_with_personal_data_is_read_again_and_not_kept() -> None:
    model, steps = Model("DNI 12345678Z"), Kept()
    tasks = JournaledTasks(model, lambda text: text.replace("12345678Z", "<NIF_1>"))
    with journalling(steps):
        assert await tasks.read_image(b"png", "image/png") == "DNI 12345678Z"
        steps.again()
        assert await tasks.read_image(b"png", "image/png") == "DNI 12345678Z"
    assert model.asked == ["read_image"] * 2
    assert "12345678Z" not in str(steps.kept)


async def test_what_is_no_part_of_an_incident_is_not_kept() -> None:
    tasks, steps = JournaledTasks(Model(), _same), Kept()
    with journalling(steps):
        assert await tasks.summarise("texto") == "resumen"
        assert (await tasks.suggest("texto", "cierre", [])).component == "c"
    assert steps.kept == []


async def test_nested_tasks_have_the_journal_of_their_incident() -> None:
    async def mine(steps: Steps) -> bool:
        with journalling(steps):
            await asyncio.sleep(0)
            return await asyncio.create_task(_current()) is steps

    async def _current() -> Steps:
        return current_steps()

    assert await asyncio.gather(mine(Kept()), mine(Kept())) == [True, True]
    assert isinstance(current_steps(), DirectSteps)
    await current_steps().mine()
