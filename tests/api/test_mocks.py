"""The demo desk and system over HTTP: contract, entity tags, idempotency, state that lasts, and the server itself."""

import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import httpx
import pytest
from fastapi.testclient import TestClient

from api.mocks import content
from api.mocks.desk import create_desk
from api.mocks.server import DemoServer, create_demo, reset_demo
from api.mocks.system import create_system
from config import ROOT
from core.errors import UsageError

NOTE = "[SPAI] (decisión d-0123456789ab; fila x; cierre) Hecho."


@pytest.fixture
def desk(tmp_path):
    with TestClient(create_desk(tmp_path)) as client:
        yield client


@pytest.fixture
def plain(tmp_path):
    with TestClient(create_desk(tmp_path, plain=True)) as client:
        yield client


@pytest.fixture
def system(tmp_path):
    with TestClient(create_system(tmp_path)) as client:
        yield client


def _first(client) -> str:
    return client.get("/api/incidencias").json()[0]["codIncidencia"]


def _resolve(client, code, **headers):
    return client.patch(
        f"/api/incidencias/{code}", json={"action": "resolver", "notasResolucion": NOTE}, headers=headers
    )


def test_listing_is_everything_not_closed(desk):
    listed = desk.get("/api/incidencias").json()
    assert {item["codIncidencia"] for item in listed} == set(content.expected())
    closed = desk.get("/api/incidencias/cerradas").json()
    recent = {item["codIncidencia"] for item in closed if item["codIncidencia"] in content.expected_closed()}
    assert recent == set(content.expected_closed())
    assert set(content.past_rows()) <= {item["codIncidencia"] for item in closed} - recent


def test_listing_of_one_mailbox(desk):
    listed = desk.get("/api/incidencias", params={"buzon": "CAU_MEDIADORES"}).json()
    assert listed
    assert {item["buzon"] for item in listed} == {"CAU_MEDIADORES"}
    assert desk.get("/api/incidencias", params={"buzon": "NO_EXISTE"}).json() == []


def test_single_read_has_an_etag_that_changes_with_the_incident(desk):
    code = _first(desk)
    before = desk.get(f"/api/incidencias/{code}")
    assert before.headers["ETag"] == desk.get(f"/api/incidencias/{code}").headers["ETag"]
    changed = _resolve(desk, code)
    assert changed.headers["ETag"] != before.headers["ETag"]
    assert changed.headers["ETag"] == desk.get(f"/api/incidencias/{code}").headers["ETag"]


@pytest.mark.parametrize(
    ("body", "state", "mailbox"),
    [
        ({"action": "resolver"}, "Resuelta", None),
        ({"action": "en_espera"}, "En espera", None),
        ({"action": "pendiente_implantar"}, "Pendiente de implantar", None),
        ({"action": "reasignar", "buzonDestino": "COBROS_N2"}, "Abierta", "COBROS_N2"),
    ],
    ids=lambda value: value.get("action") if isinstance(value, dict) else None,
)
def test_change_sets_the_state_and_adds_to_the_history(desk, body, state, mailbox):
    before = desk.get("/api/incidencias").json()[0]
    code = before["codIncidencia"]
    answer = desk.patch(f"/api/incidencias/{code}", json={**body, "notasResolucion": NOTE, "detalle": "porque sí"})
    assert answer.status_code == 200
    after = desk.get(f"/api/incidencias/{code}").json()
    assert answer.json() == after
    assert (after["estado"], after["buzon"]) == (state, mailbox or before["buzon"])
    assert after["historial"][:-1] == before["historial"]
    entry = after["historial"][-1]
    assert entry["Autor"] == "SPAI"
    assert (entry["NotasResolucion"], entry["detalle"]) == (NOTE, "porque sí")
    assert (entry["estado"], entry["buzonAsignado"]) == (state, after["buzon"])
    still_open = code in {item["codIncidencia"] for item in desk.get("/api/incidencias").json()}
    assert still_open is (state != "Resuelta")


def test_change_of_an_incident_with_null_history(desk):
    code = next(item["codIncidencia"] for item in desk.get("/api/incidencias").json() if item["historial"] is None)
    assert len(_resolve(desk, code).json()["historial"]) == 1


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"action": "borrar"},
        {"action": "reasignar"},
        {"action": "reasignar", "buzonDestino": " "},
        {"action": "resolver", "otro": 1},
        {"action": "resolver", "notasResolucion": 3},
    ],
    ids=["empty", "unknown action", "no mailbox", "blank mailbox", "unknown field", "wrong type"],
)
def test_invalid_change_is_refused_and_changes_nothing(desk, body):
    code = _first(desk)
    before = desk.get(f"/api/incidencias/{code}").json()
    assert desk.patch(f"/api/incidencias/{code}", json=body).status_code == 422
    assert desk.get(f"/api/incidencias/{code}").json() == before


def test_closed_incident_cannot_be_resolved_again(desk):
    closed = desk.get("/api/incidencias/cerradas").json()[0]["codIncidencia"]
    assert _resolve(desk, closed).status_code == 409
    code = _first(desk)
    assert [_resolve(desk, code).status_code, _resolve(desk, code).status_code] == [200, 409]


def test_unknown_incident(desk):
    assert desk.get("/api/incidencias/INC-0").status_code == 404
    assert _resolve(desk, "INC-0").status_code == 404
    assert desk.post("/api/incidencias/INC-0/notas", json={"nota": "x"}).status_code == 404


@pytest.mark.parametrize(
    ("header", "status"),
    [("{tag}", 200), ("*", 200), ('"otra", {tag}', 200), ('"otra"', 412)],
    ids=["same", "any", "among several", "other"],
)
def test_if_match(desk, header, status):
    code = _first(desk)
    tag = desk.get(f"/api/incidencias/{code}").headers["ETag"]
    assert _resolve(desk, code, **{"If-Match": header.format(tag=tag)}).status_code == status
    state = desk.get(f"/api/incidencias/{code}").json()["estado"]
    assert state == ("Resuelta" if status == 200 else "Abierta")


def test_repeated_key_gets_the_same_answer_and_applies_once(desk):
    code = _first(desk)
    tag = desk.get(f"/api/incidencias/{code}").headers["ETag"]
    headers = {"Idempotency-Key": "k1", "If-Match": tag}
    first, second = _resolve(desk, code, **headers), _resolve(desk, code, **headers)
    assert (second.status_code, second.json()) == (200, first.json())
    assert second.headers["ETag"] == first.headers["ETag"]
    notes = [entry["NotasResolucion"] for entry in desk.get(f"/api/incidencias/{code}").json()["historial"]]
    assert notes.count(NOTE) == 1


def test_key_with_another_request_is_refused(desk):
    code, other = (item["codIncidencia"] for item in desk.get("/api/incidencias").json()[:2])
    assert _resolve(desk, code, **{"Idempotency-Key": "k1"}).status_code == 200
    assert _resolve(desk, other, **{"Idempotency-Key": "k1"}).status_code == 422
    body = {"action": "en_espera"}
    answer = desk.patch(f"/api/incidencias/{code}", json=body, headers={"Idempotency-Key": "k1"})
    assert answer.status_code == 422
    assert desk.get(f"/api/incidencias/{other}").json()["estado"] == "Abierta"


def test_refused_change_does_not_use_up_its_key(desk):
    code = _first(desk)
    assert _resolve(desk, code, **{"Idempotency-Key": "k1", "If-Match": '"otra"'}).status_code == 412
    assert _resolve(desk, code, **{"Idempotency-Key": "k1"}).status_code == 200


def test_note_leaves_state_and_mailbox_alone(desk):
    before = desk.get("/api/incidencias").json()[0]
    url = f"/api/incidencias/{before['codIncidencia']}/notas"
    for _ in range(2):
        assert desk.post(url, json={"nota": NOTE}, headers={"Idempotency-Key": "n1"}).status_code == 200
    after = desk.get(f"/api/incidencias/{before['codIncidencia']}").json()
    assert (after["estado"], after["buzon"]) == (before["estado"], before["buzon"])
    assert [entry["NotasResolucion"] for entry in after["historial"][len(before["historial"]) :]] == [NOTE]
    assert desk.post(url, json={"nota": ""}).status_code == 422


def test_only_one_of_two_changes_of_the_same_version_takes_effect(desk):
    code = _first(desk)
    tag = desk.get(f"/api/incidencias/{code}").headers["ETag"]
    together = threading.Barrier(2)

    def send(number: int) -> int:
        together.wait(5)
        return _resolve(desk, code, **{"If-Match": tag, "Idempotency-Key": f"k{number}"}).status_code

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(send, range(2))) == [200, 412]


def test_attachment_is_served(desk):
    name = next(content.ATTACHMENTS.glob("*.png")).name
    answer = desk.get(f"/api/adjuntos/{name}")
    assert answer.headers["Content-Type"] == "image/png"
    assert answer.content.startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "name",
    ["no-existe.png", "..%2Fabiertas.json", "%2e%2e%2fabiertas.json", "..%5Cabiertas.json", "%2Fetc%2Fpasswd", ".."],
)
def test_no_name_leads_out_of_the_attachments(desk, name):
    assert desk.get(f"/api/adjuntos/{name}").status_code == 404


def test_plain_desk_offers_no_more_than_the_contract(plain):
    code = _first(plain)
    assert plain.get(f"/api/incidencias/{code}").status_code in {404, 405}
    assert plain.post(f"/api/incidencias/{code}/notas", json={"nota": "x"}).status_code in {404, 405}
    headers = {"Idempotency-Key": "k1", "If-Match": '"otra"'}
    body = {"action": "en_espera", "notasResolucion": NOTE}
    answers = [plain.patch(f"/api/incidencias/{code}", json=body, headers=headers) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert "ETag" not in answers[0].headers
    listed = next(item for item in plain.get("/api/incidencias").json() if item["codIncidencia"] == code)
    assert [entry["NotasResolucion"] for entry in listed["historial"]].count(NOTE) == 2


def test_state_outlives_the_application_and_can_be_reset(tmp_path):
    with TestClient(create_demo(tmp_path)) as client:
        code = _first(client)
        assert _resolve(client, code, **{"Idempotency-Key": "k1"}).status_code == 200
    with TestClient(create_demo(tmp_path)) as client:
        assert client.get(f"/api/incidencias/{code}").json()["estado"] == "Resuelta"
        assert _resolve(client, code, **{"Idempotency-Key": "k1"}).status_code == 200
    reset_demo(tmp_path)
    with TestClient(create_demo(tmp_path)) as client:
        assert _first(client) == code
        assert client.get(f"/api/incidencias/{code}").json()["estado"] == "Abierta"
        assert client.get("/api/poliza/POL-31845520").status_code == 200


@pytest.mark.parametrize("number", ["POL-31845520", "31845520", "pol-31845520"])
def test_policy_is_found_with_and_without_its_prefix(system, number):
    assert system.get(f"/api/poliza/{number}").json()["poliza"] == "POL-31845520"


def test_unknown_policy(system):
    assert system.get("/api/poliza/POL-00000000").status_code == 404
    body = {"poliza": "POL-00000000", "codSolucion": "fxprovicion", "strJson": "{}"}
    assert system.post("/api/comprobacionPoliza", json=body).status_code == 404


@pytest.mark.parametrize(
    ("policy", "code", "resolution", "mailbox", "says"),
    [
        ("POL-31845520", "fxprovicion", "cierre", "", "6 días"),
        ("POL-30992817", "fxprovicion", "reasignacion", "PROVISIONES_N2", "27 días"),
        ("POL-31840077", "fxprovicion", "cierre", "", "terminó"),
        ("POL-20665481", "fxprovicion", "manual", "", "anulada"),
        ("POL-52018834", "disconformidad", "en espera", "", "licencia"),
        ("POL-52177461", "disconformidad", "cierre", "", "siniestros"),
        ("POL-31840077", "disconformidad", "manual", "", "no está rechazada"),
    ],
)
def test_what_the_system_answers(system, policy, code, resolution, mailbox, says):
    answer = system.post(
        "/api/comprobacionPoliza", json={"poliza": policy, "codSolucion": code, "strJson": '{"a": 1}'}
    ).json()
    assert set(answer) == {"RESOLUCION AUTOMÁTICA", "BUZON REASIGNACION", "SOLUCIÓN"}
    assert (answer["RESOLUCION AUTOMÁTICA"], answer["BUZON REASIGNACION"]) == (resolution, mailbox)
    assert says in answer["SOLUCIÓN"]


@pytest.mark.parametrize(
    "change",
    [{"codSolucion": "otro"}, {"strJson": "no es json"}, {"strJson": "[1]"}, {"poliza": ""}],
    ids=["unknown code", "not JSON", "not an object", "no policy"],
)
def test_system_refuses_a_bad_question(system, change):
    body = {"poliza": "POL-31845520", "codSolucion": "fxprovicion", "strJson": "{}"} | change
    assert system.post("/api/comprobacionPoliza", json=body).status_code == 422


def test_expected_system_answers_are_what_the_system_says(system):
    now = datetime.now().astimezone()
    numbers = [policy["poliza"] for policy in content.policies(now)]
    for item in content.open_incidents(now):
        outcome = content.expected()[item["codIncidencia"]]
        if outcome.system_answer is None:
            continue
        number = next(number for number in numbers if number[4:] in item["descripcion"])
        body = {"poliza": number, "codSolucion": outcome.allowed[0].partition("|")[2], "strJson": "{}"}
        answer = system.post("/api/comprobacionPoliza", json=body).json()
        assert answer["RESOLUCION AUTOMÁTICA"] == outcome.system_answer


def test_server_starts_answers_and_stops(tmp_path):
    with DemoServer(create_demo(tmp_path)) as server:
        assert server.url.startswith("http://127.0.0.1:")
        with httpx.Client(base_url=server.url) as client:
            assert client.get("/api/salud").json() == {"estado": "en marcha"}
            assert client.get("/api/incidencias").status_code == 200
    with pytest.raises(httpx.ConnectError):
        httpx.get(server.url + "/api/salud")
    assert "demo" not in {thread.name for thread in threading.enumerate()}


def test_two_servers_take_different_ports(tmp_path):
    with DemoServer(create_desk(tmp_path)) as desk, DemoServer(create_system(tmp_path)) as system:
        assert desk.url != system.url


def test_taken_port_is_a_clear_error(tmp_path):
    with DemoServer(create_desk(tmp_path)) as server:
        port = int(server.url.rpartition(":")[2])
        with pytest.raises(UsageError, match=f"puerto {port} .*--puerto"), DemoServer(create_desk(tmp_path), port=port):
            pytest.fail("se ha abierto un puerto ocupado")


def test_server_stops_when_the_block_fails(tmp_path):
    with pytest.raises(ZeroDivisionError), DemoServer(create_desk(tmp_path)):
        _ = 1 / 0
    assert "demo" not in {thread.name for thread in threading.enumerate()}


def test_command_serves_until_it_is_told_to_stop(tmp_path):
    # A port that was free a moment ago: the command takes no port 0.
    with DemoServer(create_desk(tmp_path)) as server:
        port = server.url.rpartition(":")[2]
    process = subprocess.Popen(
        [sys.executable, "-m", "api.mocks", "--puerto", port, "--reiniciar"],
        cwd=ROOT,
        env=os.environ | {"DIRECTORIO_ESTADO": str(tmp_path / "estado")},
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert f"http://127.0.0.1:{port}" in process.stdout.readline()
        assert httpx.get(f"http://127.0.0.1:{port}/api/salud").status_code == 200
        for _ in range(5):  # an impatient Ctrl-C is no different from one
            process.send_signal(signal.SIGINT)
            process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    assert list((tmp_path / "estado" / "demo").iterdir())


def test_command_refuses_a_port_out_of_range(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "api.mocks", "--puerto", "70000", "--estado", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "70000" in done.stderr
