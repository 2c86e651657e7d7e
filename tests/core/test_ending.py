"""core/ending: what people did with a closed incident."""

from typing import Any

import pytest

from core.closed import Skip
from core.ending import Did, how_it_ended
from core.marks import ASKED_FOR_POLICY, LEFT_TO_PERSON, write_mark
from tests.core.test_opening import ASKED, SOLVED, TAG, closed

ROW = "5f0f5b0e-6d0c-5b52-9a55-0c9f6f3c1d7e"
MOVED = {"Fecha": "2026-03-01 12:00", "Autor": "Luis", "buzonAsignado": "COBROS", "estado": "Abierta"}
WAITS = {"Fecha": "2026-03-01 12:00", "Autor": "Luis", "buzonAsignado": "CAU", "estado": "En espera"}
ANSWER = {"Fecha": "2026-03-01 18:00", "Autor": "Eva Mora", "buzonAsignado": "CAU", "NotasResolucion": "Es la 7"}


def ours(kind: str) -> dict[str, str]:
    return {"Fecha": "2026-03-01 12:00", "Autor": "SPAI", "NotasResolucion": write_mark(TAG, "d-01", ROW, kind, "x")}


@pytest.mark.parametrize(
    ("history", "fields", "did", "mailbox", "note"),
    [
        pytest.param([ASKED, SOLVED], {}, Did.CLOSED, "CAU", 1, id="closed"),
        pytest.param([ASKED, SOLVED | {"NotasResolucion": ""}], {}, Did.CLOSED, "CAU", None, id="without-a-word"),
        pytest.param([ASKED, WAITS, ANSWER, SOLVED], {}, Did.WAITED, "CAU", 3, id="waited"),
        pytest.param(
            [ASKED, MOVED, SOLVED | {"buzonAsignado": "COBROS"}], {"buzon": "COBROS"}, Did.REASSIGNED, "COBROS", 2,
            id="reassigned",
        ),
        pytest.param([ASKED, MOVED, SOLVED], {}, Did.CLOSED, "CAU", 2, id="there-and-back"),
        pytest.param(
            [ASKED, SOLVED | {"buzonAsignado": ""}], {"buzon": "WEB"}, Did.REASSIGNED, "WEB", 1, id="by-its-own-mailbox"
        ),
        pytest.param([SOLVED], {}, Did.CLOSED, "CAU", 0, id="history-of-one"),
        pytest.param([ASKED, ours(LEFT_TO_PERSON), SOLVED], {}, Did.CLOSED, "CAU", 2, id="we-left-it"),
        pytest.param([ASKED, ours(ASKED_FOR_POLICY), SOLVED], {}, Did.CLOSED, "CAU", 2, id="we-asked"),
    ],
)  # fmt: skip
def test_what_people_did(
    history: list[dict[str, Any]], fields: dict[str, str], did: Did, mailbox: str, note: int | None
) -> None:
    ending = how_it_ended(closed(*history, **fields), TAG)
    assert not isinstance(ending, Skip)
    assert (ending.did, ending.mailbox, ending.resolution) == (did, mailbox, note)


@pytest.mark.parametrize(
    ("history", "fields", "why"),
    [
        pytest.param([ASKED], {}, Skip.NO_TRACE, id="only-asked"),
        pytest.param([ASKED, ANSWER], {}, Skip.NO_TRACE, id="only-the-requester"),
        pytest.param([ASKED, SOLVED], {"estado": "Cancelada"}, Skip.CALLED_OFF, id="called-off"),
        pytest.param([ASKED, ours("cierre"), SOLVED], {}, Skip.HANDLED, id="ours"),
    ],
)
def test_what_says_nothing(history: list[dict[str, Any]], fields: dict[str, str], why: Skip) -> None:
    assert how_it_ended(closed(*history, **fields), TAG) is why


def test_without_a_requester_everything_after_the_opening_is_the_desks() -> None:
    ending = how_it_ended(closed(ASKED, SOLVED, solicitante=""), TAG)
    assert not isinstance(ending, Skip)
    assert ending.did is Did.CLOSED
