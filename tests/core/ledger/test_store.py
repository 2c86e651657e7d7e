"""core/ledger: decisions, what turned out, switches; on SQLite."""

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from core.database import Database
from core.desk_state import WAITING as WAITS
from core.desk_state import is_waiting
from core.errors import DependencyError
from core.incident import Incident
from core.ledger import Caps, Label, Ledger, Phase, Record, Scope, open_ledger
from core.ledger.schema import MIGRATIONS

OLD = Path(__file__).with_name("old.sql")


class Clock:
    """Stands still until it is told to go on."""

    def __init__(self) -> None:
        self.time = datetime(2026, 3, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ledger(tmp_path: Path, clock: Clock) -> Iterator[Ledger]:
    database = Database(tmp_path)
    with Ledger(database.open("decisiones"), database.unavailable, clock) as opened:
        yield opened


def record(number: int = 1, **fields: Any) -> Record:
    given = {
        "id": f"d-{number:012x}", "incident": f"INC-{number}", "kind": "cierre", "phase": Phase.INTENDED,
        "mailbox": "Soporte", "entry": "e1", "autonomy": "automatica",
    }  # fmt: skip
    return Record.model_validate(given | fields)


def intend(ledger: Ledger, record: Record, *, again: tuple[Phase, ...] = (), **caps: int) -> Scope | None:
    limits: Caps = {Scope[name]: most for name, most in caps.items()}
    return ledger.intend(record, again=again, caps=limits)


def test_a_decision_is_kept_as_it_was(ledger: Ledger) -> None:
    given = record(target="Otro", approval=88, evidence='{"e5": 0.9}', entry_hash="h", fingerprint="f", run="r")
    assert intend(ledger, given) is None
    assert ledger.find(given.id) == given.model_copy(update={"created": "2026-03-01T12:00:00+00:00"})
    assert ledger.of_incident("INC-1") == [ledger.find(given.id)]
    assert ledger.find("d-nadie") is None
    assert ledger.of_incident("INC-9") == []


@pytest.mark.parametrize(
    ("phase", "again", "expected"),
    [
        pytest.param(Phase.REFUSED, (Phase.REFUSED,), Phase.INTENDED, id="allowed"),
        pytest.param(Phase.CONFIRMED, (Phase.REFUSED,), Phase.CONFIRMED, id="done-stays-done"),
        pytest.param(Phase.UNKNOWN, (), Phase.UNKNOWN, id="unknown-stays-unknown"),
    ],
)
def test_it_starts_again_only_from_the_phases_named(
    ledger: Ledger, phase: Phase, again: tuple[Phase, ...], expected: Phase
) -> None:
    intend(ledger, record())
    assert ledger.move(record().id, [Phase.INTENDED], phase)
    intend(ledger, record(), again=again)
    found = ledger.find(record().id)
    assert found is not None
    assert found.phase is expected


def test_a_phase_is_left_only_from_where_it_may_be(ledger: Ledger) -> None:
    intend(ledger, record())
    assert not ledger.move(record().id, [Phase.PROPOSED], Phase.REJECTED)
    assert ledger.move(record().id, [Phase.INTENDED, Phase.SENT], Phase.SENT, sent_at="t")
    found = ledger.find(record().id)
    assert found is not None
    assert (found.phase, found.sent_at) == (Phase.SENT, "t")
    assert not ledger.move("d-nadie", list(Phase), Phase.UNDONE)


def test_of_many_at_once_one_moves_it(ledger: Ledger) -> None:
    ledger.propose(record())
    with ThreadPoolExecutor(4) as pool:
        moved = list(pool.map(lambda _: ledger.move(record().id, [Phase.PROPOSED], Phase.REJECTED), range(8)))
    assert moved.count(True) == 1


def test_what_waits_and_what_is_open(ledger: Ledger) -> None:
    for number, phase in enumerate(Phase, start=1):
        intend(ledger, record(number))
        ledger.move(record(number).id, [Phase.INTENDED], phase, sent_at=ledger.now())
    assert [r.phase for r in ledger.proposals()] == [Phase.PROPOSED]
    assert [r.phase for r in ledger.unsettled()] == [Phase.UNKNOWN]


@pytest.mark.parametrize(("autonomy", "waits"), [("propuesta", True), ("automatica", False), ("persona", False)])
def test_an_approval_that_was_cut_off_still_waits(ledger: Ledger, autonomy: str, waits: bool) -> None:
    intend(ledger, record(autonomy=autonomy))
    assert bool(ledger.proposals()) is waits


def test_proposed_again_it_has_no_target_of_before(ledger: Ledger) -> None:
    intend(ledger, record(kind="reasignacion", target="B", approval=88))
    ledger.propose(record(kind="api|fxprovicion"))
    [found] = ledger.proposals()
    assert (found.kind, found.target, found.approval) == ("api|fxprovicion", None, 88)


# Caps


@pytest.mark.parametrize(
    ("caps", "other", "full"),
    [
        pytest.param({"ALL": 2}, {"mailbox": "X", "entry": "e9"}, Scope.ALL, id="all"),
        pytest.param({"MAILBOX": 2}, {"entry": "e9"}, Scope.MAILBOX, id="mailbox"),
        pytest.param({"MAILBOX": 2}, {"mailbox": "X"}, None, id="another-mailbox"),
        pytest.param({"ENTRY": 2}, {"mailbox": "X"}, Scope.ENTRY, id="row"),
        pytest.param({"ENTRY": 2}, {"entry": "e9"}, None, id="another-row"),
        pytest.param({"ALL": 3, "MAILBOX": 3, "ENTRY": 3}, {}, None, id="room"),
        pytest.param({"ALL": 2}, {"autonomy": "propuesta"}, None, id="approved-by-a-person"),
        pytest.param({}, {}, None, id="no-caps"),
    ],
)
def test_a_full_cap(ledger: Ledger, caps: dict[str, int], other: dict[str, str], full: Scope | None) -> None:
    for number in (1, 2):
        intend(ledger, record(number))
    assert intend(ledger, record(3, **other), **caps) is full
    assert (ledger.find(record(3).id) is None) is (full is not None)


def test_a_cap_is_over_an_hour(ledger: Ledger, clock: Clock) -> None:
    intend(ledger, record(1))
    clock.time += timedelta(minutes=59, seconds=59)
    assert intend(ledger, record(2), ALL=1) is Scope.ALL
    clock.time += timedelta(seconds=2)
    assert intend(ledger, record(2), ALL=1) is None


@pytest.mark.parametrize("phase", [Phase.REFUSED, Phase.PROPOSED, Phase.REJECTED])
def test_what_was_not_done_is_not_counted(ledger: Ledger, phase: Phase) -> None:
    intend(ledger, record(1))
    ledger.move(record(1).id, [Phase.INTENDED], phase)
    assert intend(ledger, record(2), ALL=1) is None


def test_its_own_earlier_try_is_not_counted(ledger: Ledger) -> None:
    intend(ledger, record(1))
    assert intend(ledger, record(1), again=(Phase.INTENDED,), ALL=1) is None


def test_many_at_once_do_not_pass_a_cap(ledger: Ledger) -> None:
    with ThreadPoolExecutor(6) as pool:
        full = list(pool.map(lambda n: intend(ledger, record(n), ALL=5), range(1, 21)))
    assert full.count(None) == 5


# What turned out, switches


def test_a_label_is_told_in_the_log_once_and_without_who_said_it(
    ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO"):
        ledger.label(record(), Label.REOPENED, "mesa", "porque sí")
        ledger.label(record(), Label.REOPENED, "ana")
    (told,) = [vars(line) for line in caplog.records if vars(line).get("action") == "outcome"]
    assert (told["label"], told["incident"], told["decision"]) == ("reabierta", "INC-1", record().id)
    assert not {"who", "reason"} & told.keys()
    assert "mesa" not in str(told["msg"])


def test_a_label_is_written_once(ledger: Ledger) -> None:
    assert ledger.label(record(), Label.REOPENED, "mesa")
    assert not ledger.label(record(), Label.REOPENED, "ana")
    assert ledger.label(record(), Label.REVERTED, "ana", "no era")
    assert ledger.label(record(2, entry="e2"), Label.RIGHT, "ana")
    assert [(o.label, o.who, o.reason) for o in ledger.outcomes(incident="INC-1")] == [
        (Label.REOPENED, "mesa", ""),
        (Label.REVERTED, "ana", "no era"),
    ]
    assert [o.decision for o in ledger.outcomes(entry="e2")] == [record(2).id]
    assert len(ledger.outcomes()) == 3


def test_a_switch_keeps_its_last_setting(ledger: Ledger) -> None:
    assert ledger.control("pausa") is None
    for value, who in (("si", "ana"), ("no", "luis")):
        ledger.set_control("pausa", value, who)
    kept = ledger.control("pausa")
    assert kept is not None
    assert (kept.value, kept.who, kept.said) == ("no", "luis", "2026-03-01T12:00:00+00:00")


def test_what_was_sent_long_ago_is_open_too(ledger: Ledger, clock: Clock) -> None:
    intend(ledger, record())
    ledger.move(record().id, [Phase.INTENDED], Phase.SENT, sent_at=ledger.now())
    assert ledger.unsettled() == []
    clock.time += timedelta(minutes=11)
    assert [r.id for r in ledger.unsettled()] == [record().id]


WAITING = {Phase.PROPOSED, Phase.INTENDED, Phase.SENT, Phase.UNKNOWN}


def test_what_is_old_and_at_its_end_goes(ledger: Ledger, clock: Clock) -> None:
    for number, phase in enumerate(Phase, start=1):
        intend(ledger, record(number))
        ledger.move(record(number).id, [Phase.INTENDED], phase)
        ledger.label(record(number), Label.RIGHT, "ana")
    clock.time += timedelta(days=10)
    intend(ledger, record(99))
    assert ledger.forget(timedelta(days=11)) == 0
    assert ledger.forget(timedelta(days=9)) == len(Phase) - len(WAITING)
    left = {number: phase for number, phase in enumerate(Phase, start=1) if ledger.find(record(number).id)}
    assert set(left.values()) == WAITING
    assert {outcome.decision for outcome in ledger.outcomes()} == {record(number).id for number in left}
    assert ledger.find(record(99).id) is not None


@pytest.mark.parametrize("phase", [Phase.REJECTED, Phase.UNDONE])
def test_a_no_counts_from_the_day_it_was_said(ledger: Ledger, clock: Clock, phase: Phase) -> None:
    intend(ledger, record())
    ledger.label(record(), Label.WRONG, "eva")
    clock.time += timedelta(days=10)
    ledger.move(record().id, [Phase.INTENDED], phase)
    ledger.label(record(), Label.REVERTED, "ana")
    clock.time += timedelta(days=8)
    assert ledger.forget(timedelta(days=9)) == 0
    assert len(ledger.outcomes(incident="INC-1")) == 2
    clock.time += timedelta(days=2)
    assert ledger.forget(timedelta(days=9)) == 1
    assert (ledger.find(record().id), ledger.outcomes()) == (None, [])


# The file


def _old(folder: Path, script: str = "") -> Path:
    path = folder / "decisiones.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(OLD.read_text() + script)
    return path


def test_an_old_file_opens_with_the_new_code(tmp_path: Path) -> None:
    _old(tmp_path)
    for _ in range(2):
        with open_ledger(Database(tmp_path)) as ledger:
            first = ledger.find("d-00000000000a")
            assert first is not None
            assert (first.phase, first.approval, first.entry_hash, first.evidence) == (Phase.CONFIRMED, 91, "", "{}")
            assert [r.id for r in ledger.unsettled()] == ["d-00000000000b"]
            assert [o.who for o in ledger.outcomes()] == ["ana"]
            intend(ledger, record(7, entry_hash="h"))


def test_a_file_of_a_newer_program_is_left_alone(tmp_path: Path) -> None:
    path = _old(tmp_path, f"INSERT INTO ledger_version VALUES ({len(MIGRATIONS) + 1});")
    with pytest.raises(DependencyError, match="versión más nueva"):
        open_ledger(Database(tmp_path))
    with closing(sqlite3.connect(path)) as connection:
        assert "evidence" not in {row[1] for row in connection.execute("PRAGMA table_info(decisions)")}


@pytest.mark.faults
def test_a_migration_that_fails_leaves_nothing_half_done(tmp_path: Path) -> None:
    path = _old(tmp_path, "CREATE TABLE x (a); CREATE INDEX decisions_by_phase ON x (a);")
    with pytest.raises(DependencyError, match="decisions_by_phase"):
        open_ledger(Database(tmp_path))
    with closing(sqlite3.connect(path)) as connection:
        assert "evidence" not in {row[1] for row in connection.execute("PRAGMA table_info(decisions)")}
        assert connection.execute("SELECT max(number) FROM ledger_version").fetchone() == (1,)


@pytest.mark.faults
def test_a_full_disk_is_said(ledger: Ledger, tmp_path: Path) -> None:
    with ledger._engine.connect() as connection:  # every connection of the pool is this one
        connection.exec_driver_sql("PRAGMA max_page_count = 1")
    with pytest.raises(DependencyError, match="full"):
        intend(ledger, record(evidence="x" * 1_000_000))


@pytest.mark.parametrize(
    ("kind", "target", "status", "mailbox", "reached"),
    [
        ("cierre", None, "Resuelta", "A", True),
        ("cierre", None, "Abierta", "A", False),
        ("en espera", None, "EN ESPERA", "A", True),
        ("en espera", None, "Pendiente de implantar", "A", True),
        ("en espera", None, "Resuelta", "A", False),
        ("reasignacion", "B", "Abierta", "b", True),
        ("reasignacion", "B", "Abierta", "A", False),
        ("deshacer", "A", "Abierta", "A", True),
        ("deshacer", "A", "En espera", "A", False),
        ("deshacer", "A", "Resuelta", "A", False),
        ("api|fxprovicion", None, "Resuelta", "A", False),
    ],
)
def test_where_a_decision_leads(kind: str, target: str | None, status: str, mailbox: str, reached: bool) -> None:
    shown = Incident(code="INC-1", status=status, mailbox=mailbox)
    assert record(kind=kind, target=target).reached(shown) is reached


@pytest.mark.parametrize(
    "status",
    [*WAITS, "Pendiente", "Pendiente de revisar", "A la espera", "En Espera del taller", "Abierta", ""],
)
def test_what_waits_is_what_the_policy_says(status: str) -> None:
    assert record(kind="en espera").reached(Incident(code="INC-1", status=status)) is is_waiting(status)
