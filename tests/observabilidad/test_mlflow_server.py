"""observabilidad/mlflow_server.py: when MLflow is used, where, and how long anybody waits for it."""

import socket
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from config import ROOT, load_settings
from core.errors import DependencyError, UsageError
from observabilidad import mlflow_server
from observabilidad.mlflow_server import PACKAGES, experiment, in_use, open_client, require, shown, tracking_uri, within
from tests.mlflow_backend import NEEDED, QUIET, backend


@contextmanager
def black_hole(answer: bytes = b"") -> Iterator[str]:
    """Accepts every connection; sends `answer`, or nothing for ever."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        held: list[socket.socket] = []

        def accept() -> None:
            while True:
                try:
                    talk, _ = server.accept()
                except OSError:
                    return
                held.append(talk)
                if answer:
                    talk.recv(65536)
                    talk.sendall(answer)
                    talk.close()

        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        for talk in held:
            talk.close()


@pytest.fixture
def missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mlflow_server, "find_spec", lambda name: None)


def test_without_the_extra_nothing_is_used(missing: None) -> None:
    assert not in_use(load_settings(mlflow_tracking_uri=None))
    with pytest.raises(UsageError, match=r"Falta MLflow.*pip install mlflow-skinny"):
        require(load_settings(mlflow_tracking_uri=None))


def test_a_backend_without_the_extra_is_a_wrong_setting(missing: None) -> None:
    with pytest.raises(UsageError, match=r"MLFLOW_TRACKING_URI está puesta, pero falta MLflow"):
        in_use(load_settings(mlflow_tracking_uri="http://127.0.0.1:5000"))


def test_what_is_said_to_be_installed_is_what_is_pinned() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    assert extras["mlflow"] == PACKAGES.split()


def test_no_means_no() -> None:
    assert not in_use(load_settings(mlflow_tracking_uri="no"))
    with pytest.raises(UsageError, match="MLFLOW_TRACKING_URI=no"):
        require(load_settings(mlflow_tracking_uri="no"))


@pytest.mark.parametrize("value", ["file:///tmp/mlruns", "databricks", "mlruns", "nos"])
def test_backends_that_mlflow_does_not_take(value: str) -> None:
    with pytest.raises(UsageError, match="MLFLOW_TRACKING_URI"):
        load_settings(mlflow_tracking_uri=value)


def test_the_default_is_a_file_among_the_state(tmp_path: Path) -> None:
    settings = load_settings(directorio_estado=tmp_path, mlflow_tracking_uri=None)
    assert tracking_uri(settings) == f"sqlite:///{tmp_path}/mlflow/mlflow.db"


@pytest.mark.parametrize("uri", ["http://u:CLAVE@127.0.0.1:1", "postgresql://u:CLAVE@127.0.0.1/b"])
def test_no_password_is_shown(uri: str) -> None:
    text = shown(load_settings(mlflow_tracking_uri=uri))
    assert "CLAVE" not in text
    assert "127.0.0.1" in text


def test_nobody_waits_longer_than_told() -> None:
    forever = threading.Event()
    started = time.monotonic()
    with pytest.raises(DependencyError, match=r"0\.05 s"):
        within(0.05, forever.wait)
    assert time.monotonic() - started < 5
    forever.set()


@pytest.mark.parametrize("error", [UsageError("a"), TimeoutError("de dentro"), KeyError("b")])
def test_what_the_work_raises_is_raised(error: Exception) -> None:
    def work() -> None:
        raise error

    with pytest.raises(type(error)) as caught:
        within(5, work)
    assert caught.value is error


def test_importing_our_modules_does_not_import_mlflow() -> None:
    code = (
        "import sys, finetune.registro, observabilidad.traces, observabilidad.mlflow_spans, core.build; "
        "sys.exit('mlflow' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=60).returncode == 0


@NEEDED
@QUIET
class TestWithMlflow:
    def test_an_experiment_is_made_once_and_brought_back(self, tmp_path: Path) -> None:
        settings = backend(tmp_path)
        client = open_client(settings)
        made = experiment(client, settings, "spai-x")
        client.delete_experiment(made)
        assert experiment(client, settings, "spai-x") == made
        found = client.get_experiment(made)
        assert found.lifecycle_stage == "active"
        assert found.artifact_location == (tmp_path / "mlflow" / "ficheros" / "spai-x").as_uri()

    def test_a_server_that_is_not_there(self, tmp_path: Path) -> None:
        settings = load_settings(directorio_estado=tmp_path, mlflow_tracking_uri="http://u:CLAVE@127.0.0.1:1")
        with pytest.raises(DependencyError, match=r"mlflow server --port 5000") as caught:
            open_client(settings)
        assert "CLAVE" not in str(caught.value)
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize(
        "answer",
        [
            b"HTTP/1.0 200 OK\r\n\r\n<html>otra cosa</html>",
            b"HTTP/1.0 200 OK\r\n\r\n[1, 2]",
            b"HTTP/1.0 500 Uf\r\n\r\n",
            b"no es HTTP\r\n\r\n",
        ],
        ids=["html", "list", "500", "rubbish"],
    )
    def test_a_server_that_is_something_else(self, tmp_path: Path, answer: bytes) -> None:
        with black_hole(answer) as url:
            settings = load_settings(directorio_estado=tmp_path, mlflow_tracking_uri=url)
            with pytest.raises(DependencyError, match="no se puede usar"):
                open_client(settings)

    def test_a_folder_that_cannot_be_written(self, tmp_path: Path) -> None:
        (tmp_path / "mlflow").write_text("un fichero", "utf-8")
        settings = load_settings(directorio_estado=tmp_path, mlflow_tracking_uri=None)
        with pytest.raises(DependencyError, match="sitio en disco"):
            open_client(settings)

    def test_a_database_that_is_none(self, tmp_path: Path) -> None:
        settings = backend(tmp_path)
        (tmp_path / "mlflow" / "mlflow.db").write_bytes(b"basura " * 500)
        with pytest.raises(DependencyError, match="no se puede usar"):
            open_client(settings)
