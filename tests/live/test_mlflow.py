"""Runs, prompts and traces on a real MLflow server, each under a name of its own: what is there stays as it is."""

import secrets
from pathlib import Path

import pytest

from config import Settings
from core.reason import Reason
from core.report import IncidentResult, Result
from llm.tasks import PROMPTS
from tests.live.conftest import required

runs = pytest.importorskip("finetune.runs", reason="esta versión no lleva MLflow")
registry = pytest.importorskip("finetune.prompt_registry")
server = pytest.importorskip("observabilidad.mlflow_server")
spans = pytest.importorskip("observabilidad.mlflow_spans")

pytestmark = [
    pytest.mark.live,
    pytest.mark.timeout(300),
    # MLflow's own client, not ours.
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning"),
]


@pytest.fixture
def name() -> str:
    """Of an experiment, or of a prompt, that nobody has."""
    return f"prueba-{secrets.token_hex(4)}"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    pytest.importorskip("mlflow", reason="falta el extra mlflow: pip install 'spai[mlflow]'")
    return Settings(mlflow_tracking_uri=required("MLFLOW_TRACKING_URI", "MLflow"), directorio_estado=tmp_path)


def test_a_run_is_kept_whole(settings: Settings, name: str, tmp_path: Path) -> None:
    file = tmp_path / "figura.txt"
    file.write_text("una figura", encoding="utf-8")
    points = [runs.Point("riesgo", step / 1000, step) for step in range(1200)]
    parameters = {f"p{number}": number for number in range(250)} | {"con eñe": "día"}
    record = runs.Record(name, "una", parameters, points, {"semilla": "1"}, {"a/b.json": '{"x": "ñ"}'}, [file])
    run_id = runs.keep(settings, record, 120)
    client = server.open_client(settings)
    kept = client.get_run(run_id)
    assert kept.info.status == "FINISHED"
    assert len(kept.data.params) == len(parameters)
    assert len(client.get_metric_history(run_id, "riesgo")) == len(points)
    assert {found.path for found in client.list_artifacts(run_id)} == {"a", "figura.txt"}
    assert Path(client.download_artifacts(run_id, "a/b.json", str(tmp_path))).read_text("utf-8") == '{"x": "ñ"}'
    client.delete_experiment(kept.info.experiment_id)


def test_a_prompt_has_one_version_per_content(settings: Settings, name: str, tmp_path: Path) -> None:
    folder = tmp_path / "prompts"
    folder.mkdir()
    text = (PROMPTS / "summarise.md").read_text(encoding="utf-8").replace("task: summarise", f"task: {name}")
    file = folder / f"{name}.md"
    for version, content in ((1, text), (1, text), (2, text + "\n")):
        file.write_text(content, encoding="utf-8")
        [state] = registry.register_prompts(settings, folder, 120)
        assert (state.version, state.in_force) == (version, True)


def test_a_trace_arrives(settings: Settings, name: str) -> None:
    traces = pytest.importorskip("core.incident_trace")
    span = pytest.importorskip("core.spans").Span
    result = IncidentResult(codIncidencia="INC-1", resultado=Result.HUMAN, tipo="manual", motivo=Reason.NO_CANDIDATE)
    client = server.open_client(settings)
    place = server.experiment(client, settings, name)
    spans.send(client, place, traces.IncidentTrace("r1", result, (span("incidencia", 10**18, 10**18 + 10**9),)))
    [found] = client.search_traces(locations=[place])
    assert found.info.tags["incidencia"] == "INC-1"
    assert found.info.execution_duration == 1000
    client.delete_experiment(place)
