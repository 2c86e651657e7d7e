"""An embedder without a model: texts that share words get near vectors."""

import zlib
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from core.ports import Vectors


class HashEmbedder:
    """Each word adds a fixed random direction; counts the texts it was asked for."""

    def __init__(self, dimensions: Mapping[str, int] | None = None, version: str = "hash-1") -> None:
        self.dimensions: Mapping[str, int] = dimensions or {"a": 16, "b": 24}
        self.version = version
        self.embedded = 0

    def passages(self, texts: Sequence[str]) -> dict[str, Vectors]:
        self.embedded += len(texts)
        return {name: np.stack([_vector(text, width) for text in texts]) for name, width in self.dimensions.items()}

    def queries(self, texts: Sequence[str], *, without: Collection[str] = ()) -> dict[str, Vectors]:
        return {name: rows for name, rows in self.passages(texts).items() if name not in without}


def _vector(text: str, width: int) -> Vectors:
    total = np.zeros(width)
    for word in text.casefold().split():
        total += np.random.default_rng(zlib.crc32(word.encode())).standard_normal(width)
    unit: Vectors = (total / (np.linalg.norm(total) or 1.0)).astype(np.float32)
    return unit
