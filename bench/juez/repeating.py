"""Whether a second judgement in the other order stops wrong actions better than a higher threshold does."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from bench.calidad.deciding import Rules, Searched
from bench.calidad.models import CachedTasks
from bench.juez.comparing import JudgedSet
from bench.juez.variants import ORDER, PRODUCT, Kept
from core.critic_loop import CriticLoop, Limits, Status
from core.errors import Terminal
from core.evidence import Evidence
from core.judgement import Calibration
from core.privacy import strip_identifiers
from core.search import Searcher
from finetune.calibration import coefficients, with_logits
from finetune.judgements import Judgements

_RESAMPLES = 1000
_FEWEST = 10
"""Judgements in both orders, of other sets, from which the two scales can be compared."""


@dataclass(frozen=True)
class Acted:
    """One incident that would be acted on, and by what."""

    group: str
    incident: str
    entry: str
    evidence: Evidence
    chance: float
    """0..1, by the calibration of the other sets."""
    right: bool
    fit: Calibration

    def second_approval(self, logit: float) -> int:
        """0..100, with another logit on the same scale."""
        return self.fit.approval(self.evidence, logit)


async def acted_on(sets: Sequence[JudgedSet], kept: Kept, models: tuple[str, str], rules: Rules) -> list[Acted]:
    """What the product's loop would carry out, each set with a calibration fitted on the others.

    `models`: the names of the embeddings and of the judge.

    Incidents with a candidate that is not judged yet are left out, and a set without others to fit on.
    """
    judgements = kept.of(PRODUCT.files[0])
    cases = with_logits([case for part in sets for row in part.rows for case in row.cases(part.name)], judgements)
    acted = []
    for part in sets:
        others = [case for case in cases if case.group != part.name]
        if len({case.label for case in others}) < 2:
            continue
        fit = Calibration.model_validate(coefficients(others, *models, PRODUCT.version))
        loop = _Loop(CachedTasks(judgements, None), fit, rules)
        for row in part.rows:
            found = await loop.decide(part.name, row)
            acted += [found] if found else []
    return acted


@dataclass(frozen=True)
class _Loop:
    tasks: CachedTasks
    fit: Calibration
    rules: Rules

    async def decide(self, group: str, row: Searched) -> Acted | None:
        text = row.incident.text
        limits = Limits(self.rules.threshold, self.rules.retries, self.rules.judged)
        searcher = cast("Searcher", row)  # the loop only searches with it
        try:
            verdict = await CriticLoop(searcher, self.tasks, self.fit, limits).decide(text, strip_identifiers(text))
        except Terminal:
            return None
        proposal = verdict.proposal
        if verdict.status is not Status.APPROVED or proposal is None:
            return None
        entry, evidence = proposal.candidate.entry, proposal.candidate.evidence
        right = row.incident.solvable and entry.id in row.right
        chance = self.fit.probability(evidence, proposal.logit)
        return Acted(group, text, entry.embed_text, evidence, chance, right, self.fit)


def near(acted: Sequence[Acted], threshold: int, margin: int) -> list[Acted]:
    """Those that `margin` points more of threshold would leave to a person."""
    return [one for one in acted if round(100 * one.chance) < threshold + margin]


@dataclass(frozen=True)
class Scale:
    """A logit of one order as the other order would have given it: same mean, same deviation (linear equating)."""

    slope: float
    shift: float

    @classmethod
    def of(cls, both: Sequence[tuple[float, float]]) -> "Scale | None":
        """From (first order, second order) of the same questions; None when there are too few."""
        if len(both) < _FEWEST:
            return None
        first, second = np.array(both, dtype=float).T
        slope = float(first.std() / second.std()) if second.std() > 0 else 1.0
        return cls(slope, float(first.mean() - slope * second.mean()))

    def __call__(self, logit: float) -> float:
        return self.shift + self.slope * logit


def scales(sets: Sequence[JudgedSet], acted: Sequence[Acted], kept: Kept) -> dict[str, Scale | None]:
    """Per set, from the judgements of the other sets in both orders."""
    first, second = kept.of(PRODUCT.files[0]), kept.of(ORDER.files[0])
    asked = {
        *((part.name, item.incident, item.entry) for part in sets if not part.pairs for item in part.items),
        *((one.group, one.incident, one.entry) for one in acted),
    }
    both = [
        (group, a.logit, b.logit)
        for group, incident, entry in sorted(asked)
        if (a := first.get(incident, entry)) and (b := second.get(incident, entry))
    ]
    return {part.name: Scale.of([(a, b) for group, a, b in both if group != part.name]) for part in sets}


def repeat_check(
    acted: Sequence[Acted], second: Judgements, by_set: Mapping[str, Scale | None], threshold: int, margin: int
) -> dict[str, Any]:
    """What a second opinion would stop near the threshold, against a threshold raised to the same coverage.

    It agrees when its logit, brought to the first one's scale, gives an approval that still reaches the threshold.
    It gains (`gana`) when it saves wrong actions beyond chance; None when it could not be asked.
    """
    close = near(acted, threshold, margin)
    asked, stopped = [], []
    for one in close:
        found, scale = second.get(one.incident, one.entry), by_set.get(one.group)
        if found and scale:
            asked.append(one)
            if one.second_approval(scale(found.logit)) < threshold:
                stopped.append(one)
    kept = [one for one in acted if one not in stopped]
    raised = raised_to(acted, sum(one.right for one in kept))
    figures: dict[str, Any] = {
        "umbral": threshold,
        "margen": margin,
        "actuadas": _count(acted),
        "cerca": _count(close),
        "preguntadas": _count(asked),
        "frenadas": _count(stopped),
        "con_repeticion": _count(kept),
        "umbral_subido": _count(raised) | {"umbral": round(100 * min((o.chance for o in raised), default=1.0), 1)},
    }
    low, high = _interval(acted, stopped)
    figures["errores_menos"] = {
        "valor": figures["umbral_subido"]["mal"] - figures["con_repeticion"]["mal"], "intervalo": [low, high],
    }  # fmt: skip
    figures["gana"] = low > 0 if asked else None
    return figures


def _interval(acted: Sequence[Acted], stopped: Sequence[Acted]) -> tuple[int, int]:
    """Of the wrong actions that the second opinion saves over the raised threshold: 95 %, percentile bootstrap."""
    if not acted:
        return 0, 0
    rows = sorted(acted, key=lambda a: a.chance, reverse=True)
    right = np.array([one.right for one in rows])
    kept = np.array([one not in stopped for one in rows])
    rng = np.random.default_rng(1)
    saved = []
    for _ in range(_RESAMPLES):
        drawn = np.sort(rng.integers(0, len(rows), len(rows)))  # still the surest first
        hits, stay = right[drawn], kept[drawn]
        target = int((hits & stay).sum())
        length = int(np.searchsorted(np.cumsum(hits), target)) + 1 if target else 0
        saved.append(length - target - int((~hits & stay).sum()))
    low, high = np.percentile(saved, [2.5, 97.5])
    return round(float(low)), round(float(high))


def raised_to(acted: Sequence[Acted], right: int) -> list[Acted]:
    """The surest of `acted`, as many as it takes to have `right` right ones: the same coverage."""
    taken: list[Acted] = []
    for one in sorted(acted, key=lambda a: a.chance, reverse=True):
        if sum(other.right for other in taken) >= right:
            break
        taken.append(one)
    return taken


def _count(some: Sequence[Acted]) -> dict[str, Any]:
    right = sum(one.right for one in some)
    return {"n": len(some), "bien": right, "mal": len(some) - right}
