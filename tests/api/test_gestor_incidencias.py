"""The HTTP desk: the contract over the demo desk, and a desk's bad days."""

import asyncio
import gzip
import json
import re
from collections.abc import AsyncIterator, Awaitable, Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
import respx
import stamina

from api.gestor_incidencias import HttpIncidentDesk
from api.http import open_client, retry_policy
from api.mocks.desk import create_desk
from core.actions import DeskChange, DeskVerb
from core.errors import Retryable, StageError, Terminal, UsageError
from core.incident import Incident
from core.ports import IncidentDesk
from core.reason import Reason
from core.usage import Usage, metering
from tests.api.contract import WAIT, DeskContract

BASE = "http://mesa.test:8000/desk"
LISTING = f"{BASE}/api/incidencias"
INCIDENT = {"codIncidencia": "INC-1", "buzon": "EMISION", "estado": "Abierta", "descripcion": "No emite."}
READ = Incident(code="INC-1", etag='"7"')
DESK = "la mesa de incidencias"
HTML = httpx.Response(200, html="<html><body>Inicie sesión</body></html>")


@pytest.fixture(autouse=True)
def _no_waiting() -> Iterator[None]:
    with stamina.set_testing(True, attempts=3, cap=True):
        yield


class TestContract(DeskContract):
    @pytest.fixture(params=[False, True], ids=["full", "plain"])
    def plain(self, request: pytest.FixtureRequest) -> bool:
        return bool(request.param)

    @pytest.fixture
    async def desk(self, plain: bool, tmp_path: Path) -> AsyncIterator[IncidentDesk]:
        transport = httpx.ASGITransport(app=create_desk(tmp_path, plain=plain))
        async with httpx.AsyncClient(transport=transport, base_url="http://mesa.test") as client:
            yield HttpIncidentDesk(client)


@pytest.fixture
async def desk() -> AsyncIterator[HttpIncidentDesk]:
    async with open_client(BASE, 5.0) as client:
        yield HttpIncidentDesk(client, retry_policy(attempts=3))


async def _failure(call: Awaitable[object]) -> StageError:
    with pytest.raises(StageError) as caught:
        await call
    return caught.value


class Hostile(httpx.AsyncByteStream):
    """A body that goes on for ever unless the reader stops; counts what was taken."""

    def __init__(self) -> None:
        self.taken = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            self.taken += 1
            yield b"x" * 1024


class Drip(httpx.AsyncByteStream):
    """A body that starts and then never comes."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"["
        await asyncio.Event().wait()


# --- Listings ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrapped", [False, True], ids=["list", "wrapped"])
@respx.mock
async def test_lists_in_either_form(desk: HttpIncidentDesk, wrapped: bool) -> None:
    route = respx.get(LISTING, params={"buzon": "EMISION Ñ"})
    route.respond(json={"incidencias": [INCIDENT]} if wrapped else [INCIDENT])
    # The desk ignored the filter: another mailbox's incident must not become ours.
    assert (await desk.list_open("EMISION Ñ")).incidents == ()
    respx.get(LISTING).respond(json=[INCIDENT])
    assert [i.code for i in (await desk.list_open("emisión")).incidents] == ["INC-1"]


@respx.mock
async def test_broken_items_cost_only_themselves(desk: HttpIncidentDesk) -> None:
    items = [
        INCIDENT,
        {"codIncidencia": "INC-2", "historial": "nada"},
        "INC-3",
        {"titulo": "sin código"},
        INCIDENT | {"titulo": "otra"},
        {"codIncidencia": "INC-6", "descripcion": "\ud800"},
        {"codIncidencia": "INC-7", "campoNuevo": "\ud800"},
        {"codIncidencia": "INC-\x1b[31m9\nerror: nada"},
        {"codIncidencia": "INC-8", "historial": None, "campoNuevo": 1, "etag": 5},
    ]
    respx.get(LISTING).respond(content=json.dumps(items).encode())
    listing = await desk.list_open()
    assert [i.code for i in listing.incidents] == ["INC-1", "INC-8"]
    assert listing.incidents[1].model_extra == {"campoNuevo": 1}
    shown = [code for code, _ in listing.invalid]
    assert shown == ["INC-2", "posición 3", "posición 4", "INC-1", "INC-6", "INC-7", "INC-[31m9 error: nada"]
    assert listing.invalid[0][1] == "campos no válidos: historial"


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(json.dumps([INCIDENT | {"titulo": "Póliza"}], ensure_ascii=False).encode(), id="utf-8"),
        pytest.param(b"\xef\xbb\xbf" + json.dumps([INCIDENT | {"titulo": "Póliza"}]).encode(), id="byte-order-mark"),
    ],
)
@respx.mock
async def test_reads_utf8_with_or_without_mark(desk: HttpIncidentDesk, body: bytes) -> None:
    respx.get(LISTING).respond(content=body)
    assert (await desk.list_open()).incidents[0].title == "Póliza"


@respx.mock
async def test_reads_a_declared_encoding(desk: HttpIncidentDesk) -> None:
    body = json.dumps([INCIDENT | {"titulo": "Póliza"}], ensure_ascii=False).encode("latin-1")
    respx.get(LISTING).respond(content=body, content_type="application/json; charset=iso-8859-1")
    assert (await desk.list_open()).incidents[0].title == "Póliza"


@pytest.mark.parametrize(
    ("response", "says"),
    [
        pytest.param(HTML, "una página HTML", id="html"),
        pytest.param(httpx.Response(200, text="<!DOCTYPE html><p>hola"), "una página HTML", id="html-as-text"),
        pytest.param(httpx.Response(200, content=b""), "una respuesta vacía", id="empty"),
        pytest.param(httpx.Response(200, content=b'[{"codIncidencia": "IN'), "que no es JSON", id="cut"),
        pytest.param(httpx.Response(200, content=b"\xff\xfe\x00"), "que no es JSON", id="binary"),
        pytest.param(httpx.Response(200, content=b"[" * 200_000), "que no es JSON", id="deep"),
        pytest.param(httpx.Response(200, content=b"null"), "ni un objeto ni una lista", id="null"),
        pytest.param(httpx.Response(200, json="hola"), "ni un objeto ni una lista", id="text"),
        pytest.param(httpx.Response(200, json={"error": "x"}), "no es una lista de incidencias", id="other-object"),
        pytest.param(httpx.Response(302, headers={"Location": "/login"}), "redirección", id="redirect"),
        pytest.param(
            httpx.Response(200, headers={"Content-Encoding": "zstd"}, stream=Hostile()), "compresión", id="zstd"
        ),
        pytest.param(
            httpx.Response(200, headers={"Content-Encoding": "gzip"}, stream=Hostile()), "mal comprimida", id="gzip"
        ),
    ],
)
@respx.mock
async def test_rubbish_is_named(desk: HttpIncidentDesk, response: httpx.Response, says: str) -> None:
    route = respx.get(LISTING).mock(return_value=response)
    with metering() as usage:
        error = await _failure(desk.list_open())
    assert usage.errors == {DESK: 1}
    assert isinstance(error, Terminal)
    assert error.reason is Reason.DESK_UNAVAILABLE
    assert says in str(error)
    assert "MOCK_GESTOR_URL" in str(error)
    assert "http://mesa.test:8000" in str(error)
    assert route.call_count == 1


@respx.mock
async def test_redirects_are_not_followed(desk: HttpIncidentDesk) -> None:
    respx.get(LISTING).respond(302, headers={"Location": "http://otra.test/"})
    elsewhere = respx.get("http://otra.test/").respond(json=[INCIDENT])
    assert isinstance(await _failure(desk.list_open()), Terminal)
    assert not elsewhere.called


@respx.mock
async def test_an_endless_body_is_left_at_the_limit(desk: HttpIncidentDesk) -> None:
    body = Hostile()
    respx.get(f"{BASE}/api/adjuntos/a.png").mock(return_value=httpx.Response(200, stream=body))
    error = await _failure(desk.attachment("a.png", 10_000))
    assert error.reason is Reason.ATTACHMENT_UNREADABLE
    assert isinstance(error, Terminal)
    assert body.taken <= 11


@respx.mock
async def test_a_huge_listing_is_refused(desk: HttpIncidentDesk) -> None:
    bomb = gzip.compress(b" " * (51 * 1024 * 1024), compresslevel=1)
    respx.get(LISTING).respond(content=bomb, headers={"Content-Encoding": "gzip"})
    error = await _failure(desk.list_open())
    assert isinstance(error, Terminal)
    assert "más de" in str(error)


# --- A desk that fails ------------------------------------------------------------------------------------------------

DOWN = [
    pytest.param(httpx.ConnectError("refused"), id="refused"),
    pytest.param(httpx.ConnectTimeout("slow"), id="connect-timeout"),
    pytest.param(httpx.ReadTimeout("hang"), id="hang"),
    pytest.param(TimeoutError(), id="drip"),
    pytest.param(httpx.RemoteProtocolError("cut"), id="cut"),
    pytest.param(httpx.Response(500), id="500"),
    pytest.param(httpx.Response(503, headers={"Retry-After": "0"}), id="503"),
    pytest.param(httpx.Response(429), id="429"),
]


@pytest.mark.parametrize("bad", DOWN)
@respx.mock
async def test_reading_is_repeated_until_it_works(desk: HttpIncidentDesk, bad: Exception | httpx.Response) -> None:
    route = respx.get(LISTING).mock(side_effect=[bad, bad, httpx.Response(200, json=[INCIDENT])])
    with metering() as usage:
        assert len((await desk.list_open()).incidents) == 1
    assert route.call_count == 3
    assert usage.errors == {DESK: 2}


@pytest.mark.parametrize("bad", DOWN)
@respx.mock
async def test_reading_is_given_up_in_the_end(desk: HttpIncidentDesk, bad: Exception | httpx.Response) -> None:
    route = respx.get(LISTING).mock(side_effect=[bad] * 9)
    with metering() as usage:
        error = await _failure(desk.list_open())
    assert isinstance(error, Retryable)
    assert error.reason is Reason.DESK_UNAVAILABLE
    assert not error.maybe_applied
    assert route.call_count == 3
    assert usage.errors == {DESK: 3}
    assert "; compruebe " in str(error)
    assert str(error).endswith("MOCK_GESTOR_URL")
    assert ("HTTP_TIMEOUT" in str(error)) is isinstance(bad, httpx.TimeoutException | TimeoutError)


@respx.mock
async def test_a_status_that_is_expected_is_no_error(desk: HttpIncidentDesk) -> None:
    respx.get(f"{LISTING}/INC-1").respond(404)
    respx.get(LISTING).respond(json=[INCIDENT])
    with metering() as usage:
        await desk.read("INC-1")
    assert usage == Usage()


@respx.mock
async def test_a_call_that_is_cancelled_is_no_error(desk: HttpIncidentDesk) -> None:
    asked = asyncio.Event()

    async def never(_: httpx.Request) -> httpx.Response:
        asked.set()
        return await asyncio.Future()

    respx.get(LISTING).mock(side_effect=never)
    with metering() as usage:
        call = asyncio.create_task(desk.list_open())
        await asked.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
    assert usage == Usage()


@pytest.mark.parametrize("status", [400, 401, 403, 404])
@respx.mock
async def test_a_refusal_is_not_repeated(desk: HttpIncidentDesk, status: int) -> None:
    route = respx.get(LISTING).respond(status)
    with metering() as usage:
        error = await _failure(desk.list_open())
    assert usage.errors == {DESK: 1}
    assert isinstance(error, Terminal)
    assert error.reason is Reason.DESK_REFUSED
    assert str(status) in str(error)
    assert str(error).endswith("; compruebe MOCK_GESTOR_URL") is (status in (401, 403))
    assert route.call_count == 1


@respx.mock
async def test_a_body_that_never_ends_is_left_at_the_deadline() -> None:
    respx.get(LISTING).mock(side_effect=lambda _: httpx.Response(200, stream=Drip()))
    respx.patch(f"{LISTING}/INC-1").mock(side_effect=lambda _: httpx.Response(200, stream=Drip()))
    async with open_client(BASE, 0.005) as client:
        desk = HttpIncidentDesk(client, retry_policy(attempts=1))
        read = await _failure(desk.list_open())
        changed = await _failure(desk.change(READ, WAIT, "clave"))
    for error, maybe in ((read, False), (changed, True)):
        assert isinstance(error, Retryable)
        assert error.maybe_applied is maybe
        assert "no ha respondido a tiempo" in str(error)


# --- Changes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("etag", ['"7"', None], ids=["etag", "no-etag"])
@respx.mock
async def test_a_change_says_what_the_contract_says(desk: HttpIncidentDesk, etag: str | None) -> None:
    route = respx.patch(f"{LISTING}/INC-1").respond(204)
    change = DeskChange(verb=DeskVerb.REASSIGN, mailbox="COBROS", notes="nota")
    await desk.change(Incident(code="INC-1", etag=etag), change, "clave")
    sent = route.calls.last.request
    assert json.loads(sent.content) == {"action": "reasignar", "buzonDestino": "COBROS", "notasResolucion": "nota"}
    assert sent.headers["Idempotency-Key"] == "clave"
    assert sent.headers.get("If-Match") == etag


@pytest.mark.parametrize(
    ("bad", "maybe"),
    [
        pytest.param(httpx.ReadTimeout("hang"), True, id="hang"),
        pytest.param(httpx.ReadError("reset"), True, id="reset"),
        pytest.param(httpx.WriteError("reset"), True, id="reset-while-sending"),
        pytest.param(httpx.RemoteProtocolError("cut"), True, id="cut"),
        pytest.param(TimeoutError(), True, id="drip"),
        pytest.param(httpx.Response(500), True, id="500"),
        pytest.param(httpx.Response(503), True, id="503"),
        pytest.param(httpx.Response(408), True, id="408"),
        pytest.param(httpx.Response(429), False, id="429-turned-away"),
        pytest.param(httpx.Response(303, headers={"Location": "/"}), True, id="redirect"),
        pytest.param(HTML, True, id="html-200"),
        pytest.param(
            httpx.Response(200, headers={"Content-Encoding": "gzip"}, content=b"", stream=Hostile()),
            True,
            id="undecodable",
        ),
    ],
)
@respx.mock
async def test_a_change_in_doubt_is_sent_once(
    desk: HttpIncidentDesk, bad: Exception | httpx.Response, maybe: bool
) -> None:
    route = respx.patch(f"{LISTING}/INC-1").mock(side_effect=[bad, httpx.Response(200, json={})])
    error = await _failure(desk.change(READ, WAIT, "clave"))
    assert isinstance(error, Retryable)
    assert error.reason is Reason.DESK_UNAVAILABLE
    assert error.maybe_applied is maybe
    assert str(error).endswith("MOCK_GESTOR_URL")
    assert route.call_count == 1


@respx.mock
async def test_a_change_that_never_left_is_sent_again(desk: HttpIncidentDesk) -> None:
    never = [httpx.ConnectError("refused"), httpx.ConnectTimeout("slow")]
    route = respx.patch(f"{LISTING}/INC-1").mock(side_effect=[*never, httpx.Response(200, json={})])
    await desk.change(READ, WAIT, "clave")
    assert route.call_count == 3
    keys = {call.request.headers["Idempotency-Key"] for call in route.calls}
    assert keys == {"clave"}


@respx.mock
async def test_a_change_that_never_leaves_was_not_applied(desk: HttpIncidentDesk) -> None:
    route = respx.patch(f"{LISTING}/INC-1").mock(side_effect=httpx.ConnectError("refused"))
    error = await _failure(desk.change(READ, WAIT, "clave"))
    assert isinstance(error, Retryable)
    assert not error.maybe_applied
    assert "no se ha podido conectar" in str(error)
    assert "MOCK_GESTOR_URL" in str(error)
    assert route.call_count == 3


@pytest.mark.parametrize(
    ("status", "etag", "reason"),
    [
        pytest.param(412, '"7"', Reason.TOUCHED_MEANWHILE, id="412"),
        pytest.param(412, None, Reason.TOUCHED_MEANWHILE, id="412-without-etag"),
        pytest.param(409, '"7"', Reason.TOUCHED_MEANWHILE, id="409-by-etag"),
        pytest.param(409, None, Reason.DESK_REFUSED, id="409-without-etag"),
        pytest.param(400, '"7"', Reason.DESK_REFUSED, id="400"),
        pytest.param(403, '"7"', Reason.DESK_REFUSED, id="403"),
        pytest.param(404, '"7"', Reason.DESK_REFUSED, id="404"),
        pytest.param(422, '"7"', Reason.DESK_REFUSED, id="422"),
    ],
)
@respx.mock
async def test_a_refused_change_is_final(desk: HttpIncidentDesk, status: int, etag: str | None, reason: Reason) -> None:
    route = respx.patch(f"{LISTING}/INC-1").respond(status)
    error = await _failure(desk.change(Incident(code="INC-1", etag=etag), WAIT, "clave"))
    assert isinstance(error, Terminal)
    assert error.reason is reason
    assert route.call_count == 1


# --- Single reads and notes, offered or not ---------------------------------------------------------------------------


@pytest.mark.parametrize("status", [404, 405, 501])
@respx.mock
async def test_a_desk_without_single_reads_is_asked_once(desk: HttpIncidentDesk, status: int) -> None:
    single = respx.get(url__regex=rf"{re.escape(LISTING)}/INC-\d").respond(status)
    respx.get(LISTING).respond(json=[INCIDENT])
    respx.get(f"{LISTING}/cerradas").respond(json=[INCIDENT | {"codIncidencia": "INC-2", "estado": "Cerrada"}])
    assert (await desk.read("INC-1")).etag is None
    assert (await desk.read("INC-2")).status == "Cerrada"
    assert single.call_count == 1


@respx.mock
async def test_an_unknown_code_does_not_hide_single_reads(desk: HttpIncidentDesk) -> None:
    respx.get(f"{LISTING}/INC-9").respond(404)
    respx.get(f"{LISTING}/A%2F1").respond(404)
    single = respx.get(f"{LISTING}/INC-1").respond(json=INCIDENT, headers={"ETag": '"1"'})
    respx.get(LISTING).respond(json=[INCIDENT | {"codIncidencia": "A/1"}])
    respx.get(f"{LISTING}/cerradas").respond(json=[])
    assert (await _failure(desk.read("INC-9"))).reason is Reason.DESK_REFUSED
    assert (await desk.read("A/1")).code == "A/1"  # its route misses codes with a slash, which says nothing of the rest
    assert (await desk.read("INC-1")).etag == '"1"'
    assert single.call_count == 1


@pytest.mark.parametrize(
    ("header", "etag"),
    [
        pytest.param('"1"', '"1"', id="strong"),
        pytest.param('W/"1"', None, id="weak"),
        pytest.param(None, None, id="none"),
    ],
)
@respx.mock
async def test_only_a_strong_version_counts(desk: HttpIncidentDesk, header: str | None, etag: str | None) -> None:
    headers = {"ETag": header} if header else {}
    respx.get(f"{LISTING}/INC-1").respond(json={"incidencia": INCIDENT}, headers=headers)
    assert (await desk.read("INC-1")).etag == etag


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({"codIncidencia": "INC-2"}, id="another"),
        pytest.param({"codIncidencia": "INC-1", "historial": 5}, id="broken"),
        pytest.param([INCIDENT], id="a-list"),
    ],
)
@respx.mock
async def test_a_single_read_must_be_that_incident(desk: HttpIncidentDesk, body: object) -> None:
    respx.get(f"{LISTING}/INC-1").respond(json=body)
    error = await _failure(desk.read("INC-1"))
    assert isinstance(error, Terminal)
    assert error.reason is Reason.INCIDENT_INVALID


@respx.mock
async def test_a_broken_incident_of_a_listing_cannot_be_read(desk: HttpIncidentDesk) -> None:
    respx.get(f"{LISTING}/INC-1").respond(404)
    respx.get(LISTING).respond(json=[{"codIncidencia": "INC-0", "historial": 5}, INCIDENT | {"historial": 5}])
    assert (await _failure(desk.read("INC-1"))).reason is Reason.INCIDENT_INVALID


CODES = ["A/1 B", "PÓL Ñ-1", "100%", "a?b#c", "a\\b", "../x", "%2e%2e", "日本-1"]


@pytest.mark.parametrize("code", CODES)
@respx.mock
async def test_a_code_stays_one_part_of_the_path(desk: HttpIncidentDesk, code: str) -> None:
    read = respx.get(url__startswith=LISTING).respond(json=INCIDENT | {"codIncidencia": code})
    change = respx.patch(url__startswith=LISTING).respond(200, json={})
    incident = await desk.read(code)
    await desk.change(incident, WAIT, "clave")
    expected = f"/desk/api/incidencias/{quote(code, safe='')}".encode()
    assert read.calls.last.request.url.raw_path == expected
    assert change.calls.last.request.url.raw_path == expected


@pytest.mark.parametrize("code", ["", " ", ".", "..", "cerradas", "\ud800"])
@respx.mock
async def test_a_code_that_names_another_route_is_refused(desk: HttpIncidentDesk, code: str) -> None:
    error = await _failure(desk.read(code))
    assert isinstance(error, Terminal)
    assert error.reason is Reason.INCIDENT_INVALID
    assert not respx.calls


@pytest.mark.parametrize("status", [404, 405, 501])
@respx.mock
async def test_a_desk_without_notes_is_asked_once(desk: HttpIncidentDesk, status: int) -> None:
    route = respx.post(f"{LISTING}/INC-1/notas").respond(status)
    assert [await desk.note(READ, "texto", "k") for _ in range(2)] == [False, False]
    assert route.call_count == 1


@respx.mock
async def test_a_note_is_sent_once_with_its_key(desk: HttpIncidentDesk) -> None:
    answers = [httpx.Response(201, json={}), httpx.Response(404), httpx.Response(201, json={}), httpx.ReadTimeout("x")]
    route = respx.post(f"{LISTING}/INC-1/notas").mock(side_effect=answers)
    # Once notes have worked, a 404 is about that incident, not about the desk.
    assert [await desk.note(READ, "texto", "k") for _ in range(3)] == [True, False, True]
    sent = route.calls.last.request
    assert json.loads(sent.content) == {"nota": "texto"}
    assert sent.headers["Idempotency-Key"] == "k"
    error = await _failure(desk.note(READ, "texto", "k"))
    assert isinstance(error, Retryable)
    assert error.maybe_applied
    assert route.call_count == 4


# --- Attachments ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("captura 1 ñ.png", id="name"),
        pytest.param(f"{BASE}/api/adjuntos/captura%201%20%C3%B1.png", id="own-address"),
        pytest.param(f"{BASE}/api/adjuntos/captura%201%20%C3%B1.png".replace("mesa", "MESA"), id="host-in-capitals"),
    ],
)
@respx.mock
async def test_attachments_come_from_the_desk(desk: HttpIncidentDesk, name: str) -> None:
    route = respx.get(url__startswith=BASE).respond(content=b"imagen")
    assert await desk.attachment(name, 6) == b"imagen"
    assert route.calls.last.request.url.raw_path == b"/desk/api/adjuntos/captura%201%20%C3%B1.png"


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "a/b.png",
        "/etc/passwd",
        "a\\b.png",
        "..%2fsecreto",
        "%2e%2e",
        "a..png",
        "a\n.png",
        "a\u202egnp.exe",
        "a%00.png",
        "x" * 256,
        "//otra.test/a.png",
        "http://otra.test/desk/api/adjuntos/a.png",
        "http://mesa.test:8000@otra.test/desk/api/adjuntos/a.png",
        "http://mesa.test:8001/desk/api/adjuntos/a.png",
        "http://mesa.test/desk/api/adjuntos/a.png",
        "https://mesa.test:8000/desk/api/adjuntos/a.png",
        "ftp://mesa.test:8000/desk/api/adjuntos/a.png",
        "file:///desk/api/adjuntos/a.png",
        "http://u:p@mesa.test:8000/desk/api/adjuntos/a.png",
        "http://mesa.test:8000\\@otra.test/desk/api/adjuntos/a.png",
        "http://[mesa/desk/api/adjuntos/a.png",
        "http://mesa.test:puerto/desk/api/adjuntos/a.png",
        f"{BASE}/api/adjuntos/../incidencias",
        f"{BASE}/api/adjuntos/%2e%2e%2fincidencias",
        f"{BASE}/api/adjuntos/%252e%252e",
        f"{BASE}/api/adjuntos/a.png?x=1",
        f"{BASE}/api/adjuntos/a.png#x",
        f"{BASE}/api/adjuntos/",
        f"{BASE}/api/incidencias/INC-1",
        "http://mesa.test:8000/api/adjuntos/a.png",
    ],
)
@respx.mock
async def test_nothing_else_is_fetched(desk: HttpIncidentDesk, name: str) -> None:
    error = await _failure(desk.attachment(name, 1000))
    assert isinstance(error, Terminal)
    assert error.reason is Reason.ATTACHMENT_UNREADABLE
    assert not respx.calls


@pytest.mark.parametrize("status", [302, 403, 404])
@respx.mock
async def test_an_attachment_not_given_is_unreadable(desk: HttpIncidentDesk, status: int) -> None:
    respx.get(f"{BASE}/api/adjuntos/a.png").respond(status, headers={"Location": "http://otra.test/"})
    error = await _failure(desk.attachment("a.png", 1000))
    assert isinstance(error, Terminal)
    assert error.reason is Reason.ATTACHMENT_UNREADABLE


@respx.mock
async def test_an_attachment_is_asked_for_again(desk: HttpIncidentDesk) -> None:
    route = respx.get(f"{BASE}/api/adjuntos/a.png").mock(side_effect=[httpx.Response(500)] * 3)
    error = await _failure(desk.attachment("a.png", 1000))
    assert isinstance(error, Retryable)
    assert error.reason is Reason.DESK_UNAVAILABLE
    assert route.call_count == 3


# --- The client -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url", ["", "mesa", "ftp://mesa", "http://", "http://[mesa", "http://mi mesa", "http://mesa:puerto"]
)
async def test_an_impossible_address_is_named(url: str) -> None:
    with pytest.raises(UsageError, match="no es válida") as caught:
        async with open_client(url, 5.0):
            pass
    assert repr(url) in str(caught.value)


@pytest.mark.parametrize(
    ("url", "trusts"),
    [("http://127.0.0.1:9", False), ("http://localhost", False), ("http://[::1]:9", False), ("http://mesa", True)],
)
async def test_the_client_is_bounded_and_loopback_knows_no_proxy(url: str, trusts: bool) -> None:
    async with open_client(url, 3.0) as client:
        assert client.timeout == httpx.Timeout(connect=3.0, read=3.0, write=3.0, pool=3.0)
        assert client.trust_env is trusts
        assert not client.follow_redirects
    assert client.is_closed


@respx.mock
async def test_addresses_are_not_logged(desk: HttpIncidentDesk, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", logger="")
    respx.get(f"{LISTING}/INC-SECRETA").mock(side_effect=[httpx.Response(500)] * 3)
    error = await _failure(desk.read("INC-SECRETA"))
    logged = [str(vars(record)) for record in caplog.records if record.name != "asyncio"]
    assert logged
    assert not any("SECRETA" in line for line in logged)
    assert "SECRETA" not in str(error)


@pytest.mark.parametrize(
    ("header", "wait"), [("3", 3.0), ("3600", 5.0), ("Wed, 21 Oct 2015 07:28:00 GMT", None), ("-1", None)]
)
@respx.mock
async def test_the_desk_may_ask_for_a_pause(desk: HttpIncidentDesk, header: str, wait: float | None) -> None:
    respx.get(LISTING).respond(503, headers={"Retry-After": header})
    error = await _failure(desk.list_open())
    assert getattr(error, "pause_s", "absent") == wait
