"""The way calls take through the menus as a picture: arrows as thick as their traffic, failing ones in colour."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from core.calls.frequent import Frequent, exact_sums
from core.calls.outcome_steps import Outcomes
from core.calls.pattern import Condition, Pattern
from core.calls.tally import CallLog
from core.calls.wording import percent
from core.files import atomic_writer

_NODES = 34
"""Steps that are drawn: the busiest, and those of the patterns."""
_FAINTEST = 0.01
"""Share of the busiest arrow's calls from which an arrow is drawn."""
_COLUMNS = 9


@dataclass(frozen=True)
class Edge:
    """From one step to the next."""

    start: str
    end: str
    calls: int
    failed: int
    """Of the calls that took it, those that failed sooner or later."""
    pattern: str = ""
    """The pattern that it belongs to."""


def edges(log: CallLog, outcomes: Outcomes, nodes: Collection[str], patterns: Sequence[Pattern]) -> list[Edge]:
    """Every arrow between `nodes` with its traffic, the busiest first; a call counts once in each."""
    counts: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    for steps, n, k in _ways(log, outcomes):
        for pair in set(pairwise(steps)):
            if pair[0] in nodes and pair[1] in nodes:
                counts[pair][0] += n
                counts[pair][1] += k
    owners = _owners([(pattern.id, pattern.condition) for pattern in patterns])
    return [Edge(*pair, n, k, owners.get(pair, "")) for pair, (n, k) in sorted(counts.items(), key=lambda e: -e[1][0])]


def _ways(log: CallLog, outcomes: Outcomes) -> Iterator[tuple[tuple[str, ...], int, int]]:
    """(steps before the failure, calls, failed) of all calls."""
    for part in log.parts():
        calls, failed = part.by_history(part.calls).tolist(), part.by_history(part.failed).tolist()
        yield from zip(outcomes.cut(part).steps, calls, failed, strict=True)


def _owners(patterns: Sequence[tuple[str, Condition]]) -> dict[tuple[str, str], str]:
    owned: dict[tuple[str, str], str] = {}
    for name, condition in patterns:
        if condition.contiguous:
            for pair in pairwise(condition.steps):
                owned.setdefault(pair, name)
    return owned


def draw(log: CallLog, outcomes: Outcomes, patterns: Sequence[Pattern], target: Path) -> Path:
    """Write the picture to `target` (PNG). The same calls give the same bytes."""
    from matplotlib.figure import Figure
    from matplotlib.patches import FancyArrowPatch

    traffic, mean = _steps(log, outcomes)
    inside = {step for pattern in patterns for step in pattern.condition.steps}
    nodes = set(sorted(traffic, key=lambda step: (step not in inside, -traffic[step], step))[:_NODES])
    drawn = [edge for edge in edges(log, outcomes, nodes, patterns) if edge.start != edge.end]
    busiest = max((edge.calls for edge in drawn), default=1)
    drawn = [edge for edge in drawn if edge.calls >= _FAINTEST * busiest or edge.pattern]
    places = _places({step: mean[step] for step in nodes}, traffic)
    figure = Figure(figsize=(18, 11), layout="constrained")
    axes = figure.subplots()
    usual = log.total_failed / max(log.total, 1)
    for edge in reversed(drawn):
        arrow = FancyArrowPatch(
            places[edge.start], places[edge.end], arrowstyle="-|>", mutation_scale=11, shrinkA=26, shrinkB=26,
            linewidth=0.6 + 9 * edge.calls / busiest, color=_colour(edge, usual), alpha=0.8,
            connectionstyle="arc3,rad=0.12", zorder=3 if edge.pattern else 2,
        )  # fmt: skip
        axes.add_patch(arrow)
    _label(axes, places, traffic, patterns)
    axes.set(title=f"Flujo de {log.total} llamadas: grosor, tráfico; color, cuánto fallan (en conjunto, el "
             f"{percent(usual)})")  # fmt: skip
    axes.axis("off")
    axes.autoscale_view()
    axes.margins(0.06)
    with atomic_writer(target) as stream:
        figure.savefig(stream, format="png", dpi=100, metadata={"Software": None})
    return target


def _colour(edge: Edge, usual: float) -> tuple[float, float, float]:
    """Grey at the usual rate, red from three times it on."""
    rate = edge.failed / max(edge.calls, 1)
    if edge.calls < 30:
        return (0.78, 0.78, 0.78)
    heat = float(np.clip((rate / max(usual, 1e-9) - 1.15) / 1.4, 0, 1))
    grey, red = np.array([0.72, 0.72, 0.74]), np.array([0.80, 0.08, 0.08])
    r, g, b = (grey + heat * (red - grey)).tolist()
    return (r, g, b)


def _steps(log: CallLog, outcomes: Outcomes) -> tuple[dict[str, int], dict[str, float]]:
    """Of each step (where there are very many, of the frequent ones): its calls, and how far into them it comes."""
    sums, _ = exact_sums(3, lambda counts: _count(log, outcomes, counts))
    return {step: n for step, (n, _, _) in sums.items()}, {
        step: places / max(times, 1) for step, (_, places, times) in sums.items()
    }


def _count(log: CallLog, outcomes: Outcomes, counts: Frequent) -> None:
    for steps, n, _ in _ways(log, outcomes):
        seen: set[str] = set()
        for i, step in enumerate(steps):
            counts.add(step, 0 if step in seen else n, n * i, n)
            seen.add(step)


def _places(mean: Mapping[str, float], traffic: Mapping[str, int]) -> dict[str, tuple[float, float]]:
    """Left to right by how far into the call a step usually comes; the busiest in the middle of its column."""
    farthest = max(mean.values(), default=0.0) or 1.0
    columns: dict[int, list[str]] = defaultdict(list)
    for step in sorted(mean, key=lambda step: (mean[step], step)):
        columns[round(mean[step] / farthest * (_COLUMNS - 1))].append(step)
    found = {}
    for column, mine in columns.items():
        ordered = sorted(mine, key=lambda step: (-traffic[step], step))
        for i, step in enumerate(ordered):
            side = (i + 1) // 2 * (1 if i % 2 else -1)
            found[step] = (float(column) * 2.2 + 0.35 * (i % 2), float(side) + 0.15 * (column % 2))
    return found


def _label(
    axes: object, places: Mapping[str, tuple[float, float]], traffic: Mapping[str, int], patterns: Sequence[Pattern]
) -> None:
    from matplotlib.axes import Axes

    assert isinstance(axes, Axes)
    alone = {pattern.condition.steps[0]: pattern.id for pattern in patterns if len(pattern.condition.steps) == 1}
    for step, (x, y) in places.items():
        text = "\n".join(_lines(step)) + f"\n{traffic[step]}"
        if step in alone:
            text += f" · {alone[step]}"
        edge = "firebrick" if step in alone else "0.55"
        axes.text(
            x, y, text, ha="center", va="center", fontsize=8, zorder=4,
            bbox={"boxstyle": "round,pad=0.25", "facecolor": "white", "edgecolor": edge, "linewidth": 1.0},
        )  # fmt: skip
        axes.plot(x, y, alpha=0)


def _lines(step: str) -> list[str]:
    """The name over lines of some 16 characters."""
    lines = [""]
    for word in step[:48].split():
        if lines[-1] and len(lines[-1]) + len(word) > 15:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}".strip()
    return lines
