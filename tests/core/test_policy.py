"""core/policy: what may be worked, and in which order."""

import pytest

from core.incident import Incident
from core.policy import ineligible, priority
from core.reason import Reason


def incident(**fields: object) -> Incident:
    return Incident.model_validate({"codIncidencia": "I1", "descripcion": "no imprime", "estado": "Abierta"} | fields)


@pytest.mark.parametrize(
    "status", ["Resuelta", "RESUELTO", "Cerrada", "Cancelada", "anulada", "Finalizado", "Solucionada", "Closed"]
)
def test_ended_is_not_ours(status: str) -> None:
    assert ineligible(incident(estado=status), 100) is Reason.NOT_OPEN


@pytest.mark.parametrize("status", ["En espera", "EN  ESPERA", "Pendiente de implantar", "PENDIENTE_IMPLANTAR"])
def test_waiting_is_left_waiting(status: str) -> None:
    assert ineligible(incident(estado=status), 100) is Reason.WAITING


@pytest.mark.parametrize("status", ["Abierta", "", None, "Pendiente", "Reabierta", "Asignada", "Nueva"])
def test_other_states_are_worked(status: str | None) -> None:
    assert ineligible(incident(estado=status), 100) is None


def test_text_is_counted_over_all_fields() -> None:
    history = [{"NotasResolucion": "cc", "detalle": "ddd"}]
    found = incident(titulo="a", descripcion="bb", historial=history)
    assert ineligible(found, 8) is None
    assert ineligible(found, 7) is Reason.TEXT_TOO_LONG


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"descripcion": ""}, id="empty"),
        pytest.param({"descripcion": None, "titulo": None, "historial": None}, id="null"),
        pytest.param({"descripcion": " \n\t", "historial": [{"detalle": " "}]}, id="blank"),
    ],
)
def test_no_text_is_said(fields: dict[str, object]) -> None:
    assert ineligible(incident(**fields), 100) is Reason.EMPTY_TEXT


@pytest.mark.parametrize(
    "entry", [{"adjuntos": ["c.png"]}, {"adjuntos": [{"nombre": "c.png"}]}, {"detalle": "no va"}], ids=str
)
def test_an_attachment_or_a_note_is_something_to_read(entry: dict[str, object]) -> None:
    assert ineligible(incident(descripcion="", historial=[entry]), 100) is None


def test_queue_order() -> None:
    rows = [
        ("baja", "2024-01-01", "A"),
        ("Crítica", "2024-05-05", "B"),
        ("rara", "2024-02-02", "C"),
        ("ALTA", "2024-03-03", "D"),
        ("media", "2024-02-02", "A2"),
        ("1", "2024-04-04", "E"),
        ("", "2024-01-09", "F"),
    ]
    found = [incident(prioridad=p, apertura=o, codIncidencia=c) for p, o, c in rows]
    assert [i.code for i in sorted(found, key=priority)] == ["E", "B", "D", "F", "A2", "C", "A"]


@pytest.mark.parametrize("status", ["En curso", "EN PROCESO", "En tratamiento por N2"])
def test_what_a_person_works_is_left_alone(status: str) -> None:
    incident = Incident(code="INC-1", status=status, description="No imprime")
    assert ineligible(incident, 1000) is Reason.WORKED_BY_PERSON
