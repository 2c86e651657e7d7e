"""What `python main.py --simular --historico` does once its arguments are read."""

import argparse
import asyncio
import json
import sys
from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from datetime import datetime

from rich.console import Console

from config import Settings
from core.build import Works, open_database, open_pipeline
from core.closed import Period
from core.errors import UsageError
from core.examples import example_text
from core.incident import Incident
from core.ledger import KnownRows, known_rows
from core.privacy import PersonalData, scrub
from core.replay import Cases, Choice, Replayed, choose, replay
from core.replay_kept import FILE, Unfinished, hashed
from core.replay_report import ReplayRun, Told, write_replay
from core.replay_screen import show_replay
from core.report import Result
from core.run import new_run_id
from core.session import alone, program_version, stopping
from core.terminal import progress_bar
from core.trace import tracing

_MOST_TOLD = 300
"""Characters of a note that the report shows."""


async def replay_closed(settings: Settings, options: argparse.Namespace) -> int:
    """0, or 1 when some incident failed. Raises `UsageError`, `DependencyError` or the desk's `StageError`."""
    shared = open_database(settings).served and settings.vector_db_url and settings.mock_gestor_url
    started = datetime.now().astimezone()
    run_id, stop = new_run_id(), asyncio.Event()
    with nullcontext() if shared else alone(settings), progress_bar() as bar:
        async with open_pipeline(settings, simulate=True, hands=options.concurrencia, as_opened=True) as works:
            personal = PersonalData()
            listing = await works.outside.desk.list_closed()
            period = Period.of_months(options.meses, started)
            cases = await asyncio.to_thread(_chosen, listing.incidents, settings, options, works, personal, period)
            unfinished = Unfinished(settings.directorio_estado / FILE, _basis(settings, works))
            kept = unfinished.known([case.opened for case in cases.cases])
            step = (lambda done, total: bar("Incidencias", done, total)) if bar else None
            with stopping(stop), tracing(run=run_id):
                replayed = await replay(
                    cases.cases,
                    works.work,
                    hands=works.hands,
                    stop=stop,
                    kept=kept,
                    keep=unfinished.keep,
                    progress=step,
                )
            run = ReplayRun(
                run_id,
                program_version(),
                started,
                options.meses,
                period.start,
                len(listing.incidents) + len(listing.invalid),
                len(cases.cases) - len(replayed),
                works.facts() | {"retomadas": len(kept)},
            )
    content, path = write_replay(
        replayed, cases, run, settings.directorio_recursos / "reportes", lambda item: _told(item, personal)
    )
    if not run.left:
        unfinished.forget()
    show_replay(content, path, Console(stderr=options.json, soft_wrap=False))
    if options.json:
        sys.stdout.write(json.dumps(content, ensure_ascii=False) + "\n")
    return int(any(item.result.resultado is Result.ERROR for item in replayed))


def _chosen(
    incidents: Iterable[Incident],
    settings: Settings,
    options: argparse.Namespace,
    works: Works,
    personal: PersonalData,
    period: Period,
) -> Cases:
    """Raises `UsageError` when the desk has no closed incident with the code asked for."""
    choice = Choice(
        period=period,
        tag=settings.etiqueta,
        mailbox=options.buzon,
        limit=options.limite,
        code=options.incidencia,
        known=_known(works),
        examples=frozenset(text for entry in works.entries.values() for text in entry.examples),
        example_of=lambda opened: scrub(example_text(opened, personal)),
    )
    cases = choose(incidents, choice)
    if options.incidencia and not cases.cases:
        why = f": {cases.skipped[0][1].text}" if cases.skipped else " (¿está cerrada?)"
        raise UsageError(f"No se puede comparar la incidencia «{options.incidencia}»{why}.")
    return cases


def _known(works: Works) -> Mapping[str, KnownRows]:
    """What the demo says of its own, and over it what people and the desk have said."""
    ids = {entry.description: entry_id for entry_id, entry in works.entries.items()}
    demo = {
        code: KnownRows(right=frozenset({ids[row]} if row in ids else ()), complete=True)
        for code, row in works.outside.closed_rows.items()
    }
    return demo | known_rows(works.guard.ledger.outcomes())


def _basis(settings: Settings, works: Works) -> str:
    """Over what decides: settings, policy, calibration, rows, facts of the run (its model among them), this program."""
    decides = settings.model_dump_json(
        include={
            "embedding_model",
            "query_limit_vectordb",
            "critic_approval_threshold",
            "max_retries_critic",
            "candidatos_juicio",
            "limite_texto",
            "limite_adjunto_mb",
            "etiqueta",
        }
    )
    rows = "\n".join(sorted(entry.content_hash for entry in works.entries.values()))
    calibration = works.calibration.model_dump_json()
    facts = json.dumps(works.facts(), sort_keys=True)
    return hashed(decides, works.guard.policy.model_dump_json(), calibration, rows, facts, program_version())


def _told(item: Replayed, personal: PersonalData) -> Told:
    """The texts of a disagreement, without personal data."""
    redacted = personal.redact_incident(item.case.closed)
    at = item.case.ending.resolution if item.case.ending else None
    note = redacted.history[at].notes if at is not None else ""
    return Told((redacted.title or redacted.description)[:_MOST_TOLD], " ".join(note.split())[:_MOST_TOLD])
