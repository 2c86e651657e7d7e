"""The knowledge base: the catalogue in Qdrant, built beside the one that serves, then put in its place."""

from core.knowledge.base import KnowledgeBase
from core.knowledge.build import BuildReport
from core.knowledge.client import open_client
from core.knowledge.collection import Collection
from core.knowledge.entry import KnownEntry
from core.knowledge.shelf import KnowledgeMissing, KnowledgeUnavailable, Point, Shelf

__all__ = [
    "BuildReport",
    "Collection",
    "KnowledgeBase",
    "KnowledgeMissing",
    "KnowledgeUnavailable",
    "KnownEntry",
    "Point",
    "Shelf",
    "open_client",
]
