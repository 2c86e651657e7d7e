"""core/proposals: what waits for a person, shown with its evidence, carried out or put away at a word."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from api.memory import MemoryDesk, MemorySystem
from core.catalogue import FIX_COLUMNS, CatalogueEntry, read_open_fixes, write_catalogue
from core.critic_loop import Proposal, Status, Verdict
from core.decision import Decision, action_for, decision_id
from core.errors import Retryable, Terminal, UsageError
from core.evidence import Evidence
from core.execute import Executor, Guard
from core.incident import Incident
from core.knowledge.entry import prepare
from core.ledger import Hindsight, Label, Phase, Record, Said
from core.originals import Originals
from core.outcome import Outcome
from core.policy import Policy
from core.ports import SystemAnswer
from core.privacy import scrub
from core.proposals import Proposals
from core.reason import Reason
from core.search import Candidate
from core.steps import Unrecorded
from tests.core.test_precedent import TAG, incident

ASKED = "fxprovicion"
CLOSE, MOVE, ASK = (
    CatalogueEntry.model_validate(fields)
    for fields in (
        {"component": "Recibos", "description": "no sale", "solution": "Llame al 612345678.", "resolution": "cierre"},
        {"component": "Web", "description": "no va", "solution": "Suya.", "resolution": "reasignacion", "mailbox": "B"},
        {"component": "Altas", "description": "tarda", "solution": "Mire.", "resolution": "api", "system": ASKED},
    )
)  # fmt: skip


class World:
    def __init__(self, guard: Guard, folder: Path, **fields: object) -> None:
        self.ledger, self.folder = guard.ledger, folder
        self.desk = MemoryDesk([incident(titulo="Soy 12345678Z", **fields)])
        self.guard = guard
        self.policies: tuple[str, ...] = ("123456",)
        self.answer = SystemAnswer(resolution="manual", solution="No.")
        self.write(CLOSE, MOVE, ASK)
        self.originals = Originals(folder / "c.csv", folder / "f.csv", scrub)
        self.proposals = Proposals(self.desk, self.ledger, self.originals, TAG, scrub, lambda _: self.policies)

    def write(self, *rows: CatalogueEntry) -> None:
        write_catalogue(self.folder / "c.csv", rows)

    def executor(self, policy: Policy | None = None) -> Executor:
        system = MemorySystem({"123456": {}}, {("123456", "fxprovicion"): self.answer})
        guard = Guard(self.ledger, self.guard.switch, policy or self.guard.policy, self.guard.patience)
        return Executor(self.desk, system, frozenset({"B"}), TAG, guard)

    async def propose(self, row: CatalogueEntry = CLOSE) -> Record:
        found = await self.desk.read("I1")
        known = prepare(row, scrub, "v")
        candidates = tuple(Candidate(prepare(r, scrub, "v"), Evidence(e5=0.91), 0.0) for r in (CLOSE, MOVE))
        verdict = Verdict(
            Status.APPROVED,
            Reason.APPROVED,
            Proposal(Candidate(known, Evidence(e5=0.91), 0.0), 2.5, 93),
            (),
            candidates,
        )
        action = action_for(row, self.policies, asked_before=False)
        decision = Decision(decision_id(found, TAG, row.id), action, verdict, Reason.APPROVED, known)
        asking = Policy.model_validate({"autonomia": {"defecto": "propuesta"}})
        assert (await self.executor(asking).carry_out(found, decision)).proposed
        return self.record()

    async def approve(self, decision: str) -> Outcome:
        return await self.proposals.approve(decision, "ana", self.executor())

    def record(self) -> Record:
        [found] = self.ledger.of_incident("I1")
        return found

    def said(self) -> list[tuple[Label, str, str]]:
        return [(o.label, o.who, o.reason) for o in self.ledger.outcomes()]


@pytest.fixture
def world(guard: Guard, tmp_path: Path) -> World:
    return World(guard, tmp_path)


async def test_listed_with_its_evidence(world: World) -> None:
    record = await world.propose()
    [item] = await world.proposals.pending()
    assert (item.record, item.current, item.row, item.others) == (record, True, "no sale", ("no va",))
    assert (item.solution, item.evidence["e5"], item.evidence["logit"]) == ("Llame al 612345678.", 0.91, 2.5)
    assert "12345678Z" not in item.title
    assert item.title.startswith("Soy")


async def test_the_ledger_keeps_no_text(world: World) -> None:
    record = await world.propose()
    kept = record.model_dump_json()
    assert not [word for word in ("12345678Z", "612345678", "no va", "no sale", "Soy") if word in kept]
    assert record.approval == 93


@pytest.mark.parametrize("row", [CLOSE, MOVE], ids=["close", "reassign"])
async def test_approved_it_is_carried_out(world: World, row: CatalogueEntry) -> None:
    record = await world.propose(row)
    outcome = await world.approve(record.id)
    assert outcome.done is not None
    [(_, change, key)] = world.desk.changes
    assert (key, row.solution in (change.notes or ""), change.mailbox) == (record.id, True, row.mailbox or None)
    after = world.record()
    assert (after.phase, after.autonomy, after.approval) == (Phase.CONFIRMED, "propuesta", 93)
    assert json.loads(after.evidence)["e5"] == 0.91
    assert world.said() == [(Label.RIGHT, "ana", "")]
    with pytest.raises(UsageError, match="no espera aprobación"):
        await world.approve(record.id)


async def test_a_system_may_still_leave_it_to_a_person(world: World) -> None:
    record = await world.propose(ASK)
    assert record.kind == "api|fxprovicion"
    assert (await world.approve(record.id)).reason is Reason.MANUAL_ENTRY
    assert (world.desk.changes, world.said(), world.record().phase) == ([], [], Phase.REFUSED)


async def test_rejected_with_a_reason_without_personal_data(world: World) -> None:
    record = await world.propose()
    world.proposals.reject(record.id, "ana", " Es de 12345678Z, no procede ")
    [(label, who, reason)] = world.said()
    assert (label, who, "12345678Z" in reason, "no procede" in reason) == (Label.REVERTED, "ana", False, True)
    assert world.record().phase is Phase.REJECTED
    assert await world.proposals.pending() == []


async def test_a_rejection_needs_a_reason(world: World) -> None:
    record = await world.propose()
    with pytest.raises(UsageError, match="motivo"):
        world.proposals.reject(record.id, "ana", "  ")
    assert world.record().phase is Phase.PROPOSED


async def test_two_people_at_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    record = await world.propose()
    monkeypatch.setattr(world.ledger, "move", lambda *_, **__: False)
    with pytest.raises(UsageError, match="Otra persona"):
        world.proposals.reject(record.id, "ana", "no")


@pytest.mark.parametrize(
    ("what", "told"),
    [
        pytest.param("touched", "alguien la cambió", id="incident-changed"),
        pytest.param("named", "alguien la cambió", id="a-person's-note-that-names-the-tag"),
        pytest.param("solution", "la fila del catálogo ha cambiado", id="row-changed"),
        pytest.param("gone", "la fila del catálogo ha cambiado", id="row-gone"),
    ],
)
async def test_what_it_was_proposed_on_is_gone(world: World, what: str, told: str) -> None:
    record = await world.propose()
    if what in ("touched", "named"):
        world.desk.touch("I1", "Falta el perito." if what == "touched" else "No vale lo de [SPAI]: falta el perito.")
        assert not (await world.proposals.pending())[0].current
    else:
        changed = CLOSE.model_copy(update={"solution": "Otra cosa distinta."})
        world.write(MOVE, *([changed] if what == "solution" else []))
        [item] = await world.proposals.pending()
        assert item.row == ("no sale" if what == "solution" else "")
    with pytest.raises(UsageError, match=told):
        await world.approve(record.id)
    assert (world.desk.changes, world.record().phase, world.said()) == ([], Phase.REFUSED, [])


@pytest.mark.parametrize(
    ("policies", "told"),
    [((), "ha cambiado"), (("1", "2"), "más de un número de póliza")],
    ids=["missing", "several"],
)
async def test_a_policy_that_cannot_be_read_again(world: World, policies: tuple[str, ...], told: str) -> None:
    record = await world.propose(ASK)
    world.policies = policies
    with pytest.raises(UsageError, match=told):
        await world.approve(record.id)


async def test_asking_for_the_policy_can_be_approved(world: World) -> None:
    world.policies = ()
    record = await world.propose(ASK)
    outcome = await world.approve(record.id)
    assert (outcome.done and outcome.done.kind, outcome.reason) == ("en espera", Reason.MISSING_POLICY)


async def test_an_unknown_decision(world: World) -> None:
    with pytest.raises(UsageError, match="--pendientes"):
        await world.approve("d-nadie")
    with pytest.raises(UsageError, match="--pendientes"):
        world.proposals.reject("d-nadie", "ana", "no")


@pytest.mark.faults
async def test_a_desk_that_is_down(world: World) -> None:
    record = await world.propose()
    world.desk.fail_next("read", Retryable(Reason.DESK_UNAVAILABLE), times=2)
    [item] = await world.proposals.pending()
    assert (item.title, item.current) == ("", False)
    with pytest.raises(Retryable):
        await world.approve(record.id)
    assert world.record().phase is Phase.PROPOSED
    world.desk.fail_next("change", Terminal(Reason.DESK_REFUSED))
    with pytest.raises(Terminal, match="--incidencia I1"):
        await world.approve(record.id)
    assert (world.record().phase, world.said()) == (Phase.REFUSED, [])


# Approved, and something came between


def _on_read(world: World, number: int, error: BaseException) -> None:
    """From its reading of this number on the desk only raises `error`."""
    read, reads = world.desk.read, [0]

    async def reading(code: str) -> Incident:
        reads[0] += 1
        if reads[0] >= number:
            raise error
        return await read(code)

    world.desk.read = reading  # type: ignore[method-assign]


@pytest.mark.faults
@pytest.mark.parametrize("row", [CLOSE, MOVE, ASK], ids=["close", "reassign", "system"])
@pytest.mark.parametrize(
    "error",
    [Retryable(Reason.DESK_UNAVAILABLE), asyncio.CancelledError(), Unrecorded("el registro no responde")],
    ids=["desk-away", "interrupted", "ledger-away"],
)
async def test_what_was_approved_and_not_sent_waits_again(
    world: World, row: CatalogueEntry, error: BaseException
) -> None:
    world.answer = SystemAnswer(resolution="reasignacion", mailbox="B", solution="Suya.")
    record, read = await world.propose(row), world.desk.read
    _on_read(world, 2, error)
    with pytest.raises(type(error)):
        await world.approve(record.id)
    world.desk.read = read  # type: ignore[method-assign]
    after = world.record()
    assert (after.phase, after.kind, after.target, after.reason) == (
        Phase.PROPOSED, record.kind, record.target, record.reason,
    )  # fmt: skip
    assert [item.current for item in await world.proposals.pending()] == [True]
    assert (await world.approve(record.id)).done
    assert (len(world.desk.changes), world.said()) == (1, [(Label.RIGHT, "ana", "")])


@pytest.mark.faults
async def test_two_sends_that_surely_did_not_arrive(world: World) -> None:
    record = await world.propose()
    world.desk.fail_next("change", Retryable(Reason.DESK_UNAVAILABLE), times=2)
    with pytest.raises(Retryable):
        await world.approve(record.id)
    assert (world.record().phase, world.record().reason) == (Phase.PROPOSED, record.reason)
    assert (await world.approve(record.id)).done


@pytest.mark.faults
async def test_a_send_that_may_have_arrived_does_not_wait(world: World) -> None:
    record = await world.propose()
    world.desk.fail_next("change", Retryable(Reason.DESK_UNAVAILABLE, maybe_applied=True), times=2)
    with pytest.raises(Terminal):
        await world.approve(record.id)
    assert (world.record().phase, await world.proposals.pending()) == (Phase.UNKNOWN, [])
    await world.executor().precedents.settle_unknown()
    assert [item.record.reason for item in await world.proposals.pending()] == ["NOT_CONFIRMED"]
    assert (await world.approve(record.id)).done


async def test_paused_before_it_is_sent_it_waits_again(world: World) -> None:
    record, read, reads = await world.propose(), world.desk.read, [0]

    async def pausing(code: str) -> Incident:
        reads[0] += 1
        if reads[0] == 2:
            world.guard.switch.pause("luis")
        return await read(code)

    world.desk.read = pausing  # type: ignore[method-assign]
    with pytest.raises(Terminal) as caught:
        await world.approve(record.id)
    assert (caught.value.reason, world.record().phase, world.desk.changes) == (Reason.PAUSED, Phase.PROPOSED, [])
    world.guard.switch.resume("luis")
    assert (await world.approve(record.id)).done


@pytest.mark.faults
@pytest.mark.parametrize("row", [CLOSE, ASK], ids=["close", "system"])
@pytest.mark.parametrize("word", ["yes", "no"])
async def test_an_approval_that_was_killed(world: World, row: CatalogueEntry, word: str) -> None:
    world.answer = SystemAnswer(resolution="reasignacion", mailbox="B", solution="Suya.")
    record = await world.propose(row)
    answered = {"kind": "reasignacion", "target": "B"} if row is ASK else {}
    world.ledger.move(record.id, (Phase.PROPOSED,), Phase.INTENDED, **answered)
    [item] = await world.proposals.pending()
    assert (item.record.id, item.current) == (record.id, True)
    if word == "yes":
        assert (await world.approve(record.id)).done
        assert world.record().phase is Phase.CONFIRMED
    else:
        world.proposals.reject(record.id, "ana", "no era eso")
        assert world.record().phase is Phase.REJECTED


async def test_what_is_being_done_without_a_person_is_not_to_be_approved(world: World) -> None:
    record = await world.propose()
    world.ledger.move(record.id, (Phase.PROPOSED,), Phase.INTENDED, autonomy="automatica")
    assert await world.proposals.pending() == []
    with pytest.raises(UsageError, match="no espera aprobación"):
        await world.approve(record.id)


# Forbidden since


async def test_called_wrong_since(world: World) -> None:
    record = await world.propose()
    Hindsight(world.ledger).say([Said("I1", CLOSE.id, right=False)], "luis")
    [item] = await world.proposals.pending()
    assert item.record.reason == "ROW_DENIED"
    with pytest.raises(UsageError, match=r"no es su solución.*--incidencia I1"):
        await world.approve(record.id)
    assert (world.desk.changes, world.record().phase, world.record().reason) == ([], Phase.REFUSED, "ROW_DENIED")


async def test_called_right_since(world: World) -> None:
    record = await world.propose()
    Hindsight(world.ledger).say([Said("I1", CLOSE.id, right=True)], "luis")
    assert (await world.proposals.pending())[0].record == record
    assert (await world.approve(record.id)).done


@pytest.mark.parametrize(("due", "passed"), [("2020-01-01", True), ("2999-01-01", False)])
async def test_the_date_of_the_fix_has_passed_since(world: World, due: str, passed: bool) -> None:
    told = ",".join(FIX_COLUMNS) + f"\r\nF-1,no va la web,{due},en espera\r\n"
    (world.folder / "f.csv").write_text(told, encoding="utf-8")
    [fix] = read_open_fixes(world.folder / "f.csv").entries
    record = await world.propose(fix)
    [item] = await world.proposals.pending()
    assert item.record.reason == ("FIX_OVERDUE" if passed else record.reason)
    if passed:
        with pytest.raises(UsageError, match="fecha prevista"):
            await world.approve(record.id)
        assert (world.desk.changes, world.record().phase) == ([], Phase.REFUSED)
    else:
        assert (await world.approve(record.id)).done


async def test_the_policy_keeps_from_us_what_the_system_answers(world: World) -> None:
    world.answer = SystemAnswer(resolution="cierre", solution="Cierre.")
    record = await world.propose(ASK)
    manual = Policy.model_validate({"autonomia": {"cierre": "manual"}})
    outcome = await world.proposals.approve(record.id, "ana", world.executor(manual))
    assert outcome == Outcome(None, Reason.POLICY_MANUAL)
    assert (world.desk.changes, world.record().phase, world.said()) == ([], Phase.REFUSED, [])


def test_rows_and_mailboxes_of_the_catalogue(world: World) -> None:
    row: Any = world.originals.row(MOVE.id)
    assert (row.solution, world.originals.row("x"), world.originals.mailboxes) == ("Suya.", None, frozenset({"B"}))
