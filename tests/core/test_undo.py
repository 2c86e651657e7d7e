"""core/undo: back to where it was, if nobody has changed it since."""

import pytest

from api.memory import MemoryDesk, MemorySystem
from core.actions import Action, Close, DeskChange, Reassign, Wait
from core.decision import Decision, decision_id
from core.delivery import Delivery
from core.errors import Retryable, StageError, Terminal, UsageError
from core.execute import Executor, Guard
from core.incident import Incident
from core.ledger import Label, Phase
from core.marks import read_marks
from core.reason import Reason
from core.undo import Undo, Undone
from tests.core.test_precedent import ROW, TAG, incident

CLOSED_STATES = ("Resuelta", "Cerrada")


class World:
    def __init__(self, guard: Guard, desk: MemoryDesk) -> None:
        self.guard, self.desk = guard, desk
        self.ledger = guard.ledger

    async def act(self, action: Action) -> str:
        found = await self.desk.read("I1")
        decision = Decision(decision_id(found, TAG, ROW.id), action, None, Reason.APPROVED, ROW)
        executor = Executor(self.desk, MemorySystem(), frozenset({"B"}), TAG, self.guard)
        await executor.carry_out(found, decision)
        return decision.id

    async def undo(self, decision: str) -> Undone:
        delivery = Delivery(self.desk, self.ledger, TAG, self.guard.patience)
        return await Undo(self.desk, self.ledger, delivery, TAG).undo(decision, "ana")

    def phase(self, decision: str) -> Phase:
        record = self.ledger.find(decision)
        assert record is not None
        return record.phase


PLAIN = pytest.mark.parametrize("plain", [False, True], ids=["versions", "plain"])


@PLAIN
@pytest.mark.parametrize(
    "action",
    [
        pytest.param(Reassign(mailbox="B", note="x"), id="reassigned"),
        pytest.param(Wait(note="x"), id="waiting"),
        pytest.param(Close(note="x"), id="closed"),
    ],
)
async def test_back_to_state_and_mailbox(guard: Guard, plain: bool, action: Action) -> None:
    world = World(guard, MemoryDesk([incident()], plain=plain))
    decision = await world.act(action)
    undone = await world.undo(decision)
    assert (undone.restored, undone.record.id) == (True, decision)
    after = await world.desk.read("I1")
    assert (after.status, after.mailbox) == ("Abierta", "Soporte")
    mark = read_marks(after, TAG)[-1]
    assert (mark.kind, mark.entry_id) == ("deshecha", ROW.id)
    assert decision in mark.text
    assert world.phase(decision) is Phase.UNDONE
    assert [(o.label, o.who, o.entry) for o in world.ledger.outcomes()] == [(Label.REVERTED, "ana", ROW.id)]
    with pytest.raises(UsageError, match="ya se deshizo"):
        await world.undo(decision)
    assert len(world.desk.changes) == 2


@PLAIN
async def test_a_desk_that_does_not_open_it_again(guard: Guard, plain: bool) -> None:
    world = World(guard, MemoryDesk([incident()], plain=plain, reopens=False))
    decision = await world.act(Close(note="x"))
    for _ in range(2):
        undone = await world.undo(decision)
        assert (undone.restored, undone.noted) == (False, not plain)
    after = await world.desk.read("I1")
    assert (after.status, len(read_marks(after, TAG))) == ("Resuelta", 1 if plain else 2)
    assert world.phase(decision) is Phase.CONFIRMED
    assert [o.label for o in world.ledger.outcomes()] == [Label.REVERTED]


@pytest.mark.faults
async def test_neither_opened_nor_noted(guard: Guard) -> None:
    world = World(guard, MemoryDesk([incident()], reopens=False))
    decision = await world.act(Close(note="x"))
    world.desk.fail_next("note", Retryable(Reason.DESK_UNAVAILABLE))
    undone = await world.undo(decision)
    assert (undone.restored, undone.noted) == (False, False)


async def test_without_a_mailbox_there_is_no_way_back(guard: Guard) -> None:
    world = World(guard, MemoryDesk([incident(buzon="")]))
    decision = await world.act(Wait(note="x"))
    assert not (await world.undo(decision)).restored
    assert len(world.desk.changes) == 1


@PLAIN
@pytest.mark.parametrize(
    "note", ["La miro yo.", "Lo que dice [SPAI] no es así; lo llevo yo.", "Sigo igual.\n> [SPAI] (decisión d-1; …"]
)
async def test_what_somebody_changed_is_left_alone(guard: Guard, note: str, plain: bool) -> None:
    world = World(guard, MemoryDesk([incident()], plain=plain))
    decision = await world.act(Wait(note="x"))
    world.desk.touch("I1", note)
    with pytest.raises(UsageError, match="ha cambiado desde"):
        await world.undo(decision)
    assert (len(world.desk.changes), world.ledger.outcomes()) == (1, [])


@pytest.mark.parametrize("decision", ["d-nadie", "d-"])
async def test_an_unknown_decision(guard: Guard, decision: str) -> None:
    with pytest.raises(UsageError, match="No hay ninguna decisión"):
        await World(guard, MemoryDesk([incident()])).undo(decision)


async def test_what_changed_nothing_cannot_be_undone(guard: Guard) -> None:
    world = World(guard, MemoryDesk([incident()]))
    world.desk.fail_next("change", Terminal(Reason.DESK_REFUSED))
    with pytest.raises(StageError):
        await world.act(Close(note="x"))
    [record] = world.ledger.of_incident("I1")
    with pytest.raises(UsageError, match="no cambió nada"):
        await world.undo(record.id)


async def test_an_unknown_effect_is_settled_first(guard: Guard) -> None:
    world = World(guard, MemoryDesk([incident()]))
    decision = await world.act(Wait(note="x"))
    world.ledger.move(decision, (Phase.CONFIRMED,), Phase.UNKNOWN)
    assert (await world.undo(decision)).restored


@pytest.mark.faults
async def test_an_answer_lost_on_the_way_back(guard: Guard) -> None:
    """The first time nobody could say whether it arrived; the second time it is found, not sent again."""
    world = World(guard, MemoryDesk([incident()], plain=True))
    decision = await world.act(Wait(note="x"))
    read, blind = world.desk.read, [False]

    async def change(read: Incident, change: DeskChange, key: str) -> None:
        await MemoryDesk.change(world.desk, read, change, key)
        blind[0] = True
        raise Retryable(Reason.DESK_UNAVAILABLE, maybe_applied=True)

    async def reading(code: str) -> Incident:
        if blind[0]:
            raise Retryable(Reason.DESK_UNAVAILABLE)
        return await read(code)

    world.desk.change, world.desk.read = change, reading  # type: ignore[method-assign]
    with pytest.raises(Terminal):
        await world.undo(decision)
    blind[0] = False
    assert (await world.undo(decision)).restored
    assert (len(world.desk.changes), world.phase(decision)) == (2, Phase.UNDONE)


@pytest.mark.faults
async def test_a_desk_that_is_down(guard: Guard) -> None:
    world = World(guard, MemoryDesk([incident()]))
    decision = await world.act(Close(note="x"))
    world.desk.fail_next("change", Retryable(Reason.DESK_UNAVAILABLE), times=2)
    with pytest.raises(Retryable):
        await world.undo(decision)
    assert (world.phase(decision), world.ledger.outcomes()) == (Phase.CONFIRMED, [])


@pytest.mark.faults
async def test_what_people_did_before_it_was_settled_is_left_alone(guard: Guard) -> None:
    """The answer was lost and the desk away; until it is settled somebody goes on with it."""
    world = World(guard, MemoryDesk([incident()]))
    decision = await world.act(Wait(note="x"))
    world.ledger.move(decision, (Phase.CONFIRMED,), Phase.SENT, fingerprint_after="")
    world.desk._incidents["I1"] = world.desk._find("I1").model_copy(update={"mailbox": "Peritos"})
    world.desk.touch("I1", "Lo lleva Peritos, en espera del taller.")
    with pytest.raises(UsageError, match="ha cambiado desde"):
        await world.undo(decision)
    assert ((await world.desk.read("I1")).mailbox, len(world.desk.changes)) == ("Peritos", 1)


async def test_a_pause_does_not_stop_what_a_person_orders(guard: Guard) -> None:
    world = World(guard, MemoryDesk([incident()]))
    decision = await world.act(Wait(note="x"))
    guard.switch.pause("ana")
    assert (await world.undo(decision)).restored
