"""The approval fitted anew on a desk's own outcomes, and whether that is better than what is in force.

Outcomes in order of time: the first half fits, the next quarter compares, the last is left untouched for certifying
thresholds. With few outcomes only two numbers are fitted (Platt's scaling of the shipped log-odds, 1999); with plenty
every weight, none below zero. Both are held to the shipped fit by a ridge that weighs less the more outcomes there are.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.evidence import Evidence
from core.judgement.calibration import Calibration
from core.judgement.cases import Case

Numbers = NDArray[np.float64]

LEAST = 60
"""Outcomes with their evidence from which on a fit is tried."""
PLENTY = 300
"""Outcomes to fit on, `RARER` of either sort among them, from which on every weight is fitted."""
RARER = 40
_UNSEEN = 10
"""As many outcomes may lie below what counts as seen."""
_RIDGE = 4.0
_ONE_SIDED_95 = 1.645


@dataclass(frozen=True)
class Scored:
    """How a calibration does on the outcomes held out."""

    log_loss: float
    acted: int
    """Over the threshold."""
    wrong: int


@dataclass(frozen=True)
class Recalibration:
    """What came of fitting anew; whoever records experiments finds everything here."""

    taken_over: bool
    why: str
    """In Spanish."""
    outcomes: int
    candidate: Calibration | None = None
    way: str = ""
    """`platt` or `completo`."""
    fitted_on: int = 0
    compared_on: int = 0
    in_force: Scored | None = None
    tried: Scored | None = None
    wrong_at_equal: tuple[int, int] = (0, 0)
    """Wrong among as many actions as the one in force takes: its own, and the candidate's surest."""

    def figures(self) -> dict[str, Any]:
        """For the version's file."""
        return {
            "metodo": self.way,
            "resultados": self.outcomes,
            "ajuste": self.fitted_on,
            "comparacion": self.compared_on,
            "perdida_en_vigor": round(self.in_force.log_loss, 4) if self.in_force else None,
            "perdida_nueva": round(self.tried.log_loss, 4) if self.tried else None,
            "equivocadas_a_igual_numero": list(self.wrong_at_equal),
        }


def recalibrate(
    cases: Sequence[Case], shipped: Calibration, in_force: Calibration, threshold: int, *, keep_order: bool = False
) -> Recalibration:
    """Fit on the past, compare on what came later; nothing is written.

    `cases` in order of time, judged by one model; those without whole evidence are passed over. `threshold`: of the
    approvals that count as acted on; `keep_order`: Platt's scaling however many there are.
    """
    usable = [case for case in cases if case.judged.evidence]
    if len(usable) < LEAST:
        return Recalibration(False, f"hacen falta {LEAST} resultados con su evidencia y hay {len(usable)}", len(usable))
    half, end = len(usable) // 2, len(usable) * 3 // 4
    past, later = usable[:half], usable[half:end]
    rarer = min(sum(case.right for case in past), sum(not case.right for case in past))
    way = "completo" if not keep_order and len(past) >= PLENTY and rarer >= RARER else "platt"
    until = later[-1].judged.when
    candidate = _fitted(past, shipped, every_weight=way == "completo").model_copy(
        update={"fitted": {"metodo": way, "resultados": len(past), "hasta": until}}
    )
    before, after = _chances(later, in_force), _chances(later, candidate)
    right = np.array([case.right for case in later])
    gain = _losses(before, right) - _losses(after, right)
    noise = _ONE_SIDED_95 * float(gain.std(ddof=1)) / math.sqrt(len(gain))
    one, other = _scored(before, right, threshold), _scored(after, right, threshold)
    wrong = (one.wrong, int((~right[np.argsort(-after, kind="stable")[: one.acted]]).sum()))
    better = float(gain.mean()) > noise
    why = (
        f"log-loss {one.log_loss:.4f} la que está en vigor, {other.log_loss:.4f} la nueva, en {len(later)} resultados "
        "posteriores"
    )
    if not better:
        why += ": la mejora, si la hay, no se distingue del azar"
    elif wrong[1] > wrong[0]:
        why += f", pero a igual número de acciones se equivoca más ({wrong[1]} frente a {wrong[0]})"
    return Recalibration(
        better and wrong[1] <= wrong[0], why, len(usable), candidate, way, len(past), len(later), one, other, wrong
    )


def _fitted(cases: Sequence[Case], shipped: Calibration, *, every_weight: bool) -> Calibration:
    """Below the score that all but `_UNSEEN` outcomes reach the shipped approval goes on holding things down."""
    y = np.array([case.right for case in cases], dtype=np.float64)
    base = np.array([_of(shipped, case) for case in cases])
    ones = np.ones(len(cases))
    slope, shift = fit_logistic(np.column_stack([base, ones]), y, np.array([1.0, 0.0]), np.array([0.05, -np.inf]))
    names = [name for name in Evidence.__dataclass_fields__ if name in shipped.scores]
    start = np.array([shipped.logit, *(shipped.scores[name] for name in names), shipped.intercept]) * slope
    start[-1] += shift
    if every_weight:
        rows = [
            [shipped.held(c.judged.logit), *(float(getattr(c.judged.evidence, name)) for name in names)] for c in cases
        ]
        lower = np.array([0.0] * (len(names) + 1) + [-np.inf])
        start = fit_logistic(np.column_stack([np.array(rows), ones]), y, start, lower)
    weights = [float(value) for value in start]
    return shipped.model_copy(
        update={
            "logit": weights[0],
            "scores": dict(zip(names, weights[1:-1], strict=True)),
            "intercept": weights[-1],
            "before": shipped,
            "seen_from": float(np.sort(base)[min(_UNSEEN, len(base)) - 1]),
        }
    )


def fit_logistic(x: Numbers, y: Numbers, start: Numbers, lower: Numbers) -> Numbers:
    """Weights over `x`, (cases, weights), for outcomes `y` of 0 and 1, none under `lower`.

    Least log-loss plus a ridge towards `start` in units of each column's spread: Newton's steps over the weights that
    are free, cut back where they would not help (projected Newton, Bertsekas 1982).
    """
    spread = np.maximum(x.std(axis=0), 1e-6)
    spread[x.std(axis=0) == 0] = 1.0
    ridge = _RIDGE * spread**2

    def loss(w: Numbers) -> float:
        z = x @ w
        return float((np.logaddexp(0, z) - y * z).sum() + 0.5 * (ridge * (w - start) ** 2).sum())

    weights = np.maximum(start, lower)
    for _ in range(100):
        chance = 1 / (1 + np.exp(-np.clip(x @ weights, -500, 500)))
        slope = x.T @ (chance - y) + ridge * (weights - start)
        free = (weights > lower) | (slope < 0)
        if np.abs(slope[free]).max(initial=0.0) < 1e-8:
            break
        bend = (x.T * (chance * (1 - chance))) @ x + np.diag(ridge)
        step = np.zeros_like(weights)
        step[free] = np.linalg.solve(bend[np.ix_(free, free)], slope[free])
        size, now = 1.0, loss(weights)
        while size > 1e-10 and loss(np.maximum(weights - size * step, lower)) > now:
            size /= 2
        moved = np.maximum(weights - size * step, lower)
        if size <= 1e-10 or np.array_equal(moved, weights):
            break
        weights = moved
    return weights


def _of(calibration: Calibration, case: Case) -> float:
    assert case.judged.evidence is not None
    return calibration.score(case.judged.evidence, case.judged.logit)


def _chances(cases: Sequence[Case], calibration: Calibration) -> Numbers:
    return np.array(
        [calibration.probability(case.judged.evidence or Evidence(), case.judged.logit) for case in cases],
        dtype=np.float64,
    )


def _losses(chance: Numbers, right: NDArray[np.bool_]) -> Numbers:
    """Log-loss of each, a chance never taken for surer than one in a thousand: one outcome must not decide alone."""
    held = np.clip(chance, 0.001, 0.999)
    return np.asarray(-np.log(np.where(right, held, 1 - held)), dtype=np.float64)


def _scored(chance: Numbers, right: NDArray[np.bool_], threshold: int) -> Scored:
    acted = np.round(100 * chance) >= threshold
    return Scored(float(_losses(chance, right).mean()), int(acted.sum()), int((acted & ~right).sum()))
