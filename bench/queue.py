"""The durable queue with a fake model: whether rate and memory stay flat, and what it adds to the bare work."""

import asyncio
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from api.memory import MemoryDesk
from bench.orchestration import derived_incidents
from bench.result import Measure
from core.actions import Close
from core.database import Database
from core.decision import Decision
from core.incident import Incident
from core.journaled_tasks import JournaledTasks
from core.ports import Capabilities
from core.privacy import scrub
from core.queue import open_queue
from core.queued_work import QueuedWork, as_item
from core.reason import Reason
from core.report import IncidentResult, Result
from core.run import work_queue
from core.steps import Json, current_steps
from llm.scripted import Said, Script, scripted_provider
from llm.tasks import ModelTasks

_HANDS = 16
_TAG = "[SPAI] "
_ROWS = ("Recibos: aparece duplicado", "Portal: no deja entrar", "Correo: no llega")
_PARTS = 10


@dataclass
class _Meter:
    """Wall seconds, CPU seconds and resident MiB after each tenth of the incidents, the start included."""

    each: int
    ended: int = 0
    marks: list[tuple[float, float, float]] = field(default_factory=list)

    def mark(self) -> None:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        memory = pages * os.sysconf("SC_PAGE_SIZE") / 2**20
        self.marks.append((time.perf_counter(), time.process_time(), memory))

    def count(self) -> None:
        self.ended += 1
        if self.ended % self.each == 0:
            self.mark()

    def per_second(self) -> list[float]:
        return [self.each / (b[0] - a[0]) for a, b in zip(self.marks, self.marks[1:], strict=False)]

    def cpu_ms(self) -> list[float]:
        return [1000 * (b[1] - a[1]) / self.each for a, b in zip(self.marks, self.marks[1:], strict=False)]


def measure_queue(count: int) -> list[Measure]:
    """Rate by tenths also as CPU: on a machine with other work the clock says more of that than of the queue.

    `count` incidents, three judgements of a scripted model and one action each, on SQLite; the same without queue.

    Raises `DependencyError` when the database cannot be used.
    """
    count = max(_PARTS, count - count % _PARTS)
    incidents = derived_incidents(count)
    bare, queued = _Meter(count // _PARTS), _Meter(count // _PARTS)
    asyncio.run(_straight(incidents, bare))
    with TemporaryDirectory(prefix="spai-bench-") as folder:
        asyncio.run(_through(incidents, queued, Path(folder)))
        size = sum(path.stat().st_size for path in Path(folder).rglob("*.db*")) / 2**20
    return _measures(count, bare, queued, size)


class _Work:
    """As bare as a pipeline gets: a judgement, and an action that goes nowhere."""

    def __init__(self, meter: _Meter) -> None:
        same = Said("sí", logprobs={"sí": -0.01, "no": -5.0})
        script = Script(lambda messages: same)
        model = ModelTasks(scripted_provider(script, capabilities=Capabilities(logprobs=True)))
        self._tasks = JournaledTasks(model, scrub)
        self._meter = meter
        self._script = script

    async def __call__(self, incident: Incident) -> tuple[IncidentResult, Decision]:
        steps = current_steps()

        async def act() -> Json:
            await steps.mine()
            return {"hecho": "cierre", "motivo": Reason.APPROVED.value}

        await self._tasks.judge(incident.description, _ROWS)
        await steps.once("actuar", act)
        self._script.asked.clear()  # it would remember all it was asked
        self._script.options.clear()
        self._meter.count()
        result = IncidentResult(
            codIncidencia=incident.code, resultado=Result.AUTOMATIC, tipo="cierre", motivo=Reason.APPROVED
        )
        return result, Decision("d-0", Close(note=""), None, Reason.APPROVED)


async def _straight(incidents: Sequence[Incident], meter: _Meter) -> None:
    desk, work = MemoryDesk(incidents), _Work(meter)
    meter.mark()
    await work_queue(incidents, lambda incident: _read_and(desk, incident, work), hands=_HANDS, done=lambda ended: None)


async def _read_and(desk: MemoryDesk, incident: Incident, work: _Work) -> tuple[IncidentResult, Decision]:
    """The bare run reads the incident anew, too."""
    return await work(await desk.read(incident.code))


async def _through(incidents: Sequence[Incident], meter: _Meter, folder: Path) -> None:
    desk = MemoryDesk(incidents)
    work = QueuedWork(desk, _Work(meter), tag=_TAG, run="banco", scrub=scrub)
    async with open_queue(Database(folder), work, hands=_HANDS, stop=asyncio.Event()) as queue:
        items = [as_item(incident, _TAG) for incident in incidents]
        await queue.records.add(items)
        await queue.start()
        meter.mark()
        await queue.wait([item.id for item in items])
        queue.check()


def _measures(count: int, bare: _Meter, queued: _Meter, size: float) -> list[Measure]:
    rates, cpu = queued.per_second(), queued.cpu_ms()
    wall = queued.marks[-1][0] - queued.marks[0][0]
    rate, late = count / wall, median(cpu[-3:]) / median(cpu[:3])
    grown = queued.marks[-1][2] - queued.marks[1][2]
    added = 1000 * (wall - (bare.marks[-1][0] - bare.marks[0][0])) / count
    added_cpu = median(cpu) - median(bare.cpu_ms())
    facts = {
        "incidencias": count,
        "manos": _HANDS,
        "por_segundo_por_decimas": [round(value, 1) for value in rates],
        "cpu_ms_por_decimas": [round(value, 2) for value in cpu],
        "mib_por_decimas": [round(mark[2], 1) for mark in queued.marks],
        "base_de_datos_mib": round(size, 1),
        "cpu_ms_sin_cola": round(median(bare.cpu_ms()), 2),
        "cpu_ms_anadida": round(added_cpu, 2),
    }
    name = f"cola, {count} incidencias"
    return [
        Measure(f"{name}: ritmo", "≥ 50/s", f"{rate:.1f}/s", rate, rate >= 50, facts),
        Measure(
            f"{name}: CPU de las últimas tres décimas frente a las primeras",
            "± 15 %",
            f"{late - 1:+.0%}; de reloj, la última frente a la primera {rates[-1] / rates[0] - 1:+.0%}",
            late,
            abs(late - 1) <= 0.15,
        ),
        Measure(
            f"{name}: memoria que crece tras la primera décima",
            "≤ 20 MiB",
            f"{grown:+.1f} MiB (acaba en {queued.marks[-1][2]:.0f})",
            grown,
            grown <= 20,
        ),
        Measure(
            f"{name}: lo que añade a cada incidencia",
            "≤ 25 ms",
            f"{added:.1f} ms, {added_cpu:.1f} de CPU",
            added,
            added <= 25,
        ),
    ]
