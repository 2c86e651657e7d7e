"""The few numbers in which reports sum up many."""

from collections.abc import Sequence
from statistics import median


def spread(seconds: Sequence[float]) -> dict[str, float]:
    """Median and 95th percentile (nearest rank), in seconds; 0 for no values."""
    if not seconds:
        return {"mediana": 0.0, "p95": 0.0}
    ordered = sorted(seconds)
    return {
        "mediana": round(median(ordered), 2),
        "p95": round(ordered[max(0, -(-len(ordered) * 95 // 100) - 1)], 2),
    }


def share(part: int, whole: int) -> float | None:
    """0..1; None of nothing."""
    return round(part / whole, 3) if whole else None
