"""A worker process of the fault tests: the real queue, pipeline and executor, a scripted model, a desk in a file."""

import asyncio
import logging
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing.synchronize import Barrier
from pathlib import Path

from langchain_core.messages import BaseMessage
from qdrant_client import QdrantClient

from api.memory import MemorySystem
from core.attachments import AttachmentReader, Pixels
from core.catalogue import CatalogueEntry, Resolution
from core.control import KillSwitch
from core.critic_loop import CriticLoop, Limits
from core.database import Database
from core.desk_queue import DeskQueue
from core.execute import Executor, Guard
from core.incident import Incident
from core.journaled_tasks import JournaledTasks
from core.judgement import Calibration
from core.knowledge import KnowledgeBase
from core.ledger import open_ledger
from core.pipeline import Pipeline, Rules
from core.ports import Capabilities
from core.privacy import PersonalData, scrub
from core.queue import open_queue
from core.queued_work import QueuedWork
from core.run import Run, Selection
from core.search import Searcher
from core.trace import current
from llm.scripted import Said, Script, scripted_provider
from llm.tasks import ModelTasks
from tests.core.hash_embedder import HashEmbedder
from tests.faults.sqlite_desk import SqliteDesk

TAG = "[SPAI] "
KNOWN = ("la impresora no imprime recibos", "el portal pide la clave dos veces", "el informe sale vacío")
ROWS = [
    CatalogueEntry(component="Web", description=text, solution=f"Solución {n}.", resolution=Resolution.CLOSE)
    for n, text in enumerate(KNOWN)
]
UNKNOWN = "petición distinta de todo lo conocido"
ONLY_LOGIT = Calibration(
    embeddings="hash", judge="double", prompt="1", intercept=0.0, logit=1.0, logit_range=(-5.0, 5.0), scores={}
)


@dataclass(frozen=True)
class Setting:
    """One worker's surroundings. `folder` holds desk, model calls and reports; the state, unless `url` is a server."""

    folder: Path
    url: str | None = None
    hands: int = 4
    model_seconds: float = 0.0
    serve: bool = False
    interval: float = 1.0
    grace: float = 5.0

    @property
    def desk(self) -> SqliteDesk:
        """The desk that all workers share."""
        return SqliteDesk(self.folder / "mesa.db")

    @property
    def calls(self) -> list[tuple[str, str]]:
        """(incident, process) of every call to the model."""
        path = self.folder / "llamadas.txt"
        lines = path.read_text("utf-8").splitlines() if path.exists() else []
        return [(code, pid) for code, _, pid in (line.partition(" ") for line in lines)]


def incidents(count: int) -> list[Incident]:
    """Four of five have a known solution."""
    return [
        Incident(
            code=f"INC-{n:03}",
            status="Abierta",
            mailbox="Soporte",
            opened="2026-01-01T08:00:00",
            description=f"Hoy {KNOWN[n % len(KNOWN)] if solvable(n) else UNKNOWN}, puesto {n}",
        )
        for n in range(count)
    ]


def solvable(number: int) -> bool:
    """Whether incident `number` is to be closed."""
    return number % 5 != 4


class _CountedTasks(ModelTasks):
    """Writes down each call before it is made; takes its time."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(scripted_provider(Script(_reply), capabilities=Capabilities(logprobs=True)))
        self._setting = setting

    async def judge(self, incident: str, candidates: Sequence[str]) -> list[float]:
        with (self._setting.folder / "llamadas.txt").open("a", encoding="utf-8") as stream:
            stream.write(f"{current().incident} {os.getpid()}\n")
        await asyncio.sleep(self._setting.model_seconds)
        return await super().judge(incident, candidates)


def _reply(messages: Sequence[BaseMessage]) -> Said:
    asked = messages[-1].text
    same = any(asked.count(text) >= 2 for text in KNOWN)
    return Said("sí" if same else "no", logprobs={"sí": -0.01, "no": -5.0} if same else {"sí": -5.0, "no": -0.01})


class _NoOcr:
    version = "none"

    def read(self, image: Pixels) -> str:
        raise NotImplementedError


@contextmanager
def _pipeline(setting: Setting, database: Database) -> Iterator[Pipeline]:
    with ExitStack() as stack:
        ledger = stack.enter_context(open_ledger(database))
        client = QdrantClient(":memory:")
        stack.callback(client.close)
        embedder = HashEmbedder({"e5": 16})
        knowledge = KnowledgeBase(client, embedder, scrub=scrub)
        knowledge.build(ROWS)
        searcher = Searcher(knowledge, embedder, 20)
        tasks = JournaledTasks(_CountedTasks(setting), scrub)
        desk = setting.desk
        yield Pipeline(
            CriticLoop(searcher, tasks, ONLY_LOGIT, Limits(65, retries=0, judged=3)),
            Executor(desk, MemorySystem(), searcher.mailboxes, TAG, Guard(ledger, KillSwitch(ledger))),
            knowledge,
            AttachmentReader(desk.attachment, _NoOcr(), setting.folder / "adjuntos", scrub),
            PersonalData(),
            Rules(TAG, 20_000),
        )


async def work(setting: Setting, start: Barrier | None) -> None:
    """As `core.session` does, until SIGTERM or until nothing is left; not before all have come to `start`."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    database = Database(setting.folder, setting.url)
    run = Run(setting.folder / "recursos", "1", setting.hands)
    with _pipeline(setting, database) as pipeline:
        queued = QueuedWork(setting.desk, pipeline.work, tag=TAG, run=run.id, scrub=scrub)
        async with open_queue(database, queued, hands=setting.hands, stop=stop) as queue:
            desk_queue = DeskQueue(queue, setting.desk, TAG, run, 30)
            (setting.folder / f"listo-{os.getpid()}").touch()
            if start:
                await asyncio.to_thread(start.wait)
            if setting.serve:
                await desk_queue.serve(Selection(), setting.grace, setting.interval, stop)
            else:
                await desk_queue.drain(Selection(), setting.grace)


def main(setting: Setting, start: Barrier | None = None) -> None:
    """The process's whole work; its log beside the desk."""
    logging.basicConfig(filename=setting.folder / f"registro-{os.getpid()}.log", level=logging.INFO)
    asyncio.run(work(setting, start))
