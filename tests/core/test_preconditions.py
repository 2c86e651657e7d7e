"""core/preconditions: may a row be carried out on an incident now, and every reason why not."""

from datetime import UTC, datetime
from typing import Any

import pytest

from core.catalogue import FIX_COMPONENT, CatalogueEntry
from core.incident import Incident
from core.knowledge.entry import prepare
from core.marks import ASKED_FOR_POLICY, LEFT_TO_PERSON, read_marks, write_mark
from core.policy import Policy
from core.policy_number import UnclearPolicy
from core.preconditions import FREE, Facts, Preconditions, Ruling, lacking
from core.reason import Reason

TAG = "[SPAI] "
NOW = datetime(2026, 5, 4, 9, tzinfo=UTC)
COMPONENTS = ("RECIBOS", "SINIESTROS", "Portal Clientes", FIX_COMPONENT, "")


def row(**fields: object) -> CatalogueEntry:
    given = {"component": "RECIBOS", "description": "cargo doble", "solution": "Espere.", "resolution": "cierre"}
    return CatalogueEntry.model_validate(given | fields)


def incident(**fields: object) -> Incident:
    given = {"codIncidencia": "I1", "buzon": "CAU", "estado": "Abierta", "descripcion": "me han cobrado dos veces"}
    return Incident.model_validate(given | fields)


def ruled(known: CatalogueEntry, found: Incident, *, policies: tuple[str, ...] = (), **politics: Any) -> Ruling:
    preconditions = Preconditions(Policy.model_validate(politics), TAG, 1000, COMPONENTS)
    return preconditions.of_row(known, Facts(found, NOW, read_marks(found, TAG), policies))


def marked(kind: str, known: CatalogueEntry) -> dict[str, Any]:
    return {"historial": [{"NotasResolucion": write_mark(TAG, "d-01", known.id, kind, "texto")}]}


def test_nothing_stands_in_the_way() -> None:
    assert ruled(row(), incident()) == FREE
    assert FREE.reasons == ()


# What was done before


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        pytest.param("cierre", (Reason.ALREADY_TRIED,), id="closed-with-it"),
        pytest.param("deshecha", (Reason.ALREADY_TRIED,), id="undone"),
        pytest.param(LEFT_TO_PERSON, (), id="left-to-a-person"),
        pytest.param(ASKED_FOR_POLICY, (), id="policy-asked-for"),
    ],
)
def test_our_marks(kind: str, expected: tuple[Reason, ...]) -> None:
    assert ruled(row(), incident(**marked(kind, row()))).stops == expected


@pytest.mark.parametrize("reason", [Reason.REOPENED, Reason.UNDONE, Reason.PROPOSAL_REJECTED])
def test_what_people_made_of_the_row_before(reason: Reason) -> None:
    preconditions = Preconditions(Policy(), TAG, 1000)
    barred = {row().id: reason}
    assert preconditions.of_row(row(), Facts(incident(), NOW, barred=barred)).stops == (reason,)
    assert preconditions.of_row(row(description="otra"), Facts(incident(), NOW, barred=barred)) == FREE


# What is missing

API = {"resolution": "api", "system": "fxprovicion"}


@pytest.mark.parametrize(
    ("fields", "policies", "asked", "expected"),
    [
        pytest.param(API, ("1",), True, (), id="policy-there"),
        pytest.param(API, (), False, (), id="to-be-asked-for"),
        pytest.param(API, (), True, (Reason.MISSING_POLICY,), id="asked-in-vain"),
        pytest.param(API, ("1", "2"), False, (Reason.AMBIGUOUS_POLICY,), id="two-policies"),
        pytest.param(API, ("1", UnclearPolicy("H-2")), False, (Reason.AMBIGUOUS_POLICY,), id="one-more-unclear"),
        pytest.param(API, (UnclearPolicy("H-2"),), False, (Reason.AMBIGUOUS_POLICY,), id="unclear-is-not-asked-for"),
        pytest.param(API, (UnclearPolicy("H-2"),), True, (Reason.AMBIGUOUS_POLICY,), id="unclear-after-asking"),
        pytest.param(API | {"system": "otro"}, ("1",), False, (Reason.UNKNOWN_SYSTEM,), id="unknown-system"),
        pytest.param(
            API | {"system": "otro"},
            ("1", "2"),
            False,
            (Reason.UNKNOWN_SYSTEM, Reason.AMBIGUOUS_POLICY),
            id="both-are-said",
        ),
        pytest.param({"resolution": "manual"}, (), False, (Reason.MANUAL_ENTRY,), id="manual"),
    ],
)
def test_what_a_row_lacks(
    fields: dict[str, str], policies: tuple[str, ...], asked: bool, expected: tuple[Reason, ...]
) -> None:
    assert lacking(row(**fields), policies, asked_before=asked) == expected


@pytest.mark.parametrize(
    ("solution", "whole"),
    [
        pytest.param("Hola, <PERSONA_1>: ya está.", False, id="our-placeholder"),
        pytest.param("Escriba a {correo}.", False, id="field"),
        pytest.param("El importe es ____ euros.", False, id="line"),
        pytest.param("Llame al XXXX.", False, id="crosses"),
        pytest.param("Motivo: […]", False, id="dots"),
        pytest.param("Abra Opciones > Conexión y pulse <Intro>.", True, id="a-key"),
        pytest.param("Pulse [Aceptar] y «Guardar».", True, id="buttons"),
        pytest.param("Son 2_000 euros; talla XXL.", True, id="short-runs"),
    ],
)
@pytest.mark.parametrize("resolution", ["cierre", "en espera", "reasignacion"])
def test_gaps_in_the_solution(solution: str, whole: bool, resolution: str) -> None:
    known = row(solution=solution, resolution=resolution, mailbox="COBROS")
    assert lacking(known, (), asked_before=False) == (() if whole else (Reason.SOLUTION_INCOMPLETE,))


def test_a_withheld_solution_is_told_as_such() -> None:
    known = prepare(
        row(solution="Llame al 912 345 678."), lambda text: text.replace("912 345 678", "<TELEFONO_1>"), "e"
    )
    assert lacking(known, (), asked_before=False) == (Reason.SOLUTION_WITHHELD,)


# The component


@pytest.mark.parametrize(
    ("component", "fields", "stops"),
    [
        pytest.param("RECIBOS", {"componente": "Siniestros"}, True, id="another-in-its-field"),
        pytest.param("RECIBOS", {"Componente": "recibos"}, False, id="the-same"),
        pytest.param("RECIBOS", {"componente": "Jardinería"}, False, id="unknown-to-the-catalogue"),
        pytest.param("RECIBOS", {"componente": 7}, False, id="no-text"),
        pytest.param("RECIBOS", {"titulo": "[SINIESTROS] sin perito"}, True, id="in-brackets"),
        pytest.param("RECIBOS", {"titulo": " portal clientes : no entra"}, True, id="before-a-colon"),
        pytest.param("RECIBOS", {"titulo": "Siniestros y recibos: dudas"}, False, id="more-than-its-name"),
        pytest.param("RECIBOS", {"titulo": "recibo de siniestros"}, False, id="only-mentioned"),
        pytest.param("RECIBOS", {"titulo": "Siniestros: x", "componente": "RECIBOS"}, False, id="one-of-two-agrees"),
        pytest.param(FIX_COMPONENT, {"componente": "SINIESTROS"}, False, id="a-fix-has-none"),
        pytest.param("", {"componente": "SINIESTROS"}, False, id="a-row-without"),
    ],
)
def test_the_component(component: str, fields: dict[str, object], stops: bool) -> None:
    ruling = ruled(row(component=component), incident(**fields))
    assert ruling.stops == ((Reason.OTHER_COMPONENT,) if stops else ())


def test_the_field_of_the_component_is_the_operators_to_name() -> None:
    found = incident(aplicacion="SINIESTROS", componente="SINIESTROS")
    assert ruled(row(), found, limites={"campos_componente": ["Aplicación"]}).stops == (Reason.OTHER_COMPONENT,)
    assert ruled(row(), found, limites={"campos_componente": []}) == FREE


# The mailbox


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param({}, (), id="never-there"),
        pytest.param({"buzon": "cobros"}, (Reason.ALREADY_THERE,), id="there-now"),
        pytest.param({"historial": [{"buzonAsignado": "COBROS"}]}, (Reason.SENT_BACK,), id="was-there"),
        pytest.param({"historial": [{"buzonComentario": "Cobros"}]}, (Reason.SENT_BACK,), id="written-from-there"),
        pytest.param({"historial": [{"buzonAsignado": "OTRO"}]}, (), id="was-elsewhere"),
    ],
)
def test_the_mailbox_it_would_go_to(fields: dict[str, Any], expected: tuple[Reason, ...]) -> None:
    assert ruled(row(resolution="reasignacion", mailbox="COBROS"), incident(**fields)).stops == expected
    assert ruled(row(), incident(**fields)) == FREE


# What the row says of itself


@pytest.mark.parametrize(
    ("due", "overdue"),
    [
        pytest.param("2026-05-03", True, id="yesterday"),
        pytest.param("03/05/2026", True, id="day-first"),
        pytest.param("2026-05-04", False, id="today"),
        pytest.param("2026-05-05", False, id="tomorrow"),
        pytest.param("en otoño", False, id="no-date"),
        pytest.param("", False, id="none-yet"),
    ],
)
def test_a_fix_whose_date_has_passed(due: str, overdue: bool) -> None:
    known = row(component=FIX_COMPONENT, resolution="en espera", expected_on=due)
    assert ruled(known, incident()).stops == ((Reason.FIX_OVERDUE,) if overdue else ())


# The incident by itself


@pytest.mark.parametrize(
    ("limit", "priority", "asks"),
    [
        pytest.param("media", "Alta", True, id="above"),
        pytest.param("media", "1 - Crítica", True, id="far-above"),
        pytest.param("media", "Media", False, id="at-it"),
        pytest.param("media", "baja", False, id="below"),
        pytest.param("media", "", True, id="none"),
        pytest.param("media", "azul", True, id="unknown"),
        pytest.param("crítica", "Urgente", False, id="no-limit-in-effect"),
        pytest.param(2, "P1", True, id="in-digits"),
    ],
)
def test_severe_incidents_wait_for_a_yes(limit: object, priority: str, asks: bool) -> None:
    found = incident(prioridad=priority)
    ruling = ruled(row(), found, limites={"prioridad": limit})
    assert ruling == Ruling(asks=(Reason.TOO_SEVERE,) if asks else ())
    assert ruled(row(), found) == FREE


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param({}, (), id="nothing"),
        pytest.param({"estado": "En espera"}, (Reason.WAITING,), id="waits"),
        pytest.param({"estado": "En curso", "descripcion": ""}, (Reason.WORKED_BY_PERSON, Reason.EMPTY_TEXT), id="two"),
        pytest.param(
            {"estado": "Cerrada", "buzon": "OTRO", "solicitante": "robot", "asignadoA": "Ana", "titulo": "x" * 1001},
            (
                Reason.NOT_OPEN,
                Reason.OTHER_MAILBOX,
                Reason.OPENED_BY_BOT,
                Reason.WORKED_BY_PERSON,
                Reason.TEXT_TOO_LONG,
            ),
            id="all-at-once",
        ),
    ],
)
def test_every_reason_is_told(fields: dict[str, object], expected: tuple[Reason, ...]) -> None:
    policy = Policy.model_validate({"elegibles": {"buzones": ["CAU"], "campos_persona": ["asignadoA"]}})
    assert Preconditions(policy, TAG, 1000).of_incident(incident(**fields)).stops == expected


def test_reasons_of_row_and_incident_together() -> None:
    found = incident(estado="En espera", prioridad="alta", buzon="COBROS", **marked("reasignacion", MOVE))
    ruling = ruled(MOVE, found, limites={"prioridad": "baja"})
    assert ruling.reasons == (Reason.ALREADY_TRIED, Reason.ALREADY_THERE, Reason.WAITING, Reason.TOO_SEVERE)


MOVE = row(resolution="reasignacion", mailbox="COBROS")
