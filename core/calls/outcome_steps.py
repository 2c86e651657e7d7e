"""Steps that are the failure itself, not what came before it: «ERROR_API_TIMEOUT», «Colgado»."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from core.calls.frequent import MOST_NAMES, Frequent, exact_sums
from core.calls.tally import CallLog, Tally

ERROR_NAME = re.compile(
    r"(?:^|[\s_\-.:/])(?:error|err|fallo|fallida|fail(?:ed|ure)?|timeout|time[\s_-]?out|exception|excepci[oó]n|"
    r"ca[ií]da|colgad[oa]|cortad[oa]|abandon(?:o|ad[oa])?|desconexi[oó]n|hang[\s_-]?up)(?=$|[\s_\-.:/\d])",
    re.IGNORECASE,
)
_ALMOST_ALL = 0.95


@dataclass(frozen=True)
class StepCounts:
    """(calls, failed calls, calls that end there) of each step that was counted."""

    counts: Mapping[str, Sequence[int]]
    every: bool
    """False where there are too many names of steps to count the rare ones, too."""

    def outcomes(self, causes: Collection[str] = ()) -> dict[str, int]:
        """Step -> calls, for steps that end a call in failure: named as an error or last in nearly every call they are
        in, and nearly every such call failed. `causes`: never taken for an outcome."""
        return {step: n for step, (n, k, last) in self.counts.items() if step not in causes and _ends(step, n, k, last)}


def _ends(step: str, calls: int, failed: int, last: int) -> bool:
    nearly = _ALMOST_ALL * calls
    return failed >= nearly and (last >= nearly or ERROR_NAME.search(step) is not None)


def step_counts(log: CallLog, most: int = MOST_NAMES) -> StepCounts:
    """How often each step occurs and fails; with more than `most` names the frequent ones only, all exact."""
    return StepCounts(*exact_sums(3, lambda counts: _count(log, counts), most))


def _count(log: CallLog, counts: Frequent) -> None:
    for part in log.parts():
        calls, failed = part.by_history(part.calls).tolist(), part.by_history(part.failed).tolist()
        for history, n, k in zip(part.histories, calls, failed, strict=True):
            for step in set(history):
                counts.add(step, n, k, n if history[-1] == step else 0)


@dataclass(frozen=True)
class Paths:
    """Histories up to the step that is their failure.

    `steps[i]` belongs to `Tally.histories[i]`; `ending[i]` is the outcome step it was cut at, or nothing.
    """

    steps: tuple[tuple[str, ...], ...]
    ending: tuple[str, ...]


@dataclass(frozen=True)
class Outcomes:
    """Where histories are cut."""

    steps: Mapping[str, int]
    """Each outcome step with its calls."""
    counted: Collection[str] | None = None
    """The steps that were counted; None for all. One that was not, a rare one, is an outcome in a history whose calls
    nearly all failed if it is named as an error or stands last there: as if it were that history's own."""
    causes: Collection[str] = ()

    def cut(self, part: Tally) -> Paths:
        """The histories of `part` without their outcome steps and what follows them."""
        if self.counted is not None:
            return self._cut_rare(part)
        ends = [next((i for i, step in enumerate(way) if step in self.steps), len(way)) for way in part.histories]
        return _until(part.histories, ends)

    def _cut_rare(self, part: Tally) -> Paths:
        calls, failed = part.by_history(part.calls).tolist(), part.by_history(part.failed).tolist()
        ends = []
        for way, n, k in zip(part.histories, calls, failed, strict=True):
            at = (i for i, step in enumerate(way) if self._is_end(step, n, k, n if i == len(way) - 1 else 0))
            ends.append(next(at, len(way)))
        return _until(part.histories, ends)

    def _is_end(self, step: str, calls: int, failed: int, last: int) -> bool:
        if self.counted is None or step in self.counted or step in self.steps:
            return step in self.steps
        return step not in self.causes and _ends(step, calls, failed, last)


def _until(histories: Sequence[tuple[str, ...]], ends: Sequence[int]) -> Paths:
    ways = tuple(way[:at] for way, at in zip(histories, ends, strict=True))
    return Paths(ways, tuple(way[at] if at < len(way) else "" for way, at in zip(histories, ends, strict=True)))
