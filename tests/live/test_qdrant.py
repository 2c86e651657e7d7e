"""The knowledge base on a real Qdrant, under a name of its own: what is there already stays as it is."""

import secrets
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from qdrant_client import QdrantClient

from core.knowledge import KnowledgeBase, KnowledgeMissing, open_client
from tests.core import knowledge_contract
from tests.core.hash_embedder import HashEmbedder
from tests.live.conftest import required

pytestmark = pytest.mark.live


@pytest.fixture
def client() -> Iterator[QdrantClient]:
    with open_client(None, required("VECTOR_DB_URL", "Qdrant")) as opened:
        yield opened


@pytest.fixture
def knowledge(client: QdrantClient) -> Iterator[KnowledgeBase]:
    base = KnowledgeBase(client, HashEmbedder(), f"prueba_{secrets.token_hex(4)}")
    yield base
    for collection in knowledge_contract.ours(base, client):
        with suppress(KnowledgeMissing):
            base.shelf.discard(collection)


def test_it_is_built_asked_saved_and_restored(client: QdrantClient, knowledge: KnowledgeBase, tmp_path: Path) -> None:
    strangers = {found.name for found in client.get_collections().collections}
    knowledge_contract.holds(knowledge, client, tmp_path)
    knowledge_contract.a_refusal_is_retryable(knowledge)
    assert strangers <= {found.name for found in client.get_collections().collections}
