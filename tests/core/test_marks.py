"""core/marks: our notes are written, read back, and tell what was tried."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.incident import Incident
from core.marks import ASKED_FOR_POLICY, LEFT_TO_PERSON, Mark, carries, read_marks, was_tried, write_mark

TAG = "[SPAI] "
ROW = "0a1b2c3d-0000-5000-8000-00000000000a"
OTHER = "0a1b2c3d-0000-5000-8000-00000000000b"


def with_history(*entries: dict[str, str]) -> Incident:
    return Incident.model_validate({"codIncidencia": "I1", "historial": list(entries)})


@given(
    st.from_regex(r"d-[0-9a-f]{12}", fullmatch=True),
    st.none() | st.uuids().map(str),
    st.sampled_from(["cierre", "en espera", "reasignacion", LEFT_TO_PERSON, ASKED_FOR_POLICY]),
    st.text(max_size=80).map(str.strip),
    st.sampled_from(["NotasResolucion", "detalle"]),
)
def test_what_is_written_is_read(decision: str, row: str | None, kind: str, text: str, field: str) -> None:
    note = write_mark(TAG, decision, row, kind, text)
    assert read_marks(with_history({field: note}), TAG) == [Mark(decision, row, kind, text)]


def test_marks_are_told_from_other_notes() -> None:
    ours = write_mark(TAG, "d-01", ROW, "cierre", "Reinicie.")
    found = read_marks(
        with_history(
            {"NotasResolucion": "Probé lo que decía [SPAI] y nada"},
            {"NotasResolucion": "  " + ours, "detalle": ours},
            {"detalle": "Llamó el cliente"},
            {"NotasResolucion": "[SPAI] texto de otra versión"},
        ),
        TAG,
    )
    assert found == [Mark("d-01", ROW, "cierre", "Reinicie."), Mark("", None, "", "texto de otra versión")]


WHOLE = write_mark(TAG, "d-01", ROW, "cierre", "Reinicie.")


@pytest.mark.parametrize(
    ("entry", "ours"),
    [
        pytest.param({"NotasResolucion": f"\n {WHOLE}"}, True, id="notes"),
        pytest.param({"detalle": WHOLE}, True, id="detail"),
        pytest.param({"comentario": WHOLE}, True, id="a-field-of-their-own"),
        pytest.param({"NotasResolucion": f"Nota: {WHOLE}"}, True, id="the-desk-puts-a-label-before-it"),
        pytest.param({"NotasResolucion": f'<div class="n"><p>{WHOLE}'}, True, id="the-desk-keeps-markup"),
        pytest.param({"NotasResolucion": f"<blockquote>{WHOLE}</blockquote>No va."}, False, id="quoted-in-markup"),
        pytest.param({"NotasResolucion": f"Sigue sin funcionar. > {WHOLE}"}, False, id="quoted-behind"),
        pytest.param({"NotasResolucion": f"> {WHOLE}\n\nMi póliza es 123456."}, False, id="quoted-before"),
        pytest.param({"NotasResolucion": "Mi póliza es 123456.", "cita": WHOLE}, False, id="quoted-beside"),
        pytest.param({"NotasResolucion": f"Ana escribió: {WHOLE}"}, False, id="quoted-by-name"),
        pytest.param({"NotasResolucion": "Nota: [SPAI] se equivoca, la llevo yo"}, False, id="a-label-and-no-mark"),
        pytest.param({"NotasResolucion": "Lo que dice [SPAI] es falso"}, False, id="mentioned"),
        pytest.param({"Autor": "[SPAI] no es mi nombre", "NotasResolucion": "Lo miro."}, False, id="author"),
    ],
)
def test_only_what_we_wrote_is_left_out_of_the_fingerprint(entry: dict[str, str], ours: bool) -> None:
    found = with_history(entry)
    before = with_history().fingerprint(without=TAG.strip())
    assert (found.fingerprint(without=TAG.strip()) == before) is ours
    assert read_marks(found, TAG) == ([Mark("d-01", ROW, "cierre", "Reinicie.")] if ours else [])


def test_no_history_has_no_marks() -> None:
    assert read_marks(Incident.model_validate({"codIncidencia": "I1", "historial": None}), TAG) == []


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"historial": [{"NotasResolucion": "[SPAI] (decisión d-77; sin fila; cierre)"}]}, id="notes"),
        pytest.param({"historial": [{"detalle": "decisión d-77"}]}, id="detail"),
        pytest.param({"historial": [{"comentario": "d-77"}]}, id="a-field-of-their-own"),
        pytest.param({"ultimaNota": {"texto": "d-77"}}, id="outside-the-history"),
    ],
)
def test_the_decision_is_found_wherever_it_stands(fields: dict[str, object]) -> None:
    found = Incident.model_validate({"codIncidencia": "I1"} | fields)
    assert carries(found, "d-77")
    assert not carries(found, "d-78")


SOLUTION = "Borre la caché del navegador y reinicie"


@pytest.mark.parametrize(
    ("mark", "tried"),
    [
        pytest.param(Mark("d-1", ROW, "cierre", "otra cosa"), True, id="names-the-row"),
        pytest.param(Mark("d-1", OTHER, "cierre", SOLUTION), False, id="names-another-row"),
        pytest.param(Mark("d-1", ROW, LEFT_TO_PERSON, SOLUTION), False, id="left-to-a-person"),
        pytest.param(Mark("d-1", ROW, ASKED_FOR_POLICY, SOLUTION), False, id="asked-for-the-policy"),
        pytest.param(Mark("", None, "", ""), True, id="says-nothing"),
        pytest.param(Mark("", None, "", f"Hecho: {SOLUTION.upper()}."), True, id="holds-the-solution"),
        pytest.param(Mark("", None, "", "la cache del navegador"), True, id="part-of-the-solution"),
        pytest.param(Mark("", None, "", "reinicie y borre después la caché"), True, id="half-of-its-words"),
        pytest.param(Mark("", None, "", "se pasa a contabilidad"), False, id="other-words"),
    ],
)
def test_what_counts_as_tried(mark: Mark, tried: bool) -> None:
    assert was_tried(ROW, SOLUTION, [mark]) is tried
    assert was_tried(ROW, SOLUTION, [Mark("d-0", OTHER, "cierre", "x"), mark]) is tried


def test_a_row_without_solution_counts_as_tried_by_an_unreadable_mark() -> None:
    assert was_tried(ROW, "", [Mark("", None, "", "algo")])
    assert not was_tried(str(uuid.UUID(int=5)), "", [])
