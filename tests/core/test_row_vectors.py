"""core/knowledge/row_vectors.py: rows with examples beside rows without any."""

from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from qdrant_client import QdrantClient

from core.catalogue import CatalogueEntry, Resolution
from core.knowledge import KnowledgeBase
from core.knowledge.entry import prepare
from core.knowledge.row_vectors import STRENGTH, gap_of, row_vectors
from tests.core.hash_embedder import HashEmbedder


def _entry(number: int, *examples: str, description: str = "") -> CatalogueEntry:
    return CatalogueEntry(
        component="", description=description or f"problema {number}", resolution=Resolution.CLOSE, examples=examples
    )


@pytest.fixture
def client() -> Iterator[QdrantClient]:
    found = QdrantClient(":memory:")
    yield found
    found.close()


@pytest.fixture
def told() -> list[CatalogueEntry]:
    """Of four rows the last has no examples; people greet, the catalogue does not."""
    things = ("impresora", "pantalla", "teclado", "ratón")
    said = [(f"hola gracias {thing}", f"hola gracias mi {thing}") for thing in things]
    examples = [*said[:3], ()]
    return [_entry(i, *examples[i], description=f"avería {thing}") for i, thing in enumerate(things)]


def test_a_row_without_examples_is_found_among_those_with(client: QdrantClient, told: list[CatalogueEntry]) -> None:
    wide = HashEmbedder({"a": 256})
    knowledge = KnowledgeBase(client, wide)
    knowledge.build(told)
    asked = {"a": wide.queries(["hola gracias el ratón"])["a"][0]}
    [(first, cosine), (_, second)] = knowledge.nearest(asked, 2)["a"]
    assert first == told[3].id
    assert cosine > second + 0.1
    plain = wide.passages(["avería ratón"])["a"][0]
    assert float(plain @ asked["a"]) < second, "as it stands it would have lost"


def test_without_any_example_every_row_stays_where_its_text_is(client: QdrantClient) -> None:
    knowledge = KnowledgeBase(client, HashEmbedder())
    knowledge.build([_entry(1), _entry(2)])
    stored = knowledge.vectors([_entry(1).id])[_entry(1).id]
    expected = knowledge.embedder.passages([knowledge.prepared(_entry(1)).embed_text])
    for name in knowledge.embedder.dimensions:
        assert stored[name] == pytest.approx(expected[name][0], abs=1e-5)


def test_the_first_example_moves_the_other_rows_and_only_once(client: QdrantClient) -> None:
    knowledge = KnowledgeBase(client, HashEmbedder())
    knowledge.build([_entry(1), _entry(2)])
    told = [_entry(1, "no abre"), _entry(2)]
    assert knowledge.build(told).changed == 2
    assert knowledge.build(told).unchanged == 2
    found = knowledge.entries()
    assert [found[row.id].lifted for row in told] == [False, True]
    assert knowledge.build([_entry(1), _entry(2)]).changed == 2


def test_another_example_touches_its_own_row_alone(client: QdrantClient) -> None:
    knowledge = KnowledgeBase(client, HashEmbedder())
    knowledge.build([_entry(1, "no abre"), _entry(2), _entry(3)])
    report = knowledge.build([_entry(1, "no abre"), _entry(2, "no cierra"), _entry(3)])
    assert (report.changed, report.unchanged) == (1, 2)


def test_few_rows_with_examples_move_the_others_less() -> None:
    embedder = HashEmbedder({"a": 64})
    rows = [prepare(_entry(i, f"hola gracias cosa{i}"), str, embedder.version, among_told=True) for i in range(30)]
    few, many = gap_of(embedder, rows[:1]), gap_of(embedder, rows)
    step = embedder.queries(["hola gracias cosa0"])["a"][0] - embedder.passages([rows[0].embed_text])["a"][0]
    assert few["a"] == pytest.approx(STRENGTH * step / 4, abs=1e-5)
    assert np.linalg.norm(many["a"]) > np.linalg.norm(few["a"])
    assert not gap_of(embedder, [prepare(_entry(1), str, embedder.version)])


def test_an_embedding_that_does_not_read_a_text_is_not_moved() -> None:
    class Half(HashEmbedder):
        def passages(self, texts: Sequence[str]) -> dict[str, np.ndarray]:
            vectors = super().passages(texts)
            vectors["b"][:] = 0
            return vectors

    embedder = Half()
    rows = [prepare(_entry(1, "no abre"), str, "v"), prepare(_entry(2), str, "v", among_told=True)]
    vectors = row_vectors(embedder, rows, {"a": np.ones(16, np.float32), "b": np.ones(24, np.float32)})
    assert not vectors["b"].any()
    assert np.linalg.norm(vectors["a"], axis=1) == pytest.approx([1, 1])
