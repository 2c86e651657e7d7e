"""What was decided for an incident, and the action that follows from the catalogue row."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from core.actions import Action, CallSystem, Close, LeaveToHuman, Reassign, Wait
from core.catalogue import CatalogueEntry, Resolution
from core.critic_loop import Verdict
from core.errors import Terminal
from core.incident import Incident
from core.ports import SystemAnswer
from core.preconditions import FREE, Ruling, lacking
from core.reason import Reason

ASK_FOR_POLICY = (
    "Para poder revisar su caso necesitamos el número de póliza. Por favor, respóndanos indicándolo y retomaremos la "
    "gestión en cuanto lo recibamos."
)


@dataclass(frozen=True)
class Decision:
    """One decision on one state of one incident. `id` is the same however often that state is decided so."""

    id: str
    action: Action
    verdict: Verdict | None
    reason: Reason
    entry: CatalogueEntry | None = None
    """The row the action comes from, or the best one found for a person to look at."""
    ruling: Ruling = FREE
    """Whether it may be done now, by what code knows."""
    background: tuple[str, ...] = ()
    """What else may help the person who takes it, a line each. No action comes from it."""
    evidence: tuple[str, ...] = ()
    """What else a person should know; no action ever follows from it."""


Evidence = Callable[[Incident], tuple[str, ...]]
"""What is known besides about an incident, in sentences without personal data."""


def no_evidence(incident: Incident) -> tuple[str, ...]:
    """Where nothing else is known."""
    return ()


def decision_id(incident: Incident, tag: str, entry_id: str | None) -> str:
    """`d-` and 12 hex digits, the same over our own notes (those with `tag`).

    Without a row it is the id of a note left for a person, which must not pass for the mark of a row's action later.
    """
    fingerprint = incident.fingerprint(without=tag.strip())
    return "d-" + hashlib.sha256(f"{incident.code}\n{fingerprint}\n{entry_id}".encode()).hexdigest()[:12]


def action_for(entry: CatalogueEntry, policies: tuple[str, ...], *, asked_before: bool) -> Action:
    """What the row says to do.

    A solution stored without its personal data is never sent so: the row goes to a person.
    `policies`: the distinct policy numbers of the incident, in clear, unclear ones included; `asked_before`: the
    customer was asked for one.
    """
    if missing := lacking(entry, policies, asked_before=asked_before):
        return LeaveToHuman(reason=missing[0], note=entry.solution if missing[0] is Reason.MANUAL_ENTRY else "")
    match entry.resolution:
        case Resolution.CLOSE:
            return Close(note=entry.solution)
        case Resolution.WAIT:
            return Wait(note=entry.solution, until=entry.expected_on or None)
        case Resolution.REASSIGN:
            return Reassign(mailbox=entry.mailbox, note=entry.solution)
        case Resolution.API:
            if not policies:
                return Wait(note=ASK_FOR_POLICY)
            return CallSystem(system=entry.system, policy=policies[0], solution=entry.solution)
        case Resolution.MANUAL:
            return LeaveToHuman(reason=Reason.MANUAL_ENTRY, note=entry.solution)


def action_from_system(answer: SystemAnswer, mailboxes: frozenset[str]) -> Close | Wait | Reassign | LeaveToHuman:
    """The system's answer as an action, one level deep. Raises `Terminal(SYSTEM_ANSWER_INVALID)`."""
    try:
        resolution, system = CatalogueEntry.read_kind(answer.resolution)
    except ValueError as error:
        raise Terminal(Reason.SYSTEM_ANSWER_INVALID, str(error)) from error
    if resolution is Resolution.API or system:
        raise Terminal(Reason.SYSTEM_ANSWER_INVALID, "el sistema pide llamar a otro sistema")
    if resolution is Resolution.MANUAL:
        return LeaveToHuman(reason=Reason.MANUAL_ENTRY, note=answer.solution)
    if not answer.solution.strip():
        raise Terminal(Reason.SYSTEM_ANSWER_INVALID, "el sistema no dice la solución")
    if resolution is Resolution.REASSIGN:
        if answer.mailbox not in mailboxes:
            raise Terminal(Reason.UNKNOWN_MAILBOX, f"el sistema nombra el buzón «{answer.mailbox}»")
        return Reassign(mailbox=answer.mailbox, note=answer.solution)
    return Close(note=answer.solution) if resolution is Resolution.CLOSE else Wait(note=answer.solution)
