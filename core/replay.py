"""Closed incidents decided as if they were open, beside what people did with them. Nothing is changed."""

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from core.closed import Period, Skip, closing_date
from core.ending import Did, Ending, how_it_ended
from core.incident import Incident
from core.ledger import NOTHING_KNOWN, KnownRows
from core.opening import as_opened
from core.report import IncidentResult, Result
from core.run import Work, work_queue

logger = logging.getLogger(__name__)


class Match(StrEnum):
    """What we would have done against what is known. The first two go by the row, the next two only by the action."""

    RIGHT_ROW = "fila_correcta"
    WRONG_ROW = "fila_equivocada"
    SAME_ACTION = "misma_accion"
    OTHER_ACTION = "otra_accion"
    UNKNOWN = "sin_comparar"
    """A system would have been asked: what it would have answered then is not known."""
    LEFT = "para_una_persona"
    FAILED = "error"

    @property
    def agrees(self) -> bool:
        """With what is known, for certain or as far as the action goes."""
        return self in (Match.RIGHT_ROW, Match.SAME_ACTION)

    @property
    def disagrees(self) -> bool:
        """With what is known, for certain or as far as the action goes."""
        return self in (Match.WRONG_ROW, Match.OTHER_ACTION)


@dataclass(frozen=True)
class Case:
    """A closed incident to be decided again. `ending` is None where only labels say what was right."""

    closed: Incident
    opened: Incident
    ending: Ending | None
    known: KnownRows


@dataclass(frozen=True)
class Replayed:
    """What would have been, beside what was."""

    case: Case
    result: IncidentResult
    match: Match


@dataclass(frozen=True)
class Cases:
    """What is replayed, the latest closed first, and what is left aside."""

    cases: tuple[Case, ...]
    skipped: tuple[tuple[str, Skip], ...]


@dataclass(frozen=True)
class Choice:
    """Which closed incidents to replay. `examples`: texts that rows were already given as theirs."""

    period: Period
    tag: str
    mailbox: str | None = None
    limit: int | None = None
    code: str | None = None
    known: Mapping[str, KnownRows] = field(default_factory=dict)
    examples: Collection[str] = ()
    example_of: Callable[[Incident], str] = lambda incident: ""
    """The text that an incident would give a row as its example."""


def choose(incidents: Iterable[Incident], choice: Choice) -> Cases:
    """The closed incidents worth replaying; `limit` counts those, not what is left aside."""
    dated: list[tuple[float, Case]] = []
    skipped: list[tuple[str, Skip]] = []
    for incident in incidents:
        if choice.code and incident.code != choice.code:
            continue
        found = _case(incident, choice)
        if isinstance(found, Skip):
            skipped.append((incident.code, found))
        elif found and (closed := closing_date(incident)):
            dated.append((closed.timestamp(), found))
    dated.sort(key=lambda item: (-item[0], item[1].closed.code))
    return Cases(tuple(case for _, case in dated[: choice.limit]), tuple(skipped))


def _case(incident: Incident, choice: Choice) -> Case | Skip | None:
    """None: of another mailbox than the one asked for."""
    opened = as_opened(incident, choice.tag)
    if choice.mailbox and opened.mailbox != choice.mailbox:
        return None
    closed = closing_date(incident)
    if closed is None:
        return Skip.UNREADABLE_DATE
    if closed < choice.period.start:
        return Skip.OLD
    ending, known = how_it_ended(incident, choice.tag), choice.known.get(incident.code, NOTHING_KNOWN)
    if isinstance(ending, Skip) and (known == NOTHING_KNOWN or ending is Skip.CALLED_OFF):
        return ending
    if choice.examples and choice.example_of(opened) in choice.examples:
        return Skip.EXAMPLE
    return Case(incident, opened, None if isinstance(ending, Skip) else ending, known)


def compare(case: Case, result: IncidentResult) -> Match:
    """By the row where somebody said which is right or wrong; by the action otherwise."""
    if result.resultado is Result.ERROR:
        return Match.FAILED
    if result.resultado is Result.HUMAN or result.fila is None:
        return Match.LEFT
    verdict = case.known.verdict(result.fila)
    if verdict is not None:
        return Match.RIGHT_ROW if verdict else Match.WRONG_ROW
    if case.ending is None or result.tipo not in set(Did):
        return Match.UNKNOWN
    same = result.tipo == case.ending.did
    if same and case.ending.did is Did.REASSIGNED:
        same = (result.buzon_destino or "").casefold() == case.ending.mailbox.casefold()
    return Match.SAME_ACTION if same else Match.OTHER_ACTION


async def replay(
    cases: Sequence[Case],
    work: Work,
    *,
    hands: int,
    stop: asyncio.Event,
    kept: Mapping[str, IncidentResult],
    keep: Callable[[Incident, IncidentResult], None],
    progress: Callable[[int, int], None] | None = None,
) -> list[Replayed]:
    """Decide all cases, `hands` at a time; when `stop` is set what is in hand is finished.

    `kept`: code -> what an earlier replay, cut short, had decided; `keep` hears of each new one.
    """
    done: dict[str, IncidentResult] = {
        case.opened.code: kept[case.opened.code] for case in cases if case.opened.code in kept
    }

    async def decide(case: Case) -> IncidentResult:
        result, _ = await work(case.opened)
        keep(case.opened, result)
        return result

    def ended(result: IncidentResult) -> None:
        done[result.codIncidencia] = result
        if progress:
            progress(len(done), len(cases))

    left = [case for case in cases if case.opened.code not in done]
    await work_queue(left, decide, hands=hands, done=ended, stop=stop)
    return [
        Replayed(case, done[case.opened.code], compare(case, done[case.opened.code]))
        for case in cases
        if case.opened.code in done
    ]
