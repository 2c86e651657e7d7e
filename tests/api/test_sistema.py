"""The HTTP system: what it says is understood or refused, never guessed."""

import json
from collections.abc import AsyncIterator, Awaitable, Iterator

import httpx
import pytest
import respx
import stamina

from api.http import open_client, retry_policy
from api.sistema import HttpSystem
from core.errors import Retryable, StageError, Terminal
from core.ports import ExternalSystem, SystemAnswer
from core.reason import Reason
from core.usage import metering

BASE = "http://sistema.test"
CHECK = f"{BASE}/api/comprobacionPoliza"
GOOD = {"RESOLUCION AUTOMÁTICA": "cierre", "BUZON REASIGNACION": "", "SOLUCIÓN": "Ya está en vigor."}
HTML = httpx.Response(200, html="<html>Inicie sesión</html>")


@pytest.fixture(autouse=True)
def _no_waiting() -> Iterator[None]:
    with stamina.set_testing(True, attempts=3, cap=True):
        yield


@pytest.fixture
async def system() -> AsyncIterator[ExternalSystem]:
    async with open_client(BASE, 5.0) as client:
        yield HttpSystem(client, retry_policy(attempts=3))


async def _failure(call: Awaitable[object]) -> StageError:
    with pytest.raises(StageError) as caught:
        await call
    return caught.value


@pytest.mark.parametrize(
    ("number", "path"), [("POL-12345678", "POL-12345678"), ("A/1 B", "A%2F1%20B"), ("póliza?", "p%C3%B3liza%3F")]
)
@respx.mock
async def test_a_policy_is_asked_for_by_its_number(system: ExternalSystem, number: str, path: str) -> None:
    route = respx.get(url__startswith=BASE).respond(json={"estado": "en vigor"})
    assert await system.policy(number) == {"estado": "en vigor"}
    assert route.calls.last.request.url.raw_path == f"/api/poliza/{path}".encode()


@respx.mock
async def test_an_unknown_policy_is_none(system: ExternalSystem) -> None:
    respx.get(f"{BASE}/api/poliza/POL-1").respond(404)
    assert await system.policy("POL-1") is None


@pytest.mark.parametrize("number", ["", "  ", ".", ".."])
@respx.mock
async def test_no_number_is_never_sent(system: ExternalSystem, number: str) -> None:
    for call in (system.policy(number), system.check(number, "fxprovicion", {})):
        error = await _failure(call)
        assert isinstance(error, Terminal)
        assert error.reason is Reason.MISSING_POLICY
    assert not respx.calls


@respx.mock
async def test_a_check_sends_the_payload_as_text(system: ExternalSystem) -> None:
    route = respx.post(CHECK).respond(json=GOOD)
    answer = await system.check("POL-1", "fxprovicion", {"estado": "en provisión", "días": 3})
    assert answer == SystemAnswer(resolution="cierre", mailbox="", solution="Ya está en vigor.")
    sent = json.loads(route.calls.last.request.content)
    assert (sent["poliza"], sent["codSolucion"]) == ("POL-1", "fxprovicion")
    assert json.loads(sent["strJson"]) == {"estado": "en provisión", "días": 3}
    assert set(sent) == {"poliza", "codSolucion", "strJson"}


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(
            {"RESOLUCION AUTOMATICA": "cierre", "Buzon Reasignacion": None, "SOLUCION": "Hecho"}, id="spelling"
        ),
        pytest.param(GOOD | {"BUZON REASIGNACION": None, "SOLUCIÓN": " Hecho ", "otro": 1}, id="null-and-extra"),
    ],
)
@respx.mock
async def test_a_check_is_understood_in_another_spelling(system: ExternalSystem, body: dict[str, object]) -> None:
    respx.post(CHECK).respond(json=body)
    answer = await system.check("POL-1", "fxprovicion", {})
    assert answer == SystemAnswer(resolution="cierre", mailbox="", solution="Hecho")


@pytest.mark.parametrize(
    "response",
    [
        pytest.param(httpx.Response(200, json={}), id="empty-object"),
        pytest.param(httpx.Response(200, json=[GOOD]), id="list"),
        pytest.param(httpx.Response(200, json="cierre"), id="text"),
        pytest.param(httpx.Response(200, json={k: v for k, v in GOOD.items() if k != "SOLUCIÓN"}), id="no-solution"),
        pytest.param(httpx.Response(200, json=GOOD | {"SOLUCIÓN": 5}), id="number"),
        pytest.param(httpx.Response(200, json=GOOD | {"BUZON REASIGNACION": ["A"]}), id="list-of-mailboxes"),
        pytest.param(httpx.Response(200, json=GOOD | {"RESOLUCION AUTOMÁTICA": None}), id="null-resolution"),
        pytest.param(httpx.Response(200, json=GOOD | {"RESOLUCION AUTOMÁTICA": " "}), id="blank-resolution"),
        pytest.param(httpx.Response(200, json=GOOD | {"RESOLUCION AUTOMATICA": "manual"}), id="said-twice"),
        pytest.param(httpx.Response(200, content=b'{"RESOLUCION'), id="cut"),
        pytest.param(httpx.Response(200, content=b""), id="nothing"),
        pytest.param(HTML, id="html"),
        pytest.param(httpx.Response(302, headers={"Location": "/"}), id="redirect"),
        pytest.param(httpx.Response(400), id="400"),
        pytest.param(httpx.Response(404), id="404"),
    ],
)
@respx.mock
async def test_an_answer_in_doubt_is_refused(system: ExternalSystem, response: httpx.Response) -> None:
    route = respx.post(CHECK).mock(return_value=response)
    with metering() as usage:
        error = await _failure(system.check("POL-1", "fxprovicion", {}))
    assert usage.errors == {"el sistema de negocio": 1}
    assert isinstance(error, Terminal)
    assert error.reason is Reason.SYSTEM_ANSWER_INVALID
    assert "POL-1" not in str(error)
    assert route.call_count == 1


@pytest.mark.parametrize(
    ("bad", "calls"),
    [
        pytest.param(httpx.ConnectError("refused"), 3, id="refused"),
        pytest.param(httpx.ReadTimeout("hang"), 1, id="hang"),
        pytest.param(httpx.Response(500), 1, id="500"),
        pytest.param(httpx.Response(429), 1, id="429"),
    ],
)
@respx.mock
async def test_a_check_is_repeated_only_while_it_cannot_leave(
    system: ExternalSystem, bad: Exception | httpx.Response, calls: int
) -> None:
    route = respx.post(CHECK).mock(side_effect=[bad] * 9)
    error = await _failure(system.check("POL-1", "fxprovicion", {}))
    assert isinstance(error, Retryable)
    assert error.reason is Reason.SYSTEM_UNAVAILABLE
    assert not error.maybe_applied
    assert route.call_count == calls


@respx.mock
async def test_a_policy_is_asked_for_again(system: ExternalSystem, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", logger="")
    good = httpx.Response(200, json={"estado": "en vigor"})
    respx.get(f"{BASE}/api/poliza/POL-77").mock(side_effect=[httpx.Response(500), httpx.ReadTimeout("hang"), good])
    assert await system.policy("POL-77") == {"estado": "en vigor"}
    logged = [str(vars(record)) for record in caplog.records if record.name != "asyncio"]
    assert logged
    assert not any("POL-77" in line for line in logged)


@pytest.mark.parametrize(
    "response", [httpx.Response(200, json=[1]), HTML, httpx.Response(403)], ids=["list", "html", "403"]
)
@respx.mock
async def test_a_policy_in_doubt_is_refused(system: ExternalSystem, response: httpx.Response) -> None:
    respx.get(f"{BASE}/api/poliza/POL-1").mock(return_value=response)
    error = await _failure(system.policy("POL-1"))
    assert isinstance(error, Terminal)
    assert error.reason is Reason.SYSTEM_ANSWER_INVALID


@respx.mock
async def test_a_system_that_is_down_says_how_to_find_it(system: ExternalSystem) -> None:
    respx.get(f"{BASE}/api/poliza/POL-1").mock(side_effect=httpx.ConnectError("refused"))
    error = await _failure(system.policy("POL-1"))
    assert isinstance(error, Retryable)
    assert error.reason is Reason.SYSTEM_UNAVAILABLE
    assert "MOCK_SISTEMA_URL" in str(error)
    assert "http://sistema.test" in str(error)
