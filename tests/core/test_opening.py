"""core/opening: a closed incident as it was when it was opened, nothing of what came after in it."""

from typing import Any

import pytest

from core.incident import Incident
from core.marks import write_mark
from core.opening import OPEN, as_opened

TAG = "[SPAI] "
ASKED = {"Fecha": "2026-03-01 09:00", "Autor": "Eva Mora", "buzonAsignado": "CAU", "estado": "Abierta"}
SOLVED = {
    "Fecha": "2026-03-02 10:00",
    "Autor": "Soporte",
    "CodigoResolucion": "RESUELTA",
    "NotasResolucion": "Reiniciada, ya va.",
    "buzonAsignado": "CAU",
    "estado": "Cerrada",
}


def closed(*history: dict[str, Any], **fields: Any) -> Incident:
    given = {
        "codIncidencia": "I-1",
        "buzon": "CAU",
        "titulo": "no va",
        "solicitante": "Eva Mora",
        "estado": "Cerrada",
        "apertura": "2026-03-01 09:00",
        "prioridad": "Alta",
        "descripcion": "la impresora no va",
        "historial": history or (ASKED, SOLVED),
        "cerradaPor": "Soporte",
    }
    return Incident.model_validate(given | fields)


def test_only_what_was_there_then() -> None:
    opened = as_opened(closed(), TAG)
    assert opened.status == OPEN
    assert (opened.code, opened.title, opened.description) == ("I-1", "no va", "la impresora no va")
    assert (opened.mailbox, opened.priority, opened.requester) == ("CAU", "Alta", "Eva Mora")
    assert [entry.author for entry in opened.history] == ["Eva Mora"]
    assert opened.model_extra == {}
    assert "Reiniciada" not in opened.model_dump_json()
    assert "Soporte" not in opened.model_dump_json()


@pytest.mark.parametrize(
    ("second", "kept"),
    [
        pytest.param({"Fecha": "2026-03-01 09:08", "detalle": "adjunto foto"}, True, id="right-after"),
        pytest.param({"Fecha": "2026-03-01 11:00", "detalle": "ya funciona, gracias"}, False, id="hours-later"),
        pytest.param({"Fecha": "ayer", "detalle": "otra cosa"}, False, id="no-date"),
        pytest.param({"Fecha": "", "detalle": "otra cosa"}, False, id="date-missing"),
        pytest.param({"Fecha": "2026-03-01 09:01", "Autor": "Luis", "NotasResolucion": "lo miro"}, False, id="a-note"),
        pytest.param({"Fecha": "2026-03-01 09:01", "Autor": "Luis", "detalle": "alta"}, True, id="says-nothing"),
        pytest.param({"Fecha": "2026-03-01 09:01", "estado": "En espera"}, False, id="waits"),
        pytest.param({"Fecha": "2026-03-01 09:01", "buzonAsignado": "COBROS"}, False, id="moved"),
        pytest.param({"Fecha": "2026-03-01 09:01", "CodigoResolucion": "X"}, False, id="a-code"),
        pytest.param({"Fecha": "2026-03-01 09:01", "detalle": "[SPAI] nota"}, False, id="our-note"),
    ],
)
def test_where_the_opening_ends(second: dict[str, str], kept: bool) -> None:
    opened = as_opened(closed(ASKED, {"Autor": "Eva Mora"} | second, SOLVED), TAG)
    assert len(opened.history) == 1 + kept


def test_our_own_marks_are_hidden() -> None:
    ours = {"NotasResolucion": write_mark(TAG, "d-01", "5f0f5b0e-6d0c-5b52-9a55-0c9f6f3c1d7e", "cierre", "Ya está.")}
    assert TAG.strip() not in as_opened(closed(ASKED, ours, SOLVED), TAG).model_dump_json()
    assert as_opened(closed(ours, SOLVED), TAG).history == ()


@pytest.mark.parametrize(
    ("history", "mailbox"),
    [
        pytest.param([ASKED, SOLVED | {"buzonAsignado": "COBROS"}], "CAU", id="from-the-first-entry"),
        pytest.param([ASKED | {"buzonAsignado": "", "buzonComentario": "ALTA"}, SOLVED], "ALTA", id="commented-from"),
        pytest.param([SOLVED | {"buzonAsignado": "COBROS", "buzonComentario": "CAU_2"}], "CAU_2", id="moved-at-once"),
        pytest.param([SOLVED | {"buzonAsignado": "OTRO"}], "COBROS", id="nothing-tells"),
        pytest.param([{"detalle": "x"}], "COBROS", id="no-mailboxes"),
        pytest.param(None, "COBROS", id="no-history"),
    ],
)
def test_the_mailbox_it_began_in(history: list[dict[str, str]] | None, mailbox: str) -> None:
    assert as_opened(closed(historial=history, buzon="COBROS"), TAG).mailbox == mailbox
