"""How fast the knowledge base is built, against the embedder alone, and how long a search takes."""

import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory

from qdrant_client import QdrantClient

from bench.result import Measure
from bench.synthetic import HashEmbedder, queries, rows
from config import load_settings
from core.build import open_embedder
from core.knowledge import KnowledgeBase, open_client
from core.ports import Embedder
from core.privacy import scrub
from core.search import Searcher

_BATCH = 32
"""As many texts at a time as the build embeds."""


def measure_build(count: int = 300, rounds: int = 2, embedder: Embedder | None = None) -> list[Measure]:
    """Rows per second of a full build (scrubbing, embedding, writing to a folder) over those of the bare embedder.

    The best of `rounds` of each, in turns. `embedder`: the real one unless given.
    """
    entries = rows(count)
    embedder = embedder or open_embedder(load_settings())
    bare, built = [], []
    with TemporaryDirectory(prefix="spai-bench-") as folder, open_client(Path(folder), None) as client:
        knowledge = KnowledgeBase(client, embedder, scrub=scrub)
        texts = [knowledge.prepared(entry).embed_text for entry in entries]
        embedder.passages(texts[:1])
        for _ in range(rounds):
            bare.append(_embedding(embedder, texts))
            start = time.perf_counter()
            knowledge.build(entries, full=True)
            built.append(time.perf_counter() - start)
    share = min(bare) / min(built)
    facts = {"filas": count, "segundos_modelo_solo": bare, "segundos_construir": built, "modelo": embedder.version}
    measured = f"{share:.1%} ({count / min(built):.0f} filas/s de {count / min(bare):.0f})"
    return [Measure(f"base de conocimiento: ritmo ({count} filas)", "≥ 85 %", measured, share, share >= 0.85, facts)]


def _embedding(embedder: Embedder, texts: Sequence[str]) -> float:
    """Seconds for all `texts`."""
    start = time.perf_counter()
    for first in range(0, len(texts), _BATCH):
        embedder.passages(texts[first : first + _BATCH])
    return time.perf_counter() - start


def measure_search(sizes: Sequence[int] = (1_000, 10_000), searches: int = 60) -> list[Measure]:
    """Median and 95th percentile of `Searcher.search` per size, with synthetic rows and hashed vectors:

    the retrievers and their order are measured, not the embedding of the query.
    """
    return [_search(size, searches) for size in sizes]


def _search(size: int, searches: int) -> Measure:
    embedder = HashEmbedder()
    client = QdrantClient(location=":memory:")
    try:
        knowledge = KnowledgeBase(client, embedder)
        knowledge.build(rows(size))
        searcher = Searcher(knowledge, embedder, load_settings().query_limit_vectordb)
        texts = queries(searches)
        searcher.search(texts[:1])
        times = []
        for text in texts:
            start = time.perf_counter()
            searcher.search([text])
            times.append(1000 * (time.perf_counter() - start))
    finally:
        client.close()
    middle, high = median(times), quantiles(times, n=20, method="inclusive")[-1]
    return Measure(
        f"búsqueda con {size} filas (vectores sintéticos)",
        "—",
        f"mediana {middle:.1f} ms, p95 {high:.1f} ms",
        middle,
        facts={"filas": size, "busquedas": searches, "mediana_ms": middle, "p95_ms": high},
    )
