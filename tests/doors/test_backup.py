"""backup.py: the three orders and their exit codes."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import pytest

import backup
from core.catalogue import CatalogueEntry, Resolution
from core.knowledge import KnowledgeBase, open_client
from tests.core.hash_embedder import HashEmbedder

ROOT = Path(__file__).parents[2]


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`core.build` without models; a catalogue under `tmp_path`; returns the state folder."""

    @contextmanager
    def open_knowledge(settings: object) -> Iterator[KnowledgeBase]:
        with open_client(tmp_path / "vectores", None) as client:
            yield KnowledgeBase(client, HashEmbedder())

    module = ModuleType("core.build")
    module.__dict__.update(open_knowledge=open_knowledge)
    monkeypatch.setitem(sys.modules, "core.build", module)
    monkeypatch.setenv("DIRECTORIO_RECURSOS", str(tmp_path / "r"))
    monkeypatch.setenv("DIRECTORIO_ESTADO", str(tmp_path / "e"))
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "PROBLEMAS_GLOBALES.csv").write_text("uno")
    return tmp_path / "e"


def _build(folder: Path, count: int) -> None:
    entries = [CatalogueEntry(component="c", description=f"d{i}", resolution=Resolution.CLOSE) for i in range(count)]
    with open_client(folder, None) as client:
        KnowledgeBase(client, HashEmbedder()).build(entries)


def test_save_check_restore(state: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _build(tmp_path / "vectores", 5)
    assert backup.main(["crear"]) == 0
    [path] = (state / "copias").glob("copia_????????_??????.tar.zst")
    assert f"Copia creada: {path}. 5 puntos" in capsys.readouterr().out
    assert backup.main(["verificar", str(path)]) == 0
    assert "copia correcta" in capsys.readouterr().out

    _build(tmp_path / "vectores", 2)
    catalogue = tmp_path / "r" / "PROBLEMAS_GLOBALES.csv"
    catalogue.write_text("dos")
    assert backup.main(["restaurar", str(path)]) == 0
    assert catalogue.read_text() == "dos"
    assert backup.main(["restaurar", str(path), "--con-catalogo"]) == 0
    assert catalogue.read_text() == "uno"
    assert "El catálogo que había está en" in capsys.readouterr().out
    with open_client(tmp_path / "vectores", None) as client:
        assert len(KnowledgeBase(client, HashEmbedder()).entries()) == 5

    chosen = tmp_path / "sitio" / "lunes.tar.zst"
    assert backup.main(["crear", "--salida", str(chosen)]) == 0
    assert chosen.is_file()
    assert backup.main(["crear", "--salida", str(chosen)]) == 2


@pytest.mark.parametrize("order", ["verificar", "restaurar"])
@pytest.mark.parametrize("content", [None, b"no es una copia"], ids=["missing", "rubbish"])
def test_a_bad_file_is_exit_2(
    state: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], order: str, content: bytes | None
) -> None:
    path = tmp_path / "c.tar.zst"
    if content is not None:
        path.write_bytes(content)
    assert backup.main([order, str(path)]) == 2
    assert "c.tar.zst" in capsys.readouterr().err


def test_nothing_to_save_is_exit_3(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert backup.main(["crear"]) == 3
    assert "python batch.py" in capsys.readouterr().err


def test_ctrl_c(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("core.backup.create_backup", interrupted)
    assert backup.main(["crear"]) == 130
    assert "Interrumpido" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["borrar"], ["restaurar"]], ids=["none", "unknown", "no file"])
def test_wrong_arguments_are_exit_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        backup.main(arguments)


def test_help_loads_nothing_heavy() -> None:
    code = "import sys, backup\ntry: backup.main(['--help'])\nexcept SystemExit: pass\nprint(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert "ejemplos:" in done.stdout
    for heavy in ("numpy", "pydantic", "qdrant_client", "zstandard"):
        assert f"'{heavy}'" not in done.stdout
