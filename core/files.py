"""Files written whole or not at all, and never two runs into one file."""

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from core.errors import DependencyError

NO_ROOM = {errno.ENOSPC, errno.EDQUOT}
"""`errno` of a full disk."""
_NO_HARD_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}


@contextmanager
def atomic_writer(path: Path) -> Iterator[BinaryIO]:
    """A binary file that takes `path`'s place when the block ends well; otherwise `path` stays as it was.

    Raises `DependencyError` naming `path` when it cannot be written (full disk, no permission).
    """
    target = Path(os.path.realpath(path))
    with _explained(path), _temporary(target) as (temporary, stream):
        yield stream
        _flush(stream)
        if target.exists():
            os.chmod(temporary, stat.S_IMODE(target.stat().st_mode))
        os.replace(temporary, target)
        _flush_folder(target.parent)


def write_whole(path: Path, data: str | bytes) -> None:
    """Write `data` (text as UTF-8) to `path`, replacing what was there, whole or not at all."""
    with atomic_writer(path) as stream:
        stream.write(data.encode() if isinstance(data, str) else data)


def write_fresh(path: Path, data: str | bytes) -> Path:
    """Write `data` whole to `path`, or to `path` with `_2`, `_3`, … before its suffix where it exists already.

    Returns the path written. Two processes that call it at once get two files.
    """
    with _explained(path), _temporary(path) as (temporary, stream):
        stream.write(data.encode() if isinstance(data, str) else data)
        _flush(stream)
        for candidate in _names(path):
            if _claim(temporary, candidate):
                _flush_folder(candidate.parent)
                return candidate
    raise AssertionError("unreachable: the names do not run out")


def _names(path: Path) -> Iterator[Path]:
    yield path
    number = 2
    while True:
        yield path.with_name(f"{path.stem}_{number}{path.suffix}")
        number += 1


def _claim(temporary: Path, candidate: Path) -> bool:
    """Give `temporary` the name `candidate` unless that is taken; one winner among racing processes."""
    try:
        os.link(temporary, candidate)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        return _claim_by_reserving(temporary, candidate)
    return True


def _claim_by_reserving(temporary: Path, candidate: Path) -> bool:
    """For file systems without hard links: an empty file holds the name until the full one replaces it."""
    try:
        os.close(os.open(candidate, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    except FileExistsError:
        return False
    os.replace(temporary, candidate)
    return True


@contextmanager
def _temporary(target: Path) -> Iterator[tuple[Path, BinaryIO]]:
    """An open file beside `target`, gone when the block ends unless it was renamed."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name[:100]}.{secrets.token_hex(6)}.tmp")
    try:
        # The umask decides who may read, as for any file; tempfile would make it the owner's only.
        with open(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666), "wb") as stream:
            yield temporary, stream
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()


def _flush(stream: BinaryIO) -> None:
    stream.flush()
    os.fsync(stream.fileno())


def _flush_folder(folder: Path) -> None:
    """Make the new name survive a power cut; some file systems cannot, and the content is safe all the same."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn the system's refusals into an error that names the file and says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in NO_ROOM:
            reason = "no queda espacio en el disco. Libere espacio y repita la orden"
        elif error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
            reason = "no hay permiso de escritura en esa carpeta. Cámbielo o elija otra"
        else:
            reason = (error.strerror or str(error)) + ". Compruebe la ruta y repita la orden"
        raise DependencyError(
            f"No se ha podido escribir {path}: {reason}. No queda ningún fichero a medias."
        ) from error
