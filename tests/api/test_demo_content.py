"""The demo content: enough of each case, and every reference between its files holds."""

import csv
import io
import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from PIL import Image

from api.mocks import content, screenshots
from api.mocks.content import Expected
from config import ROOT
from core.catalogue import CatalogueEntry, Resolution, normalised
from core.incident import Incident

NOW = datetime(2026, 3, 31, 12, 0, tzinfo=UTC)
COLUMNS = [
    "COMPONENTE",
    "DESCRIPCION",
    "TIPO INCIDENCIA",
    "SOLUCIÓN",
    "FECHA DE RESOLUCIÓN",
    "RESOLUCION AUTOMÁTICA",
    "BUZON REASIGNACION",
]
POLICY = re.compile(r"POL-\d{8}\b|póliza \d{8}\b", re.IGNORECASE)


def _rows(name: str) -> list[dict[str, str]]:
    with (ROOT / "resources" / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, strict=True))


CATALOGUE = _rows("PROBLEMAS_GLOBALES.csv")
FIXES = _rows("CORRECTIVOS_ABIERTOS.csv")
KIND = {row["DESCRIPCION"]: row["RESOLUCION AUTOMÁTICA"] for row in CATALOGUE + FIXES}
MAILBOXES = {row["BUZON REASIGNACION"] for row in CATALOGUE} - {""}
OPEN = {item["codIncidencia"]: item for item in content.open_incidents(NOW)}
CLOSED = {item["codIncidencia"]: item for item in content.closed_incidents(NOW)}
EXPECTED = content.expected()
CASES = Counter(outcome.case for outcome in EXPECTED.values())


def _entry_id(row: dict[str, str]) -> str:
    kind = row["RESOLUCION AUTOMÁTICA"].partition("|")[0]
    return CatalogueEntry(component=row["COMPONENTE"], description=row["DESCRIPCION"], resolution=Resolution(kind)).id


def _with_case(*cases: str) -> list[str]:
    return [code for code, outcome in EXPECTED.items() if outcome.case in cases]


def test_catalogue_is_large_varied_and_well_formed():
    assert list(CATALOGUE[0]) == COLUMNS
    assert len(CATALOGUE) >= 64
    assert len({row["COMPONENTE"] for row in CATALOGUE}) >= 7
    kinds = set(KIND.values())
    assert kinds == {"manual", "cierre", "en espera", "reasignacion", "api|fxprovicion", "api|disconformidad"}
    assert len({_entry_id(row) for row in CATALOGUE}) == len(CATALOGUE)


@pytest.mark.parametrize("row", CATALOGUE, ids=[row["DESCRIPCION"][:40] for row in CATALOGUE])
def test_row_is_complete(row):
    assert 8 <= len(row["DESCRIPCION"].split()) <= 30
    assert row["COMPONENTE"]
    assert row["TIPO INCIDENCIA"]
    assert len(row["SOLUCIÓN"]) > 30
    assert datetime.fromisoformat(row["FECHA DE RESOLUCIÓN"])
    assert bool(row["BUZON REASIGNACION"]) == (row["RESOLUCION AUTOMÁTICA"] == "reasignacion")


def test_fixes_under_way():
    assert list(FIXES[0]) == ["ID INCIDENCIA", "DESCRIPCION", "FECHA PREVISTA", "RESOLUCION AUTOMÁTICA"]
    assert len(FIXES) == 5
    assert {row["RESOLUCION AUTOMÁTICA"] for row in FIXES} == {"en espera"}
    assert all(datetime.fromisoformat(row["FECHA PREVISTA"]) for row in FIXES)
    assert len({row["ID INCIDENCIA"] for row in FIXES}) == 5


@pytest.mark.parametrize(
    ("case", "least"),
    [
        ("claro", 22),
        ("casi", 5),
        ("desconocida", 7),
        ("ya_probada", 2),
        ("fxprovicion", 2),
        ("disconformidad", 2),
        ("sin_poliza", 2),
        ("captura", 3),
        ("ingles", 1),
        ("hostil", 1),
        ("correctivo", 1),
        ("manual", 2),
    ],
)
def test_enough_incidents_of_each_case(case, least):
    assert CASES[case] >= least


def test_every_open_incident_has_its_expectation():
    assert len(OPEN) >= 46
    assert set(EXPECTED) == set(OPEN)
    assert not set(OPEN) & set(CLOSED)
    for item in (*OPEN.values(), *CLOSED.values()):
        assert Incident.model_validate(item).description


@pytest.mark.parametrize("code", EXPECTED)
def test_expectation_refers_to_what_exists(code):
    outcome = EXPECTED[code]
    assert outcome.row is None or outcome.row in KIND
    if outcome.row is None or KIND[outcome.row] == "manual":
        assert outcome.allowed == ()
    elif outcome.allowed and outcome.case != "sin_poliza":
        assert outcome.allowed == (KIND[outcome.row],)
    if "reasignacion" in outcome.allowed:
        assert outcome.mailbox in MAILBOXES
        row = next(row for row in CATALOGUE if row["DESCRIPCION"] == outcome.row)
        assert row["BUZON REASIGNACION"] == outcome.mailbox


@pytest.mark.parametrize("code", [code for code, outcome in EXPECTED.items() if outcome.row])
def test_wording_is_not_the_rows(code):
    """No five words in a row are shared: the match has to be one of meaning."""
    words = re.findall(r"\w+", normalised(OPEN[code]["descripcion"]))
    row = re.findall(r"\w+", normalised(EXPECTED[code].row or ""))
    shared = {tuple(words[i : i + 5]) for i in range(len(words) - 4)} & {
        tuple(row[i : i + 5]) for i in range(len(row) - 4)
    }
    assert not shared


def test_several_kinds_are_matched_clearly():
    kinds = {EXPECTED[code].allowed[0] for code in _with_case("claro")}
    assert kinds == {"cierre", "en espera", "reasignacion"}


def test_policy_numbers_are_where_they_should_be():
    known = {policy["poliza"] for policy in content.policies(NOW)}
    for code in _with_case("fxprovicion", "disconformidad"):
        found = POLICY.findall(OPEN[code]["descripcion"])
        assert len(found) == 1
        assert f"POL-{found[0][-8:]}" in known
        assert EXPECTED[code].system_answer in {"cierre", "en espera", "reasignacion"}
    for code in _with_case("sin_poliza"):
        assert not re.search(r"\d{5}", OPEN[code]["descripcion"])


def test_tried_incidents_carry_our_mark_with_the_row():
    ids = {row["DESCRIPCION"]: _entry_id(row) for row in CATALOGUE}
    for code in _with_case("ya_probada"):
        notes = " ".join(entry["NotasResolucion"] for entry in OPEN[code]["historial"])
        marked = re.search(r"\[SPAI\] \(decisión d-[0-9a-f]{12}; fila ([0-9a-f-]{36}); cierre\) \S", notes)
        assert marked
        assert marked[1] == ids[EXPECTED[code].row or ""]


def test_exactly_one_history_is_null():
    assert [code for code, item in OPEN.items() if item["historial"] is None] == [
        code for code in _with_case("claro") if OPEN[code]["titulo"] == "Sigo de vacaciones según Outlook"
    ]


def test_screenshots_exist_and_are_small():
    attached = {
        code: entry["adjuntos"]
        for code, item in OPEN.items()
        for entry in item["historial"] or []
        if "adjuntos" in entry
    }
    assert sorted(attached) == sorted(_with_case("captura"))
    names = {name for entry in attached.values() for name in entry}
    assert names == {window.name for window in screenshots.WINDOWS}
    for name in names:
        path = content.ATTACHMENTS / name
        assert path.stat().st_size < 60_000
        with Image.open(io.BytesIO(path.read_bytes())) as image:
            assert image.format == "PNG"
            assert min(image.size) >= 500


def test_decisive_text_is_only_in_the_image():
    words = {"reserva", "liberar", "cuota", "buzon", "outlook", "perfil", "ramo", "autorizacion"}
    for code in _with_case("captura"):
        text = normalised(f"{OPEN[code]['titulo']} {OPEN[code]['descripcion']}")
        assert not words & set(re.findall(r"\w+", text))


def test_closed_incidents_known_and_new():
    outcomes = content.expected_closed()
    assert len(outcomes) >= 18
    assert set(outcomes) <= set(CLOSED)
    assert all((outcome.row in KIND) != (outcome.new_problem is not None) for outcome in outcomes.values())
    new = Counter(outcome.new_problem for outcome in outcomes.values() if outcome.new_problem)
    assert new.total() >= 8
    assert sorted(new.values())[-2:] == [2, 2]
    for item in CLOSED.values():
        assert item["historial"][-1]["NotasResolucion"]
        assert item["estado"] == "Cerrada"


def test_the_year_before_is_labelled_and_shares_no_wording_with_what_is_open():
    past = content.past_rows()
    assert len(past) >= 200
    assert set(past.values()) <= set(KIND)
    assert set(CLOSED) - set(past) - set(content.expected_closed())  # as on any desk, some have no row
    labels = list(csv.DictReader((content.DATA / "etiquetas.csv").read_text(encoding="utf-8").splitlines()))
    said = {label["INCIDENCIA"]: label["FILA"] for label in labels if label["RESULTADO"] == "acertada"}
    assert said.keys() == past.keys()
    assert all(said[code].endswith(row) for code, row in past.items())
    open_words = set().union(*(_fives(item) for item in OPEN.values()))
    assert not [code for code in past if _fives(CLOSED[code]) & open_words]


def _fives(item: dict[str, str]) -> set[tuple[str, ...]]:
    words = re.findall(r"\w+", f"{item['titulo'] or ''} {item['descripcion'] or ''}".lower())
    return {tuple(words[start : start + 5]) for start in range(len(words) - 4)}


@pytest.mark.parametrize("now", [NOW, datetime(2031, 1, 1, 0, 30, tzinfo=UTC)], ids=["spring", "new year"])
def test_dates_are_recent_and_in_order_on_any_day(now):
    for item in (*content.open_incidents(now), *content.closed_incidents(now)):
        opened = datetime.fromisoformat(item["apertura"])
        oldest = 450 if item["codIncidencia"] in CLOSED else 150
        assert now - timedelta(days=oldest) < opened < now
        dates = [datetime.fromisoformat(entry["Fecha"]) for entry in item["historial"] or []]
        assert all(earlier <= later for earlier, later in pairwise(dates))


OUTCOME = Expected(
    code="X", case="claro", row="la fila", allowed=("reasignacion",), mailbox="COBROS_N2", system_answer=None
)


@pytest.mark.parametrize(
    ("acted", "wrong"),
    [
        (("reasignacion", "la fila", "COBROS_N2"), False),
        (("reasignacion", None, None), False),
        (("reasignacion", "la fila", "WEB_N2"), True),
        (("reasignacion", "otra fila", "COBROS_N2"), True),
        (("cierre", "la fila", None), True),
    ],
    ids=["right", "unspecified", "other mailbox", "other row", "other kind"],
)
def test_what_counts_as_wrong(acted, wrong):
    assert OUTCOME.is_wrong(*acted) is wrong


def test_known_solution_needs_a_row_and_an_action():
    assert OUTCOME.has_known_solution
    assert not OUTCOME.model_copy(update={"allowed": ()}).has_known_solution
    assert not OUTCOME.model_copy(update={"row": None}).has_known_solution
