"""One alias and the dated collections behind it: fill one beside, swap the alias, clear away the old."""

import re
import secrets
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from threading import RLock
from typing import Any

import numpy as np
from qdrant_client import QdrantClient, models
from qdrant_client.http.exceptions import ApiException, UnexpectedResponse

from core.errors import DependencyError
from core.knowledge import client as opening
from core.ports import Vectors

_PAGE = 256
_NO_COLLECTION = re.compile(r"Collection \S+ not found")
_STAMP = "%Y%m%d%H%M%S"
_ABANDONED_AFTER = timedelta(hours=6)
"""On a server another process may be filling a collection: only older ones are taken for leftovers."""


class KnowledgeMissing(DependencyError):
    """La base de conocimiento aún no existe. Ejecute `python batch.py` para crearla."""


class KnowledgeUnavailable(DependencyError):
    """La base de conocimiento no responde. Compruebe Qdrant (VECTOR_DB_URL) o el disco, y repita."""


@dataclass(frozen=True)
class Point:
    """What is stored under one id. `vectors`: name -> (width,) float32, empty where they were not asked for."""

    id: str
    payload: dict[str, Any]
    vectors: dict[str, Vectors] = field(default_factory=dict)


class Shelf:
    """The collections of one knowledge base. Safe to share among threads.

    Every method raises `KnowledgeUnavailable` when Qdrant fails, `KnowledgeMissing` when the collection is not there.
    """

    def __init__(self, client: QdrantClient, name: str) -> None:
        self.name = name
        self._client = client
        self._embedded = opening.is_embedded(client)
        self._ours = re.compile(rf"{re.escape(name)}_(\d{{14}})_[0-9a-f]{{8}}")
        # Qdrant in process is not thread-safe. A server is, but one lock costs little beside a request's time.
        self._lock = RLock()

    def beside(self, name: str) -> "Shelf":
        """Another knowledge base's collections over the same client, and under the same lock."""
        other = Shelf(self._client, name)
        other._lock = self._lock
        return other

    @contextmanager
    def _asking(self) -> Iterator[QdrantClient]:
        try:
            with self._lock:
                yield self._client
        except UnexpectedResponse as error:
            if error.status_code == 404:
                raise KnowledgeMissing from error
            raise KnowledgeUnavailable(f"Qdrant ha respondido {error.status_code}: {error.reason_phrase}.") from error
        except ApiException as error:
            raise KnowledgeUnavailable from error
        except ValueError as error:
            if _NO_COLLECTION.fullmatch(str(error)):  # how Qdrant in process says 404
                raise KnowledgeMissing from error
            raise
        except (sqlite3.Error, OSError, RuntimeError) as error:  # full disk, closed client
            raise KnowledgeUnavailable(f"La base de conocimiento falla: {error}.") from error

    def current(self) -> str | None:
        """The collection that serves; None before the first build."""
        with self._asking() as client:
            aliases = {alias.alias_name: alias.collection_name for alias in client.get_aliases().aliases}
            return aliases.get(self.name)

    def dimensions(self, collection: str) -> dict[str, int]:
        """Vector name -> width, as stored."""
        with self._asking() as client:
            vectors = client.get_collection(collection).config.params.vectors
        if not isinstance(vectors, dict):
            return {}
        return {name: params.size for name, params in vectors.items()}

    def create(self, dimensions: Mapping[str, int]) -> str:
        """A new empty collection for `publish` later; returns its name."""
        collection = f"{self.name}_{datetime.now(UTC):{_STAMP}}_{secrets.token_hex(4)}"
        vectors = {
            name: models.VectorParams(size=size, distance=models.Distance.COSINE) for name, size in dimensions.items()
        }
        with self._asking() as client:
            if self.name in {found.name for found in client.get_collections().collections}:
                raise DependencyError(
                    f"En Qdrant hay una colección llamada «{self.name}», que no es de este programa: es el nombre que "
                    "necesita para servir. Cámbiele el nombre o bórrela."
                )
            client.create_collection(collection, vectors_config=vectors)
            opening.faster_commits(client, collection)
        return collection

    def put(self, collection: str, points: Sequence[Point]) -> None:
        """Write points, replacing those with the same id."""
        structs = [
            models.PointStruct(id=p.id, payload=p.payload, vector={n: v.tolist() for n, v in p.vectors.items()})
            for p in points
        ]
        if structs:
            with self._asking() as client:
                client.upsert(collection, points=structs, wait=True)

    def remove(self, collection: str, ids: Sequence[str]) -> None:
        """Delete points by id."""
        if ids:
            with self._asking() as client:
                client.delete(collection, points_selector=models.PointIdsList(points=list(ids)), wait=True)

    def count(self, collection: str) -> int:
        """Exact number of points."""
        with self._asking() as client:
            return client.count(collection, exact=True).count

    def scroll(self, collection: str, *, vectors: bool = False) -> Iterator[Point]:
        """Every point, a page at a time."""
        offset: Any = None
        while True:
            with self._asking() as client:
                records, offset = client.scroll(
                    collection, limit=_PAGE, offset=offset, with_payload=True, with_vectors=vectors
                )
            yield from map(_point, records)
            if offset is None:
                return

    def retrieve(self, collection: str, ids: Sequence[str], *, vectors: bool = False) -> list[Point]:
        """The points among `ids` that exist, in no particular order."""
        with self._asking() as client:
            return [_point(r) for r in client.retrieve(collection, list(ids), with_payload=True, with_vectors=vectors)]

    def query(
        self, collection: str, vectors: Mapping[str, Vectors], limit: int, field_names: Sequence[str]
    ) -> dict[str, list[tuple[Point, float]]]:
        """Per named vector the nearest points and their cosines, best first; payload cut to `field_names`."""
        requests = [
            models.QueryRequest(
                query=models.NearestQuery(nearest=np.asarray(vector, np.float32).reshape(-1).tolist()),
                using=name,
                limit=limit,
                with_payload=list(field_names),
            )
            for name, vector in vectors.items()
        ]
        with self._asking() as client:
            answers = client.query_batch_points(collection, requests=requests)
        return {
            name: [(Point(str(hit.id), hit.payload or {}), float(hit.score)) for hit in answer.points]
            for name, answer in zip(vectors, answers, strict=True)
        }

    def publish(self, collection: str) -> None:
        """Make `collection` the one that serves, in one operation, then clear away what served before."""
        with self._asking() as client:
            old = self.current()
            swap: list[Any] = []
            if old is not None:
                swap.append(models.DeleteAliasOperation(delete_alias=models.DeleteAlias(alias_name=self.name)))
            create = models.CreateAlias(collection_name=collection, alias_name=self.name)
            swap.append(models.CreateAliasOperation(create_alias=create))
            client.update_collection_aliases(change_aliases_operations=swap)
            # Before the old one goes: an index recovered after a power cut must not point at it.
            opening.remember_meta(client)
            if old is not None and old != collection:
                self.discard(old)
            self.sweep()

    def discard(self, collection: str) -> None:
        """Delete a collection that does not serve."""
        with self._asking() as client:
            client.delete_collection(collection)
            opening.drop_folder(client, collection)

    def sweep(self) -> None:
        """Delete what builds killed half-way left behind."""
        with self._asking() as client:
            serving = self.current()
            known = {found.name for found in client.get_collections().collections}
            for collection in self._leftovers(known - {serving}):
                self.discard(collection)
            for folder in self._leftovers(opening.folders(client) - known):
                opening.drop_folder(client, folder)
            opening.remember_meta(client)

    def _leftovers(self, collections: Iterable[str]) -> list[str]:
        """Those among `collections` that are ours and that nobody is filling."""
        limit = datetime.now(UTC) - _ABANDONED_AFTER
        found = []
        for collection in collections:
            match = self._ours.fullmatch(collection)
            if match and (self._embedded or match[1] < limit.strftime(_STAMP)):
                found.append(collection)
        return sorted(found)


def _point(record: models.Record) -> Point:
    vectors = record.vector if isinstance(record.vector, dict) else {}
    arrays = {name: np.asarray(vector, np.float32) for name, vector in vectors.items()}
    return Point(str(record.id), dict(record.payload or {}), arrays)
