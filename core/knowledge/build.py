"""Catalogue rows into Qdrant: embed and write at the same time, and never disturb what serves."""

import logging
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict

from core.errors import DependencyError
from core.knowledge.entry import KnownEntry
from core.knowledge.row_vectors import NO_GAP, Gap, gap_of, row_vectors
from core.knowledge.shelf import KnowledgeUnavailable, Point, Shelf
from core.ports import Embedder

logger = logging.getLogger(__name__)

Progress = Callable[[int, int], None]
"""(rows written, rows to write)"""

_BATCH = 32
_IN_FLIGHT = 3
"""Batches embedded but not yet written: bounds memory when Qdrant is the slower one."""


class Row(Protocol):
    """What can be stored: a row of the catalogue, a piece of a document."""

    @property
    def id(self) -> str: ...
    @property
    def content_hash(self) -> str: ...
    @property
    def embed_text(self) -> str: ...
    @property
    def examples(self) -> tuple[str, ...]: ...
    def payload(self) -> dict[str, Any]: ...


class BuildReport(BaseModel):
    """What a build did to the knowledge base, in rows."""

    model_config = ConfigDict(frozen=True)

    collection: str
    rebuilt: bool
    """Built beside and swapped, rather than changed in place."""
    added: int
    changed: int
    unchanged: int
    removed: int
    embedded: int
    seconds: float
    withheld: tuple[str, ...] = ()
    """Ids of the rows stored without the personal data of their solution."""


def build(
    shelf: Shelf, embedder: Embedder, rows: Mapping[str, KnownEntry], *, full: bool, progress: Progress | None
) -> BuildReport:
    """Make the knowledge base hold exactly `rows` (id -> row).

    New, `full`, or another embedder: a new collection is filled, counted and put in place of the old one in one
    operation. Otherwise only rows whose content hash differs are written, and rows gone are removed last.
    """
    started = time.perf_counter()
    serving = shelf.current()
    stored = {} if serving is None else {point.id: point.payload for point in shelf.scroll(serving)}
    hashes = {point_id: payload.get("content_hash") for point_id, payload in stored.items()}
    rebuilt = full or serving is None or other_vectors(shelf, serving, embedder, stored)
    differing = [row for row in rows.values() if hashes.get(row.id) != row.content_hash]
    to_write = list(rows.values()) if rebuilt or serving is None else differing
    gap = gap_of(embedder, list(rows.values())) if any(row.lifted for row in to_write) else NO_GAP
    if rebuilt or serving is None:
        collection = rebuild(shelf, embedder, to_write, progress, gap)
    else:
        collection = serving
        fill(shelf, collection, embedder, to_write, progress, gap)
        shelf.remove(collection, sorted(stored.keys() - rows.keys()))
        _check_count(shelf, collection, len(rows))
        shelf.sweep()
    added = len(rows.keys() - stored.keys())
    return BuildReport(
        collection=collection,
        rebuilt=rebuilt,
        added=added,
        changed=len(differing) - added,
        unchanged=len(rows) - len(differing),
        removed=len(stored.keys() - rows.keys()),
        embedded=len(to_write),
        seconds=time.perf_counter() - started,
        withheld=tuple(row.id for row in rows.values() if row.withheld),
    )


def other_vectors(shelf: Shelf, serving: str, embedder: Embedder, stored: Mapping[str, Mapping[str, object]]) -> bool:
    """Whether what is stored was embedded otherwise: then every row must be embedded anew, beside the old."""
    versions = {payload.get("embedder") for payload in stored.values()}
    return bool(versions - {embedder.version}) or shelf.dimensions(serving) != dict(embedder.dimensions)


def rebuild(shelf: Shelf, embedder: Embedder, rows: Sequence[Row], progress: Progress | None, gap: Gap = NO_GAP) -> str:
    """Fill a new collection with `rows`, count it and put it in place of the one that serves; returns its name.

    `gap`: as `row_vectors`.
    """
    collection = shelf.create(embedder.dimensions)
    try:
        fill(shelf, collection, embedder, rows, progress, gap)
        _check_count(shelf, collection, len(rows))
    except BaseException:  # Ctrl-C too: what is half-built must not stay; the error goes on
        with suppress(KnowledgeUnavailable):
            shelf.discard(collection)
        raise
    shelf.publish(collection)
    logger.info("base de conocimiento cambiada", extra={"action": "knowledge_swapped", "collection": collection})
    return collection


def _check_count(shelf: Shelf, collection: str, expected: int) -> None:
    found = shelf.count(collection)
    if found != expected:
        raise DependencyError(
            f"Qdrant tiene {found} filas y deberían ser {expected}. Repita con `python batch.py --completo`."
        )


def fill(
    shelf: Shelf,
    collection: str,
    embedder: Embedder,
    rows: Sequence[Row],
    progress: Progress | None,
    gap: Gap = NO_GAP,
) -> None:
    """Embed and write `rows`, in place of those with their ids. `gap`: as `row_vectors`.

    Embeds here while one other thread writes: in a folder each point waits for the disk.
    """
    done = 0
    pending: deque[tuple[Future[None], int]] = deque()

    def finish_one() -> None:
        nonlocal done
        written, size = pending.popleft()
        written.result()
        done += size
        if progress:
            progress(done, len(rows))

    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="knowledge-write") as writer:
        for start in range(0, len(rows), _BATCH):
            batch = rows[start : start + _BATCH]
            vectors = row_vectors(embedder, batch, gap)
            points = [
                Point(row.id, row.payload(), {name: matrix[i] for name, matrix in vectors.items()})
                for i, row in enumerate(batch)
            ]
            pending.append((writer.submit(shelf.put, collection, points), len(batch)))
            while len(pending) > _IN_FLIGHT or (pending and pending[0][0].done()):
                finish_one()
        while pending:
            finish_one()
