"""The doubles keep the desk's contract, and fail when told to."""

import pytest

from api.memory import MemoryDesk, MemorySystem
from core.errors import Retryable, Terminal
from core.incident import HistoryEntry, Incident
from core.ports import ExternalSystem, IncidentDesk, SystemAnswer
from core.reason import Reason
from tests.api.contract import RESOLVE, WAIT, DeskContract

LOST = Retryable(Reason.DESK_UNAVAILABLE, maybe_applied=True)


def _incidents() -> list[Incident]:
    with_image = HistoryEntry(notes="Adjunto la pantalla.", attachments=("pantalla.png",))
    return [
        Incident(code="INC-1", mailbox="EMISION", status="Abierta", description="No emite.", history=(with_image,)),
        Incident(code="INC-2", mailbox="EMISION", status="Abierta", description="No imprime."),
        Incident(code="INC-3", mailbox="SINIESTROS", status="En espera", description="No abre."),
        Incident(code="INC-4", mailbox="EMISION", status="Cerrada", description="No cerraba."),
    ]


def _desk(plain: bool = False) -> MemoryDesk:
    return MemoryDesk(_incidents(), attachments={"pantalla.png": b"imagen"}, plain=plain)


class TestContract(DeskContract):
    @pytest.fixture(params=[False, True], ids=["full", "plain"])
    def plain(self, request: pytest.FixtureRequest) -> bool:
        return bool(request.param)

    @pytest.fixture
    def desk(self, plain: bool) -> IncidentDesk:
        return _desk(plain)


@pytest.mark.parametrize("method", ["list_open", "list_closed", "read", "change", "note", "attachment"])
async def test_each_method_fails_as_often_as_told(method: str) -> None:
    desk = _desk()
    incident = await desk.read("INC-1")
    calls = {
        "list_open": lambda: desk.list_open(),
        "list_closed": lambda: desk.list_closed(),
        "read": lambda: desk.read("INC-1"),
        "change": lambda: desk.change(incident, WAIT, "k"),
        "note": lambda: desk.note(incident, "nota", "k"),
        "attachment": lambda: desk.attachment("pantalla.png", 100),
    }
    desk.fail_next(method, Retryable(Reason.DESK_UNAVAILABLE), times=2)
    for _ in range(2):
        with pytest.raises(Retryable):
            await calls[method]()
    assert desk.changes == []
    await calls[method]()


@pytest.mark.parametrize("applied", [False, True], ids=["not-applied", "applied"])
async def test_a_lost_answer_may_hide_a_change(applied: bool) -> None:
    desk = _desk()
    incident = await desk.read("INC-1")
    desk.fail_next("change", LOST, applied=applied)
    with pytest.raises(Retryable) as caught:
        await desk.change(incident, RESOLVE, "k")
    assert caught.value.maybe_applied
    assert ((await desk.read("INC-1")).status == "Resuelta") is applied
    assert desk.changes == ([("INC-1", RESOLVE, "k")] if applied else [])


async def test_a_lost_note_may_have_been_written() -> None:
    desk = _desk()
    incident = await desk.read("INC-2")
    desk.fail_next("note", LOST, applied=True)
    with pytest.raises(Retryable):
        await desk.note(incident, "nota", "k")
    assert [entry.notes for entry in (await desk.read("INC-2")).history] == ["nota"]


async def test_a_person_moves_the_version() -> None:
    desk = _desk()
    incident = await desk.read("INC-1")
    desk.touch("INC-1")
    with pytest.raises(Terminal) as caught:
        await desk.change(incident, RESOLVE, "k")
    assert caught.value.reason is Reason.TOUCHED_MEANWHILE
    assert (await desk.read("INC-1")).history[-1].author == "Una persona"


async def test_invalid_items_are_listed_with_the_open() -> None:
    desk = MemoryDesk(_incidents(), invalid=[("INC-9", "sin código")])
    assert (await desk.list_open()).invalid == (("INC-9", "sin código"),)


@pytest.mark.parametrize(
    ("method", "applied"),
    [pytest.param("cerrar", False, id="no-such-method"), pytest.param("read", True, id="reading-applies-nothing")],
)
def test_a_fault_that_could_never_happen_is_refused(method: str, applied: bool) -> None:
    with pytest.raises(ValueError, match=method):
        _desk().fail_next(method, LOST, applied=applied)


ANSWER = SystemAnswer(resolution="cierre", solution="Ya está en vigor.")


def _system() -> MemorySystem:
    return MemorySystem({"POL-1": {"estado": "en vigor"}}, {("POL-1", "fxprovicion"): ANSWER})


async def test_system_answers_what_was_prepared() -> None:
    system = _system()
    port: ExternalSystem = system
    assert await port.policy("POL-1") == {"estado": "en vigor"}
    assert await port.policy("POL-2") is None
    assert await port.check("POL-1", "fxprovicion", {"dato": 1}) == ANSWER
    assert system.checks == [("POL-1", "fxprovicion", {"dato": 1})]


@pytest.mark.parametrize(
    ("policy", "system", "reason"),
    [
        pytest.param("POL-1", "otro", Reason.SYSTEM_ANSWER_INVALID, id="unprepared"),
        pytest.param(" ", "fxprovicion", Reason.MISSING_POLICY, id="blank-policy"),
    ],
)
async def test_system_refuses(policy: str, system: str, reason: Reason) -> None:
    with pytest.raises(Terminal) as caught:
        await _system().check(policy, system, {})
    assert caught.value.reason is reason


@pytest.mark.parametrize("method", ["policy", "check"])
async def test_system_fails_when_told(method: str) -> None:
    system = _system()
    system.fail_next(method, Retryable(Reason.SYSTEM_UNAVAILABLE))
    call = (
        (lambda: system.policy("POL-1")) if method == "policy" else (lambda: system.check("POL-1", "fxprovicion", {}))
    )
    with pytest.raises(Retryable):
        await call()
    assert await call()
    with pytest.raises(ValueError, match="cerrar"):
        system.fail_next("cerrar", LOST)
    with pytest.raises(Terminal):
        await system.policy("")
