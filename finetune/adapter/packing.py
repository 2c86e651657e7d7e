"""Prompts that begin alike, laid over each other: a token that many share goes through the model once.

A pack is a trie of token sequences flattened: every token knows its parent, its position in its own prompt, and may
see its ancestors only. What the model makes of the last token of a prompt is what it would of that prompt alone.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass
class Pack:
    """Tokens of several prompts; `ends` and `which` go together: where each prompt ends, and its number."""

    tokens: list[int] = field(default_factory=list)
    parents: list[int] = field(default_factory=list)
    """-1: none."""
    positions: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    which: list[int] = field(default_factory=list)

    def visible(self) -> NDArray[np.bool_]:
        """(tokens, tokens): whether the row's token sees the column's."""
        seen = np.eye(len(self.tokens), dtype=bool)
        for token, parent in enumerate(self.parents):
            if parent >= 0:
                seen[token] |= seen[parent]
        return seen


def packs(prompts: Sequence[Sequence[int]], limit: int) -> Iterator[Pack]:
    """The prompts in order, a new pack as soon as one has more than `limit` tokens."""
    pack = Pack()
    children: dict[tuple[int, int], int] = {}
    for number, prompt in enumerate(prompts):
        if len(pack.tokens) > limit:
            yield pack
            pack = Pack()
            children = {}
        node = -1
        for position, token in enumerate(prompt):
            step = (node, token)
            if step not in children:
                children[step] = len(pack.tokens)
                pack.tokens.append(token)
                pack.parents.append(node)
                pack.positions.append(position)
            node = children[step]
        pack.ends.append(node)
        pack.which.append(number)
    if pack.which:
        yield pack
