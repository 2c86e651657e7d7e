"""Which closed incidents are new problems, and which of them are one and the same."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

from core.catalogue import FIX_COMPONENT
from core.closed import ClosedCase
from core.critic_loop import Status, Verdict
from core.knowledge import KnownEntry
from core.ports import Embedder, Vectors
from core.privacy import strip_identifiers
from core.reason import Reason
from core.search import ENGLISH_ONLY

SAME_PROBLEM = {"e5+use+minilm": 0.69, "e5+use": 0.69, "e5": 0.92}
"""`EMBEDDING_MODEL` -> mean cosine from which two solved incidents are one problem: half-way between the least alike
pair of one problem and the most alike pair of two on the demo's closed incidents (.76/.62, .93/.92, .59/.32 over
problem with resolution; without the resolution the two overlap). Two pairs of one problem are few: a person reviews."""

RELATED = {"e5+use+minilm": 0.64, "e5+use": 0.64, "e5": 0.89}
"""`EMBEDDING_MODEL` -> mean cosine from which the nearest known row says what component a new problem is of. With each
demo incident's own row left out the nearest one is of its component in 4 of 10; above these in 6 to 7 of 10: a hint
for the person who reviews, told as such."""

NEW_BELOW = 35
"""Best approval below which the knowledge base does not know a problem; between this and the approval threshold
nobody can say, and a person is told."""


class Standing(Enum):
    """Whether the knowledge base knows a problem."""

    KNOWN = "conocida"
    DOUBTFUL = "dudosa"
    NEW = "nueva"


@dataclass(frozen=True)
class Limits:
    """Approvals in 0..100, cosines in -1..1, texts in characters."""

    known_from: int
    new_below: int
    same_problem: float
    text_limit: int
    related: float


def likeness(cases: Sequence[ClosedCase], embedder: Embedder) -> Vectors:
    """(n, n) float32: cosines of problem with resolution, their mean over the embeddings for every language."""
    total = np.zeros((len(cases), len(cases)), np.float32)
    if cases:
        texts = [strip_identifiers(f"{case.problem}\n{case.resolution}") for case in cases]
        used = embedder.queries(texts, without=ENGLISH_ONLY).values()
        for rows in used:
            total += rows @ rows.T / np.float32(len(used))
    return total


def standing(verdict: Verdict, limits: Limits) -> Standing:
    """What the knowledge base's answer means. No answer but `NO_CANDIDATE` says that nothing resembles the problem."""
    if verdict.status is Status.ALREADY_TRIED:
        return Standing.KNOWN
    if verdict.proposal is None:
        return Standing.NEW if verdict.reason is Reason.NO_CANDIDATE else Standing.DOUBTFUL
    judged = [verdict.proposal, *(rejection.proposal for rejection in verdict.rejections)]
    best = max(proposal.approval for proposal in judged)
    if verdict.status is Status.APPROVED and best >= limits.known_from:
        return Standing.KNOWN
    return Standing.NEW if best < limits.new_below else Standing.DOUBTFUL


def nearest_row(verdicts: Iterable[Verdict], embeddings: Collection[str], least: float) -> KnownEntry | None:
    """The row of the catalogue most like what was looked up; None below a mean cosine of `least`, over `embeddings`
    that read every language.

    Fixes under way and rows without a component do not count: they say nothing of where a problem belongs.
    """
    names = [name for name in embeddings if name not in ENGLISH_ONLY]
    found = [
        (sum(getattr(candidate.evidence, name) for name in names) / len(names), candidate.entry)
        for verdict in verdicts
        for candidate in verdict.candidates
        if candidate.entry.component not in ("", FIX_COMPONENT)
    ]
    cosine, entry = max(found, key=lambda pair: pair[0], default=(0.0, None))
    return entry if cosine >= least else None


def grouped(cases: Sequence[ClosedCase], likeness: Vectors, same: float) -> list[list[ClosedCase]]:
    """The cases by problem, in their order: one joins a group when it is alike to every one of it (complete linkage),
    so that a chain of near ones does not bring two problems together."""
    groups: list[list[int]] = []
    for index in range(len(cases)):
        close = [group for group in groups if likeness[index, group].min() >= same]
        if close:
            max(close, key=lambda group: float(likeness[index, group].mean())).append(index)
        else:
            groups.append([index])
    return [[cases[index] for index in group] for group in groups]
