"""What would be done automatically at each threshold, and which threshold an allowed risk asks for."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.judgement.bound import Trial, certify

Flags = NDArray[np.bool_]
RISKS = (0.01, 0.02, 0.05, 0.10)
"""Shares of the automatic actions allowed to be wrong."""


@dataclass(frozen=True)
class Decisions:
    """A method's decisions on the same incidents at every threshold."""

    thresholds: tuple[float, ...]
    """Rising."""
    acted: Flags
    """(thresholds, incidents)."""
    right: Flags
    """(thresholds, incidents): acted, and by a right entry."""
    solvable: Flags
    """(incidents,)."""

    def only(self, which: Flags | NDArray[np.int64]) -> "Decisions":
        """Of some of the incidents."""
        return Decisions(self.thresholds, self.acted[:, which], self.right[:, which], self.solvable[which])

    def at(self, threshold: float) -> dict[str, Any]:
        """Actions, wrong ones, precision, and coverage: those solved over those that could be."""
        row = self._row(threshold)
        acted, right = (0, 0) if row is None else (int(self.acted[row].sum()), int(self.right[row].sum()))
        return {
            "umbral": threshold,
            "incidencias": len(self.solvable),
            "automaticas": acted,
            "equivocadas": acted - right,
            "precision": round(right / acted, 4) if acted else None,
            "cobertura": round(right / max(int(self.solvable.sum()), 1), 4),
        }

    def threshold_within(self, risk: float) -> float | None:
        """The one with most coverage whose wrong share here is at most `risk`; None when there is none."""
        best, most = None, 0
        for threshold, acted, right in zip(self.thresholds, self.acted, self.right, strict=True):
            n, k = int(acted.sum()), int(right.sum())
            if n and n - k <= risk * n and k > most:
                best, most = threshold, k
        return best

    def certified(self, risk: float) -> float | None:
        """The threshold that the product would certify from these outcomes; None when it would certify none."""
        counts = zip(self.thresholds, self.acted.sum(axis=1), self.right.sum(axis=1), strict=True)
        trials = [Trial(threshold, int(n), int(n - k)) for threshold, n, k in counts if n]
        found = certify(trials[::-1], risk)
        return found.trial.threshold if found else None

    def curve(self) -> list[dict[str, Any]]:
        """Coverage and wrong share at every threshold at which anything is done."""
        points = [self.at(threshold) for threshold in self.thresholds]
        return [
            {"umbral": p["umbral"], "cobertura": p["cobertura"], "riesgo": round(1 - p["precision"], 4)}
            for p in points
            if p["automaticas"]
        ]

    def _row(self, threshold: float) -> int | None:
        """The first row at or above; None above them all."""
        row = int(np.searchsorted(self.thresholds, threshold))
        return row if row < len(self.thresholds) else None


def by_score(scores: Sequence[float], right: Sequence[bool], solvable: Sequence[bool], most: int = 200) -> Decisions:
    """A method that acts on its first candidate when its score reaches the threshold."""
    values = np.unique(np.asarray(scores, dtype=float))
    if len(values) > most:
        values = values[np.unique(np.linspace(0, len(values) - 1, most).astype(int))]
    acted = np.asarray(scores, dtype=float)[None, :] >= values[:, None]
    can = np.asarray(solvable, dtype=bool)
    return Decisions(tuple(values.tolist()), acted, acted & np.asarray(right, dtype=bool) & can, can)


def together(parts: Sequence[Decisions]) -> Decisions:
    """All the incidents of `parts`, over the thresholds of any of them."""
    thresholds = tuple(sorted({t for part in parts for t in part.thresholds}))

    def spread(part: Decisions, what: Flags) -> Flags:
        rows = [part._row(t) for t in thresholds]
        nothing = np.zeros(what.shape[1], dtype=bool)
        return np.stack([nothing if row is None else what[row] for row in rows])

    return Decisions(
        thresholds,
        np.concatenate([spread(part, part.acted) for part in parts], axis=1),
        np.concatenate([spread(part, part.right) for part in parts], axis=1),
        np.concatenate([part.solvable for part in parts]),
    )


def at_risks(here: Decisions, others: Decisions | None) -> dict[str, Any]:
    """Per allowed risk: the best that could be had here in hindsight, and what the others' threshold gives here."""
    figures: dict[str, Any] = {}
    for risk in RISKS:
        best = here.threshold_within(risk)
        learnt = others.threshold_within(risk) if others else None
        figures[f"{risk:g}"] = {
            "a_posteriori": None if best is None else here.at(best),
            "umbral_ajeno": None if learnt is None else here.at(learnt),
        }
    return figures


def split_trials(decisions: Decisions, risk: float, trials: int, seed: int) -> dict[str, Any]:
    """Certify a threshold on a random half and look at the other half, `trials` times."""
    rng = np.random.default_rng(seed)
    size = len(decisions.solvable)
    found = []
    for _ in range(trials):
        order = rng.permutation(size)
        threshold = decisions.only(order[: size // 2]).certified(risk)
        if threshold is not None:
            found.append(decisions.only(order[size // 2 :]).at(threshold))
    wrong = [f["equivocadas"] / f["automaticas"] if f["automaticas"] else 0.0 for f in found]
    return {
        "riesgo": risk,
        "divisiones": trials,
        "certificadas": len(found),
        "dentro": sum(share <= risk for share in wrong) + trials - len(found),
        "peor": round(max(wrong, default=0.0), 4),
        "cobertura": round(sum(f["cobertura"] for f in found) / trials, 4),
    }
