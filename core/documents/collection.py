"""The documents' pieces in Qdrant: a collection of their own, changed file by file."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from qdrant_client import QdrantClient

from core.documents.pieces import Piece, from_point
from core.knowledge import Collection
from core.knowledge import build as building
from core.knowledge.build import Progress
from core.ports import Embedder


@dataclass(frozen=True)
class Held:
    """What is stored of one document."""

    hashes: frozenset[str]
    """Of its pieces; more than one where a change was cut short."""
    ids: tuple[str, ...]
    of: int
    source: str

    def whole(self, document_hash: str) -> bool:
        """Whether this is exactly the document with that hash."""
        return self.hashes == {document_hash} and len(self.ids) == self.of


class DocumentBase(Collection[Piece]):
    """The pieces of every document loaded. Writing raises `DependencyError`.

    A document is put in place piece by piece: one cut short half-way is seen as such, and put in place again.
    """

    missing = "No hay ningún documento cargado. Ejecute `python batch.py --documentos DIR`."
    outdated = (
        "Los documentos se cargaron con otro modelo de vectores. Ejecute `python batch.py --reindexar` para rehacerlos."
    )

    def __init__(self, client: QdrantClient, embedder: Embedder, name: str = "documentos") -> None:
        super().__init__(client, embedder, name, from_point)

    def exists(self) -> bool:
        """Whether anything was ever loaded."""
        collection = self.shelf.current()
        return collection is not None and self.shelf.count(collection) > 0

    def held(self) -> dict[str, Held]:
        """What is stored, by document."""
        grouped: dict[str, list[Piece]] = defaultdict(list)
        for piece in self.stored().values():
            grouped[piece.document].append(piece)
        return {
            document: Held(
                frozenset(p.document_hash for p in pieces),
                tuple(p.id for p in pieces),
                pieces[0].of,
                pieces[0].source,
            )
            for document, pieces in grouped.items()
        }

    def outdated_vectors(self) -> bool:
        """Whether what is stored was embedded otherwise."""
        serving = self.shelf.current()
        if serving is None:
            return False
        stored = {point.id: point.payload for point in self.shelf.scroll(serving)}
        return building.other_vectors(self.shelf, serving, self.embedder, stored)

    def open(self) -> str:
        """The collection that serves, made empty where there is none."""
        serving = self.shelf.current()
        if serving is None:
            serving = self.shelf.create(self.embedder.dimensions)
            self.shelf.publish(serving)
        return serving

    def put(self, pieces: Sequence[Piece], progress: Progress | None = None) -> None:
        """Embed and write pieces, in place of those with their ids."""
        building.fill(self.shelf, self.open(), self.embedder, pieces, progress)

    def remove(self, ids: Iterable[str]) -> None:
        """Delete pieces."""
        self.shelf.remove(self.open(), sorted(ids))

    def replace_all(self, pieces: Sequence[Piece], progress: Progress | None = None) -> None:
        """Embed everything anew beside what serves, then put it in its place."""
        building.rebuild(self.shelf, self.embedder, pieces, progress)
