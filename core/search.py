"""Which known problems resemble a text: several cheap retrievers, one order, their raw scores handed on."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice
from typing import Generic, Protocol

import numpy as np
from typing_extensions import TypeVar

from core.evidence import Evidence
from core.knowledge import KnownEntry
from core.lexical import RowIndex, Scores, grams, language, stems
from core.ports import Embedder, Vectors
from core.privacy import strip_identifiers

ENGLISH_ONLY = frozenset({"minilm"})
"""Embeddings that are no help outside English: in use where the catalogue is in English."""

_KEPT = 256
"""Texts kept with what they give: each try of the critic's loop searches again with those of the try before."""

OTHERS = 10
"""How many of the other candidates one is compared with."""

NEIGHBOURS = 5
"""How many of the rows nearest to a candidate's row make its crowd."""

_CROWDS = 4096
"""Rows whose neighbours are kept: they change only with the searcher."""


class Searchable(Protocol):
    """What is searched: a row of the catalogue, a piece of a document."""

    @property
    def id(self) -> str: ...
    @property
    def embed_text(self) -> str: ...
    @property
    def search_text(self) -> str: ...


E = TypeVar("E", bound=Searchable, default=KnownEntry)
E_co = TypeVar("E_co", bound=Searchable, covariant=True)


class Source(Protocol[E_co]):
    """Where it is searched (`core.knowledge.Collection`)."""

    def entries(self) -> Mapping[str, E_co]: ...
    def nearest(self, vectors: Mapping[str, Vectors], limit: int) -> dict[str, list[tuple[str, float]]]: ...
    def vectors(self, ids: Sequence[str]) -> dict[str, dict[str, Vectors]]: ...


@dataclass(frozen=True)
class Candidate(Generic[E]):
    """A known problem that resembles the incident, or a piece that resembles the question."""

    entry: E
    evidence: Evidence
    order: float
    """Best score over the texts that were searched with: where it stands among the candidates."""


@dataclass(frozen=True)
class _Asked:
    """What a text gives by itself: a vector per embedding, a lexical score per row, what each retriever names."""

    vectors: Mapping[str, Vectors]
    words: Scores
    letters: Scores
    cosines: Mapping[str, Mapping[str, float]]
    """Embedding -> entry id -> cosine, of the nearest."""
    named: frozenset[str]


class Searcher(Generic[E]):
    """Searches the knowledge base as it was when the searcher was made. Safe to share among threads."""

    def __init__(self, knowledge: Source[E], embedder: Embedder, limit: int, *, crowds: bool = True) -> None:
        """`limit`: how many candidates each retriever names. Raises `KnowledgeMissing` before the first build.

        `crowds`: whether `csls` is looked up (an embedding per row, once); else it stays 0. Only an approval needs it.
        """
        self._knowledge = knowledge
        self._embedder = embedder
        self._limit = limit
        self._crowds = crowds
        self.entries = dict(knowledge.entries())
        self._ids = list(self.entries)
        self._rows = {entry_id: row for row, entry_id in enumerate(self._ids)}
        texts = [entry.search_text for entry in self.entries.values()]
        spoken = language("\n".join(texts)) or "spanish"
        self._unused = frozenset() if spoken == "english" else ENGLISH_ONLY & embedder.dimensions.keys()
        plain = [entry.embed_text for entry in self.entries.values()]
        lifted = [isinstance(entry, KnownEntry) and entry.lifted for entry in self.entries.values()]
        self._words = RowIndex(texts, plain, lifted, stems(spoken))
        self._grams = RowIndex(texts, plain, lifted, grams)
        self._ask = lru_cache(maxsize=_KEPT)(self._ask_anew)
        self._neighbours = lru_cache(maxsize=_CROWDS)(self._neighbours_anew)
        self._stored: dict[str, dict[str, Vectors]] = {}
        """Vectors read so far, by id: Qdrant in process copies them number by number."""

    @property
    def mailboxes(self) -> frozenset[str]:
        """Every mailbox that the catalogue names."""
        rows = (entry for entry in self.entries.values() if isinstance(entry, KnownEntry))
        return frozenset(row.mailbox for row in rows if row.mailbox)

    def search(self, texts: Sequence[str], *, without: Collection[str] = ()) -> list[Candidate[E]]:
        """Candidates for an incident, best first.

        `texts`: the incident's own words first, then rewordings of them. Rewordings find candidates and move them up;
        the evidence is always that of the incident's own words, so no model can talk a candidate into being approved.
        Raises `Retryable(KNOWLEDGE_UNAVAILABLE)`.
        """
        if not texts:
            return []
        own = self._ask(texts[0])
        first = self._evidence(own)
        found = {i: Candidate(self.entries[i], e, e.score) for i, e in first.items() if i not in without}
        for text in texts[1:]:
            scored = self._evidence(self._ask(text), found)
            fresh = [i for i in scored if i not in found and i not in without]
            evidence = self._complete(own, fresh)
            for entry_id, reworded in scored.items():
                if entry_id in found:
                    known = found[entry_id]
                    found[entry_id] = replace(known, order=max(known.order, reworded.score))
                elif entry_id in evidence:
                    found[entry_id] = Candidate(self.entries[entry_id], evidence[entry_id], reworded.score)
        ordered = sorted(found.values(), key=lambda c: c.order, reverse=True)
        standings = _standings([candidate.evidence.score for candidate in ordered])
        told = []
        for place, (candidate, (margin, lift)) in enumerate(zip(ordered, standings, strict=True)):
            csls = self._csls(candidate, place, margin, without)
            compared = replace(candidate.evidence, margin=margin, lift=lift, csls=csls)
            told.append(Candidate(candidate.entry, compared, candidate.order))
        return told

    def _csls(self, candidate: Candidate[E], place: int, margin: float, without: Collection[str]) -> float:
        """The crowd is that of the rows that can be found: `without` is as good as not there.

        Where too many stand before it for its crowd to be worth a search, what it lacks to the best is taken.
        """
        if not self._crowds:
            return 0.0
        if place >= OTHERS:
            return min(margin, 0.0)
        nearest = (score for entry_id, score in self._neighbours(candidate.entry.id) if entry_id not in without)
        crowd = list(islice(nearest, NEIGHBOURS))
        return candidate.evidence.score - sum(crowd) / len(crowd) if crowd else 0.0

    def _neighbours_anew(self, entry_id: str) -> list[tuple[str, float]]:
        """(id, score) of what the row's own text finds when it is searched for as an incident's is, best first."""
        asked = self._ask_anew(strip_identifiers(self.entries[entry_id].search_text))
        found = ((other, evidence.score) for other, evidence in self._evidence(asked).items() if other != entry_id)
        return sorted(found, key=lambda pair: pair[1], reverse=True)

    def _ask_anew(self, text: str) -> _Asked:
        """A text with all that is computed from it alone."""
        embedded = self._embedder.queries([text], without=self._unused)
        vectors = {name: rows[0] for name, rows in embedded.items() if rows[0].any()}
        words, letters = self._words.scores(text), self._grams.scores(text)
        nearest = {name: dict(hits) for name, hits in self._knowledge.nearest(vectors, self._limit).items()}
        named = {entry_id for hits in nearest.values() for entry_id in hits}
        for scores in (words, letters):
            named |= {self._ids[i] for i in (-scores).argsort()[: self._limit] if scores[i] > 0}
        return _Asked(vectors, words, letters, nearest, frozenset(named))

    def _evidence(self, asked: _Asked, also: Collection[str] = ()) -> dict[str, Evidence]:
        """The union of what each retriever names, and of `also`, with every raw score."""
        return self._complete(asked, asked.named | set(also))

    def _complete(self, asked: _Asked, ids: Collection[str]) -> dict[str, Evidence]:
        """Every raw score for `ids`; cosines that the lists do not have are computed from the stored vectors."""
        cosines = asked.cosines
        missing = sorted(i for i in ids if any(i not in cosines.get(name, {}) for name in asked.vectors))
        more = self._cosines(asked.vectors, missing)
        result = {}
        for entry_id in ids:
            row = self._rows.get(entry_id)
            if row is None:  # written after this searcher was made: it has no lexical scores yet
                continue
            dense = {name: cosines.get(name, {}).get(entry_id, more[name].get(entry_id, 0.0)) for name in asked.vectors}
            result[entry_id] = Evidence(**dense, bm25=float(asked.words[row]), ngrams=float(asked.letters[row]))
        return result

    def _cosines(self, vectors: Mapping[str, Vectors], ids: Sequence[str]) -> dict[str, dict[str, float]]:
        """Per named vector the cosine with each of `ids` that is stored."""
        self._stored.update(self._knowledge.vectors([i for i in ids if i not in self._stored]))
        found = {}
        for name, vector in vectors.items():
            known = [i for i in ids if name in self._stored.get(i, {})]
            values = cosines(vector, np.stack([self._stored[i][name] for i in known])) if known else []
            found[name] = dict(zip(known, values, strict=True))
        return found


def cosines(vector: Vectors, rows: Vectors) -> list[float]:
    """Of `vector`, (width,), with each of `rows`, (n, width); 0 where one of the two has no length."""
    one, many = vector.astype(np.float64), rows.astype(np.float64)
    norms = np.linalg.norm(many, axis=1) * np.linalg.norm(one)
    products = many @ one
    return [float(value) for value in np.divide(products, norms, out=np.zeros_like(products), where=norms > 0)]


def _standings(scores: Sequence[float]) -> list[tuple[float, float]]:
    """Margin and lift of each score among the others."""
    if len(scores) < 2:
        return [(0.0, 0.0)] * len(scores)
    top = sorted(scores, reverse=True)[: OTHERS + 1]
    others = min(OTHERS, len(scores) - 1)
    first, second, all_top, but_last = top[0], top[1], sum(top), sum(top[:OTHERS])
    return [
        (own - (second if own == first else first), own - (all_top - own if own >= top[-1] else but_last) / others)
        for own in scores
    ]
