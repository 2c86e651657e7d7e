"""What speaks for one candidate: the raw scores of the retrievers, and how it stands among the others."""

from dataclasses import dataclass
from functools import cached_property

WEIGHTS = {"e5": 8.0, "use": 2.0, "minilm": 6.0, "bm25": 1.0, "ngrams": 1.5}
"""Of each raw score in the order, by `python -m bench.retrieval`; the optimum is flat. e5's cosines lie close together,
hence its weight."""


@dataclass(frozen=True)
class Evidence:
    """The raw scores of one candidate against the incident's own words; 0 where a retriever is not in use."""

    e5: float = 0.0
    use: float = 0.0
    bm25: float = 0.0
    ngrams: float = 0.0
    margin: float = 0.0
    """Its score less that of the best other candidate: negative for all but the first."""
    lift: float = 0.0
    """Its score less the mean of the ten best others: how far it stands out, whatever the level of the catalogue."""
    csls: float = 0.0
    """Its score less the mean score of its row's five nearest others for the row's own text: a row in a crowd must be
    closer than one that stands alone (CSLS, Conneau et al. 2018). 0 where there is no other row."""
    minilm: float = 0.0
    """Only where the catalogue is in English."""

    @cached_property
    def score(self) -> float:
        """What candidates are ordered by. The first one's tells best whether there is any right entry at all."""
        return sum(weight * float(getattr(self, name)) for name, weight in WEIGHTS.items())
