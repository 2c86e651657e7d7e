"""The story put together from all that keeps something of an incident, and shown."""

import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from rich.console import Console

from config import Settings
from core.build import model_calls, open_database, recorded
from core.errors import DependencyError, UsageError
from core.ledger import LabelledOutcome, Record, open_ledger
from core.past_work import PastWork, past_work
from core.story.event import Event, Source, Story
from core.story.log import Described, Line, log_events
from core.story.screen import show
from core.story.sources import PHASES, call_events, ledger_events, queue_events, rejection_events

if TYPE_CHECKING:
    from core.database import Database

_LONGEST_ROW = 70
_TOLD_BETTER = {Source.MODEL: {"model_called", "model_failed"}, Source.LEDGER: {"outcome"}}
"""Actions of the log that another source, where it has something, tells more of."""


def tell(settings: Settings, code: str, *, as_json: bool) -> int:
    """Print it. Raises `UsageError` where nothing is known of `code`."""
    story = gather(settings, code)
    if as_json:
        sys.stdout.write(story.model_dump_json(indent=2) + "\n")
    else:
        show(story, Console())
    return 0


def gather(settings: Settings, code: str) -> Story:
    """All that is known. What cannot be read is among `avisos`; raises `UsageError` where there is nothing at all."""
    told: list[str] = []

    def tried(source: str, read: Callable[[], list[Event]]) -> list[Event]:
        try:
            return read()
        except DependencyError as error:
            told.append(f"{source}: {error}")
            return []

    database, described = open_database(settings), _described(settings)
    records, outcomes, works, lines = list[Record](), list[LabelledOutcome](), list[PastWork](), list[Line]()

    def decided() -> list[Event]:
        records[:], outcomes[:] = _decisions(database, code)
        return ledger_events(records, outcomes, described)

    def queued() -> list[Event]:
        works[:] = _works(database, code)
        ended = any(line.get("action") == "incident_done" for line in lines)
        return queue_events(works, with_ends=not ended, with_steps=not lines)

    def logged() -> list[Event]:
        lines[:] = recorded(settings, code)
        return []

    tried("El registro", logged)
    events = {
        Source.MODEL: tried("El histórico", lambda: call_events(model_calls(settings, code))),
        Source.LEDGER: tried("Las decisiones", decided),
        Source.QUEUE: tried("La cola", queued),
        Source.REJECTIONS: tried(
            "Los rechazos", lambda: rejection_events(settings.directorio_recursos / "rejected", code)
        ),
    }
    without = {action for source, actions in _TOLD_BETTER.items() if events[source] for action in actions}
    found = [event for some in events.values() for event in some] + log_events(lines, described, without=without)
    if not found:
        raise UsageError(_nothing(settings, code, told))
    return Story(
        codIncidencia=code,
        situacion=tuple(_situation(lines, records, outcomes, works)),
        avisos=(*told, *_missing(lines)),
        eventos=tuple(sorted(found, key=_place)),
    )


def _place(event: Event) -> tuple[datetime, int, datetime]:
    """Ledger and rejections tell the second only: within it, what is decided comes before what came of it."""
    what = {"La mesa confirma el cambio": 2, "Cambio sin confirmar": 2, "Terminada": 3}
    by_source = {Source.LEDGER: 1, Source.REJECTIONS: 4}
    rank = what.get(event.que, 0) or by_source.get(event.fuente, 0)
    return event.hora.replace(microsecond=0), rank, event.hora


def _decisions(database: "Database", code: str) -> tuple[list[Record], list[LabelledOutcome]]:
    if not database.served and not database.file("decisiones").exists():
        return [], []
    with open_ledger(database) as ledger:
        return ledger.of_incident(code), ledger.outcomes(incident=code)


def _works(database: "Database", code: str) -> list[PastWork]:
    from core.queue import open_past

    with open_past(database) as client:
        return past_work(client, code) if client else []


def _described(settings: Settings) -> Described:
    from core.batch import CATALOGUE, FIXES
    from core.originals import Originals
    from core.privacy import scrub

    resources = settings.directorio_recursos
    originals = Originals(resources / CATALOGUE, resources / FIXES, scrub)

    def described(identity: str) -> str:
        row = originals.row(identity)
        if row is None:
            return identity
        text = scrub(row.description)
        return text if len(text) <= _LONGEST_ROW else text[: _LONGEST_ROW - 1] + "…"

    return described


def _situation(
    lines: Sequence[Line], records: Sequence[Record], outcomes: Sequence[LabelledOutcome], works: Sequence[PastWork]
) -> list[str]:
    told = []
    ended = [event for event in log_events(lines, str) if event.que == "Terminada"]
    ended += queue_events(works, with_ends=not ended, with_steps=False)
    if results := [event.datos for event in ended if "resultado" in event.datos]:
        last = results[-1]
        approval = f", aprobación {last['aprobación']}" if "aprobación" in last else ""
        told.append(f"Resultado: {last['resultado']} ({last.get('motivo', '')}{approval})")
    if records:
        told.append(f"Última decisión: {records[-1].kind} ({records[-1].id}), {PHASES[records[-1].phase]}")
    if outcomes:
        told.append(f"Desenlace: {outcomes[-1].label.value}")
    if works and works[-1].status != "SUCCESS":
        told.append(
            "En la cola: " + str(queue_events(works[-1:], with_ends=False, with_steps=False)[0].datos["estado"])
        )
    return told


def _missing(lines: Sequence[Line]) -> list[str]:
    if lines:
        return []
    return ["El registro de esta máquina no tiene líneas suyas: se trabajó en otra, o ya se han descartado."]


def _nothing(settings: Settings, code: str, told: Sequence[str]) -> str:
    where = f"{settings.directorio_estado} y {settings.directorio_recursos}"
    unread = "".join(f"\n  {line}" for line in told)
    return (
        f"No se sabe nada de la incidencia «{code}» en {where}. Compruebe el código, que no se haya trabajado con otro "
        f"DIRECTORIO_ESTADO, y que no sea más antigua que RETENCION_DIAS.{unread}"
    )
