"""Rows to vectors: between what the catalogue says and what people said, or where that would be expected.

What people write lies nearer to what people wrote than to any catalogue's sentence: a row with examples would win the
incidents of its neighbour without them. On the four invented desks, with a quarter of the rows without: right row first
for .19 of their incidents; where no row has any, .77 (`python -m bench.retrieval`). The mean step between a row's text
and its examples is much the same for every row (cosines of about .8 from one desk to another), so a row without
examples is put where its examples would be expected: .73 then, and the rows with examples keep their .91.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Protocol

import numpy as np

from core.errors import DependencyError
from core.ports import Embedder, Vectors

STRENGTH = 3.0
"""Times the mean step: a mean of examples lies nearer to everything than any one text does. Of 1, 1.5, 2,
2.5 and 3 the best over the four invented desks with a quarter, three fifths and nine tenths of the rows without any."""
_ROWS = 100
"""With examples, that tell the step at most: it hardly moves after that, and every build pays for them."""
_EACH = 3
"""Examples of each."""
_FEW = 3
"""Rows whose topics weigh as much in their mean step as the step itself: with so many it is halved."""

Gap = Mapping[str, Vectors]
"""name -> (width,): what is added to the vector of a text."""
NO_GAP: Gap = MappingProxyType({})


class Told(Protocol):
    """A row and what people said of it."""

    @property
    def id(self) -> str: ...
    @property
    def embed_text(self) -> str: ...
    @property
    def examples(self) -> tuple[str, ...]: ...


def row_vectors(embedder: Embedder, rows: Sequence[Told], gap: Gap = NO_GAP) -> dict[str, Vectors]:
    """name -> (rows, width): a row lies half-way between its text and the mean of its examples, where it has any.

    Measured against the nearest example (right row first .82 against .87 where rows have five examples): one vector
    keeps what the examples share, and search costs no more than without them. `gap`: how far from its text a row's
    examples are expected, for those without any. Raises `DependencyError`.
    """
    vectors = _checked(embedder, embedder.passages([row.embed_text for row in rows]), len(rows))
    texts = [text for row in rows for text in row.examples]
    if texts:
        owners = [i for i, row in enumerate(rows) for _ in row.examples]
        said = _checked(embedder, embedder.queries(texts), len(texts))
        vectors = {name: _unit(own + _means(said[name], owners, len(rows))) for name, own in vectors.items()}
    return _lifted(vectors, [i for i, row in enumerate(rows) if not row.examples], gap)


def gap_of(embedder: Embedder, rows: Sequence[Told]) -> Gap:
    """From a text to its examples, in this catalogue; nothing where no row has any. Raises `DependencyError`."""
    told = sorted((row for row in rows if row.examples), key=lambda row: row.id)[:_ROWS]
    if not told:
        return NO_GAP
    texts = _checked(embedder, embedder.passages([row.embed_text for row in told]), len(told))
    owners = [i for i, row in enumerate(told) for _ in row.examples[:_EACH]]
    said = _checked(embedder, embedder.queries([text for row in told for text in row.examples[:_EACH]]), len(owners))
    trust = STRENGTH * len(told) / (len(told) + _FEW)
    return {name: trust * (_means(said[name], owners, len(told)) - texts[name]).mean(axis=0) for name in texts}


def _means(vectors: Vectors, owners: Sequence[int], count: int) -> Vectors:
    """(count, width): the direction of the mean of each owner's vectors; zeros for one without any."""
    sums = np.zeros((count, vectors.shape[1]), np.float32)
    np.add.at(sums, np.asarray(owners, dtype=np.intp), vectors)
    return _unit(sums)


def _lifted(vectors: Mapping[str, Vectors], without: Sequence[int], gap: Gap) -> dict[str, Vectors]:
    """`vectors`, (n, width) each, with the rows `without` examples half-way to where those would be expected."""
    moved = {name: matrix.copy() for name, matrix in vectors.items()}
    rows = list(without)
    for name, step in gap.items():
        texts = vectors[name][rows]
        there = np.linalg.norm(texts, axis=1, keepdims=True) > 0  # an embedding that does not read this language
        moved[name][rows] = np.where(there, _unit(texts + _unit(texts + step)), texts)
    return moved


def _unit(matrix: Vectors) -> Vectors:
    """Rows of length 1; a row without length stays as it is."""
    norms = np.linalg.norm(matrix, axis=1, keepdims=True)
    made: Vectors = np.divide(matrix, norms, out=np.zeros_like(matrix), where=norms > 0)
    return made


def _checked(embedder: Embedder, vectors: Mapping[str, Vectors], rows: int) -> dict[str, Vectors]:
    """`vectors` as promised: every name, (rows, width), finite."""
    for name, width in embedder.dimensions.items():
        matrix = vectors.get(name)
        if matrix is None or matrix.shape != (rows, width) or not np.isfinite(matrix).all():
            raise DependencyError(f"El modelo de vectores «{name}» ha devuelto algo que no son {rows}x{width} números.")
    return {name: vectors[name] for name in embedder.dimensions}
