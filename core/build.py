"""The one place where the parts are built and put together; everyone else receives them."""

import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from config import Environment, Settings
from core.errors import DependencyError

if TYPE_CHECKING:
    from core.database import Database
    from core.decision import Evidence
    from core.documents.collection import DocumentBase
    from core.documents.load import Loader
    from core.execute import Executor, Guard
    from core.intents import Classifier
    from core.knowledge import KnowledgeBase
    from core.pipeline import Pipeline
    from core.ports import Embedder, ExternalSystem, IncidentDesk
    from core.report import Expected
    from llm.tasks import ModelTasks

logger = logging.getLogger(__name__)


def open_embedder(settings: Settings) -> "Embedder":
    """The embedder of `EMBEDDING_MODEL`; its weights are loaded by the first text."""
    from llm import native
    from llm.embed import E5Use

    native.tame_thread_pools()
    return E5Use(settings.embedding_model.split("+"))


@contextmanager
def open_knowledge(settings: Settings, embedder: "Embedder | None" = None) -> "Iterator[KnowledgeBase]":
    """The knowledge base, embedded or served. Raises `DependencyError` when it is locked or cannot be reached."""
    from core.knowledge import KnowledgeBase, open_client
    from core.privacy import scrub

    folder = None if settings.vector_db_url else settings.directorio_estado / "qdrant"
    with open_client(folder, settings.vector_db_url) as client:
        yield KnowledgeBase(client, embedder or open_embedder(settings), scrub=scrub)


@contextmanager
def open_documents(settings: Settings, embedder: "Embedder | None" = None) -> "Iterator[DocumentBase]":
    """The documents' collection, embedded or served. Raises `DependencyError` when it is locked or out of reach."""
    from core.documents.collection import DocumentBase
    from core.knowledge import open_client

    folder = None if settings.vector_db_url else settings.directorio_estado / "qdrant"
    with open_client(folder, settings.vector_db_url) as client:
        yield DocumentBase(client, embedder or open_embedder(settings))


def open_classifier(settings: Settings, embedder: "Embedder") -> "Classifier | None":
    """The intents of `intents.json` beside the catalogue; None where there is no such file. Raises `UsageError`."""
    from core.intents import Classifier, read_intents
    from core.intents.catalogue import FILE_NAME

    path = settings.directorio_recursos / FILE_NAME
    if not path.exists():
        return None
    return Classifier(read_intents(path), embedder, cache=settings.directorio_estado / "intenciones")


@contextmanager
def open_loader(settings: Settings, base: "DocumentBase") -> "Iterator[Loader]":
    """What loads documents into `base`. Raises `UsageError` when the packages that read them are missing."""
    from core.documents.document import ReadingLimits
    from core.documents.load import Loader
    from core.privacy import PersonalData
    from llm import native
    from llm.documents.reader import IsolatedReader
    from llm.embed import E5Use

    limits = ReadingLimits(bytes=int(settings.limite_documento_mb * 1_000_000))
    counter = base.embedder if isinstance(base.embedder, E5Use) else E5Use()
    with IsolatedReader(limits, native.threads()) as reader:
        yield Loader(base, reader, PersonalData(), counter.tokens, limits)


def open_database(settings: Settings) -> "Database":
    """Where the queue and the decisions are kept; nothing is opened yet."""
    from core.database import Database

    return Database(settings.directorio_estado, settings.database_url)


def forget_old(settings: Settings) -> None:
    """Delete decisions, what was said of them, answers that nobody rated and model calls older than `RETENCION_DIAS`.

    What cannot be deleted now is logged, and goes another time.
    """
    from datetime import UTC, datetime, timedelta

    from core.feedback import open_feedback
    from core.ledger import open_ledger
    from llm.history import forget

    age = timedelta(days=settings.retencion_dias)
    try:
        with open_ledger(open_database(settings)) as ledger:
            decisions = ledger.forget(age)
        with open_feedback(open_database(settings)) as feedback:
            answers = feedback.forget(age)
        calls = forget(settings.directorio_historico, datetime.now(UTC) - age)
    except DependencyError as error:
        logger.warning("no se ha podido recortar", extra={"action": "retention_failed", "error": str(error)})
        return
    if decisions or answers or calls:
        facts = {"decisions": decisions, "answers": answers, "calls": calls}
        logger.info("recortado", extra={"action": "forgotten", **facts})


@asynccontextmanager
async def open_tasks(settings: Settings) -> "AsyncIterator[ModelTasks]":
    """The language model's tasks with their history. Raises `UsageError` or `DependencyError`, by name."""
    from core.model_slots import open_slots
    from llm import native
    from llm.history import History
    from llm.provider import open_provider
    from llm.tasks import ModelTasks

    native.tame_thread_pools()
    provider = open_provider(settings)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(provider.aclose)
        await provider.check()
        history = stack.enter_context(History(settings.directorio_historico))
        slots = await stack.enter_async_context(open_slots(open_database(settings), settings.llamadas_modelo_global))
        yield ModelTasks(provider, history, slots=slots)


@contextmanager
def open_summariser(settings: Settings) -> Iterator[Callable[[str], str]]:
    """`batch.py --resumir`: one text to its summary."""
    import asyncio

    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        tasks = runner.run(stack.enter_async_context(open_tasks(settings)))
        try:
            yield lambda text: runner.run(tasks.summarise(text))
        finally:
            runner.run(stack.aclose())


@dataclass(frozen=True)
class Outside:
    """The desk and the system; `expected` is known of the demo desk only."""

    desk: "IncidentDesk"
    system: "ExternalSystem"
    expected: "dict[str, Expected]"
    demo_url: str | None = None


@asynccontextmanager
async def open_desk(settings: Settings) -> AsyncIterator[Outside]:
    """The desk and the system of the settings; the demo ones are started where none is named."""
    from api.gestor_incidencias import HttpIncidentDesk
    from api.http import open_client, retry_policy
    from api.sistema import HttpSystem

    async with AsyncExitStack() as stack:
        demo_url = None
        if not (settings.mock_gestor_url and settings.mock_sistema_url):
            demo_url = stack.enter_context(_demo(settings))
        expected = _demo_expected() if not settings.mock_gestor_url else {}
        retrying = retry_policy(settings.http_reintentos)
        urls = (settings.mock_gestor_url or demo_url, settings.mock_sistema_url or demo_url)
        clients = [await stack.enter_async_context(open_client(url, settings.http_timeout)) for url in urls if url]
        yield Outside(HttpIncidentDesk(clients[0], retrying), HttpSystem(clients[1], retrying), expected, demo_url)


@contextmanager
def _demo(settings: Settings) -> Iterator[str]:
    """The demo desk and system on a free loopback port, their state under `DIRECTORIO_ESTADO`."""
    if settings.entorno is Environment.PROD:
        raise DependencyError("ENTORNO=PROD no se inicia con servicios de demostración.")
    from api.mocks.server import DemoServer, create_demo

    with DemoServer(create_demo(settings.directorio_estado / "demo")) as server:
        yield server.url


def _demo_expected() -> "dict[str, Expected]":
    from api.mocks import content
    from core.report import Expected

    return {
        code: Expected(codIncidencia=code, fila=e.row, aceptable=tuple(e.allowed), buzon_destino=e.mailbox)
        for code, e in content.expected().items()
    }


@dataclass(frozen=True)
class Works:
    """A pipeline ready to work, with what the door needs beside it."""

    pipeline: "Pipeline"
    outside: Outside
    hands: int
    """Incidents that may be in hand at a time."""
    facts: Callable[[], dict[str, Any]]
    """Facts of the run for its report, asked for at its end."""
    executor: "Executor"
    guard: "Guard"


@asynccontextmanager
async def open_pipeline(
    settings: Settings, *, simulate: bool, hands: int | None = None, evidence: "Evidence | None" = None
) -> AsyncIterator[Works]:
    """Everything for working the queue. Raises `UsageError` or `DependencyError` with what to do.

    `evidence`: what is told to the person who takes an incident.
    """
    from core.attachments import AttachmentReader
    from core.attachments import Limits as AttachmentLimits
    from core.batch import CATALOGUE, FIXES
    from core.control import KillSwitch
    from core.critic_loop import CriticLoop, Limits
    from core.decision import no_evidence
    from core.execute import Executor, Guard
    from core.journaled_tasks import JournaledTasks
    from core.judgement import load_calibration
    from core.ledger import open_ledger
    from core.originals import Originals
    from core.pipeline import Pipeline, Rules
    from core.policy import read_policy
    from core.privacy import PersonalData, scrub
    from core.search import Searcher
    from llm import native
    from llm.ocr import RapidOcr

    if hands:  # the provider, too, goes by how many there are
        settings = settings.model_copy(update={"concurrencia": hands})
    policy = read_policy(settings.directorio_recursos)
    embedder = open_embedder(settings)
    async with AsyncExitStack() as stack:
        ledger = stack.enter_context(open_ledger(open_database(settings)))
        knowledge = stack.enter_context(open_knowledge(settings, embedder))
        searcher = Searcher(knowledge, embedder, settings.query_limit_vectordb)
        outside = await stack.enter_async_context(open_desk(settings))
        tasks = await stack.enter_async_context(open_tasks(settings))
        journaled = JournaledTasks(tasks, scrub)
        loop = CriticLoop(
            searcher,
            journaled,
            load_calibration(settings.embedding_model),
            Limits(settings.critic_approval_threshold, settings.max_retries_critic, settings.candidatos_juicio),
        )
        attachments = AttachmentReader(
            outside.desk.attachment,
            RapidOcr(native.LOCK, native.threads()),
            settings.directorio_estado / "adjuntos",
            scrub,
            vision=journaled.read_image if tasks.capabilities.vision else None,
            vision_version=tasks.model_name,
            limits=AttachmentLimits(bytes=int(settings.limite_adjunto_mb * 1_000_000)),
        )
        guard = Guard(ledger, KillSwitch(ledger), policy)
        executor = Executor(outside.desk, outside.system, searcher.mailboxes, settings.etiqueta, guard)
        rules = Rules(settings.etiqueta, settings.limite_texto, simulate, policy)
        resources = settings.directorio_recursos
        originals = Originals(resources / CATALOGUE, resources / FIXES, scrub)
        pipeline = Pipeline(
            loop,
            executor,
            knowledge,
            attachments,
            PersonalData(),
            rules,
            originals.whole,
            evidence or no_evidence,
        )

        def facts() -> dict[str, Any]:
            return {
                "modelo": tasks.model_name,
                "umbral": settings.critic_approval_threshold,
                "registros_perdidos": tasks.lost_records,
            }

        yield Works(pipeline, outside, settings.concurrencia or tasks.concurrency, facts, executor, guard)
