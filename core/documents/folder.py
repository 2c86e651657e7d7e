"""The documents of a folder, those inside its .zip files too; whatever is left out, with the reason."""

import os
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path, PurePosixPath

from core.documents.document import ReadingLimits, Unreadable
from core.errors import UsageError

KINDS = frozenset({".txt", ".md", ".markdown", ".html", ".htm", ".docx", ".pdf"})
_NAMED = "txt, md, html, docx o pdf"


@dataclass(frozen=True)
class Found:
    """One file. `source` is its path in the folder, with `/`; a member of a .zip follows its name."""

    source: str
    load: Callable[[], bytes]
    """Its bytes, read now. Raises `Unreadable`."""


@dataclass(frozen=True)
class LeftOut:
    """What is not loaded, and why."""

    source: str
    why: str


def documents_in(folder: Path, limits: ReadingLimits) -> Iterator[Found | LeftOut]:
    """Every file under `folder`, in the order of their paths; links are never followed.

    Raises `UsageError` when there is no such folder.
    """
    if not folder.is_dir():
        raise UsageError(f"No existe la carpeta {folder}. Indique en --documentos la que tiene los documentos.")
    for path in _files(folder):
        source = path.relative_to(folder).as_posix()
        why = _not_a_file(path) or _hidden(source)
        if why:
            yield LeftOut(source, why)
        elif path.suffix.lower() == ".zip":
            yield from _members(path, source, limits)
        elif path.suffix.lower() in KINDS:
            yield Found(source, _loader(path, limits))
        else:
            yield LeftOut(source, f"de este tipo no se leen documentos; conviértalo a {_NAMED}")


def _files(folder: Path) -> Iterator[Path]:
    """Files, and links to folders, which are not entered."""
    for base, folders, names in os.walk(folder, onerror=_refused):
        folders.sort()
        linked = [name for name in folders if os.path.islink(os.path.join(base, name))]
        yield from (Path(base, name) for name in sorted([*names, *linked]))


def _refused(error: OSError) -> None:
    raise UsageError(f"No se puede leer la carpeta {error.filename}: {error.strerror}.") from error


def _not_a_file(path: Path) -> str:
    try:
        mode = path.lstat().st_mode
    except OSError as error:
        return f"no se puede leer: {error.strerror}"
    if stat.S_ISLNK(mode):
        return "es un enlace; los enlaces no se siguen: ponga en la carpeta el documento mismo"
    return "" if stat.S_ISREG(mode) else "no es un fichero corriente"


def _hidden(source: str) -> str:
    parts = PurePosixPath(source).parts
    if any(part.startswith((".", "~$")) for part in parts) or "__MACOSX" in parts:
        return "es un fichero oculto o temporal"
    return ""


def _loader(path: Path, limits: ReadingLimits) -> Callable[[], bytes]:
    def load() -> bytes:
        try:
            # Between the listing and now it may have become a link or a pipe: neither is followed or waited for.
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            with open(descriptor, "rb") as stream:
                data = stream.read(limits.bytes + 1)
        except OSError as error:
            raise Unreadable(f"no se puede leer: {error.strerror}") from error
        return _checked(data, limits)

    return load


def _checked(data: bytes, limits: ReadingLimits) -> bytes:
    if not data:
        raise Unreadable("está vacío")
    if len(data) > limits.bytes:
        raise Unreadable(f"ocupa más de {limits.bytes / 1e6:g} MB (LIMITE_DOCUMENTO_MB)")
    return data


def _members(path: Path, source: str, limits: ReadingLimits) -> Iterator[Found | LeftOut]:
    """One level: a .zip in a .zip is not opened, so that one that holds itself has an end."""
    try:
        with _opened(_loader(path, limits)(), limits) as archive:
            infos = sorted((i for i in archive.infolist() if not i.is_dir()), key=lambda info: info.filename)
    except Unreadable as error:
        yield LeftOut(source, str(error))
        return
    if not infos:
        yield LeftOut(source, "el .zip no tiene ningún fichero")
    for info in infos:
        name = f"{source}/{info.filename}"
        suffix = PurePosixPath(info.filename).suffix.lower()
        if why := _hidden(info.filename):
            yield LeftOut(name, why)
        elif suffix == ".zip":
            yield LeftOut(name, "es un .zip dentro de otro: sáquelo de él para que se lea")
        elif suffix not in KINDS:
            yield LeftOut(name, f"de este tipo no se leen documentos; conviértalo a {_NAMED}")
        else:
            yield Found(name, _member_loader(path, info.filename, limits))


def _member_loader(path: Path, member: str, limits: ReadingLimits) -> Callable[[], bytes]:
    def load() -> bytes:
        with _opened(_loader(path, limits)(), limits) as archive:
            try:
                with archive.open(member) as stream:
                    return _checked(stream.read(limits.bytes + 1), limits)
            except RuntimeError as error:  # how zipfile says that it is encrypted
                raise Unreadable("está protegido con contraseña dentro del .zip") from error
            except _BROKEN as error:
                raise Unreadable("está dañado dentro del .zip") from error

    return load


_BROKEN = (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, KeyError, OSError, ValueError)
"""All that zipfile is known to raise on a damaged archive, or one packed in a way it does not know."""


def _opened(data: bytes, limits: ReadingLimits) -> zipfile.ZipFile:
    try:
        archive = zipfile.ZipFile(BytesIO(data))
    except _BROKEN as error:
        raise Unreadable("el .zip está dañado o incompleto") from error
    check_unpacked(archive, limits)
    return archive


def check_unpacked(archive: zipfile.ZipFile, limits: ReadingLimits) -> None:
    """Raises `Unreadable` for more than is unpacked. zipfile never gives more of a member than declared here."""
    infos = archive.infolist()
    if len(infos) > limits.members:
        raise Unreadable(f"tiene {len(infos)} ficheros y se leen {limits.members} como mucho")
    if sum(info.file_size for info in infos) > limits.unpacked:
        raise Unreadable(f"desempaquetado ocupa más de {limits.unpacked / 1e6:g} MB")
