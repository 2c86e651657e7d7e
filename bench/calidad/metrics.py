"""The figures of merit, each on plain arrays; None where the data cannot give one."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from finetune.calibration import calibration_error

Numbers = NDArray[np.float64]
_RESAMPLES = 1000


def auroc(scores: Sequence[float], labels: Sequence[int]) -> float | None:
    """Chance that a positive scores above a negative; None with one class only."""
    from sklearn.metrics import roc_auc_score

    return round(float(roc_auc_score(labels, scores)), 4) if len(set(labels)) == 2 else None


def average_precision(scores: Sequence[float], labels: Sequence[int]) -> float | None:
    """Area under precision over recall; None with one class only."""
    from sklearn.metrics import average_precision_score

    return round(float(average_precision_score(labels, scores)), 4) if len(set(labels)) == 2 else None


def calibration(chances: Sequence[float], labels: Sequence[int]) -> dict[str, float | None]:
    """Expected calibration error over ten bins of equal width, and Brier's score."""
    if not chances:
        return {"ece": None, "brier": None}
    p, y = np.asarray(chances, dtype=float), np.asarray(labels, dtype=float)
    return {"ece": round(calibration_error(p, y), 4), "brier": round(float(((p - y) ** 2).mean()), 4)}


def reliability(chances: Sequence[float], labels: Sequence[int], bins: int = 10) -> list[dict[str, float]]:
    """Per bin that has any: how many, the mean chance given and the share that was right."""
    p, y = np.asarray(chances, dtype=float), np.asarray(labels, dtype=float)
    which = np.minimum((p * bins).astype(int), bins - 1)
    return [
        {
            "n": int((which == b).sum()),
            "aprobacion": round(float(p[which == b].mean()), 4),
            "acierto": round(float(y[which == b].mean()), 4),
        }
        for b in sorted(set(which.tolist()))
    ]


def mean_with_interval(values: Sequence[float], seed: int) -> dict[str, Any]:
    """The mean and its 95 % interval by the percentile bootstrap over `values`."""
    if not values:
        return {"valor": None, "intervalo": None}
    x = np.asarray(values, dtype=float)
    rng = np.random.default_rng(seed)
    means = [x[rng.integers(0, len(x), len(x))].mean() for _ in range(_RESAMPLES)]
    low, high = np.percentile(means, [2.5, 97.5])
    return {"valor": round(float(x.mean()), 4), "intervalo": [round(float(low), 4), round(float(high), 4)]}


def ranking(ranks: Sequence[int | None], seed: int) -> dict[str, Any]:
    """recall@1, recall@5 and MRR of the right entry's ranks (from 1; None: not found), with intervals."""
    return {
        "n": len(ranks),
        "recall@1": mean_with_interval([float(r == 1) for r in ranks], seed),
        "recall@5": mean_with_interval([float(r is not None and r <= 5) for r in ranks], seed),
        "mrr": mean_with_interval([1 / r if r else 0.0 for r in ranks], seed),
    }
