"""core/execute: what was decided is done once, read back, or nothing is claimed."""

import logging
from collections.abc import Iterator
from typing import Any

import pytest

from api.memory import MemoryDesk, MemorySystem
from core.actions import Action, CallSystem, Close, DeskChange, DeskVerb, LeaveToHuman, Reassign, Wait
from core.catalogue import CatalogueEntry
from core.critic_loop import Verdict
from core.decision import Decision, decision_id
from core.errors import Retryable, StageError, Terminal
from core.execute import Executor, Guard
from core.incident import Incident
from core.marks import ASKED_FOR_POLICY, LEFT_TO_PERSON, Mark, read_marks
from core.outcome import Outcome
from core.ports import SystemAnswer
from core.reason import Reason

TAG = "[SPAI] "
BOX = "Contabilidad"
ROW = CatalogueEntry.model_validate(
    {"component": "Recibos", "description": "no sale el recibo", "solution": "Reinicie.", "resolution": "cierre"}
)
CALL = CallSystem(system="fxprovicion", policy="123456", solution="Lo que diga")


def incident(**fields: object) -> Incident:
    given = {"codIncidencia": "I1", "buzon": "Soporte", "estado": "Abierta", "descripcion": "no va", "apertura": "hoy"}
    return Incident.model_validate(given | fields)


def decided(action: Action, **fields: Any) -> Decision:
    given = {"id": "d-0123456789ab", "verdict": None, "reason": Reason.APPROVED, "entry": ROW}
    return Decision(**(given | {"action": action} | fields))


_guards: list[Guard] = []


@pytest.fixture(autouse=True)
def _guarded(guard: Guard) -> Iterator[None]:
    """Each test has a ledger of its own, whichever of the functions below it calls."""
    _guards.append(guard)
    yield
    _guards.clear()


def executor(desk: MemoryDesk, system: MemorySystem | None = None) -> Executor:
    return Executor(desk, system or MemorySystem(), frozenset({BOX}), TAG, _guards[-1])


async def carry_out(desk: MemoryDesk, decision: Decision, system: MemorySystem | None = None) -> Outcome:
    return await executor(desk, system).carry_out(await desk.read("I1"), decision)


def timed_out() -> Retryable:
    return Retryable(Reason.DESK_UNAVAILABLE, "sin respuesta", maybe_applied=True)


PLAIN = pytest.mark.parametrize("plain", [False, True], ids=["versions", "plain"])


@PLAIN
@pytest.mark.parametrize(
    ("action", "change", "status", "mailbox"),
    [
        pytest.param(Close(note="Reinicie."), DeskVerb.RESOLVE, "Resuelta", "Soporte", id="close"),
        pytest.param(Wait(note="Espere."), DeskVerb.WAIT, "En espera", "Soporte", id="wait"),
        pytest.param(Wait(note="Espere.", until="2024-09-01"), DeskVerb.WAIT, "En espera", "Soporte", id="wait-until"),
        pytest.param(Reassign(mailbox=BOX, note="Para ustedes."), DeskVerb.REASSIGN, "Abierta", BOX, id="reassign"),
    ],
)
async def test_each_action_is_done_and_confirmed(
    plain: bool, action: Close | Wait | Reassign, change: DeskVerb, status: str, mailbox: str
) -> None:
    desk = MemoryDesk([incident()], plain=plain)
    decision = decided(action)
    assert await carry_out(desk, decision) == Outcome(action, Reason.APPROVED)
    after = await desk.read("I1")
    assert (after.status, after.mailbox) == (status, mailbox)
    [(code, sent, key)] = desk.changes
    assert (code, sent.verb, key) == ("I1", change, decision.id)
    assert read_marks(after, TAG) == [Mark(decision.id, ROW.id, action.kind, action.note)]
    until = getattr(action, "until", None)
    assert sent.detail == (f"Fecha prevista: {until}" if until else None)


async def test_asking_for_the_policy_is_marked_as_such() -> None:
    desk = MemoryDesk([incident()])
    await carry_out(desk, decided(Wait(note="¿Póliza?"), reason=Reason.MISSING_POLICY, entry=None))
    [mark] = read_marks(await desk.read("I1"), TAG)
    assert (mark.kind, mark.entry_id) == (ASKED_FOR_POLICY, None)


@PLAIN
async def test_what_a_person_touched_is_left_alone(plain: bool) -> None:
    desk = MemoryDesk([incident()], plain=plain)
    before = await desk.read("I1")
    desk.touch("I1")
    with pytest.raises(Terminal) as caught:
        await executor(desk).carry_out(before, decided(Close(note="x")))
    assert caught.value.reason is Reason.TOUCHED_MEANWHILE
    assert desk.changes == []


@PLAIN
async def test_touched_between_reading_and_changing(plain: bool) -> None:
    """A desk with versions refuses it by itself; at a plain one nobody can tell."""

    class Touching(MemoryDesk):
        async def read(self, code: str) -> Incident:
            found = await super().read(code)
            self.touch(code)
            return found

    desk = Touching([incident()], plain=plain)
    before = await MemoryDesk([incident()], plain=plain).read("I1")
    if plain:
        await executor(desk).carry_out(before, decided(Close(note="x")))
    else:
        with pytest.raises(Terminal) as caught:
            await executor(desk).carry_out(before, decided(Close(note="x")))
        assert caught.value.reason is Reason.TOUCHED_MEANWHILE
    assert len(desk.changes) == plain


@PLAIN
@pytest.mark.parametrize("status", ["Cerrada", "Resuelta"])
async def test_a_refused_change_is_an_error(plain: bool, status: str) -> None:
    desk = MemoryDesk([incident(estado=status)], plain=plain)
    with pytest.raises(Terminal) as caught:
        await carry_out(desk, decided(Close(note="x")))
    assert caught.value.reason is Reason.DESK_REFUSED
    assert desk.changes == []


@PLAIN
async def test_carrying_out_again_changes_nothing_more(plain: bool) -> None:
    desk = MemoryDesk([incident()], plain=plain)
    before = await desk.read("I1")
    for _ in range(2):
        outcome = await executor(desk).carry_out(before, decided(Close(note="x")))
        assert (outcome.done and outcome.done.kind, outcome.reason) == ("cierre", Reason.APPROVED)
    assert len(desk.changes) == 1


# Answers that are lost


@PLAIN
async def test_answer_lost_after_taking_effect(plain: bool) -> None:
    desk = MemoryDesk([incident()], plain=plain)
    desk.fail_next("change", timed_out(), applied=True)
    assert await carry_out(desk, decided(Close(note="x"))) == Outcome(Close(note="x"), Reason.APPROVED)
    assert len(desk.changes) == 1


async def test_answer_lost_without_effect_is_sent_again_where_the_desk_has_versions() -> None:
    desk = MemoryDesk([incident()])
    desk.fail_next("change", timed_out())
    assert (await carry_out(desk, decided(Close(note="x")))).done
    assert len(desk.changes) == 1


@pytest.mark.parametrize("applied", [True, False], ids=["applied", "not-applied"])
async def test_both_answers_are_lost(applied: bool) -> None:
    desk = MemoryDesk([incident()])
    desk.fail_next("change", timed_out())
    desk.fail_next("change", timed_out(), applied=applied)
    if applied:
        assert (await carry_out(desk, decided(Close(note="x")))).done
    else:
        with pytest.raises(Terminal) as caught:
            await carry_out(desk, decided(Close(note="x")))
        assert caught.value.reason is Reason.NOT_CONFIRMED
    assert len(desk.changes) == applied


async def test_answer_lost_without_effect_is_never_sent_again_to_a_plain_desk() -> None:
    desk = MemoryDesk([incident()], plain=True)
    desk.fail_next("change", timed_out())
    with pytest.raises(Terminal) as caught:
        await carry_out(desk, decided(Close(note="x")))
    assert caught.value.reason is Reason.NOT_CONFIRMED
    assert desk.changes == []


@PLAIN
async def test_a_change_that_surely_did_not_arrive_is_sent_again(plain: bool) -> None:
    desk = MemoryDesk([incident()], plain=plain)
    desk.fail_next("change", Retryable(Reason.DESK_UNAVAILABLE))
    assert (await carry_out(desk, decided(Close(note="x")))).done
    assert len(desk.changes) == 1


@PLAIN
async def test_it_gives_up_after_two_sends(plain: bool) -> None:
    desk = MemoryDesk([incident()], plain=plain)
    desk.fail_next("change", Retryable(Reason.DESK_UNAVAILABLE), times=3)
    with pytest.raises(Retryable) as caught:
        await carry_out(desk, decided(Close(note="x")))
    assert caught.value.reason is Reason.DESK_UNAVAILABLE
    assert desk.changes == []


@pytest.mark.parametrize("plain", [False, True], ids=["versions", "plain"])
async def test_first_send_arrives_after_the_second(plain: bool) -> None:
    """The worst order: the desk takes the first request only when the second one comes in."""

    class Late(MemoryDesk):
        held: DeskChange | None = None

        async def change(self, incident: Incident, change: DeskChange, key: str) -> None:
            if self.held is None:
                self.held = change
                raise timed_out()
            await super().change(incident, self.held, key)
            await super().change(incident, change, key)

    desk = Late([incident()], plain=plain)
    if plain:
        with pytest.raises(Terminal):
            await carry_out(desk, decided(Reassign(mailbox=BOX, note="x")))
    else:
        assert (await carry_out(desk, decided(Reassign(mailbox=BOX, note="x")))).done
    assert len(desk.changes) == (0 if plain else 1)


# Reading back


class Forgetful(MemoryDesk):
    """Says yes to every change and then shows `status` and `mailbox`."""

    def __init__(self, shown: dict[str, str], *, keeps_note: bool = True, lost: bool = False) -> None:
        super().__init__([incident()], plain=True)
        self.shown, self.keeps_note, self.lost = shown, keeps_note, lost
        self.reads_after = 0

    async def read(self, code: str) -> Incident:
        found = await super().read(code)
        if not self.changes:
            return found
        self.reads_after += 1
        history = found.history if self.keeps_note or self.reads_after == 1 else ()
        return found.model_copy(update=self.shown | {"history": history})

    async def change(self, incident: Incident, change: DeskChange, key: str) -> None:
        await super().change(incident, change, key)
        if self.lost:
            raise timed_out()


@pytest.mark.parametrize(
    ("action", "shown", "confirmed"),
    [
        pytest.param(Close(note="x"), {"status": "Abierta"}, False, id="close-still-open"),
        pytest.param(Close(note="x"), {"status": "En espera"}, False, id="close-waits"),
        pytest.param(Close(note="x"), {"status": "CERRADA"}, True, id="close-cerrada"),
        pytest.param(Close(note="x"), {"status": "Solucionado"}, True, id="close-solucionado"),
        pytest.param(Wait(note="x"), {"status": "Abierta"}, False, id="wait-still-open"),
        pytest.param(Wait(note="x"), {"status": "Resuelta"}, False, id="wait-resolved"),
        pytest.param(Wait(note="x"), {"status": "Pendiente de implantar"}, True, id="wait-pending"),
        pytest.param(Reassign(mailbox=BOX, note="x"), {"mailbox": "Soporte"}, False, id="reassign-stays"),
        pytest.param(Reassign(mailbox=BOX, note="x"), {"mailbox": "CONTABILIDAD"}, True, id="reassign-other-case"),
    ],
)
async def test_only_the_state_that_the_desk_shows_counts(
    action: Close | Wait | Reassign, shown: dict[str, str], confirmed: bool
) -> None:
    desk = Forgetful(shown)
    if confirmed:
        assert (await carry_out(desk, decided(action))).done == action
        return
    with pytest.raises(Terminal) as caught:
        await carry_out(desk, decided(action))
    assert caught.value.reason is Reason.NOT_CONFIRMED
    assert "la mesa la tiene en" in str(caught.value)


async def test_a_desk_that_keeps_no_note_confirms_by_its_answer() -> None:
    desk = Forgetful({}, keeps_note=False)
    desk.reads_after = 1
    assert (await carry_out(desk, decided(Close(note="x")))).done


async def test_without_an_answer_our_note_must_be_there() -> None:
    desk = Forgetful({}, keeps_note=False, lost=True)
    desk.reads_after = 1
    with pytest.raises(Terminal, match="nuestra nota") as caught:
        await carry_out(desk, decided(Close(note="x")))
    assert caught.value.reason is Reason.NOT_CONFIRMED


@pytest.mark.parametrize("status", ["Pendiente", "Pendiente de revisar", "En espera"])
async def test_a_deaf_desk_is_never_believed(status: str) -> None:
    class Deaf(MemoryDesk):
        async def change(self, incident: Incident, change: DeskChange, key: str) -> None:
            pass

    with pytest.raises(Terminal) as caught:
        await carry_out(Deaf([incident(estado=status)]), decided(Wait(note="x")))
    assert caught.value.reason is Reason.NOT_CONFIRMED


async def test_reading_back_fails() -> None:
    class Blind(MemoryDesk):
        async def read(self, code: str) -> Incident:
            if self.changes:
                raise Retryable(Reason.DESK_UNAVAILABLE)
            return await super().read(code)

    desk = Blind([incident()])
    with pytest.raises(StageError) as caught:
        await carry_out(desk, decided(Close(note="x")))
    assert caught.value.reason is Reason.DESK_UNAVAILABLE


async def test_a_mailbox_that_the_catalogue_does_not_know() -> None:
    desk = MemoryDesk([incident()])
    with pytest.raises(Terminal) as caught:
        await carry_out(desk, decided(Reassign(mailbox="Nadie", note="x")))
    assert caught.value.reason is Reason.UNKNOWN_MAILBOX
    assert desk.changes == []


# The system


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param(SystemAnswer(resolution="cierre", solution="Ya está."), Close(note="Ya está."), id="close"),
        pytest.param(SystemAnswer(resolution="en espera", solution="Mañana."), Wait(note="Mañana."), id="wait"),
        pytest.param(
            SystemAnswer(resolution="reasignacion", mailbox=BOX, solution="Suya."),
            Reassign(mailbox=BOX, note="Suya."),
            id="reassign",
        ),
    ],
)
async def test_the_systems_answer_is_carried_out(answer: SystemAnswer, expected: Close | Wait | Reassign) -> None:
    desk = MemoryDesk([incident()])
    system = MemorySystem({"123456": {}}, {("123456", "fxprovicion"): answer})
    assert await carry_out(desk, decided(CALL), system) == Outcome(expected, Reason.APPROVED)
    assert system.checks == [("123456", "fxprovicion", {"codIncidencia": "I1", "buzon": "Soporte", "apertura": "hoy"})]
    [mark] = read_marks(await desk.read("I1"), TAG)
    assert (mark.entry_id, mark.text) == (ROW.id, expected.note)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        pytest.param({"buzon": BOX.upper()}, Reason.ALREADY_THERE, id="already-there"),
        pytest.param({"historial": [{"Autor": "Ana", "buzonAsignado": BOX}]}, Reason.SENT_BACK, id="sent-back"),
    ],
)
async def test_where_the_system_would_send_it_in_vain(fields: dict[str, object], reason: Reason) -> None:
    desk = MemoryDesk([incident(**fields)])
    answer = SystemAnswer(resolution="reasignacion", mailbox=BOX, solution="Suya.")
    system = MemorySystem({"123456": {}}, {("123456", "fxprovicion"): answer})
    assert await carry_out(desk, decided(CALL), system) == Outcome(None, reason, "Suya.")
    assert desk.changes == []
    [mark] = read_marks(await desk.read("I1"), TAG)
    assert (mark.kind, "El sistema ha respondido: «Suya.»" in mark.text) == (LEFT_TO_PERSON, True)


async def test_the_system_leaves_it_to_a_person() -> None:
    desk = MemoryDesk([incident()])
    system = MemorySystem({"123456": {}}, {("123456", "fxprovicion"): SystemAnswer(resolution="manual", solution="A")})
    for _ in range(2):
        assert await carry_out(desk, decided(CALL), system) == Outcome(None, Reason.MANUAL_ENTRY, "A")
    assert desk.changes == []
    [mark] = read_marks(await desk.read("I1"), TAG)
    assert "El sistema ha respondido: «A»" in mark.text


async def test_an_unknown_policy_goes_to_a_person() -> None:
    desk, system = MemoryDesk([incident()]), MemorySystem()
    assert await carry_out(desk, decided(CALL), system) == Outcome(None, Reason.UNKNOWN_POLICY)
    assert (desk.changes, system.checks) == ([], [])
    [mark] = read_marks(await desk.read("I1"), TAG)
    assert (mark.kind, mark.decision != "d-0123456789ab") == (LEFT_TO_PERSON, True)
    assert Reason.UNKNOWN_POLICY.text in mark.text


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        pytest.param(SystemAnswer(resolution="api|fxprovicion", solution="x"), Reason.SYSTEM_ANSWER_INVALID, id="api"),
        pytest.param(
            SystemAnswer(resolution="reasignacion", mailbox="Nadie", solution="x"), Reason.UNKNOWN_MAILBOX, id="mailbox"
        ),
        pytest.param(None, Reason.SYSTEM_ANSWER_INVALID, id="nothing"),
    ],
)
async def test_answers_of_the_system_that_are_refused(answer: SystemAnswer | None, reason: Reason) -> None:
    desk = MemoryDesk([incident()])
    system = MemorySystem({"123456": {}}, {("123456", "fxprovicion"): answer} if answer else {})
    with pytest.raises(Terminal) as caught:
        await carry_out(desk, decided(CALL), system)
    assert caught.value.reason is reason
    assert desk.changes == []


@pytest.mark.parametrize("method", ["policy", "check"])
async def test_the_system_is_down(method: str) -> None:
    desk, system = MemoryDesk([incident()]), MemorySystem({"123456": {}})
    system.fail_next(method, Retryable(Reason.SYSTEM_UNAVAILABLE))
    with pytest.raises(Retryable) as caught:
        await carry_out(desk, decided(CALL), system)
    assert caught.value.reason is Reason.SYSTEM_UNAVAILABLE
    assert desk.changes == []


# Notes for a person

VERDICT = Verdict(None, Reason.BELOW_THRESHOLD, None)


@pytest.mark.parametrize(
    ("fields", "names_row"),
    [
        pytest.param({"verdict": VERDICT}, True, id="row-and-verdict"),
        pytest.param({"verdict": VERDICT, "entry": None}, False, id="no-row"),
        pytest.param({}, False, id="no-verdict"),
    ],
)
async def test_a_note_is_left_once(fields: dict[str, object], names_row: bool) -> None:
    desk = MemoryDesk([incident()])
    reason = Reason.BELOW_THRESHOLD
    decision = decided(LeaveToHuman(reason=reason), reason=reason, **fields)
    for _ in range(2):
        assert await carry_out(desk, decision) == Outcome(None, reason)
    after = await desk.read("I1")
    [mark] = read_marks(after, TAG)
    assert (mark.decision, mark.kind, mark.entry_id) == (decision_id(after, TAG, None), LEFT_TO_PERSON, None)
    assert reason.text in mark.text
    assert (ROW.description in mark.text) is names_row
    assert (after.status, after.mailbox, desk.changes) == ("Abierta", "Soporte", [])


async def test_a_note_is_left_once_at_a_desk_that_forgets_keys() -> None:
    class Keyless(MemoryDesk):
        async def note(self, incident: Incident, text: str, key: str) -> bool:
            self.touch(incident.code, note=text)
            return True

    desk = Keyless([incident()])
    for _ in range(2):
        await carry_out(desk, decided(LeaveToHuman(reason=Reason.NO_CANDIDATE), reason=Reason.NO_CANDIDATE))
    assert len((await desk.read("I1")).history) == 1


async def test_a_plain_desk_gets_no_note() -> None:
    desk = MemoryDesk([incident()], plain=True)
    assert not (
        await carry_out(desk, decided(LeaveToHuman(reason=Reason.NO_CANDIDATE), reason=Reason.NO_CANDIDATE))
    ).done
    assert await desk.read("I1") == incident()


async def test_no_more_notes_where_each_one_changes_the_incident() -> None:
    """A desk that stamps the time of the last change makes every reading a new state."""

    class Stamping(MemoryDesk):
        async def read(self, code: str) -> Incident:
            found = await super().read(code)
            return found.model_copy(update={"opened": f"sello {len(found.history)}"})

    desk = Stamping([incident()])
    decision = decided(LeaveToHuman(reason=Reason.NO_CANDIDATE), reason=Reason.NO_CANDIDATE)
    for _ in range(2):
        await carry_out(desk, decision)
    assert len((await desk.read("I1")).history) == 1
    desk.touch("I1", note="¿Cómo va esto?")
    await carry_out(desk, decision)
    assert len((await desk.read("I1")).history) == 3


@pytest.mark.parametrize("fault", [Terminal(Reason.DESK_REFUSED), ZeroDivisionError()], ids=["refused", "unexpected"])
async def test_a_note_that_fails_costs_nothing(fault: Exception, caplog: pytest.LogCaptureFixture) -> None:
    class Refusing(MemoryDesk):
        async def note(self, incident: Incident, text: str, key: str) -> bool:
            raise fault

    desk = Refusing([incident()])
    decision = decided(LeaveToHuman(reason=Reason.NO_CANDIDATE), reason=Reason.NO_CANDIDATE)
    with caplog.at_level(logging.WARNING):
        assert await carry_out(desk, decision) == Outcome(None, Reason.NO_CANDIDATE)
    assert [getattr(r, "action", "") for r in caplog.records] == ["note_failed"]


async def test_the_decisions_id_is_stable_over_our_own_notes() -> None:
    desk = MemoryDesk([incident()])

    async def identity() -> str:
        return decision_id(await desk.read("I1"), TAG, ROW.id)

    first = await identity()
    await carry_out(desk, decided(LeaveToHuman(reason=Reason.NO_CANDIDATE), reason=Reason.NO_CANDIDATE, id=first))
    assert await identity() == first
    desk.touch("I1")
    assert await identity() != first
