"""Backups: every point with vectors and payload, and the catalogue, in one compressed file that proves itself whole."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np

from core.archive import write_members
from core.backup_file import CATALOGUE, ContentSum, Manifest, Progress, Reader, Writer
from core.errors import DependencyError, UsageError
from core.files import atomic_writer, write_fresh, write_whole
from core.knowledge import KnowledgeMissing, KnowledgeUnavailable, Point, Shelf

_VECTOR_TOLERANCE = 1e-5
"""Qdrant makes vectors of length 1 again when it stores them: the last bits may move."""


class Restored(NamedTuple):
    """What a restore put in place, and where the catalogue files that were there are now."""

    manifest: Manifest
    collection: str
    saved: tuple[Path, ...]


def create_backup(
    shelf: Shelf, files: Sequence[Path], path: Path, *, now: datetime, progress: Progress | None = None
) -> Manifest:
    """Write what serves now, and those of the catalogue's `files` that exist, to `path`, whole or not at all.

    Raises `KnowledgeMissing` when there is nothing to save, `UsageError` when `path` exists, `DependencyError` when
    Qdrant or the disk fails, or the knowledge base changes meanwhile.
    """
    collection = shelf.current()
    if collection is None:
        raise KnowledgeMissing
    if path.exists():
        raise UsageError(f"{path} ya existe. Elija otro nombre: una copia no se escribe sobre otra.")
    writer = Writer(shelf, collection, now, progress)
    with atomic_writer(path) as stream:
        write_members(stream, writer.members([file for file in files if file.is_file()]))
    return writer.manifest()


def verify_backup(path: Path) -> Manifest:
    """Read all of `path` and check every sum, count and vector in it. Raises `ArchiveDamaged` (a `UsageError`)."""
    reader = Reader(path)
    for _ in reader.chunks():
        pass
    return reader.manifest


def restore_backup(
    shelf: Shelf,
    path: Path,
    *,
    files: Sequence[Path] = (),
    now: datetime,
    progress: Progress | None = None,
) -> Restored:
    """Put the points of `path` into a new collection, check them as read back, and make it the one that serves.

    Of the catalogue, those `files` whose names the backup has are put back too; the present ones are saved beside
    them first. Until the last moment, and after any failure or kill, what served goes on serving.
    """
    expected = verify_backup(path)
    reader = Reader(path)
    collection = shelf.create(expected.vectores)
    try:
        done = 0
        for points in reader.chunks():
            shelf.put(collection, points)
            _check_stored(shelf, collection, points)
            done += len(points)
            if progress:
                progress(done, expected.puntos)
        if reader.manifest != expected or _content(shelf, collection) != (expected.puntos, expected.contenido):
            raise DependencyError("Lo restaurado no coincide con la copia: no se ha cambiado nada. Repita la orden.")
        saved = tuple(_save_beside(file, now) for file in files if file.name in reader.files and file.is_file())
        shelf.publish(collection)
    except BaseException:  # Ctrl-C too: what is half-restored must not stay; the error goes on
        if shelf.current() != collection:
            with suppress(KnowledgeUnavailable):
                shelf.discard(collection)
        raise
    for file in files:
        if file.name in reader.files:
            write_whole(file, reader.files[file.name])
    return Restored(expected, collection, saved)


def described(manifest: Manifest) -> str:
    """One line for the terminal."""
    vectors = ", ".join(f"{name} ({width})" for name, width in manifest.vectores.items())
    files = sum(member.nombre.startswith(CATALOGUE) for member in manifest.miembros)
    return (
        f"{manifest.puntos} puntos, vectores {vectors}, {files} ficheros del catálogo, hecha el {manifest.fecha}, "
        f"sello SHA-256 {manifest.sello}."
    )


def _content(shelf: Shelf, collection: str) -> tuple[int, str]:
    found = ContentSum()
    for point in shelf.scroll(collection):
        found.add(point)
    return found.count, found.hexadecimal()


def _check_stored(shelf: Shelf, collection: str, points: Sequence[Point]) -> None:
    stored: Mapping[str, Point] = {
        point.id: point for point in shelf.retrieve(collection, [point.id for point in points], vectors=True)
    }
    for point in points:
        back = stored.get(point.id)
        if back is None or not all(
            np.allclose(back.vectors.get(name, np.nan), vector, atol=_VECTOR_TOLERANCE)
            for name, vector in point.vectors.items()
        ):
            raise DependencyError(f"Qdrant no ha guardado bien el punto {point.id}: no se ha cambiado nada.")


def _save_beside(file: Path, now: datetime) -> Path:
    return write_fresh(file.with_name(f"{file.stem}.antes_{now:%Y%m%d_%H%M}{file.suffix}"), file.read_bytes())
