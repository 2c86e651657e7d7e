"""Steps that are the failure itself, not what came before it: «ERROR_API_TIMEOUT», «Colgado»."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from core.calls.tally import Tally

ERROR_NAME = re.compile(
    r"(?:^|[\s_\-.:/])(?:error|err|fallo|fallida|fail(?:ed|ure)?|timeout|time[\s_-]?out|exception|excepci[oó]n|"
    r"ca[ií]da|colgad[oa]|cortad[oa]|abandon(?:o|ad[oa])?|desconexi[oó]n|hang[\s_-]?up)(?=$|[\s_\-.:/\d])",
    re.IGNORECASE,
)
_ALMOST_ALL = 0.95


@dataclass(frozen=True)
class Paths:
    """Histories up to the step that is their failure.

    `steps[i]` belongs to `Tally.histories[i]`; `ending[i]` is the outcome step it was cut at, or nothing.
    """

    steps: tuple[tuple[str, ...], ...]
    ending: tuple[str, ...]
    outcomes: tuple[tuple[str, int], ...]
    """Each outcome step with its calls, the most frequent first."""


def outcome_steps(tally: Tally, causes: Collection[str] = ()) -> dict[str, int]:
    """Step -> calls, for steps that end a call in failure: named as an error or last in nearly every call they are in,
    and nearly every such call failed. `causes`: never taken for an outcome."""
    calls, failed = tally.by_history(tally.calls), tally.by_history(tally.failed)
    seen: dict[str, list[int]] = {}
    for history, n, k in zip(tally.histories, calls.tolist(), failed.tolist(), strict=True):
        for step in set(history):
            counts = seen.setdefault(step, [0, 0, 0])
            counts[0] += n
            counts[1] += k
            counts[2] += n if history[-1] == step else 0
    return {
        step: n
        for step, (n, k, last) in seen.items()
        if step not in causes and k >= _ALMOST_ALL * n and (ERROR_NAME.search(step) or last >= _ALMOST_ALL * n)
    }


def cut(histories: Sequence[tuple[str, ...]], found: dict[str, int]) -> Paths:
    """The histories without their outcome steps and what follows them."""
    steps, ending = [], []
    for history in histories:
        at = next((i for i, step in enumerate(history) if step in found), len(history))
        steps.append(history[:at])
        ending.append(history[at] if at < len(history) else "")
    ranked = sorted(found.items(), key=lambda item: (-item[1], item[0]))
    return Paths(tuple(steps), tuple(ending), tuple(ranked))
