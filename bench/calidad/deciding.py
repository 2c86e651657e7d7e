"""The product's own loop over labelled incidents, at every threshold, with a calibration of other sets."""

from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np

from bench.calidad.models import CachedTasks
from bench.calidad.risk import Decisions
from core.critic_loop import CriticLoop, Limits, Status
from core.errors import Terminal
from core.judgement import Calibration
from core.privacy import strip_identifiers
from core.search import Candidate, Searcher
from core.terminal import Show
from finetune.calibration import Case, SearchedSet, cases_of
from finetune.labelled import LabelledIncident, LabelledSet

THRESHOLDS = (*range(0, 50, 5), *range(50, 102))
"""Approvals at which the loop is run; nothing reaches the last one."""
LIKELY = tuple(threshold for threshold in THRESHOLDS if threshold >= 50)
"""Of them those that want better than even chances: there the loop judges only what could reach them."""


@dataclass
class Searched:
    """One incident of the judged sample, with its candidates."""

    incident: LabelledIncident
    right: frozenset[str]
    found: list[Candidate]
    catalogue: SearchedSet
    again: dict[tuple[object, ...], list[Candidate]] = field(default_factory=dict)

    def search(self, texts: Sequence[str], *, without: Collection[str] = ()) -> list[Candidate]:
        """As `Searcher.search`, remembered, without what is taken out for this incident."""
        key = (*texts, frozenset(without))
        if key not in self.again:
            taken = self.right if self.incident.removed else frozenset()
            self.again[key] = self.catalogue.searcher.search(texts, without={*without, *taken})
        return self.again[key]

    def cases(self, group: str) -> list[Case]:
        """As the calibration is fitted on."""
        return cases_of(group, self.incident, self.right, self.found)


def search_sample(labelled: LabelledSet, catalogue: SearchedSet) -> list[Searched]:
    """The candidates of every incident of a sample."""
    rows = []
    for incident in labelled.incidents:
        one = Searched(incident, catalogue.right(incident), [], catalogue)
        one.found = one.search([strip_identifiers(incident.text)])
        rows.append(one)
    return rows


@dataclass(frozen=True)
class Decided:
    """What the loop did with one incident: per threshold whether it acted, and rightly."""

    searched: Searched
    thresholds: tuple[int, ...]
    """Rising, with the one in force among them."""
    chance: float
    """Calibrated, of what it would propose first at the lowest of them; 0 where it would propose nothing."""
    proposed: str | None
    """Catalogue id of that."""
    acted: tuple[bool, ...]
    right: tuple[bool, ...]
    asked: tuple[tuple[str, str], ...]
    """(incident, entry) of the judgements at the threshold in force."""


@dataclass(frozen=True)
class Rules:
    """The settings of the loop."""

    threshold: int
    retries: int
    judged: int
    tried: tuple[int, ...] = THRESHOLDS

    @property
    def thresholds(self) -> tuple[int, ...]:
        """Those tried, and the one in force."""
        return tuple(sorted({*self.tried, self.threshold}))


async def decide(
    rows: Sequence[Searched], tasks: CachedTasks, calibration: Calibration, rules: Rules, bar: Show | None = None
) -> tuple[list[Decided], int]:
    """Those that could be decided, and how many could not for want of a judgement. Raises what a live model does."""
    decided = []
    for number, row in enumerate(rows, 1):
        with suppress(Terminal):
            decided.append(await _decide(row, tasks, calibration, rules))
        if bar:
            bar("Decisiones", number, len(rows))
    return decided, len(rows) - len(decided)


async def _decide(row: Searched, tasks: CachedTasks, calibration: Calibration, rules: Rules) -> Decided:
    text = row.incident.text
    words = strip_identifiers(text)
    acted: list[bool] = []
    right: list[bool] = []
    asked: tuple[tuple[str, str], ...] = ()
    chance, proposed = 0.0, None
    searcher = cast("Searcher", row)  # the loop only searches with it
    for threshold in rules.thresholds:
        tasks.asked.clear()
        limits = Limits(threshold, rules.retries, rules.judged)
        verdict = await CriticLoop(searcher, tasks, calibration, limits).decide(text, words)
        proposal = verdict.proposal
        if threshold == rules.threshold:
            asked = tuple(tasks.asked)
        if threshold == rules.thresholds[0] and proposal:
            chance = calibration.probability(proposal.candidate.evidence, proposal.logit)
            proposed = proposal.candidate.entry.id
        does = verdict.status is Status.APPROVED
        acted.append(does)
        right.append(does and proposal is not None and proposal.candidate.entry.id in row.right)
    return Decided(row, rules.thresholds, chance, proposed, tuple(acted), tuple(right), asked)


def as_decisions(decided: Sequence[Decided]) -> Decisions:
    """Of one at least, all at the same thresholds."""
    return Decisions(
        tuple(map(float, decided[0].thresholds)),
        np.array([d.acted for d in decided], dtype=bool).T,
        np.array([d.right for d in decided], dtype=bool).T,
        np.array([d.searched.incident.solvable for d in decided], dtype=bool),
    )


def by_type(decided: Sequence[Decided], threshold: int) -> dict[str, dict[str, Any]]:
    """Where the wrong actions at `threshold` are: incidents with a solution, and each kind of those without."""
    figures: dict[str, dict[str, Any]] = {}
    for one in decided:
        name = one.searched.incident.none_type or "con solución"
        kind = figures.setdefault(name, {"incidencias": 0, "automaticas": 0, "equivocadas": 0})
        kind["incidencias"] += 1
        at = one.thresholds.index(threshold)
        kind["automaticas"] += one.acted[at]
        kind["equivocadas"] += one.acted[at] and not one.right[at]
    return figures


def wrong_ones(decided: Sequence[Decided], threshold: int) -> list[dict[str, Any]]:
    """The wrong actions at `threshold`, surest first, by the set's own ids: its texts stay where they are."""
    rows = []
    for one in sorted(decided, key=lambda d: d.chance, reverse=True):
        at = one.thresholds.index(threshold)
        if one.acted[at] and not one.right[at]:
            own = {catalogue_id: i for i, catalogue_id in one.searched.catalogue.ids.items()}
            incident = one.searched.incident
            rows.append(
                {
                    "incidencia": incident.id,
                    "tipo": incident.none_type or "con solución",
                    "aprobacion": round(100 * one.chance),
                    "propuesta": own.get(one.proposed or ""),
                    "correctas": sorted(incident.relevant),
                }
            )
    return rows
