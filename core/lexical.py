"""Lexical evidence in process: BM25 over stems and over character n-grams, for every row at once."""

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from core.catalogue import normalised

Scores = NDArray[np.float32]
Tokenise = Callable[[str], list[str]]

_WORD = re.compile(r"[a-z0-9ñ](?:[a-z0-9ñ\-_.]*[a-z0-9ñ])?")
_STOP = frozenset(
    "a al algo ante como con cual cuando de del desde donde el ella en entre era es esa ese eso esta este esto estoy ha"
    " hace han hay he hola la las le les lo los me mi muy mas ni no nos o os para pero por porque pues que se ser si"
    " sin sobre su sus tal te tengo tiene tu un una uno unos y ya gracias buenos buenas dias tardes saludos favor puede"
    " pueden".split()
)
_ENGLISH = frozenset(
    "a about all also am an and any are as at be been but by can could did do does for from get got had has have he"
    " hello her here hi how i if in into is it its just me my no not now of on or other our own please same she should"
    " so some such than thank thanks that the their them then there these they this those to too very was we were what"
    " when where which who why will with would you your".split()
)
_FILLER = _STOP | _ENGLISH
_TELLING = {"spanish": _STOP - _ENGLISH, "english": _ENGLISH - _STOP}
"""Words that only one of the two languages has."""


class LexicalIndex:
    """BM25 (Robertson and Zaragoza 2009, Lucene's variant, by `bm25s`) of a text against every row.

    The order of rows is that of `texts`. Scores are shares in 0..1 of the most that a row could reach, where words that
    no row has count as if one row had them: a share is low when much of the text is about something else.
    """

    def __init__(self, texts: Sequence[str], tokenise: Tokenise) -> None:
        self._tokenise = tokenise
        self._size = len(texts)
        rows = [tokenise(text) or ["∅"] for text in texts]
        frequency = Counter(token for row in rows for token in set(row))
        self._idf = {t: math.log(1 + (self._size - n + 0.5) / (n + 0.5)) for t, n in frequency.items()}
        self._unknown = math.log(1 + (self._size - 0.5) / 1.5) if rows else 1.0
        self._bm25 = None
        if rows:
            import bm25s

            self._bm25 = bm25s.BM25(method="lucene", k1=1.2, b=0.75)
            self._bm25.index(rows, show_progress=False)

    def scores(self, text: str) -> Scores:
        """(rows,) float32 in 0..1."""
        tokens = sorted(set(self._tokenise(text)))
        known = [token for token in tokens if token in self._idf]
        if self._bm25 is None or not known:
            return np.zeros(self._size, np.float32)
        most = sum(self._idf.get(token, self._unknown) for token in tokens)
        return np.asarray(self._bm25.get_scores(known), dtype=np.float32) / np.float32(most)


class RowIndex:
    """`LexicalIndex` of rows of which some have examples: what examples add elsewhere, those without any are given.

    Else a row that people have told of would win, by the words that people use, the incidents of its neighbour that
    nobody has told of yet (`core.knowledge.row_vectors` does the same to the vectors).
    """

    ADDED = 2.0
    """Times the mean that examples add to the rows that have them, most of which are about something else."""

    def __init__(self, texts: Sequence[str], plain: Sequence[str], lifted: Sequence[bool], tokenise: Tokenise) -> None:
        """`plain`: the texts without their examples. `lifted`: which rows are to be treated as if they had some."""
        self._lifted = np.array(lifted, dtype=bool)
        self._told = np.array([text != own for text, own in zip(texts, plain, strict=True)], dtype=bool)
        self._all = LexicalIndex(texts, tokenise)
        self._plain = LexicalIndex(plain, tokenise) if self._lifted.any() and self._told.any() else None

    def scores(self, text: str) -> Scores:
        """(rows,) float32 in 0..1."""
        scores = self._all.scores(text)
        if self._plain is not None:
            added = max(float((scores - self._plain.scores(text))[self._told].mean()), 0.0)
            given = self._lifted & (scores > 0)
            scores[given] = np.minimum(scores[given] + self.ADDED * added, 1.0)
        return scores


def language(text: str) -> str | None:
    """`spanish` or `english`, by the filler words of each; None where they do not tell."""
    found = Counter(name for word in _WORD.findall(normalised(text)) for name, own in _TELLING.items() if word in own)
    spanish, english = found["spanish"], found["english"]
    return None if spanish == english else "spanish" if spanish > english else "english"


def stems(language: str = "spanish") -> Tokenise:
    """Words without accents or filler, stemmed by Snowball."""
    import Stemmer

    stemmer = Stemmer.Stemmer(language)

    def tokenise(text: str) -> list[str]:
        return list(stemmer.stemWords([w for w in _WORD.findall(normalised(text)) if w not in _FILLER]))

    return tokenise


def grams(text: str, size: int = 4) -> list[str]:
    """Character n-grams within words, word ends marked: they survive typing errors and inflection."""
    found: list[str] = []
    for word in _WORD.findall(normalised(text)):
        if word not in _FILLER:
            marked = f"_{word}_"
            found += [marked[i : i + size] for i in range(max(1, len(marked) - size + 1))]
    return found
