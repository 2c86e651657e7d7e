"""core/decision: the action of a row, the action of a system's answer, the decision's id."""

import re

import pytest

from core.actions import Action, CallSystem, Close, LeaveToHuman, Reassign, Wait
from core.catalogue import CatalogueEntry
from core.decision import ASK_FOR_POLICY, action_for, action_from_system, decision_id
from core.errors import Terminal
from core.identifiers import scrub
from core.incident import Incident
from core.knowledge.entry import prepare
from core.policy_number import UnclearPolicy
from core.ports import SystemAnswer
from core.reason import Reason

BOXES = frozenset({"Contabilidad"})


def entry(**fields: str) -> CatalogueEntry:
    return CatalogueEntry.model_validate(
        {"component": "C", "description": "D", "solution": "Haga esto.", "resolution": "cierre"} | fields
    )


API = {"resolution": "api", "system": "fxprovicion"}


def test_a_withheld_solution_is_never_sent() -> None:
    known = prepare(entry(solution="Llame al 912345678."), scrub, "v1")
    assert action_for(known, (), asked_before=False) == LeaveToHuman(reason=Reason.SOLUTION_WITHHELD)


@pytest.mark.parametrize(
    ("fields", "policies", "asked", "expected"),
    [
        pytest.param({}, (), False, Close(note="Haga esto."), id="close"),
        pytest.param({"resolution": "en espera"}, (), False, Wait(note="Haga esto."), id="wait"),
        pytest.param(
            {"resolution": "en espera", "expected_on": "2024-09-01"},
            (),
            False,
            Wait(note="Haga esto.", until="2024-09-01"),
            id="wait-for-a-fix",
        ),
        pytest.param(
            {"resolution": "reasignacion", "mailbox": "Contabilidad"},
            (),
            False,
            Reassign(mailbox="Contabilidad", note="Haga esto."),
            id="reassign",
        ),
        pytest.param(
            {"resolution": "manual"},
            (),
            False,
            LeaveToHuman(reason=Reason.MANUAL_ENTRY, note="Haga esto."),
            id="manual",
        ),
        pytest.param(
            API,
            ("123456",),
            True,
            CallSystem(system="fxprovicion", policy="123456", solution="Haga esto."),
            id="system",
        ),
        pytest.param(API, (), False, Wait(note=ASK_FOR_POLICY), id="asks-for-the-policy"),
        pytest.param(API, (), True, LeaveToHuman(reason=Reason.MISSING_POLICY), id="asks-only-once"),
        pytest.param(API, ("1", "2"), False, LeaveToHuman(reason=Reason.AMBIGUOUS_POLICY), id="two-policies"),
        pytest.param(
            API, (UnclearPolicy("H-2"),), False, LeaveToHuman(reason=Reason.AMBIGUOUS_POLICY), id="unclear-policy"
        ),
        pytest.param(
            {"resolution": "api", "system": "otro"},
            ("1",),
            False,
            LeaveToHuman(reason=Reason.UNKNOWN_SYSTEM),
            id="unknown-system",
        ),
    ],
)
def test_action_of_a_row(fields: dict[str, str], policies: tuple[str, ...], asked: bool, expected: Action) -> None:
    assert action_for(entry(**fields), policies, asked_before=asked) == expected


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param({"resolution": "CIERRE"}, Close(note="Hecho."), id="close"),
        pytest.param({"resolution": "en_espera"}, Wait(note="Hecho."), id="wait"),
        pytest.param(
            {"resolution": "Reasignación", "mailbox": "Contabilidad"},
            Reassign(mailbox="Contabilidad", note="Hecho."),
            id="reassign",
        ),
        pytest.param({"resolution": "manual"}, LeaveToHuman(reason=Reason.MANUAL_ENTRY, note="Hecho."), id="manual"),
        pytest.param(
            {"resolution": "manual", "solution": ""},
            LeaveToHuman(reason=Reason.MANUAL_ENTRY),
            id="manual-without-words",
        ),
    ],
)
def test_action_of_a_system(answer: dict[str, str], expected: Action) -> None:
    given = SystemAnswer.model_validate({"solution": "Hecho."} | answer)
    assert action_from_system(given, BOXES) == expected


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        pytest.param({"resolution": "api|fxprovicion"}, Reason.SYSTEM_ANSWER_INVALID, id="another-system"),
        pytest.param({"resolution": "api"}, Reason.SYSTEM_ANSWER_INVALID, id="api-without-system"),
        pytest.param({"resolution": "cierre|x"}, Reason.SYSTEM_ANSWER_INVALID, id="bar"),
        pytest.param({"resolution": "borrar"}, Reason.SYSTEM_ANSWER_INVALID, id="unknown-kind"),
        pytest.param({"resolution": ""}, Reason.SYSTEM_ANSWER_INVALID, id="no-kind"),
        pytest.param({"resolution": "cierre", "solution": "  "}, Reason.SYSTEM_ANSWER_INVALID, id="no-solution"),
        pytest.param({"resolution": "reasignacion", "mailbox": "Nadie"}, Reason.UNKNOWN_MAILBOX, id="unknown-mailbox"),
        pytest.param({"resolution": "reasignacion"}, Reason.UNKNOWN_MAILBOX, id="no-mailbox"),
    ],
)
def test_answers_that_cannot_be_carried_out(answer: dict[str, str], reason: Reason) -> None:
    given = SystemAnswer.model_validate({"solution": "Hecho."} | answer)
    with pytest.raises(Terminal) as caught:
        action_from_system(given, BOXES)
    assert caught.value.reason is reason


def test_decision_id_depends_on_state_and_row_only() -> None:
    states = [Incident(code=code, description=text) for code in ("I1", "I2") for text in ("f", "g")]
    ids = {decision_id(state, "[T] ", entry) for state in states for entry in ("r", "s", None)}
    assert len(ids) == 12
    assert decision_id(states[0], "[T] ", "r") == decision_id(states[0], "[T] ", "r")
    assert all(re.fullmatch(r"d-[0-9a-f]{12}", found) for found in ids)
