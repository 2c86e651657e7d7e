"""Which closed incidents are new problems, and which of them are one and the same."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

from core.closed import ClosedCase
from core.critic_loop import Status, Verdict
from core.ports import Embedder, Vectors
from core.privacy import strip_identifiers
from core.reason import Reason

SAME_PROBLEM = {"e5+use": 0.69, "e5": 0.92, "use": 0.46}
"""`EMBEDDING_MODEL` -> mean cosine from which two solved incidents are one problem: half-way between the least alike
pair of one problem and the most alike pair of two on the demo's closed incidents (.76/.62, .93/.92, .59/.32 over
problem with resolution; without the resolution the two overlap). Two pairs of one problem are few: a person reviews."""

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


def likeness(cases: Sequence[ClosedCase], embedder: Embedder) -> Vectors:
    """(n, n) float32: cosines of problem with resolution, their mean over the embeddings."""
    total = np.zeros((len(cases), len(cases)), np.float32)
    if cases:
        vectors = embedder.queries([strip_identifiers(f"{case.problem}\n{case.resolution}") for case in cases])
        for rows in vectors.values():
            total += rows @ rows.T / np.float32(len(vectors))
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
