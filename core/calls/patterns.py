"""`find_patterns`: calls to the patterns that are really there, costliest first."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from core.calls.candidates import Candidates, candidates
from core.calls.contrast import upper_tail, wilson
from core.calls.mining import gaps_looked_for
from core.calls.outcome_steps import Outcomes, step_counts
from core.calls.pattern import Attribute, CodeShare, Condition, Pattern
from core.calls.scratch import Scratch
from core.calls.selection import Chosen, Rules, Selection
from core.calls.tally import CallLog, Ints, Tally

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
    """Steps taken for the failure itself, with their calls, the most frequent first."""
    gaps: bool = True
    """Whether sub-sequences with other steps between were looked for."""
    every_step: bool = True
    """Whether all names of steps were counted: False where there are too many to count the rare ones, too."""


def find_patterns(
    log: CallLog,
    rules: Rules | None = None,
    *,
    causes: Collection[str] = (),
    outcomes: Collection[str] = (),
    scratch: Path | None = None,
) -> Found:
    """What makes calls fail more than elsewhere, beyond chance and beyond one another.

    `causes`: steps never to be taken for the failure itself; `outcomes`: steps always to be; `scratch`: the folder for
    what does not stay in memory. Memory does not grow with the calls, nor with their different histories. Raises
    `DependencyError` when the disk is full.
    """
    rules = rules or Rules()
    counts = step_counts(log)
    ends = counts.outcomes(causes) | {step: counts.counts[step][0] for step in outcomes if step in counts.counts}
    where = Outcomes(ends, None if counts.every else counts.counts.keys(), frozenset(causes))
    ranked = tuple(sorted(ends.items(), key=lambda item: (-item[1], item[0])))
    total, failed = log.total, log.total_failed
    if not 0 < failed < total:  # nothing to compare
        return Found((), total, failed, log.weeks, 0, rules, ranked, every_step=counts.every)
    with Scratch(scratch) as ways, Scratch(scratch) as kept:
        found = candidates(log, counts, where, rules.support, ways, kept)
        selection = Selection(found, rules)
        chosen = selection.choose()
    patterns = [_described(log, found, selection, one) for one in chosen]
    patterns.sort(key=lambda pattern: (-pattern.excess, str(pattern.condition)))
    known = _with_codes(patterns, log, _failures(log, where, [pattern.condition for pattern in patterns]))
    numbered = tuple(_numbered(pattern, number) for number, pattern in enumerate(known, start=1))
    return Found(
        numbered, total, failed, log.weeks, len(found.conditions), rules, ranked, gaps_looked_for(), counts.every
    )


def _described(log: CallLog, found: Candidates, selection: Selection, one: Chosen) -> Pattern:
    tested = selection.tested
    condition = found.conditions[one.index]
    calls, failed = int(tested.calls[one.index]), int(tested.failed[one.index])
    outside, failed_outside = found.total - calls, found.total_failed - failed
    elsewhere = failed_outside / outside
    low, high = wilson(failed, calls)
    excess = failed - calls * elsewhere
    plain = condition if condition.attribute is None else type(condition)(condition.steps, condition.contiguous)
    return Pattern(
        id="",
        condition=condition,
        calls=calls,
        failed=failed,
        support=calls / found.total,
        rate=failed / calls,
        low=low,
        high=high,
        elsewhere=elsewhere,
        lift=failed / calls / max(elsewhere, 0.5 / outside),
        p_value=float(tested.p_value[one.index]),
        q_value=float(tested.q_value[one.index]),
        p_given=one.p_given,
        excess=excess,
        lost_per_week=excess / log.weeks if log.weeks else None,
        equivalents=tuple(str(other) for other in found.equivalents.get(plain, ())),
    )


@dataclass(frozen=True)
class _Failures:
    """Failed calls by error code, `codes` (codes,) of all, `inside` (patterns, codes) under each pattern; and where the
    failures of each pattern end."""

    codes: Ints
    inside: Ints
    endings: tuple[Counter[str], ...]


def _failures(log: CallLog, where: Outcomes, conditions: Sequence[Condition]) -> _Failures:
    found = _Failures(
        np.zeros(len(log.codes), np.int64), np.zeros((len(conditions), len(log.codes)), np.int64),
        tuple(Counter() for _ in conditions),
    )  # fmt: skip
    for part in log.parts() if conditions else ():
        ending = where.cut(part).ending
        found.codes[:] += _by_code(part, part.code >= 0)
        for number, condition in enumerate(conditions):
            held = holds(part, condition)
            found.inside[number] += _by_code(part, held & (part.code >= 0))
            for history, k in zip(part.history[held].tolist(), part.failed[held].tolist(), strict=True):
                if k and ending[history] in where.steps:
                    found.endings[number][ending[history]] += k
    return found


def _by_code(part: Tally, cells: NDArray[np.bool_]) -> Ints:
    sums = np.bincount(part.code[cells], weights=part.failed[cells], minlength=len(part.codes))
    return sums.astype(np.int64)


def _numbered(pattern: Pattern, number: int) -> Pattern:
    return replace(pattern, id=f"P{number}")


def _with_codes(patterns: Sequence[Pattern], log: CallLog, failures: _Failures) -> list[Pattern]:
    """With where each pattern's failures end, and the error codes that they have more than other failures: exact tests,
    all under one Benjamini–Hochberg."""
    from scipy.stats import false_discovery_control

    patterns = [
        replace(pattern, endings=tuple(sorted(ends.items(), key=lambda item: (-item[1], item[0]))[:_ENDINGS]))
        for pattern, ends in zip(patterns, failures.endings, strict=True)
    ]
    shares: list[tuple[int, str, int, float, float, float]] = []
    size = int(failures.codes.sum())
    for number, inside in enumerate(failures.inside):
        n = int(inside.sum())
        for code in np.flatnonzero(inside).tolist():
            k, all_k = int(inside[code]), int(failures.codes[code])
            if 0 < n < size:
                p_value = upper_tail(k, [(n, size, all_k)])
                shares.append((number, log.codes[code], k, k / n, (all_k - k) / (size - n), p_value))
    if not shares:
        return patterns
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
