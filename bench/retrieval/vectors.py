"""Vectors kept in a file, and embedders that differ from the product's in one thing."""

import hashlib
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from core.files import atomic_writer
from core.ports import Embedder, Vectors


class KeptVectors:
    """An embedder that remembers, in a file, what it was asked for."""

    def __init__(self, inner: Embedder, path: Path) -> None:
        self._inner, self._path = inner, path
        self.dimensions, self.version = inner.dimensions, inner.version
        self._known: dict[str, dict[str, Vectors]] = {}
        self._fresh = 0
        if path.exists():
            with np.load(path) as stored:
                keys = [str(key) for key in stored["keys"]]
                columns = {name: stored[name] for name in self.dimensions}
            self._known = {key: {name: columns[name][i] for name in columns} for i, key in enumerate(keys)}

    def queries(self, texts: Sequence[str], *, without: Collection[str] = ()) -> dict[str, Vectors]:
        """All are made and kept all the same: they serve whoever asks next."""
        return {name: rows for name, rows in self._ask("q", texts).items() if name not in without}

    def passages(self, texts: Sequence[str]) -> dict[str, Vectors]:
        return self._ask("p", texts)

    def _ask(self, kind: str, texts: Sequence[str]) -> dict[str, Vectors]:
        keys = [hashlib.sha256(f"{kind}\0{text}".encode()).hexdigest() for text in texts]
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in self._known}
        if missing:
            ask = self._inner.queries if kind == "q" else self._inner.passages
            found = ask(list(missing.values()))
            for i, key in enumerate(missing):
                self._known[key] = {name: found[name][i] for name in self.dimensions}
            self._fresh += len(missing)
        return {name: np.stack([self._known[key][name] for key in keys]) for name in self.dimensions}

    def save(self) -> None:
        """Write what is new."""
        if self._fresh:
            columns = {name: np.stack([row[name] for row in self._known.values()]) for name in self.dimensions}
            with atomic_writer(self._path) as out:
                np.savez(out, allow_pickle=False, keys=np.array(list(self._known)), **columns)


class OneRole:
    """Rows are embedded as if they searched: e5 puts the same prefix before both sides, the others know none."""

    def __init__(self, inner: Embedder) -> None:
        self._inner = inner
        self.dimensions, self.version = inner.dimensions, f"{inner.version}/one-role"

    def queries(self, texts: Sequence[str], *, without: Collection[str] = ()) -> dict[str, Vectors]:
        """As the embedder it wraps."""
        return self._inner.queries(texts, without=without)

    def passages(self, texts: Sequence[str]) -> dict[str, Vectors]:
        """As texts that search."""
        return self._inner.queries(texts)


class VectorFolder:
    """An embedder with a file of kept vectors per set."""

    def __init__(self, inner: Embedder, folder: Path) -> None:
        self._inner, self._folder = inner, folder
        self._version = hashlib.sha256(inner.version.encode()).hexdigest()[:8]
        self._open: dict[str, KeptVectors] = {}

    def of(self, name: str) -> KeptVectors:
        """Of one set."""
        if name not in self._open:
            self._open[name] = KeptVectors(self._inner, self._folder / f"{name}-{self._version}.npz")
        return self._open[name]

    def save(self) -> None:
        """Write what is new."""
        for vectors in self._open.values():
            vectors.save()
