"""core/judgement/cases and core/ledger/hindsight: what the ledger teaches."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from core.database import Database
from core.evidence import Evidence
from core.judgement.cases import Case, cases_of, judged_of, last_judge, was_right
from core.ledger import UNDO, Hindsight, Label, Ledger, Phase, Record, Said, Taken
from tests.core.judgement.desk import FIT, JUDGE, case, moment, record

NOW = datetime(2026, 3, 20, tzinfo=UTC)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    database = Database(tmp_path)
    with Ledger(database.open("decisiones"), database.unavailable, lambda: NOW) as opened:
        yield opened


def _decided(ledger: Ledger, made: Record, phase: Phase = Phase.CONFIRMED) -> Record:
    if phase is Phase.LEFT:
        ledger.leave(made)
    else:
        ledger.intend(made, again=(), caps={})
        ledger.move(made.id, (Phase.INTENDED,), phase)
    return made


def _cases(ledger: Ledger, days: int = 0) -> list[Case]:
    return cases_of(Hindsight(ledger), days)


@pytest.mark.parametrize(
    ("labels", "right"),
    [
        ([Label.RIGHT], True),
        ([Label.WRONG], False),
        ([Label.REVERTED], False),
        ([Label.REOPENED], False),
        ([Label.RIGHT, Label.REOPENED], False),
        ([Label.REVERTED, Label.RIGHT], False),
        ([], False),
    ],
)
def test_what_counts_as_right(labels: list[Label], right: bool) -> None:
    assert was_right(labels) is right


def test_an_outcome_with_its_evidence(ledger: Ledger) -> None:
    ledger.label(_decided(ledger, record()), Label.RIGHT, "ana")
    _decided(ledger, record(2))
    (found,) = _cases(ledger)
    assert found == case(1)
    assert found.judged.when == moment(1)


def test_what_a_person_turned_down_and_what_was_undone_is_wrong(ledger: Ledger) -> None:
    for number, phase in ((1, Phase.REJECTED), (2, Phase.UNDONE)):
        ledger.label(_decided(ledger, record(number), phase), Label.REVERTED, "ana")
    assert [(one.right, one.judged.acted) for one in _cases(ledger)] == [(False, True), (False, True)]


@pytest.mark.parametrize(
    "evidence",
    ["{}", "", "[]", "null", '{"logit": 1, "e5": 1, "use": 1, "bm25": 1}', '{"juicio": 3}', '{"logit": "x"}'],
    ids=["none", "empty", "list", "null", "of an older program", "rubbish", "words"],
)
def test_evidence_that_is_not_whole(evidence: str) -> None:
    judged = judged_of(record(evidence=evidence))
    assert (judged.evidence, judged.calibration, judged.judge, judged.kind) == (None, "", "", "cierre")


def test_what_was_left_to_a_person_only_for_its_approval() -> None:
    for reason, only in (("BELOW_THRESHOLD", True), ("RIVAL_CANDIDATE", False)):
        judged = judged_of(record(phase=Phase.LEFT, reason=reason))
        assert (judged.acted, judged.only_below) == (False, only)


def test_silence_counts_only_when_it_is_to(ledger: Ledger) -> None:
    for number in (1, 2, 3):
        _decided(ledger, record(number))
    _decided(ledger, record(4, created=(NOW - timedelta(days=3)).isoformat(timespec="seconds")))
    _decided(ledger, record(5), Phase.REFUSED)
    _decided(ledger, record(6, kind=UNDO))
    ledger.label(record(2), Label.REOPENED, "mesa")
    assert [one.right for one in _cases(ledger)] == [False]
    assert [(one.judged.when, one.right) for one in _cases(ledger, 7)] == [
        (moment(1), True), (moment(2), False), (moment(3), True),
    ]  # fmt: skip


def test_labels_find_what_they_are_about(ledger: Ledger) -> None:
    hindsight = Hindsight(ledger)
    _decided(ledger, record(1))
    _decided(ledger, record(2), Phase.LEFT)
    _decided(ledger, record(3, incident="INC-1", id="d-3", created=moment(9)), Phase.LEFT)
    said = [Said("INC-1", "e1", True), Said("INC-2", "e1", False), Said("INC-9", "e1", True), Said("INC-1", "e2", True)]
    assert hindsight.say(said, "ana") == Taken(acted=1, left=1, waiting=2)
    assert [(one.judged.acted, one.right) for one in _cases(ledger)] == [(True, True), (False, False)]


def test_a_label_without_a_decision_waits_for_one(ledger: Ledger) -> None:
    hindsight = Hindsight(ledger)
    hindsight.say([Said("INC-1", "e1", False), Said("INC-2", "otra", False)], "ana")
    assert _cases(ledger) == []
    _decided(ledger, record(1))
    _decided(ledger, record(2))
    assert [(one.judged.when, one.right) for one in _cases(ledger)] == [(moment(1), False)]


def test_saying_it_again_and_changing_ones_mind(ledger: Ledger) -> None:
    hindsight = Hindsight(ledger)
    _decided(ledger, record(1))
    for right in (True, True, False, True):
        hindsight.say([Said("INC-1", "e1", right)], "ana")
    assert [outcome.label for outcome in ledger.outcomes()] == [Label.RIGHT]
    ledger.label(record(1), Label.REOPENED, "mesa")
    hindsight.say([Said("INC-1", "e1", True)], "ana")
    assert [one.right for one in _cases(ledger)] == [False]


def test_what_is_left_again_is_known_by_its_last_evidence(ledger: Ledger) -> None:
    for approval in (30, 40):
        ledger.leave(record(1, approval=approval))
    _decided(ledger, record(2))
    ledger.leave(record(2, approval=10))
    found = {one.id: (one.phase, one.approval) for one in Hindsight(ledger).recent(9)}
    assert found == {record(1).id: (Phase.LEFT, 40), record(2).id: (Phase.CONFIRMED, 80)}


def test_the_last_judge() -> None:
    assert last_judge([]) == ""
    assert last_judge([case(1, judge="uno").judged, case(3, judge="").judged, case(2, judge="dos").judged]) == "dos"
    assert judged_of(record()).judge == JUDGE
    assert judged_of(record()).evidence == Evidence(bm25=0.5, margin=0.5)
    assert judged_of(record()).calibration == FIT.fingerprint
