"""bench/calidad/tracked.py and its door: a measurement is a run; MLflow away loses nothing."""

import json
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from bench.calidad import __main__ as door
from bench.calidad.tracked import as_run, is_result
from config import Settings
from finetune import registro
from finetune.runs import Point, Record, keep, leaves, told
from observabilidad.mlflow_server import open_client
from tests.mlflow_backend import NEEDED, QUIET, backend


def result(**changes: Any) -> dict[str, Any]:
    """As `bench.calidad` writes it, a small one."""
    at = {"umbral": 65, "incidencias": 12, "automaticas": 6, "equivocadas": 1, "precision": 0.83, "cobertura": 0.5}
    curve = [{"umbral": float(t), "cobertura": 1 - t / 100, "riesgo": 0.1} for t in (0, 50, 100)]
    one = {
        "entradas": 6,
        "orden": {"producto": {"n": 8, "recall@1": {"valor": 0.9, "intervalo": [0.8, 1.0]}}, "BM25": {"n": 8}},
        "juicio": {"n": 4, "auc_juez": 0.9, "ece": None, "fiabilidad": [{"n": 4, "aprobacion": 0.25, "acierto": 0.5}]},
        "pares": None,
        "sin_decidir": 0,
        "decision": {
            "metodos": {"producto": {"umbral": at, "riesgos": {}}},
            "por_tipo": {"con solución": {"incidencias": 6, "automaticas": 6, "equivocadas": 1}},
            "errores": [],
        },
        "coste": {"juicios": 0.5, "tokens": None},
    }
    total = {"umbral": at, "curva": {"producto": curve, "BM25": curve}, "riesgos": {}, "divisiones": {}}
    return {
        "fecha": "2026-11-21T10:00:00+00:00", "commit": "abc+", "procesadores": 2, "proveedor": "embedded",
        "muestra": 80, "particion": "test", "prompts": {"relevance": "5f64", "choose": "1a66"}, "modelo": "m",
        "prompt": "5f64", "vectores": "e5", "umbral": 65, "semilla": 1, "sin_retirar": False, "reintentos": 0,
        "conjuntos": {"uno": one},
        "total": total,
    } | changes  # fmt: skip


def test_what_a_run_holds(tmp_path: Path) -> None:
    with as_run(result(), tmp_path / "q.json") as record:
        figures = {(p.name, p.step): p.value for p in record.metrics}
        assert record.files[0] == tmp_path / "q.json"
        assert [f.name for f in record.files[1:]] == [
            "calidad_riesgo_cobertura.png", "calidad_fiabilidad.png", "calidad_errores.png",
        ]  # fmt: skip
        assert all(f.stat().st_size > 1000 for f in record.files[1:])
    assert figures["uno/orden/recall@1/valor", 0] == 0.9
    assert figures["total/precision", 0] == figures["uno/decision/precision", 0] == 0.83
    assert {step for name, step in figures if name == "curva/riesgo"} == {0, 50, 100}
    assert figures["curva/fiabilidad/uno", 25] == 0.5
    assert not any("BM25" in name or "ece" in name for name, _ in figures)
    assert record.parameters["prompt_choose"] == "1a66"
    assert (record.parameters["semilla"], record.parameters["conjuntos"]) == (1, "uno")


def test_nothing_decided_nothing_drawn(tmp_path: Path) -> None:
    with as_run(result(total={}, conjuntos={}), tmp_path / "q.json") as record:
        assert record.files == [tmp_path / "q.json"]
        assert record.metrics == []


@pytest.mark.parametrize(
    ("figures", "expected"),
    [
        ({"a": {"b": 1, "c": None}, "d": [1, 2], "e": "x", "f": True}, [("n/a/b", 1.0)]),
        (None, []),
        (3, [("n", 3.0)]),
    ],
    ids=["nested", "nothing", "number"],
)
def test_numbers_by_their_path(figures: object, expected: list[tuple[str, float]]) -> None:
    assert [(p.name, p.value) for p in leaves(figures, "n")] == expected


@pytest.mark.parametrize(("content", "is_one"), [(result(), True), ({"fits": []}, False), ([], False)])
def test_a_result_is_told_from_something_else(content: object, is_one: bool) -> None:
    assert is_result(content) is is_one


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The bench's door with the measuring done; where it writes."""

    async def measure(*_: object) -> dict[str, Any]:
        whole = result()
        return {k: whole[k] for k in ("modelo", "prompt", "vectores", "umbral", "semilla", "conjuntos", "total")}

    monkeypatch.setattr(door, "measure", measure)
    monkeypatch.setattr(door, "open_embedder", lambda settings: None)
    monkeypatch.setattr(door, "open_minilm", lambda: None)
    monkeypatch.setattr(door, "grids", lambda result: [])
    monkeypatch.setattr(door, "legend", lambda result: [])
    monkeypatch.chdir(tmp_path)
    return tmp_path / "q.json"


def _run(target: Path) -> int:
    return door.main(["--datos", ".", "--json", str(target)])


def test_without_mlflow_nothing_changes(measured: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(measured) == 0
    assert capsys.readouterr().out == f"Resultado: {measured}\n"
    assert sorted(path.name for path in measured.parent.iterdir()) == ["q.json"]


@NEEDED
@QUIET
class TestWithMlflow:
    @pytest.fixture
    def settings(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
        monkeypatch.delenv("MLFLOW_TRACKING_URI")
        monkeypatch.setenv("DIRECTORIO_ESTADO", str(tmp_path / "estado"))
        return backend(tmp_path / "estado")

    def test_a_measurement_is_a_run(
        self, settings: Settings, measured: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert _run(measured) == 0
        told_id = capsys.readouterr().out.split("ejecución ")[1].split()[0]
        client = open_client(settings)
        run = client.get_run(told_id)
        assert run.info.status == "FINISHED"
        assert run.data.params["particion"] == "test"
        assert len(run.data.params["prompt_relevance"]) == 12
        assert run.data.metrics["uno/orden/recall_1/valor"] == 0.9
        assert [p.step for p in client.get_metric_history(told_id, "curva/cobertura")] == [0, 50, 100]
        assert len(client.list_artifacts(told_id)) == 4

    def test_more_than_one_request_holds(self, settings: Settings) -> None:
        points = [Point("curva", float(i), i) for i in range(1200)]
        parameters = {f"p{i}": "x" * 9000 for i in range(250)}
        client = open_client(settings)
        run_id = keep(settings, Record("spai-x", "muchos", parameters, points))
        assert len(client.get_metric_history(run_id, "curva")) == 1200
        assert len(client.get_run(run_id).data.params) == 250

    def test_a_run_that_breaks_off_is_marked(self, settings: Settings, tmp_path: Path) -> None:
        line = told(settings, Record("spai-x", "roto", {}, [], files=[tmp_path / "no está"]), tmp_path / "q.json")
        assert line.startswith("Aviso: ")
        client = open_client(settings)
        [run] = client.search_runs([client.get_experiment_by_name("spai-x").experiment_id])
        assert run.info.status == "FAILED"

    def test_a_result_that_came_late(
        self, settings: Settings, measured: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
        assert _run(measured) == 0  # the bench has done its work
        said = capsys.readouterr().out
        assert f"python -m finetune.registro anotar {measured}" in said
        assert json.loads(measured.read_text("utf-8"))["modelo"] == "m"
        monkeypatch.delenv("MLFLOW_TRACKING_URI")
        assert registro.main(["anotar", str(measured)]) == 0
        run_id = capsys.readouterr().out.split()[-1]
        assert open_client(settings).get_run(run_id).data.params["modelo"] == "m"

    def test_a_server_that_never_answers_holds_nobody_up(self, settings: Settings, tmp_path: Path) -> None:
        done = threading.Event()
        with socket.create_server(("127.0.0.1", 0)) as hole:
            url = f"http://127.0.0.1:{hole.getsockname()[1]}"
            silent = settings.model_copy(update={"mlflow_tracking_uri": url})
            line = told(silent, Record("spai-x", "n", {}, []), tmp_path / "q.json", patience=0.3)
        done.set()
        assert "no ha respondido en 0.3 s" in line

    def test_a_backend_without_the_extra_stops_the_bench_before_it_works(
        self, measured: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr("observabilidad.mlflow_server.find_spec", lambda name: None)
        monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
        assert _run(measured) == 2
        assert "falta MLflow" in capsys.readouterr().err
        assert not measured.exists()
