"""core/files.py: whole or not at all, and one file per run."""

import errno
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from core.errors import DependencyError
from core.files import atomic_writer, write_fresh, write_whole


def _refuse(code: int) -> object:
    def call(*args: object, **kwargs: object) -> None:
        raise OSError(code, os.strerror(code))

    return call


def test_it_creates_folders_and_replaces(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b.txt"
    write_whole(path, "uno")
    write_whole(path, "dós".encode())
    assert path.read_text("utf-8") == "dós"
    assert os.listdir(path.parent) == ["b.txt"]


def test_the_mode_of_the_file_replaced_stays(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_text("x")
    path.chmod(0o640)
    write_whole(path, "y")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    write_whole(tmp_path / "link", "y")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "y"


@pytest.mark.parametrize(
    ("code", "words"),
    [
        pytest.param(errno.ENOSPC, "no queda espacio", id="full disk"),
        pytest.param(errno.EACCES, "no hay permiso", id="no permission"),
        pytest.param(errno.EIO, "Compruebe la ruta", id="broken disk"),
    ],
)
@pytest.mark.parametrize("write", [write_whole, write_fresh], ids=["whole", "fresh"])
def test_a_refusal_names_the_file_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, words: str, write: object
) -> None:
    path = tmp_path / "reporte.json"
    path.write_text("antes")
    monkeypatch.setattr(os, "fsync", _refuse(code))
    with pytest.raises(DependencyError, match=words) as caught:
        write(path, "después")  # type: ignore[operator]
    assert str(path) in str(caught.value)
    assert os.listdir(tmp_path) == ["reporte.json"]
    assert path.read_text() == "antes"


def test_an_error_of_the_caller_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_text("antes")

    def half() -> None:
        with atomic_writer(path) as stream:
            stream.write(b"medio")
            raise KeyError

    with pytest.raises(KeyError):
        half()
    assert path.read_text() == "antes"
    assert os.listdir(tmp_path) == ["f"]


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x")
    with pytest.raises(DependencyError, match="f/g"):
        write_whole(tmp_path / "f" / "g", "y")


@pytest.mark.parametrize("links", [True, False], ids=["hard links", "no hard links"])
def test_fresh_names_do_not_collide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool) -> None:
    if not links:
        monkeypatch.setattr(os, "link", _refuse(errno.EPERM))
    path = tmp_path / "reporte20250101_1200.json"
    with ThreadPoolExecutor(4) as pool:
        written = list(pool.map(lambda i: write_fresh(path, f"{i}"), range(8)))
    assert sorted(p.name for p in written) == sorted(os.listdir(tmp_path))
    assert sorted(p.read_text() for p in written) == [str(i) for i in range(8)]
    assert {path, path.with_name("reporte20250101_1200_2.json")} <= set(written)


def test_fresh_passes_on_other_failures_of_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "link", _refuse(errno.ENOSPC))
    with pytest.raises(DependencyError, match="no queda espacio"):
        write_fresh(tmp_path / "r.json", "x")
    assert os.listdir(tmp_path) == []
