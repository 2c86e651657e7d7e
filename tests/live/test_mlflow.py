"""A real MLflow server: the one of MLFLOW_TRACKING_URI, or `mlflow server` from the full package, started here.

    MLFLOW_BIN=/opt/mlflow/bin/mlflow python -m pytest -m live tests/live/test_mlflow.py

On a server of yours it leaves a few runs and traces, and moves no alias but its own, «prueba».
"""

import json
import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from bench.calidad.tracked import as_run
from config import ROOT, Settings, load_settings
from core.build import open_calibration
from core.incident_trace import IncidentTrace
from core.reason import Reason
from core.report import IncidentResult, Result
from core.spans import Span
from finetune.model_registry import CALIBRATION, register_calibration, set_alias
from finetune.prompt_registry import register_prompts
from finetune.runs import keep, told
from observabilidad.mlflow_server import open_client
from observabilidad.traces import EXPERIMENT, TraceSender, open_traces
from tests.bench.test_tracked import result
from tests.mlflow_backend import NEEDED, QUIET

pytestmark = [pytest.mark.live, pytest.mark.timeout(300), NEEDED, QUIET]

# The settings fixture empties the environment for each test: read before.
SERVED = os.environ.get("MLFLOW_TRACKING_URI", "")
PROGRAM = os.environ.get("MLFLOW_BIN") or shutil.which("mlflow")


@contextmanager
def _server(folder: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """`mlflow server` on a free loopback port, its state in `folder`; skips where only the light package is there."""
    if not PROGRAM:
        pytest.skip("falta un servidor de MLflow: MLFLOW_TRACKING_URI=http://…, o MLFLOW_BIN con el paquete completo")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [
        PROGRAM, "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
        "--backend-store-uri", f"sqlite:///{folder / 'm.db'}", "--artifacts-destination", str(folder / "ficheros"),
    ]  # fmt: skip
    environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "PYTHONPATH": ""}
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        for _ in range(240):
            if process.poll() is not None:
                pytest.skip(f"{PROGRAM} server no arranca: hace falta el paquete completo (pip install mlflow==3.17.2)")
            try:
                httpx.get(f"http://127.0.0.1:{port}/health", timeout=1).raise_for_status()
                break
            except httpx.HTTPError:
                time.sleep(0.5)
        yield f"http://127.0.0.1:{port}", process
    finally:
        _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """The server with its workers: a group of its own."""
    if process.poll() is None:
        os.killpg(process.pid, 15)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            process.wait()


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if SERVED.startswith("http"):
        yield SERVED
        return
    with _server(tmp_path_factory.mktemp("servidor")) as (found, _):
        yield found


@pytest.fixture
def settings(url: str, tmp_path: Path) -> Settings:
    return load_settings(
        directorio_estado=tmp_path, mlflow_tracking_uri=url, calibracion="mlflow:prueba", trazas_mlflow="si"
    )


def _trace(code: str, run: str) -> IncidentTrace:
    ended = IncidentResult(
        codIncidencia=code, resultado=Result.AUTOMATIC, tipo="cierre", motivo=Reason.APPROVED, tokens_entrada=7
    )
    now = time.time_ns()
    whole = Span("incidencia", now - 3_000_000, now)
    judge = Span("judge", now - 2_000_000, now - 1_000_000, whole)
    asked = json.dumps([{"role": "user", "content": "la póliza <POLIZA_1>"}])
    call = Span("relevance", judge.started, judge.ended, judge, {"modelo": "m", "entrada": asked, "salida": "sí"})
    return IncidentTrace(run, ended, (whole, judge, call))


def test_a_measurement_and_its_files(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "calidad.json"
    path.write_text(json.dumps(result()), "utf-8")
    with as_run(result(), path) as record:
        run_id = keep(settings, record)
    client = open_client(settings)
    run = client.get_run(run_id)
    assert run.info.status == "FINISHED"
    assert run.data.metrics["total/precision"] == 0.83
    assert sorted(p.step for p in client.get_metric_history(run_id, "curva/riesgo")) == [0, 50, 100]
    kept = client.download_artifacts(run_id, "calidad.json", str(tmp_path))
    assert json.loads(Path(kept).read_text("utf-8")) == result()
    assert len(client.list_artifacts(run_id)) == 4


def test_the_calibration_with_the_alias_is_loaded(settings: Settings) -> None:
    content = json.loads((ROOT / "core" / "calibration.json").read_text("utf-8"))
    intercept = -2 - secrets.randbelow(10**6) / 1e7
    text = json.dumps({"fits": [fit | {"intercept": intercept} for fit in content["fits"]]})
    made = register_calibration(settings, text, "prueba")
    assert made.new
    assert not register_calibration(settings, text, "prueba").new
    set_alias(settings, CALIBRATION, made.version, "prueba")
    assert open_calibration(settings).intercept == intercept


def test_a_prompt_with_its_hash_and_the_alias(settings: Settings, tmp_path: Path) -> None:
    task = f"prueba_{secrets.token_hex(4)}"
    source = (ROOT / "prompts" / "keywords.md").read_text("utf-8").replace("task: keywords", f"task: {task}")
    (tmp_path / f"{task}.md").write_text(source, "utf-8")
    [one] = register_prompts(settings, tmp_path)
    assert (one.version, one.in_force) == (1, True)
    kept = open_client(settings).get_prompt_version_by_alias(f"spai-{task}", "vigente")
    assert (kept.template, kept.tags["hash"]) == (source, one.hash)


def test_every_trace_arrives_as_a_tree(settings: Settings) -> None:
    run = secrets.token_hex(6)
    sender = open_traces(settings)
    for number in range(5):
        sender.record(_trace(f"I{number}", run))
    _wait_empty(sender)
    sender.close()
    assert sender.lost == 0
    client = open_client(settings)
    place = client.get_experiment_by_name(EXPERIMENT).experiment_id
    found = [t for t in client.search_traces(locations=[place], max_results=100) if run in str(t.info.trace_metadata)]
    assert sorted(trace.info.tags["incidencia"] for trace in found) == ["I0", "I1", "I2", "I3", "I4"]
    for trace in found:
        names = {span.span_id: span.name for span in trace.data.spans}
        assert {span.name: names.get(span.parent_id) for span in trace.data.spans} == {
            "incidencia": None, "judge": "incidencia", "relevance": "judge",
        }  # fmt: skip
        assert trace.info.token_usage == {"input_tokens": 7, "output_tokens": 0, "total_tokens": 7}


def test_a_server_that_dies_in_the_middle(tmp_path: Path) -> None:
    with _server(tmp_path) as (url, process):
        settings = load_settings(directorio_estado=tmp_path, mlflow_tracking_uri=url, trazas_mlflow="si")
        sender = open_traces(settings)
        sender.record(_trace("I1", "r1"))
        _wait_empty(sender)
        _stop(process)
        for number in range(3):
            sender.record(_trace(f"J{number}", "r1"))
        started = time.monotonic()
        sender.close()
        assert time.monotonic() - started < 12
        assert sender.lost == 3
        with as_run(result(), tmp_path / "calidad.json") as record:
            line = told(settings, record, tmp_path / "calidad.json")
        assert "finetune.registro anotar" in line
        assert time.monotonic() - started < 90


def _wait_empty(sender: TraceSender) -> None:
    deadline = time.monotonic() + 60
    while sender.waiting and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not sender.waiting
