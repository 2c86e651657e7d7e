"""core/proposed_row.py: a model's suggestion becomes a row that holds, or none."""

import pytest

from core.privacy import PersonalData
from core.proposed_row import InvalidSuggestion, Known, propose
from tests.core.closed_incidents import KNOWN, ROW, case, suggestion


@pytest.mark.parametrize(
    ("fields", "kind", "mailbox", "remark"),
    [
        pytest.param({}, "cierre", "", None, id="as suggested"),
        pytest.param({"resolution": "EN ESPERA", "mailbox": "TALLER"}, "en espera", "", None, id="mailbox not needed"),
        pytest.param(
            {"resolution": "reasignación", "mailbox": "taller"}, "reasignacion", "TALLER", None, id="catalogue's"
        ),
        pytest.param({"resolution": "reasignacion", "mailbox": "cau"}, "reasignacion", "CAU", None, id="an incident's"),
        pytest.param({"resolution": "reasignacion", "mailbox": "LUNA"}, "manual", "", "buzón", id="unknown mailbox"),
        pytest.param({"resolution": "reasignacion"}, "manual", "", "buzón", id="no mailbox"),
        pytest.param({"resolution": "reinicio"}, "manual", "", "ninguna de las conocidas", id="unknown kind"),
        pytest.param({"resolution": "api|FXprovicion"}, "api|fxprovicion", "", None, id="known system"),
        pytest.param({"resolution": "api|nomina"}, "manual", "", "sistema", id="unknown system"),
    ],
)
def test_kind_and_mailbox(
    fields: dict[str, str], kind: str, mailbox: str, remark: str | None, personal: PersonalData
) -> None:
    row = propose(suggestion(**fields), [case("I-1"), case("I-2")], KNOWN, personal)
    assert (row.entry.kind, row.entry.mailbox) == (kind, mailbox)
    assert row.evidence == ("I-1", "I-2")
    assert row.entry.resolved_on == "2026-03-28"
    assert bool(row.remarks) is (remark is not None)
    assert (remark or "") in "".join(row.remarks)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        pytest.param({"description": " \n "}, "descripción está vacía", id="no description"),
        pytest.param({"description": "=+-"}, "descripción está vacía", id="nothing but a formula's start"),
        pytest.param({"solution": ""}, "solución no dice", id="no solution"),
        pytest.param({"solution": "Cierre."}, "solución no dice", id="the kind for a solution"),
        pytest.param({"solution": "y" * 10_001}, "10000", id="too long"),
        pytest.param({"component": "CORREO", "description": "Buzon  lleno"}, "ya está en el catálogo", id="known row"),
    ],
)
def test_invalid_suggestions(fields: dict[str, str], why: str, personal: PersonalData) -> None:
    with pytest.raises(InvalidSuggestion, match=why):
        propose(suggestion(**fields), [case("I-1")], KNOWN, personal)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("Llame al <TELEFONO_2> del <PERSONA_1>.", "Llame al teléfono de la persona."),
        ("La póliza número <POLIZA_1>, caducada", "La póliza número, caducada"),
        ("escriba a <EMAIL_1> con [NIF_1]", "escriba al correo con el documento de identidad"),
        ("El <NIF_1> no vale", "El documento de identidad no vale"),
        ("de nif_3", "del documento de identidad"),
        ("=HIPERVINCULO(A1)", "HIPERVINCULO(A1)"),
        ("dos\n líneas\x00", "dos líneas"),
        ("escriba a ana@x.es", "escriba al correo"),
    ],
)
def test_what_belongs_to_one_case_goes(written: str, expected: str, personal: PersonalData) -> None:
    row = propose(suggestion(solution=written), [case("I")], KNOWN, personal)
    assert row.entry.solution == expected


def test_types_are_the_catalogues(personal: PersonalData) -> None:
    known = Known.of([ROW.model_copy(update={"incident_type": "Consulta"})])
    row = propose(suggestion(incident_type="CONSULTA"), [case("I")], known, personal)
    assert (row.entry.incident_type, row.remarks) == ("Consulta", ())
    row = propose(suggestion(incident_type="SINIESTROS"), [case("I")], known, personal)
    assert row.entry.incident_type == ""
    assert "tipo" in "".join(row.remarks)


def test_components_are_spelt_as_in_the_catalogue(personal: PersonalData) -> None:
    assert propose(suggestion(component="EMISION"), [case("I")], KNOWN, personal).entry.component == "Emisión"
    assert "correctivo" not in Known.of([ROW.model_copy(update={"component": "CORRECTIVO"})]).components
