"""What the queue does with one item: find the incident again as it was queued, work it, keep what came of it."""

import logging
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from core.decision import Decision, decision_id
from core.errors import StageError
from core.incident import HistoryEntry, Incident
from core.marks import read_marks
from core.policy import priority
from core.ports import IncidentDesk
from core.reason import Reason
from core.records import Item
from core.rejected import rejected_rows
from core.report import FAULTS, IncidentResult, Result
from core.steps import Json, Steps, journalling
from core.trace import tracing
from core.usage import metering

logger = logging.getLogger(__name__)

MOST_BEGINNINGS = 3
"""An incident that was in hand at so many deaths of its process goes to a person."""
MOST_PROBLEM = 80
"""Characters of a row's description in the log: enough to know it by."""
_LEVEL = 100_000_000
"""More minutes than any incident is old."""

WorkIncident = Callable[[Incident], Awaitable[tuple[IncidentResult, Decision]]]


def state_id(incident: Incident, tag: str) -> str:
    """The incident's code and a hash of its content and history, our own notes left out."""
    return f"{incident.code}-{incident.fingerprint(without=tag.strip())[:16]}"


def as_item(incident: Incident, tag: str) -> Item:
    """What is queued of it: no text."""
    level, opened, _ = priority(incident)
    return Item(
        state_id(incident, tag), incident.code, incident.status, incident.mailbox, 1 + level * _LEVEL + _minutes(opened)
    )


def _minutes(opened: str) -> int:
    """Minutes from 2000 to an ISO date; 0, the oldest, for what is none."""
    try:
        when = datetime.fromisoformat(opened)
    except ValueError:
        return 0
    since = when.replace(tzinfo=None) - datetime(2000, 1, 1)  # noqa: DTZ001 - only compared with each other
    return min(max(0, int(since.total_seconds() // 60)), _LEVEL - 1)


class QueuedWork:
    """`core.queue.Work` over a pipeline. Its result is `{"resultado": …, "rechazos": […]}`, without incident text."""

    def __init__(
        self,
        desk: IncidentDesk,
        work: WorkIncident,
        *,
        tag: str,
        run: str,
        scrub: Callable[[str], str],
    ) -> None:
        self._desk = desk
        self._work = work
        self._tag = tag
        self._run = run
        self._scrub = scrub

    async def __call__(self, item: Item, steps: Steps, begun: int) -> Json:
        """`begun`: how often its work was begun, this time included."""
        with tracing(run=self._run, incident=item.code), metering() as usage:
            try:
                result, decision = await self._worked(item, steps, begun)
            except StageError as error:
                result, decision = failed(item.code, error.reason, str(error)), None
            except Exception as error:  # the edge of one incident, for what lies outside the pipeline's
                logger.exception("fallo inesperado", extra={"action": "internal_error"})
                result, decision = failed(item.code, Reason.INTERNAL_ERROR, type(error).__name__), None
            # The pipeline's, and those of the reading before it.
            result = result.model_copy(update={"errores_api": usage.errors})
            logger.info("incidencia terminada", extra={"action": "incident_done", **facts(result)})
            rows = rejected_rows(self._run, result, decision) if decision else []
            kept = result.model_dump(mode="json", exclude_defaults=True)
            return {"resultado": kept | {"detalle": self._scrub(result.detalle)}, "rechazos": rows}

    async def _worked(self, item: Item, steps: Steps, begun: int) -> tuple[IncidentResult, Decision | None]:
        if begun > MOST_BEGINNINGS:
            logger.error("incidencia que tumba el proceso", extra={"action": "gave_up", "begun": begun})
            return failed(item.code, Reason.REPEATED_CRASH), None
        incident = self._as_queued(await self._desk.read(item.code), item, again=begun > 1)
        if incident is None:
            return failed(item.code, Reason.TOUCHED_MEANWHILE), None
        with journalling(steps):
            return await self._work(incident)

    def _as_queued(self, now: Incident, item: Item, *, again: bool) -> Incident | None:
        """The incident in the state that was queued; None where somebody changed it since: that is another item.

        It may show our own change, made before a stop or a crash: state, mailbox and history are put back to what they
        were, or it would pass for tried before; the executor finds the decision's mark at the desk. A stop's beginning
        is not counted, so the mark of an action decided on the state that was queued tells it as well as `again`.
        """
        if read_marks(now, self._tag):
            before = now.model_copy(update={"status": item.status, "mailbox": item.mailbox})
            if state_id(before, self._tag) == item.id:
                history = tuple(entry for entry in now.history if not self._is_of(before, entry))
                moved = (now.status, now.mailbox) != (item.status, item.mailbox)
                if again or (moved and len(history) < len(now.history)):
                    return before.model_copy(update={"history": history})
        return now if state_id(now, self._tag) == item.id else None

    def _is_of(self, state: Incident, entry: HistoryEntry) -> bool:
        """Whether the entry is our mark of an action decided on this very state."""
        marks = read_marks(state.model_copy(update={"history": (entry,)}), self._tag)
        return any(m.entry_id and m.decision == decision_id(state, self._tag, m.entry_id) for m in marks)


def failed(code: str, reason: Reason, detail: str = "") -> IncidentResult:
    """The result of an incident that the pipeline did not get to."""
    return IncidentResult(
        codIncidencia=code,
        resultado=Result.ERROR if reason in FAULTS else Result.HUMAN,
        tipo="manual",
        motivo=reason,
        detalle=detail[:300],
    )


def facts(result: IncidentResult) -> dict[str, Any]:
    """What the log says of an incident's end: flat, so that a query needs no parser for it.

    No text of the incident; `problem` is the catalogue row's description, cut.
    """
    return {
        "incident": result.codIncidencia,
        "result": result.resultado.value,
        "kind": result.tipo,
        "reason": result.motivo.value,
        "approval": result.aprobacion,
        "critic": result.estado_critico,
        "row": result.fila,
        "problem": (result.descripcion_fila or "")[:MOST_PROBLEM] or None,
        "target": result.buzon_destino,
        "confirmed": result.confirmada,
        "decision": result.decision,
        "candidates": len(result.candidatos),
        "calls": result.llamadas_llm,
        "judgements": result.juicios,
        "tokens_in": result.tokens_entrada,
        "tokens_out": result.tokens_salida,
        "ms": round(result.segundos * 1000),
        **{f"{stage}_ms": round(seconds * 1000) for stage, seconds in result.etapas.items()},
    }
