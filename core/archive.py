"""A tar in one zstd frame, written as a stream and read with suspicion: nothing is unpacked to disk."""

import io
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import zstandard

from core.errors import UsageError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

MAX_MEMBER = 64 * 2**20
"""Bytes of one member; members are read into memory one at a time."""

MAX_TOTAL = 64 * 2**30
"""Bytes of an archive once decompressed."""

_LEVEL = 6
_SLICE = 2048
"""Compressed bytes fed at once: each may become 64 times the largest zstd block, so a bomb cannot fill memory."""
_MAX_WINDOW = 2**27


class ArchiveDamaged(UsageError):
    """La copia está dañada o incompleta."""


def write_members(stream: BinaryIO, members: Iterable[tuple[str, bytes]]) -> None:
    """Write (name, content) pairs to `stream` as a compressed tar, with a checksum of the whole."""
    compressor = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True)
    with (
        compressor.stream_writer(stream, closefd=False) as compressed,
        tarfile.open(fileobj=compressed, mode="w|", format=tarfile.PAX_FORMAT) as tar,
    ):
        for name, content in members:
            if len(content) > MAX_MEMBER:
                raise UsageError(f"«{name}» ocupa {len(content)} bytes y en una copia caben {MAX_MEMBER}.")
            header = tarfile.TarInfo(name)
            header.size, header.mode = len(content), 0o644
            tar.addfile(header, io.BytesIO(content))


def read_members(path: Path) -> Iterator[tuple[str, bytes]]:
    """(name, content) of each member of `path`, in order, one in memory at a time.

    Raises `ArchiveDamaged` when the file is cut, altered so that its checksums fail, followed by anything, or holds
    links, devices, folders, repeated names or members over `MAX_MEMBER`; `UsageError` when it cannot be opened.
    """
    try:
        with path.open("rb") as file:
            yield from _members(path, file)
    except OSError as error:
        raise UsageError(f"No se puede leer la copia {path}: {error.strerror or error}.") from error


def _members(path: Path, file: BinaryIO) -> Iterator[tuple[str, bytes]]:
    seen: set[str] = set()
    plain = _Frame(file)
    try:
        with tarfile.open(fileobj=plain, mode="r|") as tar:
            for header in tar:
                if not header.isreg() or header.name in seen or not 0 <= header.size <= MAX_MEMBER:
                    raise ArchiveDamaged(f"{path}: la copia tiene un miembro no admitido («{header.name[:80]}»).")
                seen.add(header.name)
                content = tar.extractfile(header)
                yield header.name, content.read() if content else b""
        plain.finish()
    except (tarfile.TarError, zstandard.ZstdError, EOFError) as error:
        raise ArchiveDamaged(f"{path}: la copia está dañada o incompleta ({error}). Use otra copia.") from error


class _Frame(io.RawIOBase):
    """The content of a file that is one whole zstd frame and nothing else."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._frame = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW).decompressobj()
        self._ready = memoryview(b"")
        self._total = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """Raises `EOFError` when the frame is cut or too large."""
        while not self._ready and not self._frame.eof:
            piece = self._file.read(_SLICE)
            if not piece:
                raise EOFError("termina antes de tiempo")
            self._ready = memoryview(self._frame.decompress(piece))
            self._total += len(self._ready)
            if self._total > MAX_TOTAL:
                raise EOFError("es demasiado grande")
        target = memoryview(buffer).cast("B")
        size = min(len(target), len(self._ready))
        target[:size] = self._ready[:size]
        self._ready = self._ready[size:]
        return size

    def finish(self) -> None:
        """Raises `EOFError` unless only the tar's padding is left, the frame ends well and nothing follows it."""
        while rest := self.read(65536):
            if rest.strip(b"\0"):
                raise EOFError("hay datos después del final")
        if self._frame.unused_data or self._file.read(1):
            raise EOFError("hay datos después del final")
