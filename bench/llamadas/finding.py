"""How many planted faults are found, and how much of what is found was not planted."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bench.llamadas.generate import Calls
from bench.llamadas.world import SEGMENTS, TYPES
from core.calls.pattern import Pattern
from core.calls.patterns import find_patterns, holds
from core.calls.tally import NO_VALUE, Tally

_SAME = 0.5
"""Least share of calls in common (Jaccard) between a planted fault and the pattern that finds it."""


@dataclass(frozen=True)
class Score:
    """Of one set of calls."""

    planted: int
    found: int
    reported: int
    false: int
    missed: tuple[str, ...]
    wrong: tuple[str, ...]


def tallied(calls: Calls) -> Tally:
    """The calls as loading them would count them."""
    ids: dict[tuple[str, ...], int] = {}
    history = np.array([ids.setdefault(steps, len(ids)) for steps in calls.steps])
    codes: dict[str, int] = {}
    code = np.array([codes.setdefault(name, len(codes)) if name else NO_VALUE for name in calls.error])
    one = np.ones(len(history), np.int64)
    return Tally(
        histories=list(ids), segments=SEGMENTS, kinds=TYPES, codes=list(codes),
        history=history, segment=calls.segment, kind=calls.kind, hour=calls.hour, code=code,
        calls=one, failed=calls.failed.astype(np.int64), weeks=4.0,
    )  # fmt: skip


def score(calls: Calls, patterns: Sequence[Pattern], tally: Tally) -> Score:
    """Each planted fault counts as found once, by the pattern that shares most of its calls; every other pattern is a
    false discovery, also a second one for the same fault."""
    logged = [holds(tally, fault.condition) for fault in calls.planted]
    reported = [holds(tally, pattern.condition) for pattern in patterns]
    pairs = [
        (float((a & b).sum() / max((a | b).sum(), 1)), i, j)
        for i, a in enumerate(logged)
        for j, b in enumerate(reported)
    ]
    faults: set[int] = set()
    used: set[int] = set()
    for share, i, j in sorted(pairs, reverse=True):
        if share >= _SAME and i not in faults and j not in used:
            faults.add(i)
            used.add(j)
    return Score(
        planted=len(calls.planted),
        found=len(faults),
        reported=len(patterns),
        false=len(patterns) - len(used),
        missed=tuple(
            f"{fault.condition} (veces {fault.lift:.2f}, {int(logged[i].sum())} llamadas)"
            for i, fault in enumerate(calls.planted)
            if i not in faults
        ),
        wrong=tuple(str(p.condition) for j, p in enumerate(patterns) if j not in used),
    )


def measure(calls: Calls) -> Score:
    """What `find_patterns` makes of the calls."""
    tally = tallied(calls)
    return score(calls, find_patterns(tally).patterns, tally)
