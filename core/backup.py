"""Backups: every point with vectors and payload, of the knowledge base and of what was loaded beside it, and the
catalogue, in one compressed file that proves itself whole."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np

from core.archive import write_members
from core.backup_file import CATALOGUE, ContentSum, Manifest, Progress, Reader, Source, Writer
from core.errors import DependencyError, UsageError
from core.files import atomic_writer, write_fresh, write_whole
from core.knowledge import KnowledgeMissing, KnowledgeUnavailable, Point, Shelf

BESIDE = ("documentos", "llamadas")
"""Collections beside the knowledge base that are saved with it."""
_VECTOR_TOLERANCE = 1e-5
"""Qdrant makes vectors of length 1 again when it stores them: the last bits may move."""


class Restored(NamedTuple):
    """What a restore put in place, and where the catalogue files that were there are now."""

    manifest: Manifest
    collection: str
    saved: tuple[Path, ...]


def create_backup(
    shelf: Shelf,
    files: Sequence[Path],
    path: Path,
    *,
    now: datetime,
    others: Sequence[Shelf] = (),
    progress: Progress | None = None,
) -> Manifest:
    """Write what serves now, in `shelf` and in those of `others` that have something, and those of the catalogue's
    `files` that exist, to `path`, whole or not at all.

    Raises `KnowledgeMissing` when there is nothing to save, `UsageError` when `path` exists, `DependencyError` when
    Qdrant or the disk fails, or a collection changes meanwhile.
    """
    collection = shelf.current()
    if collection is None:
        raise KnowledgeMissing
    if path.exists():
        raise UsageError(f"{path} ya existe. Elija otro nombre: una copia no se escribe sobre otra.")
    sources = [Source("", shelf, collection)]
    sources += [Source(other.name, other, serving) for other in others if (serving := other.current()) is not None]
    writer = Writer(sources, now, progress)
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
    others: Sequence[Shelf] = (),
    progress: Progress | None = None,
) -> Restored:
    """Put the points of `path` into new collections, check them as read back, and make these the ones that serve.

    Of the catalogue, those `files` whose names the backup has are put back too; the present ones are saved beside
    them first. Until the last moment, and after any failure or kill, what served goes on serving; each collection is
    swapped in one operation, the knowledge base last. Those that the backup does not have stay as they are.
    """
    expected = verify_backup(path)
    shelves = {"": shelf} | {other.name: other for other in others}
    if unknown := expected.held().keys() - shelves.keys():
        raise UsageError(
            f"{path} tiene colecciones que aquí no se conocen: {', '.join(sorted(unknown))}. No se ha cambiado nada; "
            "use la versión del programa que hizo la copia."
        )
    reader = Reader(path)
    new: dict[str, str] = {}
    try:
        _fill(reader, expected, shelves, new, progress)
        saved = tuple(_save_beside(file, now) for file in files if file.name in reader.files and file.is_file())
        for name in sorted(new, reverse=True):
            shelves[name].publish(new[name])
    except BaseException:  # Ctrl-C too: what is half-restored must not stay; the error goes on
        for name, collection in new.items():
            with suppress(KnowledgeUnavailable):
                if shelves[name].current() != collection:
                    shelves[name].discard(collection)
        raise
    for file in files:
        if file.name in reader.files:
            write_whole(file, reader.files[file.name])
    return Restored(expected, new[""], saved)


def _fill(
    reader: Reader, expected: Manifest, shelves: Mapping[str, Shelf], new: dict[str, str], progress: Progress | None
) -> None:
    """Put all that a backup holds into `new` collections (name -> collection, made here) and check it as read back."""
    held = expected.held()
    for name, one in held.items():
        new[name] = shelves[name].create(one.vectores)
    total, done = sum(one.puntos for one in held.values()), 0
    for name, points in reader.chunks():
        shelves[name].put(new[name], points)
        _check_stored(shelves[name], new[name], points)
        done += len(points)
        if progress:
            progress(done, total)
    whole = all(_content(shelves[name], new[name]) == (one.puntos, one.contenido) for name, one in held.items())
    if reader.manifest != expected or not whole:
        raise DependencyError("Lo restaurado no coincide con la copia: no se ha cambiado nada. Repita la orden.")


def described(manifest: Manifest) -> str:
    """One line for the terminal."""
    vectors = ", ".join(f"{name} ({width})" for name, width in manifest.vectores.items())
    files = sum(member.nombre.startswith(CATALOGUE) for member in manifest.miembros)
    others = "".join(f" y {one.puntos} de {one.nombre}" for one in manifest.colecciones)
    return (
        f"{manifest.puntos} puntos{others}, vectores {vectors}, {files} ficheros del catálogo, hecha el "
        f"{manifest.fecha}, sello SHA-256 {manifest.sello}."
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
