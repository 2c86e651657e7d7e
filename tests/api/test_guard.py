"""`make demo` only works what is the demonstration's own."""

import subprocess
from pathlib import Path

import pytest

from api.mocks import guard
from config import ROOT


def test_the_demonstration_alone_passes(capsys: pytest.CaptureFixture[str]) -> None:
    assert guard.main() == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("name", ["MOCK_GESTOR_URL", "MOCK_SISTEMA_URL", "VECTOR_DB_URL", "DATABASE_URL"])
def test_services_that_others_use_are_refused(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    address = "postgresql://127.0.0.1/x" if name == "DATABASE_URL" else "http://127.0.0.1:9"
    monkeypatch.setenv(name, address)
    assert guard.main() == 2
    told = capsys.readouterr().err
    assert name in told
    assert "--simular" in told


def test_production_is_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for name, value in (
        ("ENTORNO", "PROD"),
        ("MOCK_GESTOR_URL", "http://127.0.0.1:9"),
        ("MOCK_SISTEMA_URL", "http://127.0.0.1:9"),
        ("OPENAI_BASE_URL", "http://127.0.0.1:9"),
    ):
        monkeypatch.setenv(name, value)
    assert guard.main() == 2
    assert "ENTORNO=PROD" in capsys.readouterr().err


@pytest.mark.parametrize(("codes", "ends"), [((0, 0), 0), ((2, 0), 2), ((0, 1), 0), ((0, 3), 2)])
def test_what_stops_make_demo(tmp_path: Path, codes: tuple[int, int], ends: int) -> None:
    """The guard always does; labels do unless all that is wrong is that some line is of no use."""
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    guarded, labelled = codes
    python.write_text(
        f'#!/bin/sh\necho "$@" >> "{tmp_path}/done"\n'
        f'case "$*" in *guard) exit {guarded};; *etiquetar*) exit {labelled};; esac\n',
        "utf-8",
    )
    python.chmod(0o755)
    order = ["make", "--always-make", "-o", "setup", "-f", str(ROOT / "Makefile"), f"BIN={python.parent}", "demo"]
    made = subprocess.run(order, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=30)
    assert made.returncode == ends, made.stderr
    last = (tmp_path / "done").read_text("utf-8").splitlines()[-1]
    assert (last == "main.py") == (ends == 0)
