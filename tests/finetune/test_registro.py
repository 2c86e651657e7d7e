"""finetune/registro.py: the command as an operator types it."""

import json
from pathlib import Path

import pytest

from core.judgement import load_calibration
from finetune import registro
from finetune.model_registry import file_of
from observabilidad.mlflow_server import PACKAGES
from tests.bench.test_tracked import result
from tests.mlflow_backend import NEEDED, QUIET, backend


@NEEDED
@QUIET
class TestWithMlflow:
    @pytest.fixture(autouse=True)
    def _backend(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("MLFLOW_TRACKING_URI")
        monkeypatch.setenv("DIRECTORIO_ESTADO", str(tmp_path / "estado"))
        backend(tmp_path / "estado")

    def test_from_nothing_to_a_champion(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert registro.main(["ver"]) == 0
        assert "sin registrar" in capsys.readouterr().out
        (tmp_path / "m.gguf").write_bytes(b"GGUF etc.")
        (tmp_path / "q.json").write_text(json.dumps(result()), "utf-8")
        orders = [
            ["registrar-prompts"], ["registrar-calibracion"], ["registrar-calibracion"], ["campeon", "1"],
            ["registrar-modelo", str(tmp_path / "m.gguf")], ["anotar", str(tmp_path / "q.json")],
        ]  # fmt: skip
        for order in orders:
            assert registro.main(order) == 0
        said = capsys.readouterr().out
        assert "relevance: versión 1" in said
        assert "spai-calibracion: versión 1, que ya estaba registrada" in said
        assert "CALIBRACION=mlflow:champion" in said
        assert registro.main(["ver"]) == 0
        shown = capsys.readouterr().out
        assert "sin registrar" not in shown
        for word in ("champion", "vigente", "terminada", "spai-calidad", str(tmp_path / "estado")):
            assert word in shown

    @pytest.mark.parametrize(
        ("order", "message"),
        [
            (["campeon", "9"], "no tiene la versión 9; tiene: ninguna"),
            (["campeon", "1", "--alias", "con espacio"], "no vale como alias"),
            (["registrar-calibracion", "no-existe.json"], "no se puede leer"),
            (["registrar-modelo", "no-existe.gguf"], "no se puede leer"),
            (["anotar", "pyproject.toml"], "no es JSON"),
            (["anotar", "finetune/data/es_desk_retail/queries.jsonl"], "no es JSON"),
        ],
        ids=lambda value: value[0] if isinstance(value, list) else "",
    )
    def test_wrong_usage_says_what_to_do(
        self, order: list[str], message: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert registro.main(order) == 2
        assert message in capsys.readouterr().err

    @pytest.mark.parametrize("content", ["[]", "{}", '{"conjuntos": {}}'])
    def test_a_file_of_something_else(self, content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (tmp_path / "x.json").write_text(content, "utf-8")
        assert registro.main(["anotar", str(tmp_path / "x.json")]) == 2
        assert "no es un resultado" in capsys.readouterr().err

    def test_a_recalibration_kept_by_this_machine(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        fit = json.loads(file_of(load_calibration("e5")))["fits"][0]
        (tmp_path / "v0001.json").write_text(json.dumps({"version": "v0001", "calibracion": fit}), "utf-8")
        assert registro.main(["anotar", str(tmp_path / "v0001.json")]) == 0
        assert "spai-calibracion: versión 1" in capsys.readouterr().out

    def test_mlflow_away(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
        assert registro.main(["ver"]) == 3
        assert "mlflow server --port 5000" in capsys.readouterr().err


def test_without_mlflow(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    monkeypatch.setattr("observabilidad.mlflow_server.find_spec", lambda name: None)
    assert registro.main(["ver"]) == 2
    assert PACKAGES in capsys.readouterr().err
