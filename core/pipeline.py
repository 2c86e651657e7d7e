"""One incident from desk to decision to action, stage by stage."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import assert_never

from pydantic import TypeAdapter

from core.actions import CallSystem, Close, DeskAction, LeaveToHuman, Reassign, Wait
from core.attachments import AttachmentReader, place_texts
from core.catalogue import CatalogueEntry
from core.closed import read_date
from core.critic_loop import CriticLoop, Status, Verdict
from core.decision import Decision, Evidence, action_for, decision_id, no_evidence
from core.errors import DependencyError, StageError
from core.execute import Executor
from core.hostile import gives_orders
from core.incident import Incident
from core.knowledge import KnowledgeBase, KnownEntry
from core.marks import Mark, our_text, read_marks, was_tried
from core.outcome import Outcome
from core.policy import Policy
from core.preconditions import FREE, Facts, Preconditions, Ruling
from core.privacy import PersonalData, strip_identifiers
from core.reason import Reason
from core.report import FAULTS, IncidentResult, Result
from core.steps import Json, current_steps
from core.trace import stage, timing, tracing
from core.usage import metering

logger = logging.getLogger(__name__)


Whole = Callable[[KnownEntry], KnownEntry]
"""A row with its solution as the catalogue's file has it, where it was stored without personal data."""

Background = Callable[[str], Sequence[str]]
"""Lines that may help the person who takes an incident, from its text without personal data."""


@dataclass(frozen=True)
class Rules:
    """What the operator set for the whole run."""

    tag: str
    text_limit: int
    simulate: bool = False
    policy: Policy = Policy()  # noqa: RUF009 - frozen
    components: frozenset[str] = frozenset()
    """Those that the catalogue knows."""
    as_opened: bool = False
    """The incidents are as they were when they were opened: what was decided on them since does not count."""


class Pipeline:
    """Works one incident at a time per call; safe to share among tasks. Nothing it is given can stop the run."""

    def __init__(
        self,
        loop: CriticLoop,
        executor: Executor,
        knowledge: KnowledgeBase,
        attachments: AttachmentReader,
        personal: PersonalData,
        rules: Rules,
        whole: Whole = lambda entry: entry,
        background: Background = lambda text: (),
        evidence: Evidence = no_evidence,
    ) -> None:
        self._loop = loop
        self._executor = executor
        self._knowledge = knowledge
        self._attachments = attachments
        self._personal = personal
        self._rules = rules
        self._preconditions = Preconditions(rules.policy, rules.tag, rules.text_limit, rules.components)
        self._whole = whole
        self._background = background
        self._evidence = evidence

    async def work(self, incident: Incident) -> tuple[IncidentResult, Decision]:
        """Decide and act. Never raises but on cancellation: every fault is a result with its reason code."""
        start = time.perf_counter()
        with tracing(incident=incident.code), timing() as seconds, metering() as usage:
            decision, outcome = await self._guarded(incident)
        result = _result(incident, decision, outcome, simulate=self._rules.simulate).model_copy(
            update={
                "llamadas_llm": usage.generative,
                "juicios": usage.judgements,
                "tokens_entrada": usage.input_tokens,
                "tokens_salida": usage.output_tokens,
                "segundos": round(time.perf_counter() - start, 3),
                "etapas": {name: round(value, 3) for name, value in seconds.items()},
                "errores_api": usage.errors,
            }
        )
        return result, decision

    async def _guarded(self, incident: Incident) -> tuple[Decision, Outcome]:
        """The edge of one incident: whatever fails inside ends here, as a reason code."""
        decision = self._undecided(incident, Reason.INTERNAL_ERROR)
        try:
            decision = await self._decide(incident)
            if _concerns_desk(decision):
                decision = replace(decision, evidence=await asyncio.to_thread(self._known_besides, incident))
            with tracing(decision=decision.id):
                if not _concerns_desk(decision):
                    return decision, Outcome(None, decision.reason)
                if self._rules.simulate:
                    return decision, self._executor.foresee(incident, decision)
                with stage("act"):
                    return decision, await self._act(incident, decision)
        except StageError as error:
            logger.warning(
                "etapa fallida", extra={"action": "stage_failed", "reason": error.reason, "error": str(error)}
            )
            outcome = Outcome(None, error.reason, str(error))
        except Exception as error:  # the one broad handler: this incident goes to a person, the run goes on
            logger.exception("fallo inesperado", extra={"action": "internal_error"})
            outcome = Outcome(None, Reason.INTERNAL_ERROR, type(error).__name__)
        failed = _failed(decision, outcome.reason)
        if not self._rules.simulate and outcome.reason not in _NO_NOTE:
            await self._executor.leave_note(incident, failed)
        return failed, outcome

    def _known_besides(self, incident: Incident) -> tuple[str, ...]:
        """For the person who may take it; whatever fails here costs nothing else."""
        try:
            return self._evidence(incident)
        except DependencyError as error:
            logger.warning("sin evidencia", extra={"action": "evidence_failed", "error": str(error)})
            return ()

    async def _act(self, incident: Incident, decision: Decision) -> Outcome:
        """A step of the journal: what it keeps is what was done and why, not what was written in the notes."""
        steps, fresh = current_steps(), list[Outcome]()

        async def run() -> Json:
            await steps.mine()
            outcome = await self._executor.carry_out(incident, decision)
            fresh.append(outcome)
            return _kept(outcome)

        kept = await steps.once("actuar", run)
        return fresh[0] if fresh else _outcome(kept)

    async def _decide(self, incident: Incident) -> Decision:
        ruling = self._preconditions.of_incident(incident)
        if ruling.stops:
            return self._left(incident, None, ruling.stops[0], None, ruling)
        if not self._rules.simulate:
            await self._executor.precedents.look_back(incident)
        with stage("attachments"):
            texts = await self._attachments.read_all(incident)
        with stage("intake"):
            marks = read_marks(incident, self._rules.tag)
            redacted = await asyncio.to_thread(
                self._personal.redact_incident, place_texts(_without_ours(incident, self._rules.tag), texts)
            )
            if gives_orders(redacted.text):
                return self._undecided(incident, Reason.SUSPICIOUS_TEXT)
            search_text = strip_identifiers(redacted.text)
            if not search_text.strip():
                return self._undecided(incident, Reason.EMPTY_TEXT)
        verdict = await self._loop.decide(
            redacted.text, search_text, lambda row: was_tried(row.id, row.solution, marks)
        )
        decision = await self._from_verdict(verdict, await self._facts(incident, marks, redacted.policies))
        return replace(decision, background=tuple(await asyncio.to_thread(self._background, search_text)))

    async def _facts(self, incident: Incident, marks: list[Mark], policies: tuple[str, ...]) -> Facts:
        now = datetime.now().astimezone()
        if self._rules.as_opened:
            return Facts(incident, read_date(incident.opened) or now, marks, policies)
        return Facts(incident, now, marks, policies, await self._executor.precedents.barred(incident.code))

    async def _from_verdict(self, verdict: Verdict, facts: Facts) -> Decision:
        """The catalogue's action for what was approved, from the row as it is now."""
        incident = facts.incident
        entry = verdict.proposal.candidate.entry if verdict.proposal else None
        if verdict.status is not Status.APPROVED or entry is None:
            return self._left(incident, verdict, verdict.reason, entry)
        now = await asyncio.to_thread(self._knowledge.get, entry.id)
        if now is None or now.content_hash != entry.content_hash:
            return self._left(incident, verdict, Reason.ENTRY_CHANGED, entry)
        row = await asyncio.to_thread(self._whole, now)
        ruling = self._preconditions.of_row(row, facts)
        if ruling.stops:
            return self._left(incident, verdict, ruling.stops[0], now, ruling)
        action = action_for(row, facts.policies, asked_before=facts.asked)
        reason = Reason.MISSING_POLICY if isinstance(action, Wait) and now.system else Reason.APPROVED
        return Decision(self._identity(incident, now.id), action, verdict, reason, now, ruling)

    def _undecided(self, incident: Incident, reason: Reason) -> Decision:
        return self._left(incident, None, reason, None)

    def _left(
        self,
        incident: Incident,
        verdict: Verdict | None,
        reason: Reason,
        entry: CatalogueEntry | None,
        ruling: Ruling = FREE,
    ) -> Decision:
        return Decision(self._identity(incident, None), LeaveToHuman(reason=reason), verdict, reason, entry, ruling)

    def _identity(self, incident: Incident, entry_id: str | None) -> str:
        return decision_id(incident, self._rules.tag, entry_id)


_DONE: TypeAdapter[DeskAction] = TypeAdapter(DeskAction)
_REASON = TypeAdapter(Reason)

_NO_NOTE = frozenset({Reason.TOUCHED_MEANWHILE, Reason.DESK_UNAVAILABLE, Reason.STATE_CHANGED})
"""A person has it already, or nobody would take the note."""


_NOT_OURS = frozenset(
    {Reason.NOT_OPEN, Reason.WAITING, Reason.WORKED_BY_PERSON, Reason.OTHER_MAILBOX, Reason.OPENED_BY_BOT}
)


def _failed(decision: Decision, reason: Reason) -> Decision:
    """The same decision, left to a person because a stage failed."""
    return replace(decision, action=LeaveToHuman(reason=reason), reason=reason)


def _kept(outcome: Outcome) -> Json:
    done = outcome.done
    mailbox = done.mailbox if isinstance(done, Reassign) else None
    facts = {"hecho": done.kind if done else None, "buzon": mailbox, "motivo": outcome.reason.value}
    return facts | {"propuesta": outcome.proposed}


def _outcome(kept: Json) -> Outcome:
    """What `_kept` wrote down, without its texts."""
    done = {"kind": kept["hecho"], "note": ""} | ({"mailbox": kept["buzon"]} if kept["buzon"] else {})
    return Outcome(
        _DONE.validate_python(done) if kept["hecho"] else None,
        _REASON.validate_python(kept["motivo"]),
        proposed=kept["propuesta"],
    )


def _concerns_desk(decision: Decision) -> bool:
    """Incidents that are not ours to touch do not even get a note."""
    return decision.reason not in _NOT_OURS


def _without_ours(incident: Incident, tag: str) -> Incident:
    """Our own notes are no evidence."""
    kept = tuple(entry for entry in incident.history if our_text(entry, tag) is None)
    return incident.model_copy(update={"history": kept})


def _result(incident: Incident, decision: Decision, outcome: Outcome, *, simulate: bool) -> IncidentResult:
    verdict, entry, action = decision.verdict, decision.entry, decision.action
    proposal = verdict.proposal if verdict else None
    would_act = simulate and not isinstance(action, LeaveToHuman) and outcome.reason is decision.reason
    if outcome.done or would_act:
        ending = Result.AUTOMATIC
    elif outcome.proposed:
        ending = Result.PROPOSED
    else:
        ending = Result.ERROR if outcome.reason in FAULTS else Result.HUMAN
    carried = outcome.done or (action if would_act or outcome.proposed else None)
    return IncidentResult(
        codIncidencia=incident.code,
        resultado=ending,
        tipo=_kind(carried, action, entry.kind if entry else ""),
        fila=entry.id if entry else None,
        descripcion_fila=entry.description if entry else None,
        buzon_destino=carried.mailbox if isinstance(carried, Reassign) else None,
        aprobacion=proposal.approval if proposal else None,
        estado_critico=verdict.status.value if verdict and verdict.status else None,
        motivo=outcome.reason,
        detalle=outcome.detail[:300],
        confirmada=outcome.done is not None,
        decision=decision.id,
        impedimentos=decision.ruling.reasons,
        evidencia=decision.evidence if ending is not Result.AUTOMATIC else (),
        candidatos=tuple(c.entry.description for c in verdict.candidates) if verdict else (),
        documentos=decision.background if ending is not Result.AUTOMATIC else (),
    )


def _kind(
    carried: Close | Wait | Reassign | CallSystem | LeaveToHuman | None,
    decided: Close | Wait | Reassign | CallSystem | LeaveToHuman,
    row_kind: str,
) -> str:
    """What was done, in the catalogue's words; `api|<sistema>` where a system was asked what to do."""
    if carried is None or isinstance(carried, LeaveToHuman):
        return "manual"
    if isinstance(decided, CallSystem):
        return row_kind
    match carried:
        case Close() | Wait() | Reassign():
            return carried.kind
        case CallSystem():
            return row_kind
        case _:
            assert_never(carried)
