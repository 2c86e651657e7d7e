"""core/execute with policy and ledger: what is allowed, what waits for a person, what was done before."""

from dataclasses import replace
from typing import Any

import pytest

from api.memory import MemoryDesk, MemorySystem
from core.actions import Action, CallSystem, Close, DeskChange, DeskVerb, LeaveToHuman, Reassign
from core.catalogue import CatalogueEntry
from core.control import KillSwitch
from core.decision import Decision, decision_id
from core.errors import Retryable, Terminal
from core.execute import Executor, Guard
from core.incident import Incident
from core.ledger import Label, Phase, Record
from core.outcome import Outcome
from core.policy import Policy
from core.ports import SystemAnswer
from core.reason import Reason

TAG = "[SPAI] "
ROW = CatalogueEntry.model_validate(
    {"component": "Recibos", "description": "no sale", "solution": "Reinicie.", "resolution": "cierre"}
)
CALL = CallSystem(system="fxprovicion", policy="123456", solution="Lo que diga")
CLOSE = Close(note="Reinicie.")


def incident(code: str = "I1", **fields: object) -> Incident:
    given = {"codIncidencia": code, "buzon": "Soporte", "estado": "Abierta", "descripcion": "no va"}
    return Incident.model_validate(given | fields)


class World:
    def __init__(self, guard: Guard, *, plain: bool = False, answer: str = "cierre") -> None:
        self.guard, self.ledger = guard, guard.ledger
        self.desk = MemoryDesk([incident(), incident("I2")], plain=plain)
        self.system = MemorySystem(
            {"123456": {}}, {("123456", "fxprovicion"): SystemAnswer(resolution=answer, solution="Ya está.")}
        )

    def ruled(self, **politics: Any) -> "World":
        self.guard = replace(self.guard, policy=Policy.model_validate(politics))
        return self

    @property
    def executor(self) -> Executor:
        return Executor(self.desk, self.system, frozenset({"B"}), TAG, self.guard)

    async def act(self, action: Action = CLOSE, code: str = "I1", *, approved: bool = False) -> Outcome:
        found = await self.desk.read(code)
        decision = Decision(decision_id(found, TAG, ROW.id), action, None, Reason.APPROVED, ROW)
        return await self.executor.carry_out(found, decision, approved=approved)

    def record(self, code: str = "I1") -> Record:
        [found] = self.ledger.of_incident(code)
        return found

    def reopen(self, code: str = "I1", **changes: str) -> None:
        """A person opens it again."""
        found = self.desk._find(code)
        self.desk._append(found.model_copy(update={"status": "Abierta"} | changes), author="Ana", notes="Sigue igual.")


@pytest.fixture
def world(guard: Guard) -> World:
    return World(guard)


# Rows that are not used on it again


@pytest.mark.parametrize(
    ("phase", "label", "expected"),
    [
        pytest.param(Phase.CONFIRMED, None, None, id="done"),
        pytest.param(Phase.REFUSED, None, None, id="the-desk-refused"),
        pytest.param(Phase.REJECTED, Label.REVERTED, Reason.PROPOSAL_REJECTED, id="rejected"),
        pytest.param(Phase.UNDONE, Label.REVERTED, Reason.UNDONE, id="undone"),
        pytest.param(Phase.CONFIRMED, Label.REVERTED, Reason.ROW_DENIED, id="undone-by-hand"),
        pytest.param(Phase.CONFIRMED, Label.REOPENED, Reason.REOPENED, id="reopened"),
        pytest.param(Phase.CONFIRMED, Label.RIGHT, None, id="right"),
    ],
)
async def test_barred_rows(world: World, phase: Phase, label: Label | None, expected: Reason | None) -> None:
    record = Record(id="d-9", incident="I1", kind="cierre", phase=Phase.PROPOSED, entry=ROW.id)
    world.ledger.propose(record)
    world.ledger.move("d-9", (Phase.PROPOSED,), phase)
    if label:
        world.ledger.label(record, label, "ana")
    barred = await world.executor.precedents.barred("I1")
    assert barred == ({ROW.id: expected} if expected else {})
    assert await world.executor.precedents.barred("I2") == {}


# Policy


@pytest.mark.parametrize(
    ("rights", "action", "expected"),
    [
        pytest.param({"cierre": "propuesta"}, CLOSE, Outcome(None, Reason.NEEDS_APPROVAL, proposed=True), id="close"),
        pytest.param({"cierre": "manual"}, CLOSE, Outcome(None, Reason.POLICY_MANUAL), id="manual"),
        pytest.param({"api": "propuesta"}, CALL, Outcome(None, Reason.NEEDS_APPROVAL, proposed=True), id="api"),
        pytest.param({"api": "manual"}, CALL, Outcome(None, Reason.POLICY_MANUAL), id="api-manual"),
    ],
)
async def test_what_policy_does_not_leave_to_us(
    world: World, rights: dict[str, str], action: Action, expected: Outcome
) -> None:
    world.ruled(autonomia=rights)
    for _ in range(2):
        assert await world.act(action) == expected
    assert (world.desk.changes, world.system.checks) == ([], [])
    assert [r.phase for r in world.ledger.of_incident("I1")] == [Phase.PROPOSED] * expected.proposed
    found = await world.desk.read("I1")
    assert world.executor.foresee(found, Decision("d-1", action, None, Reason.APPROVED, ROW)) == expected


async def test_what_the_system_asks_for_is_ruled_too(world: World) -> None:
    world.ruled(autonomia={"cierre": "propuesta"})
    assert (await world.act(CALL)).proposed
    assert (len(world.system.checks), world.desk.changes) == (1, [])
    assert world.record().kind == "api|fxprovicion"


async def test_foreseen_without_a_word_of_policy(world: World) -> None:
    found = await world.desk.read("I1")
    left = Decision("d-1", LeaveToHuman(reason=Reason.NO_CANDIDATE), None, Reason.NO_CANDIDATE)
    assert world.executor.foresee(found, left) == Outcome(None, Reason.NO_CANDIDATE)
    assert world.executor.foresee(found, Decision("d-1", CLOSE, None, Reason.APPROVED)).reason is Reason.APPROVED


async def test_over_a_cap_it_waits_for_a_person(world: World) -> None:
    world.ruled(topes={"por_hora": 1})
    assert (await world.act()).done == CLOSE
    assert await world.act(code="I2") == Outcome(None, Reason.CAPPED, proposed=True)
    assert world.record("I2").reason == "CAPPED"
    assert (await world.act(code="I2", approved=True)).done == CLOSE
    assert world.record("I2").autonomy == "propuesta"


async def test_paused_nothing_is_done(world: World) -> None:
    KillSwitch(world.ledger).pause("ana")
    assert await world.act() == Outcome(None, Reason.PAUSED, proposed=True)
    with pytest.raises(Terminal) as caught:
        await world.act(approved=True)
    assert (caught.value.reason, world.desk.changes) == (Reason.PAUSED, [])
    KillSwitch(world.ledger).resume("ana")
    world.guard.switch._seen = None
    assert (await world.act()).reason is Reason.PAUSED  # a person has it
    assert (await world.act(approved=True)).done == CLOSE


async def test_paused_while_the_desk_is_read_nothing_is_sent(world: World) -> None:
    read, reads = world.desk.read, [0]

    async def pausing(code: str) -> Incident:
        reads[0] += 1
        if reads[0] == 2:  # after the look at the switch, before the send
            world.guard.switch.pause("ana")
        return await read(code)

    world.desk.read = pausing  # type: ignore[method-assign]
    assert await world.act(CALL) == Outcome(None, Reason.PAUSED, proposed=True)
    kept = world.record()
    assert (kept.phase, kept.reason, kept.autonomy, kept.kind) == (
        Phase.PROPOSED, "PAUSED", "propuesta", "api|fxprovicion",
    )  # fmt: skip
    assert world.desk.changes == []
    world.guard.switch.resume("ana")
    assert (await world.act(CALL, approved=True)).done


async def test_approved_the_system_is_asked_but_not_obeyed_against_the_policy(world: World) -> None:
    world.ruled(autonomia={"cierre": "manual"})
    assert await world.act(CALL, approved=True) == Outcome(None, Reason.POLICY_MANUAL)
    assert (len(world.system.checks), world.desk.changes) == (1, [])
    world.ruled(autonomia={"cierre": "propuesta"})
    assert (await world.act(CALL, approved=True)).done


@pytest.mark.parametrize(
    ("phase", "reason"), [(Phase.REJECTED, Reason.PROPOSAL_REJECTED), (Phase.UNDONE, Reason.UNDONE)]
)
async def test_what_a_person_decided_stands(world: World, phase: Phase, reason: Reason) -> None:
    world.ruled(autonomia={"cierre": "propuesta"})
    await world.act()
    world.ledger.move(world.record().id, (Phase.PROPOSED,), phase)
    world.guard = replace(world.guard, policy=Policy())
    for approved in (False, True):
        assert await world.act(approved=approved) == Outcome(None, reason)
    assert world.desk.changes == []


async def test_a_refused_change_may_be_tried_again(world: World) -> None:
    world.desk.fail_next("change", Terminal(Reason.DESK_REFUSED))
    with pytest.raises(Terminal):
        await world.act()
    assert world.record().phase is Phase.REFUSED
    assert (await world.act()).done == CLOSE


# Doubt


async def test_nothing_is_done_while_something_earlier_is_unknown(guard: Guard) -> None:
    world = World(guard, plain=True)
    world.desk.fail_next("change", Retryable(Reason.DESK_UNAVAILABLE, maybe_applied=True))
    with pytest.raises(Terminal):
        await world.act()
    world.desk.touch("I1")
    with pytest.raises(Terminal, match="no se sabe") as caught:
        await world.act()
    assert (caught.value.reason, world.desk.changes) == (Reason.NOT_CONFIRMED, [])


async def test_the_next_run_settles_first(guard: Guard) -> None:
    world = World(guard, plain=True)
    before = await world.desk.read("I1")
    for code, applied in (("I1", True), ("I2", False)):
        found = await world.desk.read(code)
        decision = Decision(decision_id(found, TAG, ROW.id), CLOSE, None, Reason.APPROVED, ROW)
        world.desk.fail_next("change", Retryable(Reason.DESK_UNAVAILABLE, maybe_applied=True), applied=applied)
        if applied:
            await world.executor.carry_out(found, decision)
            world.ledger.move(decision.id, (Phase.CONFIRMED,), Phase.UNKNOWN)
        else:
            with pytest.raises(Terminal):
                await world.executor.carry_out(found, decision)
    world.desk.fail_next("read", Retryable(Reason.DESK_UNAVAILABLE), times=6)
    assert await world.executor.precedents.settle_unknown() == {Phase.UNKNOWN: 2}
    assert await world.executor.precedents.settle_unknown() == {Phase.CONFIRMED: 1, Phase.REFUSED: 1}
    assert len(world.desk.changes) == 1
    await world.executor.precedents.look_back(before)
    assert (await world.act(code="I2")).done == CLOSE


async def test_looking_back_settles_what_is_open(world: World) -> None:
    await world.act()
    world.ledger.move(world.record().id, (Phase.CONFIRMED,), Phase.SENT)
    await world.executor.precedents.look_back(incident())
    assert world.record().phase is Phase.CONFIRMED


# Reopened


@pytest.mark.parametrize("plain", [False, True], ids=["notes", "plain"])
async def test_reopened_counts_against_row_and_decision(guard: Guard, plain: bool) -> None:
    world = World(guard, plain=plain)
    await world.act()
    first = world.record()
    world.reopen()
    listed = (await world.desk.list_open()).incidents
    assert await world.executor.precedents.note_reopened(listed) == 1
    assert await world.executor.precedents.note_reopened(listed) == 0
    [said] = world.ledger.outcomes(entry=ROW.id)
    assert (said.decision, said.label, said.who) == (first.id, Label.REOPENED, "mesa")
    assert await world.act() == Outcome(None, Reason.REOPENED)
    assert len(world.desk.changes) == 1


async def test_an_older_reading_is_no_reopening(world: World) -> None:
    before = (await world.desk.list_open()).incidents
    await world.act()
    assert await world.executor.precedents.note_reopened(before) == 0
    assert world.ledger.outcomes() == []


async def test_a_desk_without_history_opens_it_again(guard: Guard) -> None:
    """The incident looks as it did before: the same decision again is no new one."""
    world = World(guard, plain=True)
    await world.act()
    world.desk._incidents["I1"] = incident()
    assert await world.act() == Outcome(None, Reason.REOPENED)
    assert [said.label for said in world.ledger.outcomes()] == [Label.REOPENED]
    assert len(world.desk.changes) == 1


@pytest.mark.parametrize(("kind", "moved"), [("reasignacion", True), ("en espera", False)])
async def test_done_and_changed_since_is_not_done_again(guard: Guard, kind: str, moved: bool) -> None:
    world = World(guard, plain=True)
    await world.act(Reassign(mailbox="B", note="x") if moved else CLOSE)
    world.desk._incidents["I1"] = incident()
    world.ledger.move(world.record().id, (Phase.CONFIRMED,), Phase.CONFIRMED, kind=kind, closed_at="")
    assert await world.act() == Outcome(None, Reason.ALREADY_TRIED)
    assert len(world.desk.changes) == 1


async def test_done_before_is_told_as_done(world: World) -> None:
    reassign = Reassign(mailbox="B", note="x")
    found = await world.desk.read("I1")
    decision = Decision(decision_id(found, TAG, ROW.id), reassign, None, Reason.APPROVED, ROW)
    for _ in range(2):
        outcome = await world.executor.carry_out(found, decision)
        assert outcome.done is not None
        assert (outcome.done.kind, getattr(outcome.done, "mailbox", "")) == ("reasignacion", "B")
    assert len(world.desk.changes) == 1


async def test_waiting_done_before(world: World) -> None:
    found = await world.desk.read("I1")
    await world.desk.change(found, DeskChange(verb=DeskVerb.WAIT, notes="x"), "k")
    decision = Decision("d-0000000000aa", CLOSE, None, Reason.APPROVED, ROW)
    record = Record(id=decision.id, incident="I1", kind="en espera", phase=Phase.INTENDED)
    world.ledger.intend(record, again=(), caps={})
    world.ledger.move(record.id, (Phase.INTENDED,), Phase.CONFIRMED)
    outcome = await world.executor.carry_out(found, decision)
    assert outcome.done is not None
    assert outcome.done.kind == "en espera"
