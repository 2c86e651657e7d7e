"""Closed incidents -> proposed catalogue rows: what the knowledge base does not know, each new problem once."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol, TypeVar

from core.closed import ClosedCase, Period, Skip, look_into
from core.critic_loop import Verdict
from core.errors import DependencyError, StageError
from core.incident import Incident
from core.new_problems import Limits, Standing, grouped, likeness, nearest_row, standing
from core.ports import DeskListing, Embedder, Suggestion
from core.privacy import PersonalData
from core.proposed_row import InvalidSuggestion, Known, ProposedRow, grounded, propose
from core.reason import Reason
from core.run import work_queue
from core.terminal import Show
from core.trace import stage, tracing

logger = logging.getLogger(__name__)

Knows = Callable[[str, str], Awaitable[Verdict]]
"""(problem, problem without identifiers) -> what the product's own search and judge say of it."""

_UNKNOWN_IS_NOT_NEW = "No se ha escrito nada: sin la base de conocimiento no se sabe qué problemas son nuevos."

Item = TypeVar("Item")
Done = TypeVar("Done")


class Suggest(Protocol):
    """`core.ports.LanguageTasks.suggest`."""

    def __call__(self, incident: str, resolution: str, components: Sequence[str]) -> Awaitable[Suggestion]: ...


@dataclass(frozen=True)
class Compared:
    """A case beside the best row found for it, if any."""

    case: ClosedCase
    verdict: Verdict


@dataclass(frozen=True)
class Failure:
    """Incidents that could not be looked into, and why."""

    codes: tuple[str, ...]
    reason: Reason


@dataclass(frozen=True)
class Invalid:
    """A suggestion that cannot be a row."""

    evidence: tuple[str, ...]
    why: str


@dataclass(frozen=True)
class Mined:
    """What the closed incidents gave."""

    period: Period
    closed: int
    skipped: tuple[tuple[str, Skip], ...]
    known: tuple[Compared, ...]
    doubtful: tuple[Compared, ...]
    new: tuple[ClosedCase, ...]
    proposals: tuple[ProposedRow, ...]
    invalid: tuple[Invalid, ...]
    failures: tuple[Failure, ...]


@dataclass(frozen=True)
class Miner:
    """The parts of maintenance, ready to work."""

    personal: PersonalData
    knows: Knows
    suggest: Suggest
    embedder: Embedder
    known: Known
    limits: Limits
    tag: str
    hands: int = 1
    """Incidents in hand at a time."""
    trusts_model: bool = False
    """Whether the kind, mailbox and component that the model writes count (`Capabilities.writes_verdicts`)."""

    async def mine(self, listing: DeskListing, period: Period, progress: Show | None = None) -> Mined:
        """Proposed rows from the closed incidents of `period`.

        A model's failure costs one incident. Raises `DependencyError` when the knowledge base cannot be asked: what
        nobody looked up is not new.
        """
        unreadable = [Failure((code,), Reason.INCIDENT_INVALID) for code, _ in listing.invalid]
        cases, skipped = await asyncio.to_thread(self._select, listing.incidents, period)
        looked_up = await _each(cases, self._look_up, self.hands, _step(progress, "Comprobando"))
        compared = [(item, standing(item.verdict, self.limits)) for item in looked_up if isinstance(item, Compared)]
        new = [item.case for item, known in compared if known is Standing.NEW]
        groups = grouped(new, await asyncio.to_thread(likeness, new, self.embedder), self.limits.same_problem)
        verdicts = {item.case.code: item.verdict for item, _ in compared}
        suggest_row = partial(self._suggest_row, verdicts)
        suggested = await _each(groups, suggest_row, self.hands, _step(progress, "Proponiendo"))
        return Mined(
            period=period,
            closed=len(listing.incidents) + len(listing.invalid),
            skipped=tuple(skipped),
            known=tuple(item for item, known in compared if known is Standing.KNOWN),
            doubtful=tuple(item for item, known in compared if known is Standing.DOUBTFUL),
            new=tuple(new),
            proposals=_merged(item for item in suggested if isinstance(item, ProposedRow)),
            invalid=tuple(item for item in suggested if isinstance(item, Invalid)),
            failures=(*unreadable, *(item for item in (*looked_up, *suggested) if isinstance(item, Failure))),
        )

    def _select(self, incidents: Iterable[Incident], period: Period) -> tuple[list[ClosedCase], list[tuple[str, Skip]]]:
        cases: list[ClosedCase] = []
        skipped: list[tuple[str, Skip]] = []
        for incident in incidents:
            found = look_into(incident, period, self.personal, self.tag, self.limits.text_limit)
            if isinstance(found, Skip):
                skipped.append((incident.code, found))
            else:
                cases.append(found)
        return sorted(cases, key=lambda case: (case.closed, case.code), reverse=True), skipped

    async def _look_up(self, case: ClosedCase) -> Compared | Failure:
        """What the knowledge base says of a case. Raises `DependencyError` when it cannot be asked."""
        with tracing(incident=case.code):
            try:
                return Compared(case, await self.knows(case.problem, case.search_text))
            except StageError as error:
                if error.reason is not Reason.KNOWLEDGE_UNAVAILABLE:
                    logger.warning("comprobación fallida", extra={"action": "lookup_failed", "reason": error.reason})
                    return Failure((case.code,), error.reason)
                raise DependencyError(f"{error} {_UNKNOWN_IS_NOT_NEW}") from error
            except DependencyError as error:
                raise DependencyError(f"{error} {_UNKNOWN_IS_NOT_NEW}") from error

    async def _suggest_row(
        self, verdicts: Mapping[str, Verdict], cases: Sequence[ClosedCase]
    ) -> ProposedRow | Invalid | Failure:
        """One suggestion for one new problem, checked."""
        codes = tuple(case.code for case in cases)
        told = max(cases, key=lambda case: len(case.resolution))  # whoever wrote most explains it best
        with tracing(incident=told.code), stage("suggest"):
            try:
                suggestion = await self.suggest(told.problem, told.resolution, sorted(self.known.components.values()))
                remarks: tuple[str, ...] = ()
                if not self.trusts_model:
                    looked_up = [verdicts[case.code] for case in cases]
                    like = nearest_row(looked_up, self.embedder.dimensions, self.limits.related)
                    suggestion, remark = grounded(suggestion, like)
                    remarks = (remark,)
                row = await asyncio.to_thread(propose, suggestion, cases, self.known, self.personal)
                return replace(row, remarks=(*remarks, *row.remarks))
            except StageError as error:
                logger.warning("sugerencia fallida", extra={"action": "suggestion_failed", "reason": error.reason})
                return Failure(codes, error.reason)
            except InvalidSuggestion as error:
                return Invalid(codes, str(error))


def _merged(rows: Iterable[ProposedRow]) -> tuple[ProposedRow, ...]:
    """Two groups that got the same row were one problem."""
    merged: dict[str, ProposedRow] = {}
    for row in rows:
        merged[row.entry.id] = merged[row.entry.id].joined(row) if row.entry.id in merged else row
    return tuple(merged.values())


async def _each(
    items: Sequence[Item], work: Callable[[Item], Awaitable[Done]], hands: int, step: Callable[[int, int], None]
) -> list[Done]:
    """`work` over all items, `hands` at a time, results in their order. The first error stops the others."""
    results: dict[int, Done] = {}

    async def numbered(item: tuple[int, Item]) -> None:
        results[item[0]] = await work(item[1])

    await work_queue(list(enumerate(items)), numbered, hands=hands, done=lambda _: step(len(results), len(items)))
    return [results[number] for number in range(len(items))]


def _step(progress: Show | None, what: str) -> Callable[[int, int], None]:
    return (lambda done, total: progress(what, done, total)) if progress else lambda done, total: None
