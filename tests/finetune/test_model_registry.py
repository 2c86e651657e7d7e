"""finetune/model_registry.py and prompt_registry.py: what is registered is what is loaded, or nothing is."""

import json
from pathlib import Path
from typing import Any

import pytest

from config import ROOT, Settings, load_settings
from core.build import open_calibration, tell_registry
from core.errors import DependencyError, UsageError
from core.judgement import Calibrations, load_calibration
from finetune import model_registry
from finetune.model_registry import CALIBRATION, LANGUAGE_MODEL, register_calibration, register_gguf, set_alias, told
from finetune.prompt_registry import PromptState, register_prompts, state
from llm.prompt import Prompt
from llm.tasks import PROMPTS
from observabilidad.mlflow_server import open_client
from tests.mlflow_backend import NEEDED, QUIET, backend

pytestmark = [NEEDED, QUIET]

SHIPPED = (ROOT / "core" / "calibration.json").read_text("utf-8")


def _other(**changes: Any) -> str:
    """The shipped calibration with something else in each fit."""
    content = json.loads(SHIPPED)
    return json.dumps({"fits": [fit | changes for fit in content["fits"]]})


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return backend(tmp_path, calibracion="mlflow:champion")


def _champion(settings: Settings, text: str) -> str:
    version = register_calibration(settings, text, "prueba").version
    set_alias(settings, CALIBRATION, version)
    return version


def test_the_champion_is_what_the_pipeline_loads(settings: Settings) -> None:
    _champion(settings, SHIPPED)
    assert open_calibration(settings) == load_calibration("e5+use+minilm")
    newer = _champion(settings, _other(intercept=-3.5))
    assert open_calibration(settings).intercept == -3.5
    assert open_calibration(settings.model_copy(update={"embedding_model": "e5"})).embeddings == "e5"
    register_calibration(settings, _other(intercept=-9.0), "otra")  # registering is not choosing
    assert open_calibration(settings).intercept == -3.5
    set_alias(settings, CALIBRATION, "1")
    assert open_calibration(settings) == load_calibration("e5+use+minilm")
    assert newer == "2"


def test_without_the_setting_mlflow_is_not_asked(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_registry, "load_named", lambda settings: pytest.fail("asked"))
    assert open_calibration(settings.model_copy(update={"calibracion": None})) == load_calibration("e5+use+minilm")


def test_the_same_calibration_is_one_version(settings: Settings) -> None:
    made = [register_calibration(settings, SHIPPED, "ajuste") for _ in range(2)]
    assert [(m.version, m.new) for m in made] == [("1", True), ("1", False)]


def test_a_fit_is_a_run_with_its_curve(settings: Settings) -> None:
    register_calibration(settings, SHIPPED, "ajuste")
    client = open_client(settings)
    [run] = client.search_runs([client.get_experiment_by_name("spai-calibracion").experiment_id])
    assert run.info.status == "FINISHED"
    assert run.data.params["e5_use_minilm/prompt"] == load_calibration("e5+use+minilm").prompt
    assert run.data.metrics["e5_use/fuera/auc"] > 0.8
    curve = client.get_metric_history(run.info.run_id, "e5_use/umbral/aprobadas")
    assert [point.step for point in curve] == [50, 65, 75, 80, 90]
    assert [file.path for file in client.list_artifacts(run.info.run_id)] == ["calibracion.json"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "No es una calibración"),
        ('{"fits": []}', "ningún ajuste"),
        (_other(logit=-1.0), "No es una calibración"),
        (_other(intercept=float("nan")), "No es una calibración"),
    ],
    ids=["not-json", "empty", "negative-weight", "nan"],
)
def test_what_does_not_hold_is_not_registered(settings: Settings, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        register_calibration(settings, text, "prueba")
    assert model_registry.versions(open_client(settings), CALIBRATION) == []


def test_no_champion_no_start(settings: Settings) -> None:
    register_calibration(settings, SHIPPED, "ajuste")
    with pytest.raises(UsageError, match=r"alias «champion».*campeon VERSIÓN"):
        open_calibration(settings)


def test_a_file_that_was_changed_is_not_used(settings: Settings, tmp_path: Path) -> None:
    _champion(settings, SHIPPED)
    [kept] = (tmp_path / "mlflow" / "ficheros").rglob("calibracion.json")
    kept.write_text(_other(intercept=5.0), "utf-8")
    with pytest.raises(UsageError, match="otro SHA-256"):
        open_calibration(settings)
    with pytest.raises(UsageError, match="otro SHA-256"):
        set_alias(settings, CALIBRATION, "1")


def test_a_file_that_is_gone(settings: Settings, tmp_path: Path) -> None:
    _champion(settings, SHIPPED)
    [kept] = (tmp_path / "mlflow" / "ficheros").rglob("calibracion.json")
    kept.unlink()
    with pytest.raises(DependencyError, match=r"CALIBRACION=mlflow:champion"):
        open_calibration(settings)


def test_a_fit_of_another_prompt_is_not_used(settings: Settings) -> None:
    _champion(settings, _other(prompt="0123456789ab"))
    with pytest.raises(UsageError, match=r"versión 1.*0123456789ab.*relevance"):
        open_calibration(settings)


def test_a_fit_of_other_embeddings_is_not_used(settings: Settings) -> None:
    only = json.loads(SHIPPED)
    _champion(settings, json.dumps({"fits": only["fits"][1:]}))
    with pytest.raises(UsageError, match="EMBEDDING_MODEL"):
        open_calibration(settings)


def test_a_version_of_somebody_else_is_not_used(settings: Settings) -> None:
    client = open_client(settings)
    client.create_registered_model(CALIBRATION)
    client.create_model_version(CALIBRATION, "file:///tmp/x")
    client.set_registered_model_alias(CALIBRATION, "champion", "1")
    with pytest.raises(UsageError, match="no la registró SPAI"):
        open_calibration(settings)


def test_a_version_that_is_not_there_cannot_be_champion(settings: Settings) -> None:
    register_calibration(settings, SHIPPED, "ajuste")
    with pytest.raises(UsageError, match=r"no tiene la versión 7; tiene: 1"):
        set_alias(settings, CALIBRATION, "7")


def test_mlflow_away_refuses_the_start_and_loses_no_fit(tmp_path: Path) -> None:
    away = load_settings(
        directorio_estado=tmp_path, mlflow_tracking_uri="http://127.0.0.1:1", calibracion="mlflow:champion"
    )
    with pytest.raises(DependencyError, match=r"sin ese ajuste se usa la de este equipo"):
        open_calibration(away)
    line = told(away, SHIPPED, "recalibración", tmp_path / "c.json")
    assert f"python -m finetune.registro anotar {tmp_path / 'c.json'}" in line


def test_who_recalibrated_is_told_how_to_choose_it(settings: Settings, tmp_path: Path) -> None:
    assert "campeon 1" in told(settings, SHIPPED, "recalibración", tmp_path / "c.json")


def test_a_recalibration_is_handed_over(settings: Settings, tmp_path: Path) -> None:
    better = load_calibration("e5").model_copy(update={"intercept": -1.25})
    line = tell_registry(settings, better, tmp_path / "v0001.json")
    assert line is not None
    assert "versión 1" in line
    set_alias(settings, CALIBRATION, "1")
    assert open_calibration(settings.model_copy(update={"embedding_model": "e5"})) == better
    assert tell_registry(load_settings(mlflow_tracking_uri="no"), better, tmp_path / "v0001.json") is None


def test_a_gguf_is_registered_by_its_hash(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "modelo.gguf"
    path.write_bytes(b"GGUF" + bytes(100))
    assert [register_gguf(settings, path).new for _ in range(2)] == [True, False]
    path.write_bytes(b"GGUF" + bytes(101))
    assert register_gguf(settings, path).version == "2"
    [newest, _] = model_registry.versions(open_client(settings), LANGUAGE_MODEL)
    assert (newest.tags["nombre"], newest.tags["bytes"]) == ("modelo", "105")


@pytest.mark.parametrize("content", [b"otra cosa", None], ids=["not-a-gguf", "missing"])
def test_what_is_no_gguf(settings: Settings, tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "m.gguf").write_bytes(content)
    with pytest.raises(UsageError, match=r"m\.gguf"):
        register_gguf(settings, tmp_path / "m.gguf")


def test_prompts_with_their_hash_and_the_alias(settings: Settings, tmp_path: Path) -> None:
    folder = tmp_path / "prompts"
    folder.mkdir()
    for name in ("keywords", "summarise"):
        (folder / f"{name}.md").write_bytes((PROMPTS / f"{name}.md").read_bytes())
    client = open_client(settings)
    assert [(s.version, s.in_force) for s in state(client, folder)] == [(None, False), (None, False)]
    first = register_prompts(settings, folder)
    assert first == register_prompts(settings, folder) == state(client, folder)

    path = folder / "keywords.md"
    before = Prompt.load(path)
    path.write_text(before.source.replace("# usuario", "Sé breve.\n# usuario"), "utf-8")
    now = Prompt.load(path)
    assert state(client, folder)[0] == PromptState("keywords", now.version, None, in_force=False)
    assert register_prompts(settings, folder)[0] == PromptState("keywords", now.version, 2, in_force=True)
    kept = client.get_prompt_version_by_alias("spai-keywords", "vigente")
    assert (kept.template, kept.tags["sha256"], kept.tags["hash"]) == (now.source, now.digest, now.version)

    path.write_text(before.source, "utf-8")  # back to the first: the alias goes back, no third version
    assert register_prompts(settings, folder)[0] == PromptState("keywords", before.version, 1, in_force=True)


def test_the_shipped_file_is_a_calibration() -> None:
    assert Calibrations.model_validate_json(SHIPPED).fits
