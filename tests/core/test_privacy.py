import logging
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.characters import clean
from core.identifiers import Kind, neutralise
from core.incident import Incident
from core.policy_number import UnclearPolicy, unclear_policies
from core.privacy import PersonalData, PlaceholderMap, RedactingFilter, policy_numbers, scrub, strip_identifiers
from tests import privacy_samples as samples

PROPERTY = settings(max_examples=120, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])


PD = PersonalData()


@PROPERTY
@given(samples.contexts(), samples.personal_values(), samples.contexts(), samples.personal_values())
def test_no_planted_value_survives(
    around: tuple[str, str], planted: tuple[str, str], around2: tuple[str, str], planted2: tuple[str, str]
) -> None:
    text = f"{around[0]}{planted[0]}{around[1]} {around2[0]}{planted2[0]}{around2[1]}"
    redacted = PD.replace(text)
    for _, secret in (planted, planted2):
        assert secret not in redacted.text
        assert secret.casefold() not in redacted.text.casefold()
        assert secret not in scrub(text)
    assert secret not in repr(redacted)


@PROPERTY
@given(samples.contexts(), samples.personal_values(), st.text("ab 1<>_[]NIF.@-\n\u200b１é", max_size=30))
def test_restoring_gives_the_clean_text_back(around: tuple[str, str], planted: tuple[str, str], noise: str) -> None:
    text = f"{noise}\n{around[0]}{planted[0]}{around[1]}"
    redacted = PD.replace(text)
    assert redacted.restore(redacted.text) == neutralise(clean(text))


@PROPERTY
@given(samples.contexts(), samples.personal_values())
def test_a_second_pass_finds_nothing_more(around: tuple[str, str], planted: tuple[str, str]) -> None:
    once = PD.replace(f"{around[0]}{planted[0]}{around[1]}")
    twice = PD.replace(once.text)
    assert len(twice.values) == 0
    assert twice.text == neutralise(once.text)
    assert PD.replace(twice.text).text == twice.text


@PROPERTY
@given(st.text(max_size=80))
def test_cleaning_twice_changes_nothing_more(text: str) -> None:
    assert clean(clean(text)) == clean(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("DNI 12345678A", "DNI <NIF_1>", id="wrong checksum"),
        pytest.param("DNI12.345.678-Z", "DNI<NIF_1>", id="stuck to a word"),
        pytest.param("1\u200b2\u200b345678Z", "<NIF_1>", id="zero width"),
        pytest.param("１２３４５６７８Ｚ", "<NIF_1>", id="full width"),
        pytest.param("١٢٣٤٥٦٧٨Z", "<NIF_1>", id="arabic digits"),
        pytest.param("dni: 1 2 3 4 5 6 7 8 Z", "dni: <NIF_1>", id="spaced out"),
        pytest.param("DNI 12345678", "DNI <NIF_1>", id="no letter"),
        pytest.param("CIF B-12345678", "CIF <NIF_1>", id="company"),
        pytest.param("pasaporte AAB123456", "pasaporte <NIF_1>", id="passport"),
        pytest.param("12345678Z y 12.345.678-z", "<NIF_1> y <NIF_1>", id="one value, two writings"),
        pytest.param("612345678 / +34 612 34 56 78", "<TELEFONO_1> / <TELEFONO_1>", id="phone with prefix"),
        pytest.param("+44 20 7946 0958", "<TELEFONO_1>", id="foreign phone"),
        pytest.param("612·345·678 o 612_34_56_78", "<TELEFONO_1> o <TELEFONO_1>", id="phone with other marks"),
        pytest.param("al 612\n345 678.", "al <TELEFONO_1>.", id="phone over a line end"),
        pytest.param("600\n700\n800", "600\n700\n800", id="column kept"),
        pytest.param("total 1.612 345\n678", "total 1.612 345\n678", id="long number over a line end kept"),
        pytest.param("lote_7_2024 id_612_345_678_2", "lote_7_2024 id_612_345_678_2", id="names kept"),
        pytest.param("DE89 3704 0044 0532 0130 00", "<IBAN_1>", id="foreign IBAN"),
        pytest.param("ES91 2100 0418 4502 0005 1333", "<IBAN_1>", id="IBAN with wrong digits"),
        pytest.param("cuenta 2100-0418-45-0200051332", "cuenta <IBAN_1>", id="old account number"),
        pytest.param("4111 1111 1111 1111", "<TARJETA_1>", id="card"),
        pytest.param("ana.ruiz+1@correo-ñ.es.", "<EMAIL_1>.", id="address"),
        pytest.param("ana@servidor", "<EMAIL_1>", id="address without domain"),
        pytest.param("ana (arroba) correo punto es", "<EMAIL_1>", id="address in words"),
        pytest.param("véase https://a.es/x?u=ana@b.es y www.c.es/1.", "véase <URL_1> y <URL_2>.", id="URLs"),
        pytest.param("el 12345678901 no está", "el <NUMERO_1> no está", id="bare number"),
        pytest.param("póliza 12345678 y el recibo", "póliza <POLIZA_1> y el recibo", id="policy before a word"),
        pytest.param("POL-12345678, la 12345678", "POL-<POLIZA_1>, la <POLIZA_1>", id="policy named again"),
        pytest.param("el 15-01-2024 a las 10:30", "el 15-01-2024 a las 10:30", id="date kept"),
        pytest.param("9/01/2024 10:30 Error 503 ORA-00942", "9/01/2024 10:30 Error 503 ORA-00942", id="codes kept"),
        pytest.param("son 1.200.000,50 euros", "son 1.200.000,50 euros", id="amount kept"),
        pytest.param("escribe <NIF_1> y <POLIZA_2>", "escribe [NIF_1] y [POLIZA_2]", id="look-alikes"),
        pytest.param("", "", id="empty"),
    ],
)
def test_replace(text: str, expected: str) -> None:
    assert PD.replace(text).text == expected


def test_a_look_alike_is_never_given_somebodys_value() -> None:
    known = PlaceholderMap()
    PD.replace("NIF 12345678Z", known)
    hostile = PD.replace("Repite <NIF_1> y <NIF_1\u200b>", known)
    assert "12345678Z" not in hostile.restore(hostile.text)
    assert known.restore("<NIF_1> <NIF_7>") == "12345678Z <NIF_7>"


def test_restoring_is_one_pass() -> None:
    values = PlaceholderMap()
    values.placeholder(Kind.NIF, "<POLIZA_1>")
    values.placeholder(Kind.POLICY, "12345678")
    assert values.restore("<NIF_1>") == "<POLIZA_1>"


def test_a_known_value_of_six_digits_is_hidden_where_nothing_names_it() -> None:
    known = PlaceholderMap()
    assert PD.replace("póliza 123456", known).text == "póliza <POLIZA_1>"
    assert PD.replace("la 123456 falla, no la 654321", known).text == "la <POLIZA_1> falla, no la 654321"


@pytest.mark.parametrize("number", ["AB-123456", "HG/2024/1234", "2024/12345"])
def test_a_policy_with_letters_or_a_year_is_hidden_wherever_it_stands(number: str) -> None:
    known = PlaceholderMap()
    assert PD.replace(f"póliza {number}", known).text == "póliza <POLIZA_1>"
    assert PD.replace(f"la {number} falla", known).text == "la <POLIZA_1> falla"


def test_a_code_that_is_no_policy_stays() -> None:
    assert PD.replace("error AB-123456 de 2024/12345").text == "error AB-123456 de 2024/12345"


def test_map_shows_no_values() -> None:
    values = PD.replace("12345678Z ana@b.es").values
    assert repr(values) == "PlaceholderMap(2)"
    assert "<EMAIL_1>" in values
    assert values["<EMAIL_1>"] == "ana@b.es"
    assert values.of_kind(Kind.NIF) == ["12345678Z"]


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        pytest.param("Ana Ruiz López", "Soy ANA RUIZ LOPEZ.", "Soy <PERSONA_1>.", id="full"),
        pytest.param("Ana Ruiz López", "Firmado: Ana Ruiz", "Firmado: <PERSONA_1>", id="given and surname"),
        pytest.param("Ruiz López, Ana", "Ana Ruiz López", "<PERSONA_1>", id="reversed"),
        pytest.param("María de la O García", "maria garcia", "<PERSONA_1>", id="particles"),
        pytest.param("Ana Ruiz", "la analítica de Ana", "la analítica de Ana", id="one word alone"),
        pytest.param("aruiz01", "usuario ARUIZ01 bloqueado", "usuario <PERSONA_1> bloqueado", id="login"),
        pytest.param("Oficina Centro", "la oficina centro avisa", "la oficina centro avisa", id="no person"),
        pytest.param("", "hola", "hola", id="nobody"),
    ],
)
def test_names(name: str, text: str, expected: str) -> None:
    assert PD.replace(text, names=[name]).text == expected


def test_redact_incident_shares_placeholders_and_keeps_values_out_of_repr() -> None:
    incident = Incident.model_validate(
        {
            "codIncidencia": "INC-1",
            "titulo": "Fallo con 12345678",
            "solicitante": "Ana Ruiz",
            "descripcion": "La póliza 12345678 de Ana Ruiz (12345678-Z)",
            "historial": [{"Autor": "Eva Sanz", "NotasResolucion": "NIF 12345678z", "detalle": "Saludos, Eva Sanz"}],
        }
    )
    redacted = PD.redact_incident(incident)
    assert redacted.title == "Fallo con <POLIZA_1>"
    assert redacted.description == "La póliza <POLIZA_1> de <PERSONA_1> (<NIF_1>)"
    assert redacted.history[0].notes == "NIF <NIF_1>"
    assert redacted.history[0].detail == "Saludos, <PERSONA_2>"
    assert redacted.policies == ("12345678",)
    assert redacted.restore("<POLIZA_1>") == "12345678"
    assert redacted.text.splitlines()[0] == "Fallo con <POLIZA_1>"
    assert "12345678" not in repr(redacted)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("POL-12345678", ["12345678"], id="code"),
        pytest.param("póliza nº 1234 5678", ["12345678"], id="spaces"),
        pytest.param("Póliza:\n12.345.678", ["12345678"], id="next line, dots"),
        pytest.param("pliza 12345678 o p@liza 12345678", ["12345678"], id="as OCR reads it"),
        pytest.param("pólizas 123456, 123457 y 123458", ["123456", "123457", "123458"], id="list"),
        pytest.param("póliza 12345678 y 612345678", ["12345678"], id="then a phone"),
        pytest.param("póliza 12345678Z", [], id="NIF"),
        pytest.param("póliza del 15-01-2024", [], id="date"),
        pytest.param("póliza de 120.000.000 euros", [], id="amount"),
        pytest.param("la póliza da error 123456", [], id="something else"),
        pytest.param("póliza 12345", [], id="short"),
        pytest.param("póliza 1234567890123", [], id="long"),
        pytest.param("española 12345678", [], id="other word"),
        pytest.param("póliza None", [], id="none"),
        pytest.param("póliza 2024/0012345", ["2024/0012345"], id="year"),
        pytest.param("POL-2024–0012345.", ["2024-0012345"], id="year, long dash"),
        pytest.param("póliza nº AB-1234567", ["AB-1234567"], id="letters"),
        pytest.param("Nº de póliza: hg/2024/00123", ["HG/2024/00123"], id="letters and year"),
        pytest.param("póliza 030/1234567", ["030/1234567"], id="branch"),
        pytest.param("POL-99887766", ["99887766"], id="POL is no part of it"),
        pytest.param("póliza AB-1234567, es la poliza ab1234567", ["AB-1234567"], id="one, two writings"),
        pytest.param("pólizas AB-1234567 y AB-1234568", ["AB-1234567", "AB-1234568"], id="list with letters"),
        pytest.param("pólizas 2024/12345 y 2024/12346", ["2024/12345", "2024/12346"], id="list with years"),
        pytest.param("póliza 2024/01/15", [], id="date, year first"),
        pytest.param("la póliza 2024/2025 y la de 12/2024", [], id="periods"),
        pytest.param("en la póliza INC-104528", [], id="ticket"),
        pytest.param("la póliza INC-2024-00123", [], id="ticket with year"),
        pytest.param("póliza ORA-00942 y EM-417", [], id="error codes"),
        pytest.param("póliza X1234567L o B12345678", [], id="documents"),
        pytest.param("póliza DNI12345678", [], id="document named"),
        pytest.param("póliza EUR120000 y EUR-1200000", [], id="amount in euros"),
        pytest.param("código AB-1234567 del 2024/0012345", [], id="not introduced"),
        pytest.param("My policy number is 12345678", ["12345678"], id="english"),
        pytest.param("Póliza: **12345678**", ["12345678"], id="bold"),
        pytest.param("pólizas 12345678,12345679", ["12345678", "12345679"], id="list without spaces"),
        pytest.param("póliza del 15-01-24", [], id="date, two digits of year"),
        pytest.param("pólizas de 2023-2024", [], id="years"),
        pytest.param("póliza de 120 000 000 €", [], id="amount in spaces"),
        pytest.param("sobre mi póliza: 612 34 56 78", [], id="phone"),
    ],
)
def test_policy_numbers(text: str, expected: list[str]) -> None:
    assert policy_numbers(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("póliza 12345678. Nueva póliza: 030-123456", ["030-123456"], id="branch and dash"),
        pytest.param("la póliza 12345678 no; la póliza H-123456", ["H-123456"], id="one letter"),
        pytest.param("las pólizas 12345678 y 1234567", ["1234567"], id="other length"),
        pytest.param("pólizas 12345678 y la 1234567", ["1234567"], id="other length, article"),
        pytest.param("pólizas:\n- **12345678**\n- **1234567**", ["1234567"], id="one per line"),
        pytest.param("póliza 12345678-1", ["12345678-1"], id="suffix"),
        pytest.param("póliza 12345678-A", ["12345678-A"], id="letter behind"),
        pytest.param("Póliza 0012 345678", ["0012 345678"], id="spaces"),
        pytest.param("Nº de póliza: 28-1-123456", ["28-1-123456"], id="three parts"),
        pytest.param("póliza HG 654321 100 €", ["HG 654321"], id="letters and space"),
        pytest.param("la 12345678 (póliza de hogar)", ["12345678"], id="before the word"),
        pytest.param("el número 654321 de póliza", ["654321"], id="number of policy"),
        pytest.param("póliza ****345678", ["345678"], id="its end only"),
        pytest.param("póliza 123456****", ["123456"], id="its beginning only"),
        pytest.param("la 12345678 (póliza de hogar), póliza 12345678", [], id="understood elsewhere"),
        pytest.param("mi póliza sigue sin provisión", [], id="no number"),
        pytest.param("sobre mi póliza: 612 34 56 78 o +34 91 234 56 78", [], id="phone"),
        pytest.param("póliza 12345678, 612345678", [], id="phone behind"),
        pytest.param("llamen al 612345678 (póliza de hogar)", [], id="phone before"),
        pytest.param("POLIZA 12345678 DEL 01/01/2024 AL 31/12/24", [], id="dates"),
        pytest.param("póliza 15/01/24, pólizas 2023/2024 o de 12/2024", [], id="dates and periods"),
        pytest.param("póliza de 30.000, 15000 € o 15000,50", [], id="amounts"),
        pytest.param("póliza ORA-00942, póliza INC0012345, póliza TICKET 123456, policy 0x80070005", [], id="codes"),
        pytest.param("el recibo nº 12345678 de la póliza", [], id="something else before"),
        pytest.param("123456 pólizas sin recibo", [], id="how many"),
        pytest.param("póliza 12345678, 28013 Madrid", [], id="postal code"),
        pytest.param("póliza 12345678Z o X1234567L", [], id="documents"),
        pytest.param("póliza ES91 2100 0418 4502 0005 1332", [], id="IBAN"),
        pytest.param("policia12345 y política 123456", [], id="other words"),
    ],
)
def test_unclear_policies(text: str, expected: list[str]) -> None:
    assert unclear_policies(text) == expected
    assert all(written not in PD.replace(text).text for written in expected)


@PROPERTY
@given(samples.contexts(), samples.unclear_policies())
def test_what_only_a_person_can_tell_is_remembered_as_unclear(around: tuple[str, str], policy: tuple[str, str]) -> None:
    text = f"{around[0]}{policy[0]}{around[1]}"
    assert policy_numbers(text) == []
    assert unclear_policies(text) == [policy[1]]


def test_unclear_policies_stand_among_an_incidents_and_are_hidden_wherever_they_are() -> None:
    redacted = PD.redact_incident(
        Incident(code="I", title="La 030-123456 sigue igual", description="Póliza 12345678, ahora póliza 030-123456")
    )
    assert redacted.policies == ("12345678", "030-123456")
    assert [isinstance(policy, UnclearPolicy) for policy in redacted.policies] == [False, True]
    assert redacted.text == "La <POLIZA_1> sigue igual\nPóliza <POLIZA_2>, ahora póliza <POLIZA_1>"


def test_a_foreign_phone_is_scrubbed_but_not_a_number_with_zeros() -> None:
    assert scrub("0044 20 7946 0958 y 001 123456 00") == "<TELEFONO> y 001 123456 00"


@PROPERTY
@given(samples.contexts(), samples.policies())
def test_every_named_policy_is_found(around: tuple[str, str], policy: tuple[str, str]) -> None:
    assert policy_numbers(f"{around[0]}{policy[0]}{around[1]}") == [policy[1]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("Error 503 en <POLIZA_1> (<NIF_1>)", "Error 503 en", id="placeholders"),
        pytest.param("INC-2024-00123 falla ORA-00942", "falla ORA-00942", id="ticket and code"),
        pytest.param("el 15/01/2024 10:30 y 2024-01-15T10:30:22Z ya", "el y ya", id="dates"),
        pytest.param(r"en C:\a\b.txt y /var/log/x.log y/o \\srv\c", "en y y/o", id="paths"),
        pytest.param("id 3f2b8a10-1234-4a1b-8888-612345678abc 0xdeadbeef", "id", id="hex"),
        pytest.param("a@b.es https://a.es/x fin", "fin", id="addresses"),
        pytest.param("número 123456789 error 1234567", "número error 1234567", id="numbers"),
        pytest.param("versión 7.1.2, tarifa 1042", "versión 7.1.2, tarifa 1042", id="kept"),
        pytest.param("uno\n\n  dos  ", "uno\ndos", id="lines"),
    ],
)
def test_strip_identifiers(text: str, expected: str) -> None:
    assert strip_identifiers(text) == expected


@pytest.mark.parametrize(
    "unit",
    ["12-", "a@", "a.", "+1 ", "6 ", "X 1", "póliza n de la ", "a arroba a.", "es12", '"', "/a", "ana ruiz ", "1"],
)
def test_hostile_200_kb_are_bounded(unit: str) -> None:
    text = unit * (200_000 // len(unit))
    start = time.perf_counter()
    PD.replace(text, names=["Ana Ruiz"])
    strip_identifiers(text)
    assert time.perf_counter() - start < 30


def _filtered(msg: str, *args: object, **extra: object) -> logging.LogRecord:
    record = logging.makeLogRecord({"msg": msg, "args": args, **extra})
    assert RedactingFilter().filter(record)
    return record


def test_log_filter_scrubs_everything_it_logs() -> None:
    class Opaque:
        def __repr__(self) -> str:
            return "Opaque(ana@b.es)"

    record = _filtered(
        "NIF %s",
        "12345678Z",
        who={"k": ["612345678", Opaque()]},
        incident="12345678",
        hash="0123456789abcdef" * 4,
        n=12345678,
    )
    assert record.getMessage() == "NIF <NIF>"
    assert vars(record)["who"] == {"k": ["<TELEFONO>", "Opaque(<EMAIL>)"]}
    assert vars(record)["incident"] == "12345678"
    assert vars(record)["hash"] == "0123456789abcdef" * 4
    assert vars(record)["n"] == 12345678


def test_log_filter_scrubs_tracebacks_and_survives_wrong_arguments() -> None:
    try:
        raise ValueError("póliza 12345678")
    except ValueError as error:
        record = _filtered("x", exc_info=(type(error), error, error.__traceback__), stack_info="a@b.es")
    shown = logging.Formatter().format(record)
    assert "<POLIZA>" in shown
    assert "12345678" not in shown
    assert "a@b.es" not in shown
    assert _filtered("%d", "12345678Z").getMessage() == "%d ('<NIF>',)"


def test_log_filter_is_not_fooled_by_what_it_has_seen_before() -> None:
    for _ in range(2):
        assert _filtered("cliente %s", "12345678Z", why="12345678Z").getMessage() == "cliente <NIF>"
        assert vars(_filtered("llamada al modelo", why="nada"))["why"] == "nada"
        assert vars(_filtered("x", why="12345678Z"))["why"] == "<NIF>"


def test_log_filter_leaves_our_own_names_alone() -> None:
    record = _filtered("x", collection="problemas_globales_20261121104240_74ac8165", prompt_version="612345678012")
    assert vars(record)["collection"] == "problemas_globales_20261121104240_74ac8165"
    assert vars(record)["prompt_version"] == "612345678012"
