"""core/rejected.py: one CSV a day that grows over the runs, harmless in a spreadsheet, never half written."""

import csv
import errno
import os
from datetime import datetime
from pathlib import Path
from threading import Thread

import pytest

from core.actions import LeaveToHuman
from core.catalogue import CatalogueEntry, Resolution
from core.critic_loop import Proposal, Rejection, Status, Verdict
from core.decision import Decision
from core.errors import DependencyError
from core.evidence import Evidence
from core.knowledge.entry import prepare
from core.ports import Critique
from core.reason import Reason
from core.rejected import COLUMNS, rejected_rows, write_rejected
from core.report import IncidentResult, Result
from core.search import Candidate

DAY = datetime(2026, 3, 31, 23, 59)  # noqa: DTZ001 - only the date counts
ENTRY = prepare(
    CatalogueEntry(component="Pagos", description="recibo doble", solution="s", resolution=Resolution.CLOSE), str, "v"
)
RESULT = IncidentResult(codIncidencia="INC-7", resultado=Result.HUMAN, tipo="manual", motivo=Reason.BELOW_THRESHOLD)


def _decision(*rejections: Rejection) -> Decision:
    reason = Reason.BELOW_THRESHOLD
    verdict = Verdict(Status.REJECTED, reason, None, rejections)
    return Decision("d-1", LeaveToHuman(reason=reason), verdict, reason)


def _rejection(attempt: int = 1) -> Rejection:
    critique = Critique(
        reason="no es", problem_type="Error", avoid_solution_types=("cierre", "api|x"), recommended_approach="otra"
    )
    proposal = Proposal(Candidate(ENTRY, Evidence(), 0.0), -1.0, 40)
    return Rejection(attempt, proposal, Reason.BELOW_THRESHOLD, critique, 65)


def _row(**values: str) -> dict[str, str]:
    return dict.fromkeys(COLUMNS, "x") | values


def _read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_a_row_per_rejection() -> None:
    first, second = rejected_rows("run-1", RESULT, _decision(_rejection(), _rejection(2)))
    assert tuple(first) == COLUMNS
    assert datetime.fromisoformat(first.pop("FECHA")).tzinfo is not None
    assert first == {
        "EJECUCION": "run-1",
        "INCIDENCIA": "INC-7",
        "INTENTO": "1",
        "FILA": ENTRY.id,
        "COMPONENTE": "Pagos",
        "DESCRIPCION": "recibo doble",
        "RESOLUCION AUTOMÁTICA": "cierre",
        "APROBACION": "40",
        "UMBRAL": "65",
        "MOTIVO": "BELOW_THRESHOLD",
        "CRITICA": "no es",
        "TIPO DE PROBLEMA": "Error",
        "EVITAR": "cierre; api|x",
        "ENFOQUE RECOMENDADO": "otra",
    }
    assert second["INTENTO"] == "2"


def test_nothing_was_judged() -> None:
    undecided = Decision("d-1", LeaveToHuman(reason=Reason.EMPTY_TEXT), None, Reason.EMPTY_TEXT)
    assert rejected_rows("run-1", RESULT, undecided) == []
    assert rejected_rows("run-1", RESULT, _decision()) == []


def test_runs_of_a_day_share_a_file(tmp_path: Path) -> None:
    folder = tmp_path / "nueva" / "rejected"
    path = write_rejected(folder, DAY, [_row(INCIDENCIA="1"), _row(INCIDENCIA="2")])
    assert path == folder / "rejected20260331.csv"
    before = path.read_bytes()
    assert write_rejected(folder, DAY, [_row(INCIDENCIA="3")]) == path
    assert path.read_bytes().startswith(before)
    assert [row["INCIDENCIA"] for row in _read(path)] == ["1", "2", "3"]
    assert before.count(b"FECHA") == 1
    assert write_rejected(folder, DAY.replace(day=30), [_row()]) != path


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("uno, dos; tres", id="separators"),
        pytest.param('dice "así"', id="quotes"),
        pytest.param("línea 1\nlínea 2\r\nlínea 3", id="lines"),
        pytest.param("ñ € 漢", id="letters"),
        pytest.param("", id="empty"),
    ],
)
def test_texts_come_back_after_more_runs(text: str, tmp_path: Path) -> None:
    for run in "abc":
        path = write_rejected(tmp_path, DAY, [_row(CRITICA=text, EJECUCION=run)])
    assert [row["CRITICA"] for row in _read(path)] == [text] * 3


def test_a_row_told_again_is_not_written_again(tmp_path: Path) -> None:
    first, second = _row(EJECUCION="a", INCIDENCIA="1", CRITICA="con\nlíneas"), _row(EJECUCION="a", INCIDENCIA="2")
    write_rejected(tmp_path, DAY, [first])
    path = write_rejected(tmp_path, DAY, [first, second])
    assert [row["INCIDENCIA"] for row in _read(path)] == ["1", "2"]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_no_cell_is_a_formula(start: str, tmp_path: Path) -> None:
    path = write_rejected(tmp_path, DAY, [_row(DESCRIPCION=f"{start}HYPERLINK(1)", CRITICA=f"a{start}b")])
    [row] = _read(path)
    assert row["DESCRIPCION"] == f"'{start}HYPERLINK(1)"
    assert row["CRITICA"] == f"a{start}b"


def test_two_runs_at_once_lose_nothing(tmp_path: Path) -> None:
    runs = [Thread(target=write_rejected, args=(tmp_path, DAY, [_row(INCIDENCIA=str(n))])) for n in range(8)]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert sorted(row["INCIDENCIA"] for row in _read(tmp_path / "rejected20260331.csv")) == list("01234567")


@pytest.mark.faults
def test_a_full_disk_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_rejected(tmp_path, DAY, [_row()])
    before, names = path.read_bytes(), sorted(tmp_path.iterdir())

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DependencyError, match="no queda espacio"):
        write_rejected(tmp_path, DAY, [_row()])
    assert path.read_bytes() == before
    assert sorted(tmp_path.iterdir()) == names


@pytest.mark.faults
def test_a_place_that_cannot_be_used(tmp_path: Path) -> None:
    folder = tmp_path / "rejected"
    folder.write_text("not a folder")
    with pytest.raises(DependencyError, match=r"rejected20260331\.csv"):
        write_rejected(folder, DAY, [_row()])
