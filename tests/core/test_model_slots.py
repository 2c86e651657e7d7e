"""core/model_slots.py: no more calls at a time than there are places."""

import asyncio
from pathlib import Path

import pytest

from core.database import Database
from core.model_slots import open_slots
from llm.scripted import Said, Script, scripted_provider
from llm.tasks import ModelTasks


@pytest.mark.parametrize(("places", "most"), [(1, 1), (3, 3), (0, 8)], ids=["one", "three", "no limit"])
async def test_places(places: int, most: int, tmp_path: Path) -> None:
    now = seen = 0

    async with open_slots(Database(tmp_path), places) as slot:

        async def call() -> None:
            nonlocal now, seen
            async with slot():
                now += 1
                seen = max(seen, now)
                for _ in range(3):
                    await asyncio.sleep(0)
                now -= 1

        await asyncio.gather(*(call() for _ in range(8)))
    assert seen == most


async def test_every_call_to_the_model_takes_a_place(tmp_path: Path) -> None:
    """Three judgements of one incident are three calls; the server is not asked while there is no place."""
    script = Script(lambda messages: Said("sí", logprobs={"sí": -0.01, "no": -5.0}))
    async with open_slots(Database(tmp_path), 1) as slot:
        tasks = ModelTasks(scripted_provider(script), slots=slot)
        async with slot():
            waiting = asyncio.create_task(tasks.judge("texto", ["a", "b", "c"]))
            for _ in range(20):
                await asyncio.sleep(0)
            assert script.asked == []
        assert len(await waiting) == 3
    assert len(script.asked) == 3
