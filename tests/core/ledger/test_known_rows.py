"""core/ledger/known_rows: what is known to be right or wrong of rows on an incident."""

import pytest

from core.ledger import Label, LabelledOutcome
from core.ledger.known_rows import NOTHING_KNOWN, KnownRows, known_rows


def said(label: Label, entry: str | None = "a", incident: str = "I1") -> LabelledOutcome:
    return LabelledOutcome(decision="d", incident=incident, entry=entry, label=label, who="ana", said="2026-01-01")


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        pytest.param([], {}, id="nothing"),
        pytest.param([said(Label.RIGHT)], {"I1": KnownRows(right=frozenset("a"))}, id="right"),
        pytest.param([said(Label.REVERTED)], {"I1": KnownRows(wrong=frozenset("a"))}, id="reverted"),
        pytest.param(
            [said(Label.RIGHT), said(Label.REOPENED), said(Label.RIGHT, "b")],
            {"I1": KnownRows(right=frozenset("b"), wrong=frozenset("a"))},
            id="reopened-later",
        ),
        pytest.param([said(Label.RIGHT, None)], {}, id="no-row"),
        pytest.param(
            [said(Label.RIGHT), said(Label.REVERTED, incident="I2")],
            {"I1": KnownRows(right=frozenset("a")), "I2": KnownRows(wrong=frozenset("a"))},
            id="two-incidents",
        ),
    ],
)
def test_by_what_was_said(outcomes: list[LabelledOutcome], expected: dict[str, KnownRows]) -> None:
    assert known_rows(outcomes) == expected


@pytest.mark.parametrize(
    ("known", "row", "verdict"),
    [
        pytest.param(NOTHING_KNOWN, "a", None, id="nothing-known"),
        pytest.param(KnownRows(right=frozenset("a")), "a", True, id="right"),
        pytest.param(KnownRows(right=frozenset("a")), "b", False, id="another-is-right"),
        pytest.param(KnownRows(wrong=frozenset("a")), "a", False, id="wrong"),
        pytest.param(KnownRows(wrong=frozenset("a")), "b", None, id="another-is-wrong"),
        pytest.param(KnownRows(complete=True), "a", False, id="none-is-right"),
    ],
)
def test_the_verdict(known: KnownRows, row: str, verdict: bool | None) -> None:
    assert known.verdict(row) is verdict
