"""What is stored of one kind, as it is asked: everything, the nearest, one as it is now."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Generic, Protocol, TypeVar

from qdrant_client import QdrantClient

from core.errors import DependencyError, Retryable
from core.knowledge.shelf import KnowledgeMissing, KnowledgeUnavailable, Point, Shelf
from core.ports import Embedder, Vectors
from core.reason import Reason


class Stored(Protocol):
    """What is read back of a point."""

    @property
    def embedder(self) -> str:
        """Version of the embedder whose vectors are stored."""
        ...


S = TypeVar("S", bound=Stored)


class Collection(Generic[S]):
    """One alias in Qdrant, embedded or served, and what its points are. Safe to share among threads.

    While building and loading, errors are `DependencyError`; while serving they are `Retryable(KNOWLEDGE_UNAVAILABLE)`.
    """

    missing = "La base de conocimiento aún no existe. Ejecute `python batch.py` para crearla."
    outdated = "La base de conocimiento se creó con otro modelo de vectores. Ejecute `python batch.py` para rehacerla."

    def __init__(
        self, where: QdrantClient | Shelf, embedder: Embedder, name: str, from_point: Callable[[Point], S]
    ) -> None:
        """`where`: a client, or the shelf of another collection over the same one."""
        self.embedder = embedder
        self.shelf = where.beside(name) if isinstance(where, Shelf) else Shelf(where, name)
        self._from_point = from_point

    def stored(self) -> dict[str, S]:
        """Everything by id, whatever embedder it was stored with; nothing before the first build."""
        collection = self.shelf.current()
        if collection is None:
            return {}
        return {point.id: self._from_point(point) for point in self.shelf.scroll(collection)}

    def entries(self) -> dict[str, S]:
        """Everything by id, in the order of the ids: what a lexical index is built from.

        Raises `KnowledgeMissing` before the first build, `DependencyError` when it was built with another embedder.
        """
        found = self.stored()
        if not found:
            raise KnowledgeMissing(self.missing)
        if {entry.embedder for entry in found.values()} != {self.embedder.version}:
            raise DependencyError(self.outdated)
        return dict(sorted(found.items()))

    def get(self, entry_id: str) -> S | None:
        """The entry as Qdrant has it now; None when it is no longer there."""
        with self._serving():
            found = self.shelf.retrieve(self.shelf.name, [entry_id])
            return self._from_point(found[0]) if found else None

    def read(self, point: Point) -> S:
        """A point of the shelf as what it stands for."""
        return self._from_point(point)

    def nearest(self, vectors: Mapping[str, Vectors], limit: int) -> dict[str, list[tuple[str, float]]]:
        """Per named vector ((width,) float32 each) up to `limit` (entry id, cosine), best first; one request."""
        with self._serving():
            found = self.shelf.query(self.shelf.name, vectors, limit, ["embedder"])
            self._check_version(point for hits in found.values() for point, _ in hits)
            return {name: [(point.id, cosine) for point, cosine in hits] for name, hits in found.items()}

    def vectors(self, ids: Sequence[str]) -> dict[str, dict[str, Vectors]]:
        """Entry id -> vector name -> (width,) float32 of length 1; ids that are not there are left out."""
        if not ids:
            return {}
        with self._serving():
            points = self.shelf.retrieve(self.shelf.name, ids, vectors=True)
            self._check_version(points)
        return {point.id: point.vectors for point in points}

    def _check_version(self, points: Iterable[Point]) -> None:
        """Another process may have rebuilt it with other vectors: cosines across two embedders mean nothing."""
        if any(point.payload.get("embedder") != self.embedder.version for point in points):
            raise KnowledgeUnavailable("La base de conocimiento ha cambiado de modelo de vectores: reinicie la orden.")

    @contextmanager
    def _serving(self) -> Iterator[None]:
        try:
            yield
        except DependencyError as error:
            if isinstance(error, KnowledgeMissing):
                raise
            raise Retryable(Reason.KNOWLEDGE_UNAVAILABLE, str(error)) from error
