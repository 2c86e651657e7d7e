"""May this row be carried out on this incident now? What code knows for certain: every reason, not only the first.

The other question, whether it is the same problem, is the judge's and the calibration's (`core/critic_loop.py`). What a
comparison of numbers, units or codes says is no fact: it was measured not to tell a near miss from a right row.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import assert_never

from core.catalogue import FIX_COMPONENT, CatalogueEntry, Resolution, normalised
from core.closed import read_date
from core.identifiers import Kind
from core.incident import Incident
from core.knowledge import KnownEntry
from core.marks import ASKED_FOR_POLICY, Mark, was_tried
from core.policy import Policy
from core.policy_number import UnclearPolicy
from core.reason import Reason

SYSTEMS = frozenset({"fxprovicion", "disconformidad"})
"""The systems whose answers are understood (design §3)."""

_GAP = re.compile(
    rf"<(?:{'|'.join(Kind)})_\d+>|\{{[^{{}}\n]{{0,60}}\}}|_{{3,}}|\bx{{4,}}\b|\[(?:\.\.\.|…)\]", re.IGNORECASE
)
"""Where somebody was to write something: a placeholder of ours, `{campo}`, `____`, `XXXX`, `[…]`."""

_LEADING = re.compile(r"\s*(?:\[(?P<bracketed>[^\]\n]{1,60})\]|(?P<plain>[^:\n]{1,60}):)")
"""A title that names its subject first: `[RECIBOS] cargo doble`, `Recibos: cargo doble`."""


@dataclass(frozen=True)
class Ruling:
    """Whether it may be done now; nothing in it means that it may."""

    stops: tuple[Reason, ...] = ()
    """A person has to take it."""
    asks: tuple[Reason, ...] = ()
    """Only once a person has said yes."""

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """All, the heaviest first."""
        return (*self.stops, *self.asks)


FREE = Ruling()


@dataclass(frozen=True)
class Facts:
    """What code knows of an incident when a row is about to be carried out on it."""

    incident: Incident
    now: datetime
    marks: Collection[Mark] = ()
    policies: tuple[str, ...] = field(default=(), repr=False)
    """The distinct policy numbers that it names, in clear, those in an unclear form (`UnclearPolicy`) included."""
    barred: Mapping[str, Reason] = field(default_factory=dict)
    """Row id -> what people or the desk made of it on this incident before."""

    @property
    def asked(self) -> bool:
        """Whether the customer was asked for the policy number."""
        return any(mark.kind == ASKED_FOR_POLICY for mark in self.marks)


class Preconditions:
    """The rules over those facts. `components`: what the catalogue knows by that name; `text_limit` in characters."""

    def __init__(self, policy: Policy, tag: str, text_limit: int, components: Collection[str] = ()) -> None:
        self._policy = policy
        self._tag = tag
        self._text_limit = text_limit
        self._components = {normalised(name) for name in components} - {"", normalised(FIX_COMPONENT)}

    def of_incident(self, incident: Incident) -> Ruling:
        """Whatever the row: state, mailbox, who works it, how much there is to read, how severe it is."""
        stops = self._policy.refusals(incident, self._text_limit, self._tag)
        return Ruling(stops, (Reason.TOO_SEVERE,) if self._policy.too_severe(incident) else ())

    def of_row(self, row: CatalogueEntry, facts: Facts) -> Ruling:
        """For this row: tried or turned down before, data that are missing, what the row itself says of itself."""
        general = self.of_incident(facts.incident)
        stops = [Reason.ALREADY_TRIED] if was_tried(row.id, row.solution, facts.marks) else []
        stops += [facts.barred[row.id]] if row.id in facts.barred else []
        stops += lacking(row, facts.policies, asked_before=facts.asked)
        stops += [Reason.OTHER_COMPONENT] if self._is_of_another_component(row, facts.incident) else []
        stops += sent_in_vain(row.mailbox, facts.incident) if row.resolution is Resolution.REASSIGN else []
        stops += [Reason.FIX_OVERDUE] if is_overdue(row, facts.now) else []
        return Ruling(tuple(dict.fromkeys((*stops, *general.stops))), general.asks)

    def _is_of_another_component(self, row: CatalogueEntry, incident: Incident) -> bool:
        """Only what the incident calls its component counts, not what its text is about."""
        own = normalised(row.component)
        return own in self._components and bool(named := self._named(incident)) and own not in named

    def _named(self, incident: Incident) -> set[str]:
        fields = (incident.model_extra or {}).items()
        wanted = {normalised(name) for name in self._policy.component_fields}
        said = [str(value) for name, value in fields if normalised(name) in wanted and isinstance(value, str)]
        if leading := _LEADING.match(incident.title):
            said.append(leading["bracketed"] or leading["plain"])
        return {normalised(text) for text in said} & self._components


def lacking(row: CatalogueEntry, policies: tuple[str, ...], *, asked_before: bool) -> tuple[Reason, ...]:
    """What the row needs and is not there. A policy number that nobody was asked for yet is not missing; one in a form
    that is not understood is a person's: neither may a system be asked about another nor the customer asked again."""
    if isinstance(row, KnownEntry) and row.withheld:
        return (Reason.SOLUTION_WITHHELD,)
    match row.resolution:
        case Resolution.MANUAL:
            return (Reason.MANUAL_ENTRY,)
        case Resolution.API:
            return _lacking_for_system(row, policies, asked_before)
        case Resolution.CLOSE | Resolution.WAIT | Resolution.REASSIGN:
            return (Reason.SOLUTION_INCOMPLETE,) if _GAP.search(row.solution) else ()
        case _:
            assert_never(row.resolution)


def _lacking_for_system(row: CatalogueEntry, policies: tuple[str, ...], asked_before: bool) -> tuple[Reason, ...]:
    found = [] if row.system in SYSTEMS else [Reason.UNKNOWN_SYSTEM]
    if not policies and asked_before:
        found.append(Reason.MISSING_POLICY)
    if len(policies) > 1 or any(isinstance(policy, UnclearPolicy) for policy in policies):
        found.append(Reason.AMBIGUOUS_POLICY)
    return tuple(found)


def sent_in_vain(mailbox: str, incident: Incident) -> list[Reason]:
    """It is where it would be sent, or it was and came back."""
    target = normalised(mailbox)
    if normalised(incident.mailbox) == target:
        return [Reason.ALREADY_THERE]
    been = {normalised(name) for entry in incident.history for name in (entry.assigned_mailbox, entry.comment_mailbox)}
    return [Reason.SENT_BACK] if target in been else []


def is_overdue(row: CatalogueEntry, now: datetime) -> bool:
    """The date that the customer would be told has passed; one that cannot be read says nothing."""
    due = read_date(row.expected_on) if row.expected_on else None
    return due is not None and due.date() < now.astimezone().date()
