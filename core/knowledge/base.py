"""The catalogue as the pipeline asks it: every entry, the nearest ones, one entry as it is now."""

from collections.abc import Iterable

from qdrant_client import QdrantClient

from core.catalogue import CatalogueEntry
from core.errors import UsageError
from core.knowledge import build as building
from core.knowledge.build import BuildReport, Progress
from core.knowledge.collection import Collection
from core.knowledge.entry import KnownEntry, Scrub, from_point, prepare
from core.ports import Embedder


def _unchanged(text: str) -> str:
    return text


class KnowledgeBase(Collection[KnownEntry]):
    """The catalogue in Qdrant.

    `scrub` takes personal data out of a text: nothing is embedded or stored that did not go through it.
    """

    def __init__(
        self, client: QdrantClient, embedder: Embedder, name: str = "problemas_globales", *, scrub: Scrub = _unchanged
    ) -> None:
        super().__init__(client, embedder, name, from_point)
        self._scrub = scrub

    def prepared(self, entry: CatalogueEntry, *, among_told: bool = False) -> KnownEntry:
        """`entry` as it would be stored: without personal data, with the text to embed and its hash."""
        return prepare(entry, self._scrub, self.embedder.version, among_told=among_told)

    def clean(self, text: str) -> str:
        """`text` without personal data."""
        return self._scrub(text)

    def build(
        self, entries: Iterable[CatalogueEntry], *, full: bool = False, progress: Progress | None = None
    ) -> BuildReport:
        """Make the knowledge base hold exactly `entries`; a kill at any moment leaves the one before serving.

        Raises `UsageError` without entries: that would empty it.
        """
        given = list(entries)
        told = any(entry.examples for entry in given)
        rows = {row.id: row for row in (self.prepared(entry, among_told=told) for entry in given)}
        if not rows:
            raise UsageError("No hay ninguna fila que guardar: la base de conocimiento se queda como estaba.")
        return building.build(self.shelf, self.embedder, rows, full=full, progress=progress)

    def mailboxes(self) -> frozenset[str]:
        """Every mailbox that the catalogue names."""
        return frozenset(entry.mailbox for entry in self.entries().values() if entry.mailbox)
