"""What `python batch_mantenimiento_globales.py` does once its arguments are read: open the parts, work, write."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from config import Settings
from core.batch import CATALOGUE, fixes_beside
from core.calls.evidence_session import call_rows
from core.closed import Period
from core.maintenance import Miner
from core.maintenance_report import Written, write_mined
from core.merge import Applied, apply_merge, plan_merge
from core.ports import IncidentDesk
from core.terminal import progress_bar
from core.trace import tracing
from core.usage import metering


@dataclass(frozen=True)
class Maintenance:
    """The miner and the desk it reads."""

    miner: Miner
    desk: IncidentDesk


@asynccontextmanager
async def open_maintenance(settings: Settings) -> AsyncIterator[Maintenance]:
    """Everything for mining, the knowledge base first. Raises `UsageError` or `DependencyError` with what to do.

    The loop asks only once and from a low approval on: other words would find more candidates, but the evidence is
    always that of the incident's own words, and whatever is not clearly new must have been judged.
    """
    from core.build import open_desk, open_embedder, open_knowledge, open_tasks
    from core.critic_loop import CriticLoop
    from core.critic_loop import Limits as LoopLimits
    from core.judgement.versions import Versions
    from core.new_problems import NEW_BELOW, RELATED, SAME_PROBLEM, Limits
    from core.privacy import PersonalData
    from core.proposed_row import Known
    from core.search import Searcher

    embedder, threshold = open_embedder(settings), settings.critic_approval_threshold
    new_below = min(NEW_BELOW, threshold)
    calibration = Versions(settings.directorio_estado).in_force(settings.embedding_model)
    async with AsyncExitStack() as stack:
        knowledge = stack.enter_context(open_knowledge(settings, embedder))
        searcher = await asyncio.to_thread(Searcher, knowledge, embedder, settings.query_limit_vectordb)
        outside = await stack.enter_async_context(open_desk(settings))
        tasks = await stack.enter_async_context(open_tasks(settings))
        loop = CriticLoop(searcher, tasks, calibration, LoopLimits(new_below, 0, settings.candidatos_juicio))
        miner = Miner(
            personal=PersonalData(),
            knows=loop.decide,
            suggest=tasks.suggest,
            embedder=embedder,
            known=Known.of(searcher.entries.values()),
            limits=Limits(
                threshold,
                new_below,
                SAME_PROBLEM[settings.embedding_model],
                settings.limite_texto,
                RELATED[settings.embedding_model],
            ),
            tag=settings.etiqueta,
            hands=settings.concurrencia or tasks.concurrency,
            trusts_model=tasks.capabilities.writes_verdicts,
        )
        yield Maintenance(miner, outside.desk)


async def mine_closed(settings: Settings, months: int) -> Written:
    """Propose rows from what was closed in the last `months`. Raises the desk's `StageError` too."""
    now = datetime.now().astimezone()
    run = f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
    async with open_maintenance(settings) as maintenance:
        with tracing(run=run), metering() as usage, progress_bar() as progress:
            listing = await maintenance.desk.list_closed()
            mined = await maintenance.miner.mine(listing, Period.of_months(months, now), progress)
            mined = replace(mined, proposals=(*mined.proposals, *call_rows(settings, maintenance.miner.known)))
    return write_mined(mined, settings.directorio_recursos, usage, run=run)


def apply_reviewed(settings: Settings, reviewed: Path) -> Applied:
    """Merge the reviewed rows into the catalogue and update the knowledge base."""
    from core.build import open_knowledge

    resources = settings.directorio_recursos
    merge = plan_merge(reviewed, resources / CATALOGUE, fixes_beside(resources))
    with open_knowledge(settings) as knowledge, progress_bar() as progress:
        return apply_merge(
            merge,
            knowledge,
            copies=settings.directorio_estado / "copias",
            reports=resources / "reportes",
            now=datetime.now().astimezone(),
            progress=progress,
        )
