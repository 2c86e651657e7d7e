"""The narratives in Qdrant: a collection of their own, only what is new embedded."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

from qdrant_client import QdrantClient

from core.calls.group import Group
from core.calls.narrative import Narrative, from_point, narrative
from core.knowledge import Collection
from core.knowledge import build as building
from core.knowledge.build import Progress
from core.ports import Embedder


@dataclass(frozen=True)
class Indexed:
    """What indexing did, in narratives."""

    embedded: int
    kept: int
    removed: int
    left_out: int
    """Beyond the limit: the rarest, and those of calls that did not fail."""


class NarrativeBase(Collection[Narrative]):
    """Every different narrative once: a million calls that go a few thousand ways are a few thousand vectors."""

    missing = "No hay llamadas con vectores. Ejecute `python batch.py --llamadas FICHERO` sin --sin-vectores."
    outdated = "Las llamadas se guardaron con otro modelo de vectores. Ejecute otra vez `python batch.py --llamadas`."

    def __init__(self, client: QdrantClient, embedder: Embedder, name: str = "llamadas") -> None:
        super().__init__(client, embedder, name, from_point)

    def bring_up_to_date(self, groups: Iterable[Group], limit: int, progress: Progress | None = None) -> Indexed:
        """Make the collection hold the first `limit` narratives of `groups`; only new ones are embedded.

        Cut short, by kill -9 too, it goes on next time where it was; what there is until then can be searched.
        """
        source = iter(groups)
        rows = {row.id: row for row in (narrative(group, self.embedder.version) for group in islice(source, limit))}
        left_out = sum(1 for _ in source)
        serving = self.shelf.current() or self._empty()
        stored = {point.id: point.payload for point in self.shelf.scroll(serving)}
        if building.other_vectors(self.shelf, serving, self.embedder, stored):
            building.rebuild(self.shelf, self.embedder, list(rows.values()), progress)
            return Indexed(len(rows), 0, len(stored), left_out)
        new = [row for point_id, row in rows.items() if point_id not in stored]
        building.fill(self.shelf, serving, self.embedder, new, progress)
        gone = sorted(stored.keys() - rows.keys())
        self.shelf.remove(serving, gone)
        self.shelf.sweep()
        return Indexed(len(new), len(rows) - len(new), len(gone), left_out)

    def _empty(self) -> str:
        """A collection that serves from the start: vectors take minutes, and none of them must be lost."""
        collection = self.shelf.create(self.embedder.dimensions)
        self.shelf.publish(collection)
        return collection

    def exists(self) -> bool:
        """Whether anything was ever indexed."""
        collection = self.shelf.current()
        return collection is not None and self.shelf.count(collection) > 0
