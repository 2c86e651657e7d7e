"""core/ledger/hindsight: what a right row says of decisions on other rows of the same incident."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from core.database import Database
from core.ledger import Hindsight, Label, Ledger, Phase, Record, Said, Taken

NOW = datetime(2026, 3, 20, tzinfo=UTC)
WEEK = timedelta(days=7)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    database = Database(tmp_path)
    with Ledger(database.open("decisiones"), database.unavailable, lambda: NOW) as opened:
        yield opened


def _decide(ledger: Ledger, *rows: str, phase: Phase = Phase.CONFIRMED) -> None:
    """Decisions on INC-1, a minute apart; the first is number 1."""
    known = len(ledger.of_incident("INC-1"))
    for number, row in enumerate(rows, start=known + 1):
        made = Record(
            id=f"d-{number}", incident="INC-1", kind="cierre", phase=Phase.LEFT, entry=row,
            created=f"2026-03-01T12:{number:02}:00+00:00",
        )  # fmt: skip
        if phase is Phase.LEFT:
            ledger.leave(made)
        else:
            ledger.intend(made, again=(), caps={})
            ledger.move(made.id, (Phase.INTENDED,), phase)


def _say(ledger: Ledger, *labels: str) -> Taken:
    """`A+`: row A of INC-1 is right; `A-`: it is not."""
    return Hindsight(ledger).say([Said("INC-1", label[0], label[1] == "+") for label in labels], "ana")


def _known(ledger: Ledger) -> dict[str, Sequence[Label]]:
    return {record.id: labels for record, labels in Hindsight(ledger).labelled()}


def _silent(ledger: Ledger) -> list[str]:
    return [record.id for record in Hindsight(ledger).silent(WEEK)]


RIGHT, WRONG = (Label.RIGHT,), (Label.WRONG,)


@pytest.mark.parametrize("phase", [Phase.CONFIRMED, Phase.PROPOSED, Phase.LEFT])
@pytest.mark.parametrize("label_first", [False, True], ids=["decision first", "label first"])
def test_another_row_is_right(ledger: Ledger, phase: Phase, label_first: bool) -> None:
    if label_first:
        assert _say(ledger, "B+") == Taken(waiting=1)
    _decide(ledger, "A", phase=phase)
    if not label_first:
        assert _say(ledger, "B+") == Taken(waiting=1, contradicted=1)
    assert _known(ledger) == {"d-1": WRONG}
    assert _silent(ledger) == []


@pytest.mark.parametrize(
    ("rows", "labels", "known", "contradicted"),
    [
        pytest.param("A", ["A+", "B+"], {"d-1": RIGHT}, 0, id="both-right"),
        pytest.param("AB", ["A+", "B+"], {"d-1": RIGHT, "d-2": RIGHT}, 0, id="both-right-and-decided"),
        pytest.param("A", ["A-", "B+"], {"d-1": WRONG}, 0, id="own-label-first"),
        pytest.param("AB", ["B+"], {"d-1": WRONG, "d-2": RIGHT}, 1, id="the-right-one-later"),
        pytest.param("AA", ["B+"], {"d-2": WRONG}, 1, id="only-the-last-on-a-row"),
        pytest.param("AC", ["B+"], {"d-1": WRONG, "d-2": WRONG}, 2, id="two-other-rows"),
        pytest.param("A", ["B-"], {}, 0, id="another-is-wrong"),
    ],
)
def test_what_is_said_of_rows(
    ledger: Ledger, rows: str, labels: list[str], known: dict[str, Sequence[Label]], contradicted: int
) -> None:
    _decide(ledger, *rows)
    for _ in range(2):
        assert _say(ledger, *labels).contradicted == contradicted
        assert _known(ledger) == known


def test_an_action_counts_before_what_was_left_on_the_same_row(ledger: Ledger) -> None:
    _decide(ledger, "A")
    _decide(ledger, "A", phase=Phase.LEFT)
    _say(ledger, "B+")
    assert _known(ledger) == {"d-1": WRONG}


def test_other_incidents_are_not_meant(ledger: Ledger) -> None:
    _decide(ledger, "A")
    Hindsight(ledger).say([Said("INC-2", "B", True)], "ana")
    assert (_known(ledger), _silent(ledger)) == ({}, ["d-1"])


@pytest.mark.parametrize(
    ("labels", "silent"),
    [
        pytest.param([], ["d-1", "d-2"], id="nothing"),
        pytest.param(["B-"], ["d-1", "d-2"], id="another-is-wrong"),
        pytest.param(["B+"], [], id="another-is-right"),
        pytest.param(["A+", "B+"], ["d-1"], id="both-right"),
    ],
)
def test_silence(ledger: Ledger, labels: list[str], silent: list[str]) -> None:
    _decide(ledger, "A", "A")
    _say(ledger, *labels)
    assert _silent(ledger) == silent


def test_a_label_that_came_first_breaks_the_silence(ledger: Ledger) -> None:
    _say(ledger, "A-")
    _decide(ledger, "A")
    assert (_known(ledger), _silent(ledger)) == ({"d-1": WRONG}, [])


def test_a_right_row_that_came_back_says_nothing_of_others(ledger: Ledger) -> None:
    _decide(ledger, "A", "B")
    second = ledger.find("d-2")
    assert second is not None
    ledger.label(second, Label.RIGHT, "ana")
    assert _known(ledger) == {"d-1": WRONG, "d-2": RIGHT}
    ledger.label(second, Label.REOPENED, "mesa")
    assert set(_known(ledger)) == {"d-2"}
    assert _silent(ledger) == ["d-1"]


def test_a_later_label_takes_back_what_it_said_of_others(ledger: Ledger) -> None:
    _say(ledger, "B+")
    _decide(ledger, "A")
    assert _say(ledger, "B-") == Taken(waiting=1)
    assert _known(ledger) == {}


def test_a_later_label_replaces_one_said_before_the_decision(ledger: Ledger) -> None:
    _say(ledger, "A-")
    _decide(ledger, "A")
    assert _say(ledger, "A+") == Taken(acted=1)
    assert _known(ledger) == {"d-1": RIGHT}


def test_a_decision_without_a_row_is_neither(ledger: Ledger) -> None:
    ledger.leave(Record(id="d-1", incident="INC-1", kind="cierre", phase=Phase.LEFT))
    assert _say(ledger, "B+") == Taken(waiting=1)
    assert _known(ledger) == {}
