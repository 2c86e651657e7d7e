"""`find_patterns`: a tally of calls to the patterns that are really there, costliest first."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from core.calls.candidates import Candidates, candidates
from core.calls.contrast import upper_tail, wilson
from core.calls.mining import gaps_looked_for
from core.calls.outcome_steps import Paths, cut, outcome_steps
from core.calls.pattern import Attribute, CodeShare, Condition, Pattern
from core.calls.selection import Chosen, Rules, Selection
from core.calls.tally import Tally

_ENDINGS = 3
_FALSE_CODES = 0.05


@dataclass(frozen=True)
class Found:
    """The patterns of a set of calls, costliest first, and what was looked at for them."""

    patterns: tuple[Pattern, ...]
    calls: int
    failed: int
    weeks: float | None
    tested: int
    """Conditions that were tested."""
    rules: Rules
    outcomes: tuple[tuple[str, int], ...]
    """Steps taken for the failure itself, with their calls."""
    gaps: bool = True
    """Whether sub-sequences with other steps between were looked for."""


def find_patterns(
    tally: Tally, rules: Rules | None = None, *, causes: Collection[str] = (), outcomes: Collection[str] = ()
) -> Found:
    """What makes calls fail more than elsewhere, beyond chance and beyond one another.

    `causes`: steps never to be taken for the failure itself; `outcomes`: steps always to be.
    """
    rules = rules or Rules()
    ends = outcome_steps(tally, causes)
    seen = {step for history in tally.histories for step in history}
    ends |= {step: _calls_with(tally, step) for step in outcomes if step in seen}
    paths = cut(tally.histories, ends)
    if not 0 < tally.total_failed < tally.total:  # nothing to compare
        return Found((), tally.total, tally.total_failed, tally.weeks, 0, rules, paths.outcomes)
    walked = tally.along(paths.steps)
    found = candidates(walked, rules.support)
    selection = Selection(walked, found, rules)
    patterns = [_described(tally, paths, found, selection, one) for one in selection.choose()]
    patterns.sort(key=lambda pattern: (-pattern.excess, str(pattern.condition)))
    numbered = tuple(_numbered(pattern, number) for number, pattern in enumerate(_with_codes(tally, patterns), start=1))
    return Found(
        numbered, tally.total, tally.total_failed, tally.weeks, len(found.conditions), rules, paths.outcomes,
        gaps_looked_for(),
    )  # fmt: skip


def _described(tally: Tally, paths: Paths, found: Candidates, selection: Selection, one: Chosen) -> Pattern:
    tested = selection.tested
    condition = found.conditions[one.index]
    calls, failed = int(tested.calls[one.index]), int(tested.failed[one.index])
    outside, failed_outside = tally.total - calls, tally.total_failed - failed
    elsewhere = failed_outside / outside
    low, high = wilson(failed, calls)
    excess = failed - calls * elsewhere
    held = holds(tally, condition)
    endings: dict[str, int] = {}
    for history, k in zip(tally.history[held].tolist(), tally.failed[held].tolist(), strict=True):
        if k and paths.ending[history]:
            endings[paths.ending[history]] = endings.get(paths.ending[history], 0) + k
    plain = condition if condition.attribute is None else type(condition)(condition.steps, condition.contiguous)
    return Pattern(
        id="",
        condition=condition,
        calls=calls,
        failed=failed,
        support=calls / tally.total,
        rate=failed / calls,
        low=low,
        high=high,
        elsewhere=elsewhere,
        lift=failed / calls / max(elsewhere, 0.5 / outside),
        p_value=float(tested.p_value[one.index]),
        q_value=float(tested.q_value[one.index]),
        p_given=one.p_given,
        excess=excess,
        lost_per_week=excess / tally.weeks if tally.weeks else None,
        equivalents=tuple(str(other) for other in found.equivalents.get(plain, ())),
        endings=tuple(sorted(endings.items(), key=lambda item: (-item[1], item[0]))[:_ENDINGS]),
    )


def _numbered(pattern: Pattern, number: int) -> Pattern:
    return replace(pattern, id=f"P{number}")


def _with_codes(tally: Tally, patterns: Sequence[Pattern]) -> list[Pattern]:
    """The error codes that each pattern's failures have more than other failures: exact tests, all under one
    Benjamini–Hochberg."""
    from scipy.stats import false_discovery_control

    shares: list[tuple[int, str, int, float, float, float]] = []
    totals = np.bincount(tally.code[tally.code >= 0], weights=tally.failed[tally.code >= 0], minlength=len(tally.codes))
    for number, pattern in enumerate(patterns):
        held = holds(tally, pattern.condition) & (tally.code >= 0)
        inside = np.bincount(tally.code[held], weights=tally.failed[held], minlength=len(tally.codes))
        n, size = int(inside.sum()), int(totals.sum())
        for code in np.flatnonzero(inside).tolist():
            k, failures = int(inside[code]), int(totals[code])
            if 0 < n < size:
                p_value = upper_tail(k, [(n, size, failures)])
                shares.append((number, tally.codes[code], k, k / n, (failures - k) / (size - n), p_value))
    if not shares:
        return list(patterns)
    adjusted = false_discovery_control([share[-1] for share in shares], method="bh")
    kept: dict[int, list[CodeShare]] = {}
    for (number, name, k, share, elsewhere, _), q_value in zip(shares, adjusted.tolist(), strict=True):
        if q_value <= _FALSE_CODES and share > elsewhere:
            kept.setdefault(number, []).append(CodeShare(name, k, share, elsewhere, q_value))
    return [
        replace(pattern, codes=tuple(sorted(kept.get(number, ()), key=lambda code: -code.failures)))
        for number, pattern in enumerate(patterns)
    ]


def holds(tally: Tally, condition: Condition) -> NDArray[np.bool_]:
    """(cells,) whether a condition holds; outcome steps are not looked at, they are none of its steps."""
    met: NDArray[np.bool_] = np.array([condition.completed(h) > 0 for h in tally.histories], np.bool_)[tally.history]
    match condition.attribute:
        case None:
            pass
        case Attribute.SEGMENT:
            met &= np.array([*(name in condition.values for name in tally.segments), False])[tally.segment]
        case Attribute.TYPE:
            met &= np.array([*(name in condition.values for name in tally.kinds), False])[tally.kind]
        case Attribute.HOUR:
            met &= np.isin(tally.hour, [int(hour) for hour in condition.values])
        case _:
            assert_never(condition.attribute)
    return met


def _calls_with(tally: Tally, step: str) -> int:
    return int(tally.calls[holds(tally, Condition((step,)))].sum())
