"""The format of a backup: chunks of points, the catalogue's files, and a manifest that sums them all up."""

import base64
import binascii
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from core.archive import ArchiveDamaged, read_members
from core.errors import DependencyError
from core.knowledge import Point, Shelf

Progress = Callable[[int, int], None]
"""(points done, points in all)"""

_MANIFEST = "manifiesto.json"
_POINTS = "puntos/"
_CHUNK = 200
_MODULUS = 2**256
CATALOGUE = "catalogo/"
"""Folder of the catalogue's files inside a backup."""


class Member(BaseModel):
    """One member of the archive and what it must contain."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    nombre: str
    bytes: int
    sha256: str


class Manifest(BaseModel):
    """What a backup holds. It is the last member; `sello` is the SHA-256 of everything else in it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    formato: Literal[1] = 1
    fecha: str
    puntos: int
    vectores: dict[str, int]
    version_vectores: tuple[str, ...]
    contenido: str
    """Sum modulo 2^256 of the SHA-256 of each point's id and payload, in hexadecimal: the same in any order."""
    miembros: tuple[Member, ...]
    sello: str = ""

    def sealed(self) -> "Manifest":
        """The same with its own seal."""
        content = self.model_dump(mode="json", exclude={"sello"})
        return self.model_copy(update={"sello": hashlib.sha256(_canonical(content)).hexdigest()})


class Writer:
    """The members of one backup, in order, summed up as they go."""

    def __init__(self, shelf: Shelf, collection: str, now: datetime, progress: Progress | None) -> None:
        self._shelf, self._collection, self._now, self._progress = shelf, collection, now, progress
        self._members: list[Member] = []
        self._sum = ContentSum()
        self._versions: set[str] = set()

    def members(self, files: Sequence[Path]) -> Iterator[tuple[str, bytes]]:
        total = self._shelf.count(self._collection)
        points = self._shelf.scroll(self._collection, vectors=True)
        number = 0
        while chunk := list(islice(points, _CHUNK)):
            number += 1
            yield self._noted(f"{_POINTS}{number:06d}.jsonl", b"".join(map(self._line, chunk)))
            if self._progress:
                self._progress(self._sum.count, total)
        if self._sum.count != total or self._shelf.current() != self._collection:
            raise DependencyError("La base de conocimiento ha cambiado mientras se copiaba. Repita la orden.")
        for file in files:
            yield self._noted(CATALOGUE + file.name, file.read_bytes())
        yield _MANIFEST, self.manifest().model_dump_json(indent=2).encode()

    def manifest(self) -> Manifest:
        return Manifest(
            fecha=self._now.isoformat(timespec="seconds"),
            puntos=self._sum.count,
            vectores=self._shelf.dimensions(self._collection),
            version_vectores=tuple(sorted(self._versions)),
            contenido=self._sum.hexadecimal(),
            miembros=tuple(self._members),
        ).sealed()

    def _line(self, point: Point) -> bytes:
        self._sum.add(point)
        self._versions.add(str(point.payload.get("embedder", "")))
        vectors = {name: base64.b64encode(v.astype("<f4").tobytes()).decode() for name, v in point.vectors.items()}
        return _canonical({"id": point.id, "payload": point.payload, "vectors": vectors}) + b"\n"

    def _noted(self, name: str, content: bytes) -> tuple[str, bytes]:
        digest = hashlib.sha256(content).hexdigest()
        self._members.append(Member(nombre=name, bytes=len(content), sha256=digest))
        return name, content


class Reader:
    """One pass over a backup: its points in chunks; when they are through, all of it has been checked."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._sum = ContentSum()
        self._widths: dict[str, int] | None = None
        self.files: dict[str, bytes] = {}
        self.manifest: Manifest

    def chunks(self) -> Iterator[list[Point]]:
        found: list[Member] = []
        content = b""
        for name, content in read_members(self._path):
            if found and found[-1].nombre == _MANIFEST:
                raise self._damaged("hay datos después del manifiesto")
            found.append(Member(nombre=name, bytes=len(content), sha256=hashlib.sha256(content).hexdigest()))
            if name.startswith(_POINTS):
                yield [self._point(line) for line in content.splitlines()]
            elif name.startswith(CATALOGUE):
                self.files[name.removeprefix(CATALOGUE)] = content
            elif name != _MANIFEST:
                raise self._damaged(f"tiene un miembro desconocido («{name[:80]}»)")
        if not found or found[-1].nombre != _MANIFEST:
            raise self._damaged("no tiene manifiesto")
        self._check(content, tuple(found[:-1]))

    def _check(self, content: bytes, found: tuple[Member, ...]) -> None:
        try:
            self.manifest = Manifest.model_validate_json(content)
        except ValidationError as error:
            raise self._damaged("el manifiesto no se puede leer o es de otra versión") from error
        manifest = self.manifest
        if manifest != manifest.sealed() or manifest.miembros != found:
            raise self._damaged("las sumas SHA-256 no coinciden")
        if (manifest.puntos, manifest.contenido) != (self._sum.count, self._sum.hexadecimal()):
            raise self._damaged("los puntos no son los que dice el manifiesto")
        if self._widths is not None and self._widths != manifest.vectores:
            raise self._damaged("los vectores no miden lo que dice el manifiesto")

    def _point(self, line: bytes) -> Point:
        try:
            raw = json.loads(line)
            vectors = {name: np.frombuffer(base64.b64decode(v), "<f4") for name, v in raw["vectors"].items()}
            point = Point(str(raw["id"]), dict(raw["payload"]), vectors)
        except (ValueError, TypeError, KeyError, AttributeError, binascii.Error) as error:
            raise self._damaged("hay un punto ilegible") from error
        widths = {name: len(vector) for name, vector in vectors.items()}
        if widths != (self._widths or widths) or not all(np.isfinite(v).all() for v in vectors.values()):
            raise self._damaged(f"los vectores del punto {point.id} no son como los demás")
        self._widths = widths
        self._sum.add(point)
        return point

    def _damaged(self, what: str) -> ArchiveDamaged:
        return ArchiveDamaged(f"{self._path}: la copia está dañada o alterada: {what}. Use otra copia.")


class ContentSum:
    """How many points, and a sum of their contents that does not depend on their order."""

    def __init__(self) -> None:
        self.count = 0
        self._total = 0

    def add(self, point: Point) -> None:
        self.count += 1
        digest = hashlib.sha256(_canonical([point.id, point.payload])).digest()
        self._total = (self._total + int.from_bytes(digest)) % _MODULUS

    def hexadecimal(self) -> str:
        return f"{self._total:064x}"


def _canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
