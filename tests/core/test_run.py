"""core/run.py: which incidents, in what order, how many at a time, and a stop that leaves the rest counted."""

import asyncio
import csv
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from api.memory import MemoryDesk
from core.actions import Close, LeaveToHuman
from core.catalogue import CatalogueEntry, Resolution
from core.critic_loop import Proposal, Rejection, Status, Verdict
from core.decision import Decision
from core.errors import DependencyError, Retryable, Terminal, UsageError
from core.evidence import Evidence
from core.incident import Incident
from core.knowledge.entry import prepare
from core.ports import Critique, DeskListing
from core.reason import Reason
from core.report import Expected, IncidentResult, Result
from core.run import Run, Selection, select
from core.search import Candidate
from core.trace import current


def _incident(code: str, priority: str = "", opened: str = "", **fields: Any) -> Incident:
    return Incident(code=code, priority=priority, opened=opened, status="Abierta", **fields)


def _codes(listing: DeskListing) -> list[str]:
    return [incident.code for incident in listing.incidents]


QUEUE = [
    _incident("baja", "Baja", "2026-01-01"),
    _incident("media-2", "Media", "2026-01-02", mailbox="COBROS"),
    _incident("critica", "CRÍTICA", "2026-02-01", mailbox="COBROS"),
    _incident("rara", "vete a saber", "2026-01-03"),
    _incident("media-1", "media", "2026-01-01"),
    _incident("alta", "2", "2026-01-09"),
]


@pytest.mark.parametrize(
    ("selection", "codes"),
    [
        pytest.param(Selection(), ["critica", "alta", "media-1", "media-2", "rara", "baja"], id="all"),
        pytest.param(Selection(limit=2), ["critica", "alta"], id="limit"),
        pytest.param(Selection(limit=99), ["critica", "alta", "media-1", "media-2", "rara", "baja"], id="high limit"),
        pytest.param(Selection(mailbox="COBROS"), ["critica", "media-2"], id="mailbox"),
        pytest.param(Selection(mailbox="COBROS", limit=1), ["critica"], id="mailbox and limit"),
        pytest.param(Selection(mailbox="NADIE"), [], id="empty mailbox"),
        pytest.param(Selection(code="baja"), ["baja"], id="one"),
    ],
)
async def test_what_is_worked(selection: Selection, codes: list[str]) -> None:
    assert _codes(await select(MemoryDesk(QUEUE), selection)) == codes


async def test_what_cannot_be_read_is_handed_on() -> None:
    desk = MemoryDesk(QUEUE, invalid=[("INC-9", "sin título")])
    assert (await select(desk, Selection(limit=1))).invalid == (("INC-9", "sin título"),)


async def test_an_unknown_code() -> None:
    with pytest.raises(UsageError, match="«INC-404»"):
        await select(MemoryDesk(QUEUE), Selection(code="INC-404"))


@pytest.mark.faults
@pytest.mark.parametrize(
    ("selection", "method"), [pytest.param(Selection(), "list_open"), pytest.param(Selection(code="baja"), "read")]
)
async def test_a_desk_that_is_down(selection: Selection, method: str) -> None:
    desk = MemoryDesk(QUEUE)
    desk.fail_next(method, Retryable(Reason.DESK_UNAVAILABLE))
    with pytest.raises(Retryable):
        await select(desk, selection)


@pytest.mark.faults
async def test_a_code_that_the_desk_refuses() -> None:
    desk = MemoryDesk(QUEUE)
    desk.fail_next("read", Terminal(Reason.DESK_REFUSED, "no puede verla"))
    with pytest.raises(UsageError, match="no puede verla"):
        await select(desk, Selection(code="baja"))


# The run

ENTRY = prepare(CatalogueEntry(component="", description="fila", solution="s", resolution=Resolution.CLOSE), str, "v")


def _ended(code: str, *, rejected: bool = False) -> tuple[IncidentResult, Decision]:
    if not rejected:
        result = IncidentResult(
            codIncidencia=code,
            resultado=Result.AUTOMATIC,
            tipo="cierre",
            motivo=Reason.APPROVED,
            descripcion_fila="fila",
        )
        return result, Decision("d-1", Close(note="s"), None, Reason.APPROVED)
    reason = Reason.BELOW_THRESHOLD
    proposal = Proposal(Candidate(ENTRY, Evidence(), 0.0), 0.0, 40)
    rejection = Rejection(1, proposal, reason, Critique(reason="no", problem_type="Error"), 65)
    verdict = Verdict(Status.REJECTED, reason, proposal, (rejection,))
    result = IncidentResult(
        codIncidencia=code, resultado=Result.HUMAN, tipo="manual", motivo=reason, estado_critico="REJECTED"
    )
    return result, Decision("d-1", LeaveToHuman(reason=reason), verdict, reason)


class Worker:
    """Works incidents one loop turn at a time; sees who is in hand."""

    def __init__(self, *, rejected: bool = False, on_start: Callable[[str], None] | None = None) -> None:
        self.started: list[str] = []
        self.runs: set[str] = set()
        self.most = 0
        self._in_hand = 0
        self._rejected = rejected
        self._on_start = on_start

    async def __call__(self, incident: Incident) -> tuple[IncidentResult, Decision]:
        self.started.append(incident.code)
        self.runs.add(current().run)
        self._in_hand += 1
        self.most = max(self.most, self._in_hand)
        if self._on_start:
            self._on_start(incident.code)
        for _ in range(3):
            await asyncio.sleep(0)
        self._in_hand -= 1
        return _ended(incident.code, rejected=self._rejected)


def _run(folder: Path, hands: int = 1, **more: Any) -> Run:
    return Run(folder, "1.2.3", hands, **more)


def _listing(count: int, invalid: tuple[tuple[str, str], ...] = ()) -> DeskListing:
    return DeskListing(incidents=tuple(_incident(f"INC-{n}") for n in range(count)), invalid=invalid)


async def test_all_are_worked_in_order(tmp_path: Path) -> None:
    work, steps = Worker(), []
    run = _run(
        tmp_path,
        facts=lambda: {"modelo": "m"},
        expected={"INC-0": Expected(codIncidencia="INC-0", fila="fila", aceptable=("cierre",))},
    )
    report, path = await run.over(_listing(4), work, asyncio.Event(), lambda done, total: steps.append((done, total)))
    assert work.started == ["INC-0", "INC-1", "INC-2", "INC-3"]
    assert work.runs == {report.ejecucion}
    assert steps == [(n, 4) for n in range(1, 5)]
    assert [r.codIncidencia for r in report.incidencias] == work.started
    assert report.version == "1.2.3"
    assert report.inicio <= report.fin
    assert report.resumen["modelo"] == "m"
    assert report.resumen["simulada"] is False
    assert report.resumen["rechazos"] is None
    assert report.resumen["sin_empezar"] == 0
    assert report.resumen["contra_lo_esperado"]["equivocadas"] == 0
    assert path.parent == tmp_path / "reportes"
    assert path.match("reporte????????_????.json")
    assert json.loads(path.read_text("utf-8"))["ejecucion"] == report.ejecucion
    assert not (tmp_path / "rejected").exists()


@pytest.mark.parametrize(
    ("hands", "count", "most"),
    [
        pytest.param(3, 9, 3, id="three"),
        pytest.param(8, 2, 2, id="more hands than incidents"),
        pytest.param(0, 3, 1, id="none is one"),
        pytest.param(4, 0, 0, id="nothing to do"),
    ],
)
async def test_hands(hands: int, count: int, most: int, tmp_path: Path) -> None:
    work = Worker()
    report, _ = await _run(tmp_path, hands).over(_listing(count), work, asyncio.Event())
    assert work.most == most
    assert report.resumen["incidencias"] == count


@pytest.mark.parametrize(
    ("hands", "last", "done"),
    [
        pytest.param(1, "INC-1", 2, id="one hand"),
        pytest.param(3, "INC-1", 2, id="before the third hand began"),
        pytest.param(3, "INC-4", 5, id="three hands"),
    ],
)
async def test_a_stop_finishes_what_is_in_hand(hands: int, last: str, done: int, tmp_path: Path) -> None:
    stop = asyncio.Event()
    work = Worker(on_start=lambda code: stop.set() if code == last else None)
    report, _ = await _run(tmp_path, hands).over(_listing(10), work, stop)
    assert len(work.started) == len(report.incidencias) == done
    assert report.resumen["incidencias"] == done
    assert report.resumen["sin_empezar"] == 10 - done


async def test_stopped_before_the_first(tmp_path: Path) -> None:
    stop = asyncio.Event()
    stop.set()
    report, _ = await _run(tmp_path).over(_listing(3), Worker(), stop)
    assert report.incidencias == ()
    assert report.resumen["sin_empezar"] == 3


async def test_what_could_not_be_read_is_an_error(tmp_path: Path) -> None:
    report, _ = await _run(tmp_path).over(_listing(1, (("INC-9", "m" * 900),)), Worker(), asyncio.Event())
    first = report.incidencias[0]
    assert (first.codIncidencia, first.resultado, first.motivo) == ("INC-9", Result.ERROR, Reason.INCIDENT_INVALID)
    assert first.detalle == "m" * 300
    assert report.resumen["por_resultado"]["error"] == 1


async def test_rejections_are_written_and_named(tmp_path: Path) -> None:
    for _ in range(2):
        report, path = await _run(tmp_path).over(_listing(2), Worker(rejected=True), asyncio.Event())
    rejected = Path(report.resumen["rechazos"])
    assert rejected.parent == tmp_path / "rejected"
    rows = list(csv.DictReader(rejected.read_text("utf-8").splitlines()))
    assert [row["INCIDENCIA"] for row in rows] == ["INC-0", "INC-1"] * 2
    assert rows[-1]["EJECUCION"] == report.ejecucion
    assert rows[-1]["UMBRAL"] == "65"
    assert len(list(path.parent.iterdir())) == 2


@pytest.mark.faults
async def test_a_worker_that_breaks_its_word_is_not_hidden(tmp_path: Path) -> None:
    def broken(incident: Incident) -> Awaitable[tuple[IncidentResult, Decision]]:
        raise RuntimeError("a defect")

    with pytest.raises(RuntimeError, match="a defect"):
        await _run(tmp_path).over(_listing(1), broken, asyncio.Event())


async def test_the_report_is_written_though_rejections_cannot_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> Path:
        raise DependencyError("no queda espacio")

    monkeypatch.setattr("core.run.write_rejected", full)
    with pytest.raises(DependencyError, match="no queda espacio"):
        await _run(tmp_path).over(_listing(1), Worker(rejected=True), asyncio.Event())
    assert list((tmp_path / "reportes").glob("reporte*.json"))
