"""How much of the ideal the pipeline reaches with a model of fixed latency, and what CPU an incident costs us.

Measured twice: with hashed vectors, which is the orchestration alone, and with the real embedder. Both with a
calibration that lets the judge decide: with the shipped one most incidents end before any call, and nothing would load
the model server.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from api.memory import MemoryDesk, MemorySystem
from api.mocks import content
from bench.model_server import MODEL, model_server
from bench.result import Measure
from bench.synthetic import HashEmbedder
from config import ROOT, Settings, load_settings
from core.attachments import AttachmentReader
from core.batch import CATALOGUE, fixes_beside, read_inputs
from core.build import open_database, open_embedder, open_knowledge, open_tasks
from core.catalogue import Resolution
from core.control import KillSwitch
from core.critic_loop import CriticLoop, Limits
from core.execute import Executor, Guard
from core.incident import Incident
from core.judgement import Calibration
from core.knowledge import KnowledgeBase
from core.ledger import open_ledger
from core.pipeline import Pipeline, Rules
from core.ports import Embedder, SystemAnswer
from core.privacy import PersonalData, scrub
from core.report import IncidentResult, Result
from core.run import Selection, select, work_queue
from core.search import Searcher
from llm import native
from llm.ocr import RapidOcr

ProviderName = Literal["openai", "ollama"]
_WARM_UP = 8
"""Incidents worked before the clock starts, so that weights and recognisers are loaded."""

_JUDGE_DECIDES = Calibration(
    embeddings="banco", judge=MODEL, prompt="banco", intercept=0.0, logit=1.0, logit_range=(-5.0, 5.0), scores={}
)


@dataclass(frozen=True)
class Load:
    """What is put on the pipeline."""

    incidents: int = 200
    latency: float = 0.2
    slots: int = 8
    provider: ProviderName = "openai"
    real_embedder: bool = False


def measure_orchestration(load: Load) -> list[Measure]:
    """Share of the ideal, CPU and calls per incident. Raises `DependencyError` when a part cannot be built."""
    with TemporaryDirectory(prefix="spai-bench-") as folder, model_server(load.latency, load.slots) as url:
        settings = load_settings(
            entorno="DESA",
            directorio_estado=Path(folder),
            llm_provider=load.provider,
            llm_model=MODEL,
            openai_base_url=f"{url}/v1",
            ollama_base_url=url,
            vector_db_url=None,
        )
        results, wall, cpu = asyncio.run(_work(settings, load))
    return _measures(load, results, wall, cpu)


def derived_incidents(count: int, first: int = 0) -> list[Incident]:
    """`count` incidents made of the demo's, each with a code and a word of its own, numbered from `first`.

    Their images are left out, since reading one is measured in seconds of OCR, not in orchestration.
    """
    demo = [Incident.model_validate(item) for item in content.open_incidents(datetime.now().astimezone())]
    incidents = []
    for number in range(first, first + count):
        source = demo[number % len(demo)]
        history = tuple(entry.model_copy(update={"attachments": ()}) for entry in source.history)
        update = {
            "code": f"{source.code}-{number:05}",
            "description": f"{source.description} Puesto {number:05}.",
            "history": history,
        }
        incidents.append(source.model_copy(update=update))
    return incidents


async def _work(settings: Settings, load: Load) -> tuple[list[IncidentResult], float, float]:
    """Results, wall seconds and CPU seconds of this process."""
    embedder = open_embedder(settings) if load.real_embedder else HashEmbedder()
    with open_knowledge(settings, embedder) as knowledge:
        resources = ROOT / "resources"
        knowledge.build(read_inputs(resources / CATALOGUE, fixes_beside(resources)).entries)
        warm, timed = (
            MemoryDesk(derived_incidents(_WARM_UP, load.incidents)),
            MemoryDesk(derived_incidents(load.incidents)),
        )
        async with bench_pipeline(settings, knowledge, embedder, warm) as (pipeline, hands):
            await _drain(warm, pipeline, hands)
        async with bench_pipeline(settings, knowledge, embedder, timed) as (pipeline, hands):
            start, cpu = time.perf_counter(), time.process_time()
            results = await _drain(timed, pipeline, hands)
            return results, time.perf_counter() - start, time.process_time() - cpu


async def _drain(desk: MemoryDesk, pipeline: Pipeline, hands: int) -> list[IncidentResult]:
    results: list[IncidentResult] = []
    listing = await select(desk, Selection())
    await work_queue(
        listing.incidents, pipeline.work, hands=hands, stop=asyncio.Event(), done=lambda ended: results.append(ended[0])
    )
    return results


@asynccontextmanager
async def bench_pipeline(
    settings: Settings, knowledge: KnowledgeBase, embedder: Embedder, desk: MemoryDesk
) -> AsyncIterator[tuple[Pipeline, int]]:
    """As `core.build.open_pipeline`, with a desk in memory; also how many incidents to have in hand."""
    searcher = Searcher(knowledge, embedder, settings.query_limit_vectordb)
    async with AsyncExitStack() as stack:
        ledger = stack.enter_context(open_ledger(open_database(settings)))
        tasks = await stack.enter_async_context(open_tasks(settings))
        loop = CriticLoop(
            searcher,
            tasks,
            _JUDGE_DECIDES,
            Limits(settings.critic_approval_threshold, settings.max_retries_critic, settings.candidatos_juicio),
        )
        ocr = RapidOcr(native.LOCK, native.threads())
        attachments = AttachmentReader(desk.attachment, ocr, settings.directorio_estado / "adjuntos", scrub)
        guard = Guard(ledger, KillSwitch(ledger))
        executor = Executor(desk, _system(knowledge), searcher.mailboxes, settings.etiqueta, guard)
        rules = Rules(settings.etiqueta, settings.limite_texto)
        pipeline = Pipeline(loop, executor, knowledge, attachments, PersonalData(), rules)
        yield pipeline, settings.concurrencia or tasks.concurrency


def _system(knowledge: KnowledgeBase) -> MemorySystem:
    """Knows the demo's policies and says of each that it is to be closed."""
    policies: dict[str, dict[str, Any]] = {
        str(item["poliza"]): item for item in content.policies(datetime.now().astimezone())
    }
    systems = {e.system for e in knowledge.entries().values() if e.resolution is Resolution.API}
    closed = SystemAnswer(resolution=Resolution.CLOSE.value, solution="La póliza ya está en vigor.")
    return MemorySystem(policies, {(policy, system): closed for policy in policies for system in systems})


def _measures(load: Load, results: Sequence[IncidentResult], wall: float, cpu: float) -> list[Measure]:
    judgements, generative = sum(r.juicios for r in results), sum(r.llamadas_llm for r in results)
    calls, number = judgements + generative, len(results)
    share = calls * load.latency / load.slots / wall
    stages: Counter[str] = Counter()
    for result in results:
        stages.update(result.etapas)
    failed = Counter(str(r.motivo) for r in results if r.resultado is Result.ERROR)
    facts = {
        "proveedor": load.provider,
        "incidencias": number,
        "latencia_s": load.latency,
        "ranuras": load.slots,
        "segundos": round(wall, 3),
        "cpu_segundos": round(cpu, 3),
        "juicios": judgements,
        "generativas": generative,
        "segundos_por_etapa_e_incidencia": {name: round(value / number, 4) for name, value in stages.items()},
        "resultados": dict(Counter(str(r.resultado) for r in results)),
        "motivos": dict(Counter(str(r.motivo) for r in results)),
        "errores": dict(failed),
    }
    name = f"orquestación, vectores {'reales' if load.real_embedder else 'sintéticos'}"
    wrong = f"; {failed.total()} con error" if failed else ""
    each = 1000 * cpu / number
    return [
        Measure(
            f"{name}: parte del ideal ({load.provider}, {load.latency * 1000:.0f} ms, {load.slots} ranuras)",
            "≥ 90 %",
            f"{share:.1%}{wrong}",
            share,
            share >= 0.9 and not failed,
            facts,
        ),
        Measure(f"{name}: CPU por incidencia", "≤ 30 ms", f"{each:.1f} ms", each, each <= 30),
        Measure(
            f"{name}: llamadas por incidencia",
            "—",
            f"{judgements / number:.2f} juicios y {generative / number:.2f} generativas",
            calls / number,
        ),
    ]
