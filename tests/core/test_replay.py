"""core/replay: which closed incidents are decided again, and what is said of the outcome."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from core.actions import Close
from core.closed import Period, Skip
from core.decision import Decision
from core.ending import Did, Ending
from core.incident import Incident
from core.ledger import NOTHING_KNOWN, KnownRows
from core.reason import Reason
from core.replay import Case, Choice, Match, choose, compare, replay
from core.report import IncidentResult
from tests.core.test_opening import ASKED, SOLVED, TAG, closed

PERIOD = Period.of_months(3, datetime(2026, 3, 31, tzinfo=UTC))
CHOICE = Choice(PERIOD, TAG)


def result(code: str = "I-1", **fields: Any) -> IncidentResult:
    given = {"codIncidencia": code, "resultado": "automatica", "tipo": "cierre", "fila": "a", "motivo": "APPROVED"}
    return IncidentResult.model_validate(given | fields)


def case(did: Did | None = Did.CLOSED, mailbox: str = "CAU", known: KnownRows = NOTHING_KNOWN) -> Case:
    return Case(closed(), closed(), Ending(did, mailbox, None) if did else None, known)


# Which


def test_the_latest_come_first_and_the_limit_counts_what_is_worth_it() -> None:
    def at(code: str, day: int) -> Incident:
        return closed(ASKED, SOLVED | {"Fecha": f"2026-03-{day:02} 10:00"}, codIncidencia=code)

    found = [at("B", 2), closed(ASKED, codIncidencia="nobody"), at("D", 9), at("A", 5), at("C", 5)]
    chosen = choose(found, replace(CHOICE, limit=3))
    assert [item.closed.code for item in chosen.cases] == ["D", "A", "C"]
    assert chosen.skipped == (("nobody", Skip.NO_TRACE),)


@pytest.mark.parametrize(
    ("given", "choice", "why"),
    [
        pytest.param(closed(ASKED, SOLVED | {"Fecha": "2025-03-02"}), CHOICE, Skip.OLD, id="old"),
        pytest.param(closed(ASKED, SOLVED | {"Fecha": "ayer"}), CHOICE, Skip.UNREADABLE_DATE, id="no-date"),
        pytest.param(closed(estado="Anulada"), CHOICE, Skip.CALLED_OFF, id="called-off"),
        pytest.param(
            closed(),
            replace(CHOICE, examples={"no va"}, example_of=lambda opened: opened.title),
            Skip.EXAMPLE,
            id="a-rows-example",
        ),
        pytest.param(
            closed(ASKED), replace(CHOICE, known={"I-2": KnownRows(complete=True)}), Skip.NO_TRACE, id="nothing-known"
        ),
    ],
)
def test_what_is_left_aside(given: Incident, choice: Choice, why: Skip) -> None:
    assert choose([given], choice).skipped == (("I-1", why),)


def test_what_people_said_makes_up_for_a_history_that_says_nothing() -> None:
    known = KnownRows(wrong=frozenset("a"))
    [found] = choose([closed(ASKED)], replace(CHOICE, known={"I-1": known})).cases
    assert (found.ending, found.known) == (None, known)


@pytest.mark.parametrize(
    ("choice", "chosen"),
    [
        pytest.param(replace(CHOICE, mailbox="CAU"), True, id="began-there"),
        pytest.param(replace(CHOICE, mailbox="COBROS"), False, id="ended-there"),
        pytest.param(replace(CHOICE, code="I-1"), True, id="that-code"),
        pytest.param(replace(CHOICE, code="I-2"), False, id="another-code"),
        pytest.param(replace(CHOICE, examples={"otro"}, example_of=lambda opened: opened.title), True, id="no-example"),
    ],
)
def test_those_asked_for(choice: Choice, chosen: bool) -> None:
    found = choose([closed(buzon="COBROS")], choice)
    assert len(found.cases) == chosen
    assert found.skipped == ()


# What is said of it

RIGHT, WRONG, NONE = KnownRows(right=frozenset("a")), KnownRows(wrong=frozenset("a")), KnownRows(complete=True)
MOVE = {"tipo": "reasignacion", "buzon_destino": "COBROS"}


@pytest.mark.parametrize(
    ("given", "fields", "match"),
    [
        pytest.param(case(known=RIGHT), {}, Match.RIGHT_ROW, id="right-row"),
        pytest.param(case(Did.REASSIGNED, known=RIGHT), {}, Match.RIGHT_ROW, id="right-row-whatever-they-did"),
        pytest.param(case(known=WRONG), {}, Match.WRONG_ROW, id="wrong-row-though-they-closed"),
        pytest.param(case(known=NONE), {}, Match.WRONG_ROW, id="no-row-is-its"),
        pytest.param(case(None, known=WRONG), {"fila": "b"}, Match.UNKNOWN, id="only-another-is-known"),
        pytest.param(case(), {}, Match.SAME_ACTION, id="both-closed"),
        pytest.param(case(Did.WAITED), {}, Match.OTHER_ACTION, id="they-waited"),
        pytest.param(case(Did.WAITED), {"tipo": "en espera"}, Match.SAME_ACTION, id="both-waited"),
        pytest.param(case(Did.REASSIGNED, "cobros"), MOVE, Match.SAME_ACTION, id="same-mailbox"),
        pytest.param(case(Did.REASSIGNED, "WEB"), MOVE, Match.OTHER_ACTION, id="another-mailbox"),
        pytest.param(case(), MOVE, Match.OTHER_ACTION, id="they-closed"),
        pytest.param(case(), {"tipo": "api|fxprovicion"}, Match.UNKNOWN, id="a-system"),
        pytest.param(case(), {"resultado": "propuesta"}, Match.SAME_ACTION, id="proposed"),
        pytest.param(case(known=WRONG), {"resultado": "humano"}, Match.LEFT, id="left"),
        pytest.param(case(), {"fila": None}, Match.LEFT, id="no-row"),
        pytest.param(case(known=RIGHT), {"resultado": "error"}, Match.FAILED, id="error"),
    ],
)
def test_against_what_is_known(given: Case, fields: dict[str, Any], match: Match) -> None:
    assert compare(given, result(**fields)) is match


@pytest.mark.parametrize("match", Match)
def test_a_match_agrees_disagrees_or_neither(match: Match) -> None:
    assert not (match.agrees and match.disagrees)


# The work


def cases(*codes: str) -> list[Case]:
    found = [closed(codIncidencia=code) for code in codes]
    return [Case(one, one, Ending(Did.CLOSED, "CAU", None), NOTHING_KNOWN) for one in found]


class Worker:
    def __init__(self, stop: asyncio.Event | None = None) -> None:
        self.worked: list[str] = []
        self.stop = stop

    async def __call__(self, incident: Incident) -> tuple[IncidentResult, Decision]:
        self.worked.append(incident.code)
        if self.stop:
            self.stop.set()
        return result(incident.code), Decision("d", Close(note=""), None, Reason.APPROVED)


async def test_what_was_kept_is_not_decided_again() -> None:
    work, kept, steps = Worker(), list[str](), list[tuple[int, int]]()
    replayed = await replay(
        cases("A", "B", "C"),
        work,
        hands=1,
        stop=asyncio.Event(),
        kept={"B": result("B", resultado="humano"), "Z": result("Z")},
        keep=lambda incident, found: kept.append(found.codIncidencia),
        progress=lambda done, total: steps.append((done, total)),
    )
    assert work.worked == kept == ["A", "C"]
    assert [item.result.codIncidencia for item in replayed] == ["A", "B", "C"]
    assert [item.match for item in replayed] == [Match.SAME_ACTION, Match.LEFT, Match.SAME_ACTION]
    assert steps == [(2, 3), (3, 3)]


async def test_a_stop_leaves_the_rest() -> None:
    stop = asyncio.Event()
    work = Worker(stop)
    replayed = await replay(cases("A", "B"), work, hands=1, stop=stop, kept={}, keep=lambda *_: None)
    assert [item.result.codIncidencia for item in replayed] == work.worked == ["A"]
