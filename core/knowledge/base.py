"""The catalogue as the pipeline asks it: every entry, the nearest ones, one entry as it is now."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from qdrant_client import QdrantClient

from core.catalogue import CatalogueEntry
from core.errors import DependencyError, Retryable, UsageError
from core.knowledge import build as building
from core.knowledge.build import BuildReport, Progress
from core.knowledge.entry import KnownEntry, Scrub, from_point, prepare
from core.knowledge.shelf import KnowledgeMissing, KnowledgeUnavailable, Point, Shelf
from core.ports import Embedder, Vectors
from core.reason import Reason


def _unchanged(text: str) -> str:
    return text


class KnowledgeBase:
    """The catalogue in Qdrant, embedded or served. Safe to share among threads.

    `scrub` takes personal data out of a text: nothing is embedded or stored that did not go through it.
    While building and loading, errors are `DependencyError`; while serving they are `Retryable(KNOWLEDGE_UNAVAILABLE)`.
    """

    def __init__(
        self, client: QdrantClient, embedder: Embedder, name: str = "problemas_globales", *, scrub: Scrub = _unchanged
    ) -> None:
        self.embedder = embedder
        self.shelf = Shelf(client, name)
        self._scrub = scrub

    def prepared(self, entry: CatalogueEntry) -> KnownEntry:
        """`entry` as it would be stored: without personal data, with the text to embed and its hash."""
        return prepare(entry, self._scrub, self.embedder.version)

    def clean(self, text: str) -> str:
        """`text` without personal data."""
        return self._scrub(text)

    def build(
        self, entries: Iterable[CatalogueEntry], *, full: bool = False, progress: Progress | None = None
    ) -> BuildReport:
        """Make the knowledge base hold exactly `entries`; a kill at any moment leaves the one before serving.

        Raises `UsageError` without entries: that would empty it.
        """
        rows = {row.id: row for row in map(self.prepared, entries)}
        if not rows:
            raise UsageError("No hay ninguna fila que guardar: la base de conocimiento se queda como estaba.")
        return building.build(self.shelf, self.embedder, rows, full=full, progress=progress)

    def stored(self) -> dict[str, KnownEntry]:
        """Every entry by id, whatever embedder it was stored with; nothing before the first build."""
        collection = self.shelf.current()
        if collection is None:
            return {}
        return {point.id: from_point(point) for point in self.shelf.scroll(collection)}

    def entries(self) -> dict[str, KnownEntry]:
        """Every entry by id, in the order of their ids: what a lexical index is built from.

        Raises `KnowledgeMissing` before the first build, `DependencyError` when it was built with another embedder.
        """
        found = self.stored()
        if not found:
            raise KnowledgeMissing
        if {entry.embedder for entry in found.values()} != {self.embedder.version}:
            raise DependencyError(
                "La base de conocimiento se creó con otro modelo de vectores. Ejecute `python batch.py` para rehacerla."
            )
        return dict(sorted(found.items()))

    def mailboxes(self) -> frozenset[str]:
        """Every mailbox that the catalogue names."""
        return frozenset(entry.mailbox for entry in self.entries().values() if entry.mailbox)

    def get(self, entry_id: str) -> KnownEntry | None:
        """The entry as Qdrant has it now; None when it is no longer there."""
        with self._serving():
            found = self.shelf.retrieve(self.shelf.name, [entry_id])
            return from_point(found[0]) if found else None

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
