"""What a knowledge base does behind any Qdrant: the folder, the double over HTTP and a real server."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from qdrant_client import QdrantClient

from core.backup import create_backup, restore_backup, verify_backup
from core.catalogue import CatalogueEntry, Resolution
from core.errors import Retryable
from core.knowledge import KnowledgeBase, KnowledgeMissing
from core.reason import Reason

NOW = datetime(2025, 1, 2, tzinfo=UTC)


def _entry(number: int, solution: str = "") -> CatalogueEntry:
    return CatalogueEntry(
        component="Pólizas",
        description=f"problema {number}",
        solution=solution or f"solución {number}",
        resolution=Resolution.CLOSE,
    )


def _entries(count: int) -> list[CatalogueEntry]:
    return [_entry(number) for number in range(count)]


def holds(knowledge: KnowledgeBase, client: QdrantClient, folder: Path) -> None:
    """Built, changed, built beside, asked, saved and restored. `knowledge` has an embedder of vectors `a` and `b`."""
    with pytest.raises(KnowledgeMissing):
        knowledge.entries()
    with pytest.raises(KnowledgeMissing):
        knowledge.get(_entry(1).id)
    _builds(knowledge, client)
    _answers(knowledge)
    _comes_back(knowledge, client, folder / "copia")


def a_refusal_is_retryable(knowledge: KnowledgeBase) -> None:
    """What a server refuses (here a vector that it does not have) leaves the incident for another time."""
    vectors = {name: m[0] for name, m in knowledge.embedder.queries(["Pólizas: problema 7"]).items()}
    with pytest.raises(Retryable) as caught:
        knowledge.nearest({"c": vectors["a"]}, 3)
    assert caught.value.reason is Reason.KNOWLEDGE_UNAVAILABLE


def ours(knowledge: KnowledgeBase, client: QdrantClient) -> list[str]:
    """The server's collections that are this knowledge base's."""
    names = (found.name for found in client.get_collections().collections)
    return [name for name in names if name.startswith(f"{knowledge.shelf.name}_")]


def _builds(knowledge: KnowledgeBase, client: QdrantClient) -> None:
    first = knowledge.build(_entries(300))
    changed = knowledge.build([*_entries(299)[1:], _entry(0, "otra")])
    assert (changed.removed, changed.changed, changed.collection) == (1, 1, first.collection)
    second = knowledge.build(_entries(290), full=True)
    assert second.collection != first.collection
    assert ours(knowledge, client) == [second.collection]
    assert set(knowledge.entries()) == {entry.id for entry in _entries(290)}
    found = knowledge.get(_entry(5).id)
    assert found is not None
    assert found.solution == "solución 5"


def _answers(knowledge: KnowledgeBase) -> None:
    vectors = {name: m[0] for name, m in knowledge.embedder.queries(["Pólizas: problema 7"]).items()}
    nearest = knowledge.nearest(vectors, 3)
    assert nearest["a"][0] == (_entry(7).id, pytest.approx(1.0, abs=1e-5))
    stored = knowledge.vectors([entry_id for entry_id, _ in nearest["b"]])
    again = {entry_id: float(rows["b"] @ vectors["b"]) for entry_id, rows in stored.items()}
    assert again == pytest.approx(dict(nearest["b"]), abs=1e-5)


def _comes_back(knowledge: KnowledgeBase, client: QdrantClient, path: Path) -> None:
    create_backup(knowledge.shelf, [], path, now=NOW)
    assert verify_backup(path).puntos == 290
    knowledge.build(_entries(2))
    restored = restore_backup(knowledge.shelf, path, now=NOW)
    assert ours(knowledge, client) == [restored.collection]
    assert knowledge.build(_entries(290)).unchanged == 290
