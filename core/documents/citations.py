"""Citations checked by code: what an answer says must stand in the passages that it names."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from core.documents.windows import Window
from core.lexical import Tokenise

_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_SHARE = 0.6
"""Of a written sentence's telling words that its passages must have: a sentence about something else has fewer."""


@dataclass(frozen=True)
class Citation:
    """Where a passage stands."""

    number: int
    piece: str
    source: str
    title: tuple[str, ...]
    page: int | None

    @classmethod
    def of(cls, number: int, window: Window) -> "Citation":
        return cls(number, window.piece.id, window.piece.source, window.title, window.page)

    def __str__(self) -> str:
        page = f", página {self.page}" if self.page else ""
        return f"[{self.number}] {self.source}{page}: {' › '.join(self.title)}"


@dataclass(frozen=True)
class Sentence:
    """Something said, and the numbers of what it rests on."""

    text: str
    citations: tuple[int, ...]
    verbatim: bool = False

    def __str__(self) -> str:
        shown = f"«{self.text}»" if self.verbatim else self.text
        return f"{shown} {''.join(f'[{number}]' for number in self.citations)}".rstrip()


def faults(
    sentences: Sequence[Sentence], citations: Sequence[Citation], passages: Sequence[str], tokenise: Tokenise
) -> str:
    """What is wrong with an answer, empty where nothing is. `passages`: what each citation stands for, in order.

    One fault voids the whole answer: no sentence; one without citations or with one that is not there; a quotation
    that is not in its passage word for word; a number, or most words, that its passages do not have.
    """
    known = {citation.number: passage for citation, passage in zip(citations, passages, strict=True)}
    if not sentences:
        return "no dice nada"
    for sentence in sentences:
        if not sentence.citations:
            return "hay una frase sin fuente"
        if not set(sentence.citations) <= known.keys():
            return "cita una fuente que no está entre las encontradas"
        borne = "\n".join(known[number] for number in sentence.citations)
        if sentence.verbatim and sentence.text not in borne:
            return "una cita no es literal"
        if sentence.verbatim:
            continue
        if not set(_NUMBER.findall(sentence.text)) <= set(_NUMBER.findall(borne)):
            return "dice un número que no está en sus fuentes"
        words, there = set(tokenise(sentence.text)), set(tokenise(borne))
        if not words or len(words & there) < _SHARE * len(words):
            return "dice algo que no está en sus fuentes"
    return ""
