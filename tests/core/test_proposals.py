"""core/proposals: what waits for a person, shown with its evidence, carried out or put away at a word."""

import json
from pathlib import Path
from typing import Any

import pytest

from api.memory import MemoryDesk, MemorySystem
from core.catalogue import CatalogueEntry, write_catalogue
from core.critic_loop import Proposal, Status, Verdict
from core.decision import Decision, action_for, decision_id
from core.errors import Retryable, Terminal, UsageError
from core.evidence import Evidence
from core.execute import Executor, Guard
from core.knowledge.entry import prepare
from core.ledger import Label, Phase, Record
from core.originals import Originals
from core.outcome import Outcome
from core.policy import Policy
from core.ports import SystemAnswer
from core.privacy import scrub
from core.proposals import Proposals
from core.reason import Reason
from core.search import Candidate
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
        self.write(CLOSE, MOVE, ASK)
        self.originals = Originals(folder / "c.csv", folder / "f.csv", scrub)
        self.proposals = Proposals(self.desk, self.ledger, self.originals, TAG, scrub, lambda _: self.policies)

    def write(self, *rows: CatalogueEntry) -> None:
        write_catalogue(self.folder / "c.csv", rows)

    def executor(self, policy: Policy | None = None) -> Executor:
        system = MemorySystem(
            {"123456": {}}, {("123456", "fxprovicion"): SystemAnswer(resolution="manual", solution="No.")}
        )
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
        pytest.param("solution", "la fila del catálogo ha cambiado", id="row-changed"),
        pytest.param("gone", "la fila del catálogo ha cambiado", id="row-gone"),
    ],
)
async def test_what_it_was_proposed_on_is_gone(world: World, what: str, told: str) -> None:
    record = await world.propose()
    if what == "touched":
        world.desk.touch("I1")
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
    with pytest.raises(Terminal):
        await world.approve(record.id)
    assert (world.record().phase, world.said()) == (Phase.REFUSED, [])


def test_rows_and_mailboxes_of_the_catalogue(world: World) -> None:
    row: Any = world.originals.row(MOVE.id)
    assert (row.solution, world.originals.row("x"), world.originals.mailboxes) == ("Suya.", None, frozenset({"B"}))
