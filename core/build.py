"""The one place where the parts are built and put together; everyone else receives them."""

import logging
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from config import Environment, Settings
from core.errors import DependencyError

if TYPE_CHECKING:
    from core.catalogue import CatalogueEntry
    from core.database import Database
    from core.decision import Evidence
    from core.documents.background import Background
    from core.documents.collection import DocumentBase
    from core.documents.load import Loader
    from core.execute import Executor, Guard
    from core.incident_trace import Work
    from core.intents import Classifier
    from core.judgement import Calibration
    from core.judgement.risk import Thresholds
    from core.knowledge import KnowledgeBase, KnownEntry
    from core.ledger import Ledger
    from core.ports import Embedder, ExternalSystem, IncidentDesk
    from core.report import Expected
    from llm.history.reading import PastCall
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


def open_background(settings: Settings, knowledge: "KnowledgeBase", embedder: "Embedder") -> "Background | None":
    """What names the documents near an incident; None where none is loaded, or not with this embedder."""
    from core.documents.background import Background
    from core.documents.collection import DocumentBase
    from core.judgement import load_calibration
    from core.search import Searcher

    base = DocumentBase(knowledge.shelf, embedder)
    try:
        if not base.exists():
            return None
        searcher = Searcher(base, embedder, settings.query_limit_vectordb, crowds=False)
    except DependencyError as error:
        logger.warning("documentos no consultados", extra={"action": "background_failed", "error": str(error)})
        return None
    return Background(searcher, load_calibration(settings.embedding_model), settings.critic_approval_threshold)


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


def open_thresholds(
    settings: Settings, ledger: "Ledger", entries: "Iterable[CatalogueEntry]", judge: str
) -> "Thresholds":
    """The least approvals to act in this run: by `RIESGO_MAXIMO`, or by hand. Says in the log what is not certified.

    Raises `DependencyError`, and `UsageError` where a calibration is broken.
    """
    from core.judgement.risk import Thresholds, read_experience
    from core.judgement.versions import Versions

    fallback = settings.critic_approval_threshold
    if settings.riesgo_maximo is None:
        return Thresholds(None, fallback)
    versions, silence = Versions(settings.directorio_estado), settings.acierto_por_silencio_dias
    experience = read_experience(ledger, versions, settings.embedding_model, silence, entries, judge)
    thresholds = experience.thresholds(settings.riesgo_maximo, fallback)
    for rule in thresholds.rules:
        told = {"group": rule.group, "threshold": rule.threshold, "why": rule.told}
        if rule.certified:
            logger.info("umbral en vigor", extra={"action": "threshold", **told})
        else:
            logger.warning("umbral en vigor, sin certificar", extra={"action": "threshold", **told})
    return thresholds


def recorded(settings: Settings, incident: str) -> list[dict[str, Any]]:
    """The log's lines of an incident, oldest first. Raises `DependencyError`."""
    from observabilidad.record import RecordFolder

    return list(RecordFolder(settings.directorio_estado / "logs").lines(incident=incident))


def model_calls(settings: Settings, incident: str) -> "list[PastCall]":
    """The model calls made for an incident, without their texts. Raises `DependencyError`."""
    from llm.history.reading import calls_of

    return calls_of(settings.directorio_historico, incident)


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


def open_calibration(settings: Settings) -> "Calibration":
    """The calibration in force: this machine's, or the one that `CALIBRACION` names in MLflow's registry.

    Raises `UsageError` or `DependencyError` when that one cannot be had: no other takes its place.
    """
    if settings.calibracion:
        from finetune.model_registry import load_named

        return load_named(settings)
    from core.judgement.versions import Versions

    return Versions(settings.directorio_estado).in_force(settings.embedding_model)


def tell_registry(settings: Settings, calibration: "Calibration", path: Path) -> str | None:
    """For whoever has recalibrated: a run and a version in MLflow of what stands in `path`; the line to show.

    None where MLflow is not used. One that is away is waited for a minute at most, and the line says what to do.
    """
    from observabilidad.mlflow_server import in_use

    if not in_use(settings):
        return None
    from finetune.model_registry import file_of, told

    return told(settings, file_of(calibration), "recalibración", path)


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
    closed_rows: Mapping[str, str | None] = field(default_factory=dict)
    """Closed incident -> the description of its row, None where no row is its; of the demo desk only."""


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
        expected, closed = (_demo_expected(), _demo_closed()) if not settings.mock_gestor_url else ({}, {})
        retrying = retry_policy(settings.http_reintentos)
        urls = (settings.mock_gestor_url or demo_url, settings.mock_sistema_url or demo_url)
        clients = [await stack.enter_async_context(open_client(url, settings.http_timeout)) for url in urls if url]
        yield Outside(
            HttpIncidentDesk(clients[0], retrying), HttpSystem(clients[1], retrying), expected, demo_url, closed
        )


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


def _demo_closed() -> dict[str, str | None]:
    from api.mocks import content

    return {code: e.row for code, e in content.expected_closed().items()}


@dataclass(frozen=True)
class Works:
    """A pipeline ready to work, with what the door needs beside it."""

    work: "Work"
    """One incident from desk to result, traced where that is asked for."""
    outside: Outside
    hands: int
    """Incidents that may be in hand at a time."""
    facts: Callable[[], dict[str, Any]]
    """Facts of the run for its report, asked for at its end."""
    executor: "Executor"
    guard: "Guard"
    entries: "Mapping[str, KnownEntry]"
    """The rows that are searched, by id."""
    calibration: "Calibration"


@asynccontextmanager
async def open_pipeline(
    settings: Settings,
    *,
    simulate: bool,
    hands: int | None = None,
    as_opened: bool = False,
    evidence: "Evidence | None" = None,
) -> AsyncIterator[Works]:
    """Everything for working the queue. Raises `UsageError` or `DependencyError` with what to do.

    `as_opened`: the incidents are as they were when they were opened, and decided as if nothing had been since;
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
    calibration = open_calibration(settings)
    embedder = open_embedder(settings)
    async with AsyncExitStack() as stack:
        traced = stack.enter_context(_tracing(settings))
        ledger = stack.enter_context(open_ledger(open_database(settings)))
        knowledge = stack.enter_context(open_knowledge(settings, embedder))
        searcher = Searcher(knowledge, embedder, settings.query_limit_vectordb)
        outside = await stack.enter_async_context(open_desk(settings))
        tasks = await stack.enter_async_context(open_tasks(settings))
        journaled = JournaledTasks(tasks, scrub)
        thresholds = open_thresholds(settings, ledger, searcher.entries.values(), tasks.model_name)
        loop = CriticLoop(
            searcher,
            journaled,
            calibration,
            Limits(
                thresholds.default, settings.max_retries_critic, settings.candidatos_juicio, by_kind=thresholds.by_kind
            ),
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
        components = frozenset(row.component for row in searcher.entries.values())
        rules = Rules(settings.etiqueta, settings.limite_texto, simulate, policy, components, as_opened)
        resources = settings.directorio_recursos
        originals = Originals(resources / CATALOGUE, resources / FIXES, scrub)
        background = open_background(settings, knowledge, embedder) or (lambda text: ())
        pipeline = Pipeline(
            loop,
            executor,
            knowledge,
            attachments,
            PersonalData(),
            rules,
            originals.whole,
            background,
            evidence or no_evidence,
        )

        def facts() -> dict[str, Any]:
            return {
                "modelo": tasks.model_name,
                "umbral": thresholds.default,
                "riesgo": thresholds.facts(),
                "registros_perdidos": tasks.lost_records,
            }

        hands = settings.concurrencia or tasks.concurrency
        yield Works(traced(pipeline.work), outside, hands, facts, executor, guard, searcher.entries, calibration)


@contextmanager
def _tracing(settings: Settings) -> "Iterator[Callable[[Work], Work]]":
    """With `TRAZAS_MLFLOW=si`, one trace per incident goes to MLflow; at the end a bounded wait for the last ones."""
    if settings.trazas_mlflow == "no":
        yield lambda work: work
        return
    from core.incident_trace import traced
    from observabilidad.traces import open_traces

    sender = open_traces(settings)
    try:
        yield lambda work: traced(work, sender.record)
    finally:
        sender.close()
