"""The format of a backup: chunks of points, the catalogue's files, and a manifest that sums them all up."""

import base64
import binascii
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from core.archive import ArchiveDamaged, read_members
from core.errors import DependencyError
from core.knowledge import Point, Shelf

Progress = Callable[[int, int], None]
"""(points done, points in all)"""

_MANIFEST = "manifiesto.json"
_POINTS = "puntos/"
_OTHERS = "colecciones/"
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


class Held(BaseModel):
    """What is held of one collection."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    puntos: int
    vectores: dict[str, int]
    version_vectores: tuple[str, ...]
    contenido: str
    """Sum modulo 2^256 of the SHA-256 of each point's id and payload, in hexadecimal: the same in any order."""


class HeldBeside(Held):
    """A collection beside the knowledge base."""

    nombre: str = Field(pattern=r"^[a-z_]{1,40}$")


class Manifest(Held):
    """What a backup holds: the knowledge base, and other collections beside it from format 2 on. It is the last member;
    `sello` is the SHA-256 of everything else in it."""

    formato: Literal[1, 2] = 1
    fecha: str
    colecciones: tuple[HeldBeside, ...] = ()
    miembros: tuple[Member, ...]
    sello: str = ""

    def sealed(self) -> "Manifest":
        """The same with its own seal."""
        content = self.model_dump(mode="json", exclude={"sello"} | self._unknown)
        return self.model_copy(update={"sello": hashlib.sha256(_canonical(content)).hexdigest()})

    def written(self) -> bytes:
        """As it stands in the file."""
        return self.model_dump_json(indent=2, exclude=self._unknown).encode()

    @property
    def _unknown(self) -> set[str]:
        """Fields that its format does not have."""
        return {"colecciones"} if self.formato == 1 else set()

    def held(self) -> dict[str, Held]:
        """By the name of the collection; the knowledge base under none."""
        fields = {name: getattr(self, name) for name in Held.model_fields}
        return {"": Held(**fields)} | {one.nombre: one for one in self.colecciones}

    @model_validator(mode="after")
    def _as_its_format(self) -> "Manifest":
        names = [one.nombre for one in self.colecciones]
        if len(set(names)) < len(names) or (names and self.formato == 1):
            raise ValueError("colecciones")
        return self


@dataclass(frozen=True)
class Source:
    """A collection that is saved; `name` is empty for the knowledge base."""

    name: str
    shelf: Shelf
    collection: str


class Writer:
    """The members of one backup, in order, summed up as they go."""

    def __init__(self, sources: Sequence[Source], now: datetime, progress: Progress | None) -> None:
        self._sources, self._now, self._progress = sources, now, progress
        self._members: list[Member] = []
        self._sums = {source.name: ContentSum() for source in sources}

    def members(self, files: Sequence[Path]) -> Iterator[tuple[str, bytes]]:
        totals = [source.shelf.count(source.collection) for source in self._sources]
        for source, total in zip(self._sources, totals, strict=True):
            for name, content in self._points(source, sum(totals)):
                yield self._noted(name, content)
            if self._sums[source.name].count != total or source.shelf.current() != source.collection:
                raise DependencyError("La base de conocimiento ha cambiado mientras se copiaba. Repita la orden.")
        for file in files:
            yield self._noted(CATALOGUE + file.name, file.read_bytes())
        yield _MANIFEST, self.manifest().written()

    def _points(self, source: Source, total: int) -> Iterator[tuple[str, bytes]]:
        points = source.shelf.scroll(source.collection, vectors=True)
        folder = f"{_OTHERS}{source.name}/" if source.name else _POINTS
        number = 0
        while chunk := list(islice(points, _CHUNK)):
            number += 1
            yield f"{folder}{number:06d}.jsonl", b"".join(self._line(source.name, point) for point in chunk)
            if self._progress:
                self._progress(sum(one.count for one in self._sums.values()), total)

    def manifest(self) -> Manifest:
        held = {source.name: self._held(source) for source in self._sources}
        others = tuple(HeldBeside(nombre=name, **one) for name, one in held.items() if name)
        return Manifest(
            formato=2 if others else 1,
            fecha=self._now.isoformat(timespec="seconds"),
            colecciones=others,
            miembros=tuple(self._members),
            **held[""],
        ).sealed()

    def _held(self, source: Source) -> dict[str, Any]:
        sums = self._sums[source.name]
        return {
            "puntos": sums.count,
            "vectores": source.shelf.dimensions(source.collection),
            "version_vectores": tuple(sorted(sums.versions)),
            "contenido": sums.hexadecimal(),
        }

    def _line(self, name: str, point: Point) -> bytes:
        self._sums[name].add(point)
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
        self._sums = {"": ContentSum()}
        self.files: dict[str, bytes] = {}
        self.manifest: Manifest

    def chunks(self) -> Iterator[tuple[str, list[Point]]]:
        """(name of the collection, empty for the knowledge base; points)"""
        found: list[Member] = []
        content = b""
        for name, content in read_members(self._path):
            if found and found[-1].nombre == _MANIFEST:
                raise self._damaged("hay datos después del manifiesto")
            found.append(Member(nombre=name, bytes=len(content), sha256=hashlib.sha256(content).hexdigest()))
            if name.startswith(_POINTS):
                yield "", [self._point("", line) for line in content.splitlines()]
            elif name.startswith(_OTHERS):
                beside = name.removeprefix(_OTHERS).partition("/")[0]
                yield beside, [self._point(beside, line) for line in content.splitlines()]
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
        held = manifest.held()
        if not self._sums.keys() <= held.keys():
            raise self._damaged("tiene colecciones que no están en el manifiesto")
        for name, one in held.items():
            sums = self._sums.get(name, ContentSum())
            if (one.puntos, one.contenido) != (sums.count, sums.hexadecimal()):
                raise self._damaged("los puntos no son los que dice el manifiesto")
            if sums.widths is not None and sums.widths != one.vectores:
                raise self._damaged("los vectores no miden lo que dice el manifiesto")

    def _point(self, name: str, line: bytes) -> Point:
        try:
            raw = json.loads(line)
            vectors = {name: np.frombuffer(base64.b64decode(v), "<f4") for name, v in raw["vectors"].items()}
            point = Point(str(raw["id"]), dict(raw["payload"]), vectors)
        except (ValueError, TypeError, KeyError, AttributeError, binascii.Error) as error:
            raise self._damaged("hay un punto ilegible") from error
        sums = self._sums.setdefault(name, ContentSum())
        widths = {name: len(vector) for name, vector in vectors.items()}
        if widths != (sums.widths or widths) or not all(np.isfinite(v).all() for v in vectors.values()):
            raise self._damaged(f"los vectores del punto {point.id} no son como los demás")
        sums.add(point)
        return point

    def _damaged(self, what: str) -> ArchiveDamaged:
        return ArchiveDamaged(f"{self._path}: la copia está dañada o alterada: {what}. Use otra copia.")


class ContentSum:
    """How many points, how they were embedded, and a sum of their contents that does not depend on their order."""

    def __init__(self) -> None:
        self.count = 0
        self.versions: set[str] = set()
        self.widths: dict[str, int] | None = None
        """Of the vectors of the last point, where it came with some."""
        self._total = 0

    def add(self, point: Point) -> None:
        self.count += 1
        self.versions.add(str(point.payload.get("embedder", "")))
        self.widths = {name: len(vector) for name, vector in point.vectors.items()}
        digest = hashlib.sha256(_canonical([point.id, point.payload])).digest()
        self._total = (self._total + int.from_bytes(digest)) % _MODULUS

    def hexadecimal(self) -> str:
        return f"{self._total:064x}"


def _canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
