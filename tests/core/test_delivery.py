"""core/delivery: a change takes effect once, whatever the desk answers; in doubt reading decides."""

import random
from typing import Any

import pytest

from api.memory import MemoryDesk, MemorySystem
from core.actions import Close, DeskChange, DeskVerb, Reassign, Wait
from core.decision import Decision, decision_id
from core.delivery import Delivery, Patience
from core.errors import DependencyAway, Retryable, StageError, Terminal
from core.execute import Executor, Guard
from core.incident import Incident
from core.ledger import Ledger, Phase, Record, ask
from core.ports import DeskListing
from core.reason import Reason
from core.steps import Unrecorded

TAG = "[SPAI] "
ID = "d-00000000000a"
CHANGE = DeskChange(verb=DeskVerb.RESOLVE, notes=f"{TAG}(decisión {ID}; sin fila; cierre) Hecho.")
PLAIN = pytest.mark.parametrize("plain", [False, True], ids=["versions", "plain"])


def incident(code: str = "I1", **fields: object) -> Incident:
    given = {"codIncidencia": code, "buzon": "Soporte", "estado": "Abierta", "descripcion": "no va"}
    return Incident.model_validate(given | fields)


def timed_out() -> Retryable:
    return Retryable(Reason.DESK_UNAVAILABLE, "sin respuesta", maybe_applied=True)


class Case:
    """A desk with one incident, and a decision to close it that the ledger has as intended."""

    def __init__(self, ledger: Ledger, desk: MemoryDesk, patience: Patience) -> None:
        self.ledger, self.desk = ledger, desk
        self.delivery = Delivery(desk, ledger, TAG, patience)
        self.record = Record(
            id=ID, incident="I1", kind="cierre", phase=Phase.INTENDED, mailbox="Soporte",
            fingerprint=incident().fingerprint(without=TAG.strip()),
        )  # fmt: skip
        ledger.intend(self.record, again=(), caps={})

    async def deliver(self) -> None:
        await self.delivery.deliver(await self.desk.read("I1"), self.record, CHANGE)

    def now(self) -> Record:
        found = self.ledger.find(ID)
        assert found is not None
        return found


@pytest.fixture
def case(ledger: Ledger, guard: Guard, request: pytest.FixtureRequest) -> Case:
    return Case(ledger, MemoryDesk([incident()], plain=getattr(request, "param", True)), guard.patience)


async def test_what_it_changed_is_written_down(case: Case) -> None:
    await case.deliver()
    kept = case.now()
    assert (kept.phase, kept.state_before, kept.mailbox_before) == (Phase.CONFIRMED, "Abierta", "Soporte")
    assert (kept.state_after, kept.mailbox_after) == ("Resuelta", "Soporte")
    after = await case.desk.read("I1")
    assert kept.fingerprint_after == after.fingerprint(without=TAG.strip()) != kept.fingerprint
    assert kept.sent_at <= kept.closed_at != ""


async def test_it_is_written_down_before_it_is_sent(case: Case) -> None:
    seen: list[Phase] = []
    send = case.desk.change

    async def change(read: Incident, change: DeskChange, key: str) -> None:
        seen.append(case.now().phase)
        await send(read, change, key)

    case.desk.change = change  # type: ignore[method-assign]
    await case.deliver()
    assert seen == [Phase.SENT]


@pytest.mark.parametrize(
    ("error", "phase"),
    [
        pytest.param(Terminal(Reason.DESK_REFUSED), Phase.REFUSED, id="refused"),
        pytest.param(Retryable(Reason.DESK_UNAVAILABLE), Phase.REFUSED, id="surely-not-arrived"),
        pytest.param(timed_out(), Phase.UNKNOWN, id="unknown"),
    ],
)
async def test_the_phase_after_a_failure(case: Case, error: StageError, phase: Phase) -> None:
    case.desk.fail_next("change", error, times=2)
    with pytest.raises(StageError):
        await case.deliver()
    assert case.now().phase is phase
    assert case.desk.changes == []


async def test_of_two_at_once_one_sends(case: Case) -> None:
    case.ledger.move(ID, (Phase.INTENDED,), Phase.SENT)
    with pytest.raises(Terminal, match="otro proceso"):
        await case.deliver()
    assert case.desk.changes == []


@pytest.mark.parametrize("case", [False], indirect=True)
async def test_our_first_send_in_the_way_of_the_second(case: Case) -> None:
    """It arrives between reading and sending again: the desk refuses the second one because of the first."""
    send = case.desk.change
    held: list[Incident] = []

    async def change(read: Incident, change: DeskChange, key: str) -> None:
        if not held:
            held.append(read)
            raise timed_out()
        await send(held[0], change, key)
        raise Terminal(Reason.TOUCHED_MEANWHILE)

    case.desk.change = change  # type: ignore[method-assign]
    await case.deliver()
    assert (case.now().phase, len(case.desk.changes)) == (Phase.CONFIRMED, 1)


@pytest.mark.parametrize("reads", [2, 5], ids=["in-time", "too-late"])
async def test_a_desk_that_shows_it_late(case: Case, reads: int) -> None:
    """`reads` readings after the change still show the incident as it was."""
    before, read, late = await case.desk.read("I1"), case.desk.read, [reads]

    async def slow(code: str) -> Incident:
        if case.desk.changes and late[0] > 0:
            late[0] -= 1
            return before
        return await read(code)

    case.desk.read = slow  # type: ignore[method-assign]
    case.desk.fail_next("change", timed_out(), applied=True)
    if reads == 2:
        await case.deliver()
        assert case.now().phase is Phase.CONFIRMED
    else:
        with pytest.raises(Terminal) as caught:
            await case.deliver()
        assert (caught.value.reason, case.now().phase) == (Reason.NOT_CONFIRMED, Phase.UNKNOWN)
        late[0] = 0
        assert await case.delivery.settle(case.now()) is Phase.CONFIRMED
    assert len(case.desk.changes) == 1


# The kill switch


@pytest.mark.parametrize("case", [False], indirect=True)
@pytest.mark.parametrize("maybe_applied", [None, False, True], ids=["unsent", "surely-not-arrived", "may-have-arrived"])
async def test_a_pause_is_looked_for_before_every_send(case: Case, guard: Guard, maybe_applied: bool | None) -> None:
    delivery = Delivery(case.desk, case.ledger, TAG, guard.patience, guard.switch.paused)
    send, sends = case.desk.change, [0]

    async def change(read: Incident, change: DeskChange, key: str) -> None:
        sends[0] += 1
        if maybe_applied is None or sends[0] > 1:
            return await send(read, change, key)
        guard.switch.pause("ana")
        raise Retryable(Reason.DESK_UNAVAILABLE, "503", maybe_applied=maybe_applied)

    case.desk.change = change  # type: ignore[method-assign]
    before = await case.desk.read("I1")
    if maybe_applied is None:
        guard.switch.pause("ana")
    with pytest.raises(Terminal) as caught:
        await delivery.deliver(before, case.record, CHANGE)
    assert (sends[0], case.desk.changes) == (0 if maybe_applied is None else 1, [])
    if maybe_applied:
        assert (caught.value.reason, case.now().phase) == (Reason.NOT_CONFIRMED, Phase.UNKNOWN)
    else:
        assert (caught.value.reason, case.now().phase, case.now().sent_at) == (Reason.PAUSED, Phase.INTENDED, "")


@pytest.mark.parametrize("case", [False], indirect=True)
async def test_paused_after_a_send_that_arrived_it_is_found(case: Case, guard: Guard) -> None:
    delivery = Delivery(case.desk, case.ledger, TAG, guard.patience, guard.switch.paused)
    send, reads = case.desk.change, [0]

    async def change(read: Incident, change: DeskChange, key: str) -> None:
        guard.switch.pause("ana")
        raise timed_out()

    async def late(code: str) -> Incident:
        reads[0] += 1
        if reads[0] == 3:  # the second send is given up, and what was sent is looked for
            await send(await MemoryDesk.read(case.desk, code), CHANGE, ID)
        return await MemoryDesk.read(case.desk, code)

    case.desk.change, case.desk.read = change, late  # type: ignore[method-assign]
    await delivery.deliver(await MemoryDesk.read(case.desk, "I1"), case.record, CHANGE)
    assert (case.now().phase, len(case.desk.changes)) == (Phase.CONFIRMED, 1)


# A desk that says yes


@PLAIN
@pytest.mark.parametrize("does", [False, True], ids=["nothing", "it"])
async def test_a_state_that_was_there_before_confirms_nothing(
    ledger: Ledger, guard: Guard, plain: bool, does: bool
) -> None:
    """It is where it is sent already, and the desk answers that it is done."""
    case = Case(ledger, MemoryDesk([incident(buzon="B")], plain=plain), guard.patience)
    case.record = case.record.model_copy(update={"kind": "reasignacion", "target": "B"})
    send = case.desk.change

    async def change(read: Incident, change: DeskChange, key: str) -> None:
        if does:
            await send(read, change, key)

    case.desk.change = change  # type: ignore[method-assign]
    moved = DeskChange(verb=DeskVerb.REASSIGN, mailbox="B", notes=CHANGE.notes)
    before = await case.desk.read("I1")
    if does:
        await case.delivery.deliver(before, case.record, moved)
        assert case.now().phase is Phase.CONFIRMED
    else:
        with pytest.raises(Terminal, match="sigue igual") as caught:
            await case.delivery.deliver(before, case.record, moved)
        assert (caught.value.reason, case.now().phase) == (Reason.NOT_CONFIRMED, Phase.UNKNOWN)


# Settling


async def _sent(case: Case) -> Record:
    assert case.ledger.move(ID, (Phase.INTENDED,), Phase.SENT, sent_at=case.ledger.now())
    return case.now()


async def test_settled_as_done(case: Case) -> None:
    record = await _sent(case)
    await case.desk.change(await case.desk.read("I1"), CHANGE, ID)
    assert await case.delivery.settle(record) is Phase.CONFIRMED
    assert case.now().closed_at


@pytest.mark.parametrize(
    ("autonomy", "phase"), [("automatica", Phase.REFUSED), ("persona", Phase.REFUSED), ("propuesta", Phase.PROPOSED)]
)
async def test_settled_as_never_arrived(case: Case, autonomy: str, phase: Phase) -> None:
    """What a person had approved waits for that person again."""
    record = (await _sent(case)).model_copy(update={"autonomy": autonomy})
    assert await case.delivery.settle(record) is phase
    assert case.now().phase is phase


@pytest.mark.parametrize("quotes", [False, True], ids=["their-words", "a-quotation"])
async def test_settled_after_others_went_on_there_is_no_state_to_go_back_from(case: Case, quotes: bool) -> None:
    record = await _sent(case)
    await case.desk.change(await case.desk.read("I1"), CHANGE, ID)
    case.desk.touch("I1", f"Gracias.\n> {CHANGE.notes}" if quotes else "La miro yo.")
    assert await case.delivery.settle(record) is Phase.CONFIRMED
    assert case.now().fingerprint_after == ""


async def test_settled_with_nobody_else_there_it_can_be_undone(case: Case) -> None:
    record = await _sent(case)
    await case.desk.change(await case.desk.read("I1"), CHANGE, ID)
    await case.delivery.settle(record)
    assert case.now().fingerprint_after == (await case.desk.read("I1")).fingerprint(without=TAG.strip())


async def test_after_a_lost_answer_others_count_too(case: Case) -> None:
    send = case.desk.change

    async def change(read: Incident, change: DeskChange, key: str) -> None:
        await send(read, change, key)
        case.desk.touch("I1")
        raise timed_out()

    case.desk.change = change  # type: ignore[method-assign]
    await case.deliver()
    assert (case.now().phase, case.now().fingerprint_after) == (Phase.CONFIRMED, "")


@pytest.mark.parametrize("how", ["touched", "reached"])
async def test_what_others_did_meanwhile_stays_unknown(case: Case, how: str) -> None:
    record = await _sent(case)
    if how == "touched":
        case.desk.touch("I1")
    else:
        await case.desk.change(await case.desk.read("I1"), CHANGE.model_copy(update={"notes": "yo"}), "otra")
    assert await case.delivery.settle(record) is Phase.UNKNOWN
    assert case.ledger.unsettled()[0].id == ID


async def test_what_may_still_arrive_is_waited_for(case: Case) -> None:
    """It comes while the incident is read again and again; nothing is sent a second time."""
    case.delivery = Delivery(case.desk, case.ledger, TAG, Patience(first_wait=0, longest_wait=0, late=5))
    record, read, count = await _sent(case), case.desk.read, [0]

    async def counted(code: str) -> Incident:
        count[0] += 1
        if count[0] == 4:
            await case.desk.change(await read(code), CHANGE, ID)
        return await read(code)

    case.desk.read = counted  # type: ignore[method-assign]
    assert await case.delivery.settle(record) is Phase.CONFIRMED
    assert len(case.desk.changes) == 1


async def test_without_a_ledger_nothing_is_sent(case: Case) -> None:
    case.ledger.close()
    with case.ledger._engine.connect() as connection:
        connection.exec_driver_sql("DROP TABLE decisions")
        connection.commit()
    with pytest.raises(Unrecorded):
        await case.deliver()
    assert case.desk.changes == []


# A desk on its worst day


class BadDay(MemoryDesk):
    """Of all calls `errors` fail at once; of the changes `lost` more take effect and are not answered."""

    def __init__(self, incidents: list[Incident], *, plain: bool, seed: int, errors: float, lost: float) -> None:
        super().__init__(incidents, plain=plain)
        self._chance, self._errors, self._lost = random.Random(seed), errors, lost

    def _fail(self) -> None:
        if self._chance.random() < self._errors:
            raise Retryable(Reason.DESK_UNAVAILABLE, "503")

    async def read(self, code: str) -> Incident:
        self._fail()
        return await super().read(code)

    async def list_open(self, mailbox: str | None = None) -> DeskListing:
        return await super().list_open(mailbox)

    async def change(self, incident: Incident, change: DeskChange, key: str) -> None:
        self._fail()
        await super().change(incident, change, key)
        if self._chance.random() < self._lost:
            raise timed_out()


ACTIONS: tuple[Any, ...] = (Close(note="x"), Wait(note="x"), Reassign(mailbox="Contabilidad", note="x"))


@pytest.mark.faults
@PLAIN
@pytest.mark.parametrize("seed", [1, 2])
async def test_all_end_and_none_twice(guard: Guard, plain: bool, seed: int) -> None:
    """30 % errors, 10 % time-outs after applying: 200 incidents, run after run until every one is confirmed."""
    desk = BadDay([incident(f"I{n}") for n in range(200)], plain=plain, seed=seed, errors=0.3, lost=0.1)
    executor = Executor(desk, MemorySystem(), frozenset({"Contabilidad"}), TAG, guard)
    given = {code: await MemoryDesk.read(desk, code) for code in (f"I{n}" for n in range(200))}
    confirmed: set[str] = set()
    for _ in range(8):
        await executor.precedents.settle_unknown()
        for number, (code, read) in enumerate(given.items()):
            action = ACTIONS[number % 3]
            decision = Decision(decision_id(read, TAG, code), action, None, Reason.APPROVED)
            try:
                outcome = await executor.carry_out(read, decision)
            except StageError:
                continue
            assert outcome.done is not None
            assert outcome.done.kind == action.kind
            confirmed.add(code)
    assert confirmed == set(given)
    acted = [code for code, _, _ in desk.changes]
    assert sorted(acted) == sorted(given)
    assert {record.phase for code in given for record in guard.ledger.of_incident(code)} == {Phase.CONFIRMED}


@pytest.mark.faults
async def test_a_ledger_that_is_away_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.ledger.asking._AWAY_SECONDS", 0.0)
    away = [DependencyAway(), DependencyAway()]

    def asked() -> str:
        if away:
            raise away.pop()
        return "aquí"

    assert await ask(asked) == "aquí"
    assert not away
