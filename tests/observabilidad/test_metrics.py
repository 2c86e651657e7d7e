"""observabilidad/metrics: the figures are those of the lines, the decisions and the catalogue."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from core.database import Database
from core.ledger import Label, Phase, Record, open_ledger
from observabilidad.metrics.__main__ import main, when
from observabilidad.metrics.drift import FIRST, drift
from observabilidad.metrics.figures import Prices, Tally, figures
from observabilidad.metrics.outcomes import outcomes_of
from observabilidad.metrics.rows import rows_to_mend
from observabilidad.metrics.spread import deciles, shares, spread, stability_index, tens

Lines = list[dict[str, Any]]


def _at(number: int) -> str:
    return f"2026-11-01T{number // 3600:02}:{number // 60 % 60:02}:{number % 60:02}.000+00:00"


def _done(number: int, **facts: Any) -> dict[str, Any]:
    known = {"result": "humano", "kind": "manual", "reason": "NO_CANDIDATE", "run": "r1", "ms": 1000}
    return {"time": _at(number), "action": "incident_done", "incident": f"INC-{number}", **known, **facts}


def _fact(number: int, action: str, **facts: Any) -> dict[str, Any]:
    return {"time": _at(number), "action": action, **facts}


@pytest.fixture
def lines() -> Lines:
    approved = {"result": "automatica", "kind": "cierre", "reason": "APPROVED", "critic": "APPROVED", "row": "f1"}
    warning = {"level": "WARNING"}
    return [
        _fact(0, "judged", incident="INC-1", run="r1", row="f1", approval=80, margin=2),
        _done(1, **approved, approval=80, ms=2000, search_ms=100, judge_ms=1500),
        _fact(1, "judged", incident="INC-2", run="r1", row="f2", approval=40, margin=0),
        _fact(1, "critic_rejected", incident="INC-2", row="f2", reason="BELOW_THRESHOLD"),
        _done(2, reason="BELOW_THRESHOLD", critic="REJECTED", row="f2", approval=40, ms=4000, search_ms=300),
        _done(3, result="error", reason="DESK_UNAVAILABLE", run="r2"),
        _fact(4, "stage_failed", **warning, stage="act", reason="DESK_UNAVAILABLE"),
        _fact(4, "model_called", task="relevance", model="m", tokens_in=900, tokens_out=100, ms=500, failed=False),
        _fact(4, "model_called", task="choose", model="m", tokens_in=100, ms=10, failed=True),
        _fact(5, "model_failed", **warning, reason="MODEL_TIMEOUT"),
        _fact(5, "http_answered", method="GET", status=200, ms=3),
        _fact(5, "http_answered", method="PATCH", status=503, ms=9),
        _fact(5, "http_answered", method="GET", status=0, ms=900),
        _fact(6, "capped", **warning, scope="por_hora"),
        _done(7, result="automatica", simulated=True),
    ]


def test_the_figures_are_those_of_the_lines(lines: Lines) -> None:
    found = figures(Tally.of(lines), Prices(entrada=1000.0, salida=5000.0))
    assert (found.incidencias, found.ejecuciones, found.parte_automatica) == (3, 2, round(1 / 3, 4))
    assert found.por_resultado == {"automatica": 1, "error": 1, "humano": 1}
    assert found.por_tipo == {"cierre": 1}
    assert found.segundos_por_incidencia is not None
    assert (found.segundos_por_incidencia.mediana, found.segundos_por_incidencia.p95) == (2.0, 4.0)
    assert {stage: value.n for stage, value in found.segundos_por_etapa.items()} == {"search": 2, "judge": 1}
    assert found.segundos_de_busqueda == found.segundos_por_etapa["search"]
    assert found.errores.incidencias == {"DESK_UNAVAILABLE": 1}
    assert (found.errores.etapas, found.errores.modelo, found.errores.avisos) == ({"act": 1}, {"MODEL_TIMEOUT": 1}, 3)
    assert (found.errores.http.peticiones, found.errores.http.errores) == (3, 2)
    assert found.rechazos == {"BELOW_THRESHOLD": 1}
    assert found.topes == {"por_hora": 1}
    assert {name: count for name, count in found.aprobacion.items() if count} == {"40-49": 1, "80-89": 1}
    assert (found.modelo.llamadas, found.modelo.fallidas, found.modelo.coste) == (2, 1, 1.5)
    assert set(found.modelo_por_tarea) == {"relevance", "choose"}
    assert (found.soluciones.con_candidato_juzgado, found.soluciones.aprobadas) == (2, 1)
    assert found.soluciones.margen_mediano_aprobadas == 2.0


def test_what_was_simulated_counts_only_when_asked(lines: Lines) -> None:
    assert figures(Tally.of(lines, simulated=True), Prices()).por_resultado["automatica"] == 2


def test_no_lines_no_figures() -> None:
    found = figures(Tally.of([]), Prices())
    assert (found.incidencias, found.parte_automatica, found.segundos_por_incidencia) == (0, None, None)


@pytest.mark.parametrize(
    ("values", "median", "p95"),
    [([1.0], 1, 1), ([1.0, 2.0], 1.5, 2), ([float(n) for n in range(1, 101)], 50.5, 95)],
    ids=["one", "two", "hundred"],
)
def test_spread(values: Sequence[float], median: float, p95: float) -> None:
    found = spread(values)
    assert found is not None
    assert (found.mediana, found.p95) == (median, p95)


def test_tens_hold_both_ends() -> None:
    assert tens([0, 9.9, 10, 99, 100]) == dict.fromkeys(tens([]), 0) | {"0-9": 2, "10-19": 1, "90-100": 2}


def test_the_index_is_nought_for_the_same_and_large_for_another_distribution() -> None:
    before = [number / 10 for number in range(200)]
    edges = deciles(before)
    kept = shares(edges, before)
    assert sum(kept) == pytest.approx(1)
    assert stability_index(edges, kept, before) == pytest.approx(0, abs=1e-6)
    assert stability_index(edges, kept, [value + 1 for value in before]) < 0.25
    assert stability_index(edges, kept, [value + 15 for value in before]) > 1
    assert stability_index(deciles([3.0] * 50), shares(deciles([3.0] * 50), [3.0] * 50), [3.0] * 40) < 0.1


def _judged(count: int, approval: int, start: int = 0) -> Lines:
    scores = {"margin": 1, "csls": 2}
    return [_fact(start + n, "judged", approval=approval + n % 10, logit=n % 7, **scores) for n in range(count)]


def test_drift_against_the_calibration() -> None:
    kept = {"approval": {"edges": [45.0, 50.0], "shares": [0.5, 0.45, 0.05]}}
    found = drift(_judged(100, 40), [], {"distribution": kept})
    assert found.referencia == "el conjunto de la calibración"
    assert found.puntuaciones["approval"].juicio == "algo distinta"
    assert drift(_judged(100, 80), [], {"distribution": kept}).puntuaciones["approval"].juicio == "muy distinta"


def test_drift_against_the_first_judgements() -> None:
    first, same, other = _judged(FIRST, 40), _judged(100, 40, start=1000), _judged(100, 70, start=1000)
    assert drift(first + same, first, {}).puntuaciones["approval"].juicio == "estable"
    found = drift(first + other, first, {})
    assert (found.juicios, found.puntuaciones["approval"].juicio) == (100, "muy distinta")


@pytest.mark.parametrize(
    ("judged", "first"), [([], []), (_judged(20, 1), _judged(20, 1)), (_judged(200, 1), _judged(200, 1))]
)
def test_too_little_to_compare_is_said(judged: Lines, first: Lines) -> None:
    found = drift(judged, first, {"distribution": {"approval": "de otra versión"}})
    assert found.puntuaciones == {}
    assert found.aviso


def _record(number: int, **fields: Any) -> Record:
    known = {"kind": "cierre", "phase": Phase.CONFIRMED, "autonomy": "automatica", "entry": "f1"}
    return Record(id=f"d-{number}", incident=f"INC-{number}", **known | fields)


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database(tmp_path)


def test_precision_is_what_nobody_has_contradicted(database: Database) -> None:
    records = [
        _record(1),
        _record(2),
        _record(3, autonomy="propuesta"),
        _record(4, phase=Phase.UNDONE),
        _record(5, phase=Phase.PROPOSED),
        _record(6, phase=Phase.UNKNOWN),
        _record(7, kind="deshacer", autonomy="persona"),
    ]
    with open_ledger(database) as ledger:
        for record in records:
            ledger.intend(record, again=(), caps={})
            ledger.move(record.id, (Phase.INTENDED,), record.phase)
        ledger.label(records[1], Label.REOPENED, "mesa")
        ledger.label(records[2], Label.RIGHT, "ana")
        ledger.label(_record(99), Label.REVERTED, "ana")
        found = outcomes_of(ledger.between(None, None), ledger.outcomes())
    assert (found.acciones_automaticas, found.acciones_de_personas) == (3, 1)
    assert (found.equivocadas, found.precision_conocida) == (2, round(1 / 3, 4))
    assert (found.propuestas_pendientes, found.sin_saber) == (1, 1)
    assert found.por_desenlace == {"reabierta": 1, "acertada": 1}


def test_rows_to_mend(lines: Lines, database: Database) -> None:
    rejected = [{"time": _at(9), "action": "critic_rejected", "row": row} for row in ("f2", "f2", "f1", "f1", "f3")]
    rejected += [{"time": _at(9), "action": "critic_rejected"}] * 5  # of a version that did not say which
    with open_ledger(database) as ledger:
        ledger.label(_record(1, entry="f9"), Label.REVERTED, "ana")
        found = rows_to_mend(Tally.of(lines + rejected), ledger.outcomes(), {"f1": "uno", "f2": "dos", "f4": "cuatro"})
    assert [row.fila for row in found.sin_coincidencias] == ["f4"]
    assert [(row.descripcion, row.veces) for row in found.muy_rechazadas] == [("dos", 3)]
    assert [(row.descripcion, row.veces) for row in found.reabiertas] == [("(ya no está)", 1)]


class TestDoor:
    """`python -m observabilidad.metrics`."""

    @pytest.fixture(autouse=True)
    def _here(self, tmp_path: Path, lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
        logs = tmp_path / "estado" / "logs"
        logs.mkdir(parents=True)
        (logs / "spai.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + "{", encoding="utf-8")
        monkeypatch.setenv("DIRECTORIO_ESTADO", str(tmp_path / "estado"))
        monkeypatch.setenv("DIRECTORIO_RECURSOS", str(tmp_path))

    def test_json(self, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        assert main(["--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert found["cifras"]["incidencias"] == 3
        assert found["lineas_ilegibles"] == 1
        assert found["desenlaces"]["precision_conocida"] is None
        assert [path.name for path in (tmp_path / "estado").iterdir()] == ["logs"]

    def test_on_a_terminal(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main([]) == 0
        shown = capsys.readouterr().out
        for words in ("3 incidencias en 2 ejecuciones", "por_hora 1", "la aprobación no llega al umbral", "1 líneas"):
            assert words in shown

    def test_a_period_with_nothing_in_it(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["--desde", "2027-01-01"]) == 0
        assert "nada trabajado en el periodo" in capsys.readouterr().out

    def test_no_record_says_how_one_comes_about(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setenv("DIRECTORIO_ESTADO", str(tmp_path / "otra"))
        assert main([]) == 3
        assert "python main.py" in capsys.readouterr().err
        assert not (tmp_path / "otra").exists()

    @pytest.mark.parametrize("text", ["ayer", "7x", "99999-01-01", ""])
    def test_a_time_that_is_none(self, text: str, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit, match="2"):
            main(["--desde", text])
        assert "use 2026-11-01" in capsys.readouterr().err


def test_times_may_be_dates_or_ago() -> None:
    assert when("2026-11-01").tzinfo is not None
    assert (when("24h") - when("1d")).total_seconds() == pytest.approx(0, abs=5)
