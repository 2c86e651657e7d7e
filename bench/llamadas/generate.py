"""Calls of the invented IVR with planted faults: in memory for the bench, as CSV with what was planted beside it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.llamadas.world import ERRORS, SEGMENTS, TYPES, Planted, Walk, attributes, possible_faults, walks
from core.calls.pattern import Attribute, Condition

BASE_RATE = 0.08
PART = 50_000
"""Calls that are in memory at once."""
_KINDS = ("paso", "transicion", "secuencia", "con atributo")
_SUPPORT = (0.005, 0.05)
_LIFT = (2.0, 4.0)
_OVERLAP = 0.2
"""Share of one fault's calls that may be another's, too: two faults in one place could not be told apart by anybody."""
_CUT = 0.7
"""Share of the failures that end the call at once; the others fail at the end of the way."""


@dataclass(frozen=True)
class Calls:
    """Generated calls. Arrays (calls,): `segment` and `kind` in `SEGMENTS` and `TYPES`, `hour` 0–23, `failed`,
    `cause` the fault that a failure is due to, -1 for none; `met` (calls, faults) which conditions the way met."""

    steps: list[tuple[str, ...]]
    """As logged: cut at the failure, with its error step."""
    segment: NDArray[np.int64]
    kind: NDArray[np.int64]
    hour: NDArray[np.int64]
    failed: NDArray[np.bool_]
    error: list[str]
    cause: NDArray[np.int64]
    met: NDArray[np.bool_]
    planted: tuple[Planted, ...]


def in_parts(seed: int, count: int, faults: int) -> Iterator[Calls]:
    """`count` calls, `PART` at a time, each part by chance of its own: those planted in the first are in all.

    Copies of one part would not do: its chance would be repeated until it looked like a pattern.
    """
    planted: tuple[Planted, ...] | None = None
    for number, start in enumerate(range(0, count, PART)):
        calls = generate([seed, number] if number else seed, min(PART, count - start), faults, planted=planted)
        planted = calls.planted
        yield calls


def generate(
    seed: int | Sequence[int],
    count: int = PART,
    faults: int = 6,
    *,
    support: tuple[float, float] = _SUPPORT,
    lift: tuple[float, float] = _LIFT,
    planted: Sequence[Planted] | None = None,
) -> Calls:
    """`count` calls with `faults` planted, their share of the calls and their lift within the ranges; with those of
    `planted` where it is given."""
    rng = np.random.default_rng(seed)
    found = walks(rng, count)
    segment, hour = attributes(rng, count)
    kind = np.array([TYPES.index(walk.kind) for walk in found])
    ends = np.array([len(walk.steps) for walk in found])
    failed = rng.random(count) < BASE_RATE
    stops = failed & (rng.random(count) < _CUT)
    at = np.where(stops, rng.integers(3, ends), ends)  # an ordinary failure: anywhere after the opening, or at the end
    cause = np.full(count, -1)
    seen = _Seen(_cut(found, at), segment, kind, hour)
    planted, met = _again(seen, planted) if planted is not None else _plant(rng, seen, faults, support, lift)
    for number, fault in enumerate(planted):
        mine = met[:, number]
        if not mine.any():
            continue
        # What else must fail so that `rate` of the calls that get there do.
        more = (fault.rate - failed[mine].mean()) / (1 - failed[mine].mean())
        falls = mine & ~failed & (rng.random(count) < more)
        failed |= falls
        cause[falls] = number
        for i in np.flatnonzero(falls & (rng.random(count) < _CUT)):
            at[i] = max(fault.condition.completed(found[i].steps), 1)
    steps, error = _logged(rng, found, at, failed, cause, planted)
    return Calls(steps, segment, kind, hour, failed, error, cause, met, planted)


def _cut(found: Sequence[Walk], at: NDArray[np.int64]) -> list[Walk]:
    return [Walk(walk.steps[:end], walk.kind) for walk, end in zip(found, at.tolist(), strict=True)]


@dataclass(frozen=True)
class _Seen:
    """Calls before anything is planted."""

    walks: list[Walk]
    segment: NDArray[np.int64]
    kind: NDArray[np.int64]
    hour: NDArray[np.int64]

    def meet(self, conditions: Iterable[Condition]) -> Iterator[NDArray[np.bool_]]:
        """(calls,) for each condition, whether it is met."""
        ways: dict[tuple[str, ...], int] = {}
        way = np.array([ways.setdefault(walk.steps, len(ways)) for walk in self.walks])
        for condition in conditions:
            met: NDArray[np.bool_] = np.array([condition.completed(steps) > 0 for steps in ways])[way]
            match condition.attribute:
                case Attribute.SEGMENT:
                    met &= self.segment == SEGMENTS.index(condition.values[0])
                case Attribute.TYPE:
                    met &= self.kind == TYPES.index(condition.values[0])
                case Attribute.HOUR:
                    met &= np.isin(self.hour, [int(value) for value in condition.values])
            yield met


def _again(seen: _Seen, planted: Sequence[Planted]) -> tuple[tuple[Planted, ...], NDArray[np.bool_]]:
    """The same faults as before, and (calls, faults) which calls meet each."""
    return tuple(planted), _columns(list(seen.meet(fault.condition for fault in planted)), seen)


def _columns(met: list[NDArray[np.bool_]], seen: _Seen) -> NDArray[np.bool_]:
    return np.column_stack(met) if met else np.zeros((len(seen.walks), 0), np.bool_)


def _plant(
    rng: np.random.Generator, seen: _Seen, faults: int, support: tuple[float, float], lift: tuple[float, float]
) -> tuple[tuple[Planted, ...], NDArray[np.bool_]]:
    """The faults, of the four kinds in turn, and (calls, faults) which calls meet each."""
    options: dict[str, list[Condition]] = {name: [] for name in _KINDS}
    for condition in possible_faults(seen.walks):
        options["con atributo" if condition.attribute else condition.kind.value].append(condition)
    chosen: list[Planted] = []
    columns: list[NDArray[np.bool_]] = []
    for number in range(faults):
        pool = options[_KINDS[number % len(_KINDS)]]
        tried = [pool[index] for index in rng.permutation(len(pool))]
        for condition, meets in zip(tried, seen.meet(tried), strict=True):
            if not support[0] <= meets.mean() <= support[1]:
                continue
            if any((meets & other).sum() > _OVERLAP * min(meets.sum(), other.sum()) for other in columns):
                continue
            factor = float(rng.uniform(*lift))
            chosen.append(Planted(condition, factor, BASE_RATE * factor, ERRORS[number % len(ERRORS)]))
            columns.append(meets)
            break
    return tuple(chosen), _columns(columns, seen)


def _logged(
    rng: np.random.Generator,
    found: Sequence[Walk],
    at: NDArray[np.int64],
    failed: NDArray[np.bool_],
    cause: NDArray[np.int64],
    planted: Sequence[Planted],
) -> tuple[list[tuple[str, ...]], list[str]]:
    """What the log says: the steps as far as the call got, then the error of a failing one."""
    steps, errors = [], []
    for walk, end, fails, fault in zip(found, at.tolist(), failed.tolist(), cause.tolist(), strict=True):
        error = ""
        if fails:
            usual = planted[fault].code if fault >= 0 and rng.random() < 0.8 else ""
            error = usual or ERRORS[int(rng.integers(len(ERRORS)))]
        steps.append((*walk.steps[:end], error) if error else walk.steps[:end])
        errors.append(error)
    return steps, errors
