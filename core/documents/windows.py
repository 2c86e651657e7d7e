"""The stretches of a piece that can answer by themselves, and how well each goes with a question."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from core.documents.pieces import Part, Piece
from core.evidence import WEIGHTS
from core.lexical import LexicalIndex, grams, stems
from core.ports import Embedder
from core.search import Candidate, cosines

WHOLE = 420
"""Characters of a section that is quoted whole; of a longer one, runs of sentences up to so many."""


@dataclass(frozen=True)
class Fit:
    """Raw scores of a window for a question; those of its own first, then of the piece that it is in."""

    e5: float = 0.0
    use: float = 0.0
    bm25: float = 0.0
    ngrams: float = 0.0
    lead: float = 0.0
    """Its score less that of the best window that shares no sentence with it."""
    piece: float = 0.0
    lift: float = 0.0

    @property
    def score(self) -> float:
        """What windows are ordered by: as rows are in search, with the piece's own score beside."""
        return sum(WEIGHTS[name] * float(getattr(self, name)) for name in ("e5", "use", "bm25", "ngrams"))


@dataclass(frozen=True)
class Window:
    """Sentences that stand together in one section of a piece. `first` and `last`: their places in the piece."""

    piece: Piece
    first: int
    last: int
    fit: Fit

    @property
    def parts(self) -> Sequence[Part]:
        return self.piece.parts[self.first : self.last + 1]

    @property
    def text(self) -> str:
        """The sentences as they stand in the document."""
        return " ".join(part.text for part in self.parts)

    @property
    def title(self) -> tuple[str, ...]:
        return self.parts[0].title

    @property
    def page(self) -> int | None:
        return self.parts[0].page

    @property
    def told(self) -> str:
        """With the headings it stands under: what is embedded and judged."""
        return f"{' › '.join(self.title)}: {self.text}"

    def overlaps(self, other: "Window") -> bool:
        """Whether they share a sentence, also where two pieces repeat it."""
        return not {p.text for p in self.parts}.isdisjoint(p.text for p in other.parts)


def windows_of(candidate: Candidate[Piece]) -> list[Window]:
    """Each section, or its runs of sentences where it is long."""
    piece, evidence = candidate.entry, candidate.evidence
    fit = Fit(piece=evidence.score, lift=evidence.lift)
    found = []
    for _, group in groupby(range(len(piece.parts)), key=lambda i: piece.parts[i].title):
        places = list(group)
        if sum(len(piece.parts[i].text) + 1 for i in places) <= WHOLE:
            found.append(Window(piece, places[0], places[-1], fit))
            continue
        reached = -1
        for start in places:
            end, size = start, len(piece.parts[start].text)
            while end < places[-1] and size + len(piece.parts[end + 1].text) + 1 <= WHOLE:
                end += 1
                size += len(piece.parts[end].text) + 1
            if end > reached:  # one that ends where the one before did says less
                found.append(Window(piece, start, end, fit))
                reached = end
    return found


def fitted(question: str, candidates: Sequence[Candidate[Piece]], embedder: Embedder) -> list[Window]:
    """Every window of the candidates with its scores, best first."""
    windows = [window for candidate in candidates for window in windows_of(candidate)]
    if not windows:
        return []
    texts = [window.told for window in windows]
    asked, said = embedder.queries([question]), embedder.passages(texts)
    near = {name: cosines(asked[name][0], said[name]) for name in ("e5", "use") if name in embedder.dimensions}
    words, letters = LexicalIndex(texts, stems()).scores(question), LexicalIndex(texts, grams).scores(question)
    scored = [
        replace(
            window,
            fit=replace(
                window.fit,
                **{name: values[i] for name, values in near.items()},
                bm25=float(words[i]),
                ngrams=float(letters[i]),
            ),
        )
        for i, window in enumerate(windows)
    ]
    scored.sort(key=lambda window: window.fit.score, reverse=True)
    return [_with_lead(window, scored) for window in scored]


def _with_lead(window: Window, ordered: Sequence[Window]) -> Window:
    rival = next((w for w in ordered if w is not window and not w.overlaps(window)), None)
    lead = window.fit.score - rival.fit.score if rival else 0.0
    return replace(window, fit=replace(window.fit, lead=lead))
