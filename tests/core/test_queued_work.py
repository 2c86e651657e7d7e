"""core/queued_work.py: which state of an incident is worked, and what is kept of it."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from api.memory import MemoryDesk, MemorySystem
from core.actions import Close, DeskChange, DeskVerb, LeaveToHuman
from core.database import Database
from core.decision import Decision, decision_id
from core.desk_queue import DeskQueue
from core.errors import Retryable, Terminal
from core.execute import Executor, Guard
from core.incident import HistoryEntry, Incident
from core.ledger import Phase
from core.marks import write_mark
from core.queue import open_queue
from core.queued_work import MOST_BEGINNINGS, QueuedWork, as_item, facts, state_id
from core.reason import Reason
from core.report import IncidentResult, Result
from core.run import Run, Selection
from core.steps import DirectSteps, current_steps
from core.trace import current
from core.usage import count_error
from tests.core.test_precedent import ROW

TAG = "[SPAI] "


def _incident(**fields: Any) -> Incident:
    return Incident(**{"code": "INC-1", "status": "Abierta", "mailbox": "WEB", "description": "no va"} | fields)


Ended = tuple[IncidentResult, Decision]


class Pipeline:
    """Remembers what it was given to work."""

    def __init__(self, raises: Exception | None = None, detail: str = "") -> None:
        self.seen: list[Incident] = []
        self.steps: list[object] = []
        self.runs: list[str] = []
        self._raises, self._detail = raises, detail

    async def __call__(self, incident: Incident) -> Ended:
        self.seen.append(incident)
        self.steps.append(current_steps())
        self.runs.append(current().run)
        if self._raises:
            raise self._raises
        reason = Reason.NO_CANDIDATE
        result = IncidentResult(
            codIncidencia=incident.code, resultado=Result.HUMAN, tipo="manual", motivo=reason, detalle=self._detail
        )
        return result, Decision("d-1", LeaveToHuman(reason=reason), None, reason)


def _work(desk: MemoryDesk, pipeline: Callable[[Incident], Awaitable[Ended]]) -> QueuedWork:
    return QueuedWork(desk, pipeline, tag=TAG, run="r-1", scrub=lambda text: text.replace("12345678Z", "<NIF_1>"))


def _result(output: Any) -> IncidentResult:
    return IncidentResult.model_validate(output["resultado"])


async def test_it_is_read_again_and_worked_with_its_journal() -> None:
    desk, pipeline, steps = MemoryDesk([_incident()]), Pipeline(), DirectSteps()
    output = await _work(desk, pipeline)(as_item(_incident(), TAG), steps, 1)
    assert pipeline.seen == [await desk.read("INC-1")]
    assert pipeline.steps == [steps]
    assert pipeline.runs == ["r-1"]
    assert _result(output).motivo is Reason.NO_CANDIDATE
    assert output["rechazos"] == []


async def test_what_somebody_changed_since_is_another_item() -> None:
    desk, pipeline = MemoryDesk([_incident()]), Pipeline()
    item = as_item(_incident(), TAG)
    desk.touch("INC-1")
    for begun in (1, 2):
        output = await _work(desk, pipeline)(item, DirectSteps(), begun)
        assert (_result(output).motivo, _result(output).resultado) == (Reason.TOUCHED_MEANWHILE, Result.HUMAN)
    assert pipeline.seen == []
    assert as_item(await desk.read("INC-1"), TAG).id != item.id


@pytest.mark.parametrize(
    ("change", "worked"),
    [
        pytest.param(
            DeskChange(verb=DeskVerb.RESOLVE, notes=write_mark(TAG, "d-1", None, "cierre", "s")), True, id="ours"
        ),
        pytest.param(DeskChange(verb=DeskVerb.RESOLVE, notes="la cierro yo"), False, id="a person's"),
    ],
)
async def test_worked_again_our_own_change_is_seen_through(change: DeskChange, worked: bool) -> None:
    """The executor must get as far as finding its mark: the incident is worked as it was before."""
    desk, pipeline = MemoryDesk([_incident()], plain=True), Pipeline()
    item = as_item(_incident(), TAG)
    await desk.change(await desk.read("INC-1"), change, "k")
    await _work(desk, pipeline)(item, DirectSteps(), 1)
    assert pipeline.seen == []
    await _work(desk, pipeline)(item, DirectSteps(), 2)
    assert [(i.status, i.mailbox) for i in pipeline.seen] == ([("Abierta", "WEB")] if worked else [])


async def test_worked_again_our_action_does_not_pass_for_tried_before() -> None:
    """The mark of an action on this very state is set aside; one of an earlier state stays."""
    row = "0" * 8 + "-0000-0000-0000-" + "0" * 12
    earlier = HistoryEntry(notes=write_mark(TAG, "d-123456789abc", row, "cierre", "s"))
    desk, pipeline = MemoryDesk([_incident(history=(earlier,))], plain=True), Pipeline()
    queued = await desk.read("INC-1")
    item = as_item(queued, TAG)
    notes = write_mark(TAG, decision_id(queued, TAG, row), row, "cierre", "s")
    await desk.change(queued, DeskChange(verb=DeskVerb.RESOLVE, notes=notes), "k")
    await _work(desk, pipeline)(item, DirectSteps(), 2)
    assert [incident.history for incident in pipeline.seen] == [(earlier,)]
    assert pipeline.seen[0].status == "Abierta"


@pytest.mark.parametrize(
    ("mark", "moved", "seen"),
    [
        pytest.param("of this state", True, True, id="ours"),
        pytest.param("of this state", False, False, id="it-stands-as-queued-so-the-mark-counts"),
        pytest.param("of another", True, False, id="an-earlier-mark-proves-nothing"),
    ],
)
async def test_begun_once_a_mark_of_this_state_tells_our_own_change(mark: str, moved: bool, seen: bool) -> None:
    """A stop does not count as a beginning."""
    queued = _incident()
    decision = decision_id(queued, TAG, ROW.id) if mark == "of this state" else "d-123456789abc"
    ours = HistoryEntry(notes=write_mark(TAG, decision, ROW.id, "cierre", "s"))
    now = _incident(history=(ours,), status="Resuelta" if moved else "Abierta")
    desk, pipeline = MemoryDesk([now], plain=True), Pipeline()
    await _work(desk, pipeline)(as_item(queued, TAG), DirectSteps(), 1)
    assert pipeline.seen == ([queued] if seen else [] if moved else [now])


async def _drain(folder: Path, desk: MemoryDesk, guard: Guard, stop: asyncio.Event) -> list[IncidentResult]:
    """One run through the real queue: what it closes is closed by the real executor."""

    async def pipeline(incident: Incident) -> Ended:
        decided = decision_id(incident, TAG, ROW.id)
        decision = Decision(decided, Close(note=ROW.solution), None, Reason.APPROVED, ROW)
        executor = Executor(desk, MemorySystem(), frozenset(), TAG, guard)
        outcome = await executor.carry_out(incident, decision)
        ending = Result.AUTOMATIC if outcome.done else Result.HUMAN
        result = IncidentResult(codIncidencia=incident.code, resultado=ending, tipo="cierre", motivo=outcome.reason)
        return result, decision

    async with open_queue(Database(folder), _work(desk, pipeline), hands=1, stop=stop) as queue:
        report, _ = await DeskQueue(queue, desk, TAG, Run(folder / "r", "1", 1), 30).drain(Selection(), 0.2)
    return list(report.incidencias)


class SlowToAnswer(MemoryDesk):
    """Makes the first change, has the run stopped, and does not answer."""

    def __init__(self, incidents: list[Incident], stop: asyncio.Event) -> None:
        super().__init__(incidents)
        self._stop = stop

    async def change(self, incident: Incident, change: DeskChange, key: str) -> None:
        await super().change(incident, change, key)
        if not self._stop.is_set():
            self._stop.set()
            await asyncio.Event().wait()


async def test_what_a_cut_run_did_is_told_as_ours_by_the_next(tmp_path: Path, guard: Guard) -> None:
    stop = asyncio.Event()
    desk = SlowToAnswer([_incident()], stop)
    assert await _drain(tmp_path, desk, guard, stop) == []
    assert [record.phase for record in guard.ledger.of_incident("INC-1")] == [Phase.SENT]
    [told] = await _drain(tmp_path, desk, guard, asyncio.Event())
    assert (told.resultado, told.motivo) == (Result.AUTOMATIC, Reason.APPROVED)
    assert [record.phase for record in guard.ledger.of_incident("INC-1")] == [Phase.CONFIRMED]
    assert len(desk.changes) == 1


async def test_a_reply_that_quotes_us_is_new_work(tmp_path: Path, guard: Guard) -> None:
    desk = MemoryDesk([_incident()])
    assert len(await _drain(tmp_path, desk, guard, asyncio.Event())) == 1
    closed = await desk.read("INC-1")
    reopened = closed.model_copy(update={"status": "Abierta"})
    reply = HistoryEntry(author="Cliente", notes=f"Sigue sin funcionar.\n> {closed.history[-1].notes}")
    quoted = MemoryDesk([reopened.model_copy(update={"history": (*closed.history, reply)})])
    assert len(await _drain(tmp_path, quoted, guard, asyncio.Event())) == 1
    assert await _drain(tmp_path, MemoryDesk([reopened]), guard, asyncio.Event()) == []


async def test_our_notes_make_no_new_state() -> None:
    desk = MemoryDesk([_incident()])
    before = state_id(await desk.read("INC-1"), TAG)
    await desk.note(await desk.read("INC-1"), f"{TAG}queda para una persona", "k")
    assert state_id(await desk.read("INC-1"), TAG) == before
    assert before.startswith("INC-1-")
    desk.touch("INC-1")
    assert state_id(await desk.read("INC-1"), TAG) != before


async def test_what_kills_its_process_goes_to_a_person() -> None:
    desk, pipeline = MemoryDesk([_incident()]), Pipeline()
    item = as_item(_incident(), TAG)
    await _work(desk, pipeline)(item, DirectSteps(), MOST_BEGINNINGS)
    output = await _work(desk, pipeline)(item, DirectSteps(), MOST_BEGINNINGS + 1)
    assert (_result(output).motivo, _result(output).resultado) == (Reason.REPEATED_CRASH, Result.HUMAN)
    assert len(pipeline.seen) == 1


@pytest.mark.faults
@pytest.mark.parametrize(
    ("error", "reason"),
    [
        pytest.param(Retryable(Reason.DESK_UNAVAILABLE, "no responde"), Reason.DESK_UNAVAILABLE, id="down"),
        pytest.param(Terminal(Reason.DESK_REFUSED, "no existe"), Reason.DESK_REFUSED, id="refused"),
    ],
)
async def test_a_desk_that_does_not_give_it(error: Retryable | Terminal, reason: Reason) -> None:
    desk = MemoryDesk([_incident()])
    desk.fail_next("read", error)
    output = await _work(desk, Pipeline())(as_item(_incident(), TAG), DirectSteps(), 1)
    assert (_result(output).motivo, _result(output).resultado) == (reason, Result.ERROR)


@pytest.mark.parametrize("fails", [False, True], ids=["read in the end", "given up"])
async def test_service_errors_of_the_reading_are_counted_with_the_work(
    fails: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk, read = MemoryDesk([_incident()]), MemoryDesk.read

    async def reading(self: MemoryDesk, code: str) -> Incident:
        count_error("la mesa")
        if fails:
            raise Retryable(Reason.DESK_UNAVAILABLE)
        return await read(self, code)

    monkeypatch.setattr(MemoryDesk, "read", reading)
    output = await _work(desk, Pipeline())(as_item(_incident(), TAG), DirectSteps(), 1)
    assert _result(output).errores_api == {"la mesa": 1}


@pytest.mark.faults
async def test_a_defect_is_this_incidents_end_and_its_text_is_not_kept() -> None:
    work = _work(MemoryDesk([_incident()]), Pipeline(raises=ValueError("12345678Z")))
    output = await work(as_item(_incident(), TAG), DirectSteps(), 1)
    assert (_result(output).motivo, _result(output).detalle) == (Reason.INTERNAL_ERROR, "ValueError")


async def test_details_are_kept_without_personal_data() -> None:
    work = _work(MemoryDesk([_incident()]), Pipeline(detail="el titular 12345678Z"))
    assert _result(await work(as_item(_incident(), TAG), DirectSteps(), 1)).detalle == "el titular <NIF_1>"


def test_urgency_first_then_age() -> None:
    ordered = [
        _incident(code="a", priority="Crítica", opened="2026-03-01T10:00:00"),
        _incident(code="b", priority="Alta", opened="antes"),
        _incident(code="c", priority="Alta", opened="2026-01-01T10:00:00+01:00"),
        _incident(code="d", priority="Alta", opened="2026-01-01T10:05:00Z"),
        _incident(code="e", priority="Baja", opened="1999-01-01"),
    ]
    given = [as_item(incident, TAG).priority for incident in ordered]
    assert given == sorted(given)
    assert len(set(given)) == len(given)
    assert min(given) >= 1
    assert max(given) < 2**31


def test_an_item_has_no_text() -> None:
    assert "no va" not in repr(as_item(_incident(), TAG))


def test_the_log_of_an_end_is_flat_and_quotes_nothing() -> None:
    result = IncidentResult(
        codIncidencia="INC-1",
        resultado=Result.AUTOMATIC,
        tipo="reasignacion",
        fila="f-1",
        descripcion_fila="el portal no abre " * 20,
        buzon_destino="N2",
        aprobacion=80,
        estado_critico="APPROVED",
        motivo=Reason.APPROVED,
        detalle="tampoco",
        confirmada=True,
        decision="d-1",
        juicios=2,
        tokens_entrada=300,
        tokens_salida=2,
        segundos=1.5,
        etapas={"search": 0.04, "judge": 1.2},
        candidatos=("uno", "dos"),
    )
    told = facts(result)
    assert all(value is None or isinstance(value, str | int | float) for value in told.values())
    assert {"row": "f-1", "target": "N2", "critic": "APPROVED", "candidates": 2, "ms": 1500}.items() <= told.items()
    assert {"search_ms": 40, "judge_ms": 1200, "tokens_in": 300, "judgements": 2, "kind": "reasignacion"}.items() <= (
        told.items()
    )
    assert len(told["problem"]) == 80
    assert not {"tampoco", "uno"} & {str(value) for value in told.values()}
