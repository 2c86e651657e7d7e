"""Ledger, queue, model calls and rejections of an incident as events."""

import csv
import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Protocol

from core.errors import DependencyError
from core.ledger import UNDO, LabelledOutcome, Phase, Record
from core.past_work import PastWork
from core.reason import Reason
from core.report import IncidentResult
from core.story.event import Event, Fact, Source
from core.story.log import Described

PHASES = {
    Phase.INTENDED: "anotada; no se envió, o no llegó",
    Phase.SENT: "enviada; aún no se sabe si tuvo efecto",
    Phase.CONFIRMED: "confirmada por la mesa",
    Phase.REFUSED: "la mesa no la aceptó, o no llegó: nada cambió",
    Phase.UNKNOWN: "enviada; no se sabe si tuvo efecto",
    Phase.PROPOSED: "espera a que una persona la apruebe",
    Phase.REJECTED: "rechazada por una persona",
    Phase.UNDONE: "hecha, y deshecha después",
}
_STATES = {"SUCCESS": "terminada", "ENQUEUED": "espera su turno", "PENDING": "en curso", "DELAYED": "espera su turno"}


class ModelCall(Protocol):
    """What is told of a model call (`llm.history.reading.PastCall`)."""

    @property
    def time(self) -> str: ...
    @property
    def task(self) -> str: ...
    @property
    def model(self) -> str: ...
    @property
    def prompt(self) -> str: ...
    @property
    def tokens_in(self) -> int: ...
    @property
    def tokens_out(self) -> int: ...
    @property
    def ms(self) -> float: ...
    @property
    def run(self) -> str: ...
    @property
    def error(self) -> str | None: ...
    @property
    def repair(self) -> bool: ...
    @property
    def logit(self) -> float | None: ...


def ledger_events(records: Sequence[Record], outcomes: Sequence[LabelledOutcome], described: Described) -> list[Event]:
    """Decisions, what was sent of them, and what turned out."""
    events = [event for record in records for event in _of_record(record, described)]
    for outcome in outcomes:
        facts = _kept(decisión=outcome.decision, motivo=outcome.reason)
        said_by = "la mesa" if outcome.who == "mesa" else "una persona"  # people's names are nobody's business here
        events.append(_ledger(outcome.said, f"Desenlace: {outcome.label.value}, según {said_by}", "", facts))
    return events


def _of_record(record: Record, described: Described) -> list[Event]:
    kind = "deshacer una decisión" if record.kind == UNDO else record.kind
    try:
        evidence = json.loads(record.evidence)
    except ValueError:
        evidence = {}
    others = evidence.pop("otras", [])
    facts = _kept(
        decisión=record.id,
        fase=PHASES[record.phase],
        destino=record.target,
        fila=described(record.entry) if record.entry else None,
        aprobación=record.approval,
        autonomía=record.autonomy,
        motivo=_reason(record.reason),
        señales=", ".join(f"{name} {value}" for name, value in evidence.items()),
        otras="; ".join(described(str(other)) for other in others),
    )
    events = [_ledger(record.created, f"Decisión: {kind}", record.run, facts)]
    if record.sent_at:
        events.append(_ledger(record.sent_at, "Se envía el cambio a la mesa", record.run, {"decisión": record.id}))
    if record.closed_at:
        events.append(_ledger(record.closed_at, "Cierre confirmado", record.run, {"decisión": record.id}))
    return events


def _ledger(when: str, what: str, run: str, facts: dict[str, Fact]) -> Event:
    return Event(hora=_at(when), fuente=Source.LEDGER, que=what, ejecucion=run, datos=facts)


def queue_events(works: Sequence[PastWork], *, with_ends: bool, with_steps: bool) -> list[Event]:
    """`with_ends`, `with_steps`: where the log no longer tells of them."""
    events = []
    for work in works:
        state = _STATES.get(work.status, f"interrumpida ({work.status})")
        queued = _kept(estado=state)
        events.append(Event(hora=work.queued, fuente=Source.QUEUE, que="Entra en la cola", datos=queued))
        if with_steps:
            events += [
                Event(
                    hora=step.started, fuente=Source.QUEUE, que=f"Paso: {step.name}", datos=_kept(segundos=step.seconds)
                )
                for step in work.steps
            ]
        if with_ends and work.output:
            result = IncidentResult.model_validate(work.output["resultado"])
            events.append(Event(hora=work.updated, fuente=Source.QUEUE, que="Terminada", datos=_ended(result)))
    return events


def _ended(result: IncidentResult) -> dict[str, Fact]:
    return _kept(
        resultado=result.resultado.value,
        acción=result.tipo,
        motivo=result.motivo.text,
        fila=result.descripcion_fila,
        aprobación=result.aprobacion,
        crítico=result.estado_critico,
        decisión=result.decision,
        segundos=result.segundos,
    )


def call_events(calls: Sequence[ModelCall]) -> list[Event]:
    """One per call, at its beginning."""
    return [
        Event(
            hora=_at(call.time),
            fuente=Source.MODEL,
            que=f"Llamada al modelo: {call.task}" + (" (segundo intento)" if call.repair else ""),
            ejecucion=call.run,
            datos=_kept(
                modelo=call.model,
                prompt=call.prompt,
                tokens=f"{call.tokens_in} + {call.tokens_out}",
                ms=round(call.ms),
                juicio=None if call.logit is None else round(call.logit, 3),
                error=_reason(call.error),
            ),
        )
        for call in calls
    ]


def rejection_events(folder: Path, code: str) -> list[Event]:
    """From every `rejected….csv`. Raises `DependencyError` for one that cannot be read."""
    events = []
    for path in sorted(folder.glob("rejected*.csv")):
        try:
            with path.open(encoding="utf-8", newline="") as stream:
                rows = [row for row in csv.DictReader(stream) if row.get("INCIDENCIA") == code]
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise DependencyError(f"{path} no se puede leer: {error}.") from error
        events += [_rejection(row) for row in rows]
    return events


def _rejection(row: dict[str, str]) -> Event:
    return Event(
        hora=_at(row["FECHA"]),
        fuente=Source.REJECTIONS,
        que="Lo que dice el crítico",
        ejecucion=row.get("EJECUCION", ""),
        datos=_kept(
            intento=row.get("INTENTO"),
            fila=row.get("DESCRIPCION"),
            aprobación=f"{row.get('APROBACION')} de {row.get('UMBRAL')}",
            motivo=_reason(row.get("MOTIVO")),
            crítica=row.get("CRITICA"),
            enfoque=row.get("ENFOQUE RECOMENDADO"),
        ),
    )


def _at(text: str) -> datetime:
    when = datetime.fromisoformat(text)
    return when if when.tzinfo else when.astimezone()


def _reason(code: str | None) -> str | None:
    """In words, where it is one of ours."""
    return Reason[code].text if code is not None and code in Reason.__members__ else code


def _kept(**facts: Fact | None) -> dict[str, Fact]:
    return {name: value for name, value in facts.items() if value not in (None, "")}
