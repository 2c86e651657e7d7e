"""A language model whose every call is a step of the incident's journal: what was answered is not asked again."""

import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict

from core.errors import Terminal
from core.ports import Critique, LanguageTasks, Suggestion
from core.reason import Reason
from core.steps import Json, current_steps
from core.usage import Usage, count, metering


class JournaledTasks:
    """`core.ports.LanguageTasks` over another one.

    A step is kept with the hash of what was asked. Asked anew with something else (the catalogue changed while the
    incident lay unfinished) it raises `Terminal(STATE_CHANGED)`: the incident is worked from the beginning.
    `scrub` says what a text looks like without personal data; an image's text that has some is not kept.
    """

    def __init__(self, tasks: LanguageTasks, scrub: Callable[[str], str]) -> None:
        self.capabilities = tasks.capabilities
        self.model_name = tasks.model_name
        self._tasks = tasks
        self._scrub = scrub

    async def judge(self, incident: str, candidates: Sequence[str]) -> list[float]:
        asked = [incident, *candidates]
        found = await self._once("juzgar", asked, lambda: self._tasks.judge(incident, candidates))
        return [float(logit) for logit in found]

    async def reformulate(self, incident: str, critique: Critique | None) -> str:
        asked = [incident, critique.model_dump() if critique else None]
        return str(await self._once("reformular", asked, lambda: self._tasks.reformulate(incident, critique)))

    async def keywords(self, incident: str) -> list[str]:
        return list(await self._once("palabras", [incident], lambda: self._tasks.keywords(incident)))

    async def choose(self, incident: str, candidates: Mapping[str, str]) -> str | None:
        asked = [incident, dict(candidates)]
        chosen = await self._once("elegir", asked, lambda: self._tasks.choose(incident, candidates))
        return None if chosen is None else str(chosen)

    async def criticise(self, incident: str, candidate: str, action: str) -> tuple[bool, Critique]:
        async def run() -> Json:
            approved, critique = await self._tasks.criticise(incident, candidate, action)
            return [approved, critique.model_dump(mode="json")]

        approved, critique = await self._once("criticar", [incident, candidate, action], run)
        return bool(approved), Critique.model_validate(critique)

    async def summarise(self, text: str) -> str:
        return await self._tasks.summarise(text)

    async def suggest(self, incident: str, resolution: str, components: Sequence[str]) -> Suggestion:
        return await self._tasks.suggest(incident, resolution, components)

    async def read_image(self, image: bytes, media_type: str) -> str:
        fresh: list[str] = []

        async def run() -> Json:
            fresh.append(await self._tasks.read_image(image, media_type))
            return fresh[0] if self._scrub(fresh[0]) == fresh[0] else None

        kept = await self._once("leer imagen", [hashlib.sha256(image).hexdigest(), media_type], run)
        if kept is not None:
            return str(kept)
        return fresh[0] if fresh else await self._tasks.read_image(image, media_type)

    async def _once(self, name: str, asked: Json, run: Callable[[], Awaitable[Json]]) -> Json:
        key = hashlib.sha256(json.dumps([self.model_name, asked], sort_keys=True).encode()).hexdigest()
        ran = False

        async def metered() -> Json:
            nonlocal ran
            ran = True
            with metering() as usage:
                value = await run()
            return {"clave": key, "valor": value, "coste": asdict(usage)}

        kept = await current_steps().once(name, metered)
        if kept["clave"] != key:
            raise Terminal(Reason.STATE_CHANGED)
        if not ran:  # what it cost then is part of what the incident cost
            count(Usage(**kept["coste"]))
        return kept["valor"]
