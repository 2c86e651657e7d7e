"""What the desk's outcomes teach: decisions of which something was said, with their evidence and whether right.

Right is what a person called `acertada`; wrong is `equivocada`, `revertida` (undone, or a proposal turned down) and
`reabierta`, whatever else was said of it, and a row of which nothing was said where another was called right. Silence
says nothing, unless the operator sets after how many days it does.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from core.evidence import Evidence
from core.ledger import JUDGED_WITH, Hindsight, Label, Phase, Record
from core.reason import Reason

_NAMES = frozenset(Evidence.__dataclass_fields__)


@dataclass(frozen=True)
class Judged:
    """A decision's evidence, as far as the ledger has it."""

    kind: str
    """The row's, as the catalogue spells it."""
    when: str
    """ISO 8601 in UTC: decisions sort by it."""
    approval: int | None
    evidence: Evidence | None
    """None where it was not kept whole: decisions of before it was."""
    logit: float
    calibration: str
    """Fingerprint of the one that made `approval`."""
    judge: str
    acted: bool
    """Done or proposed: the critic had nothing against it."""
    only_below: bool
    """Left to a person for its approval alone: what a lower threshold might have done."""


@dataclass(frozen=True)
class Case:
    """A decision that is known to have been right or wrong."""

    judged: Judged
    right: bool


def judged_of(record: Record) -> Judged:
    """What the ledger keeps of how a decision came about; rubbish in its evidence counts as none."""
    try:
        kept = json.loads(record.evidence)
        made = kept.get(JUDGED_WITH, {})
        scores = {name: float(kept[name]) for name in _NAMES}
        evidence, logit = Evidence(**scores), float(kept["logit"])
    except (ValueError, KeyError, TypeError, AttributeError):
        made, evidence, logit = {}, None, 0.0
    return Judged(
        kind=str(made.get("tipo") or record.kind),
        when=record.created,
        approval=record.approval,
        evidence=evidence,
        logit=logit,
        calibration=str(made.get("calibracion", "")),
        judge=str(made.get("juez", "")),
        acted=record.phase is not Phase.LEFT,
        only_below=record.phase is Phase.LEFT and record.reason == Reason.BELOW_THRESHOLD,
    )


def cases_of(hindsight: Hindsight, silent_days: int = 0) -> list[Case]:
    """Every decision whose outcome is known, oldest first.

    `silent_days`: an action that the desk confirmed so long ago and of which nobody said anything, nor called another
    row right, counts as right; 0: it does not count. Raises `DependencyError`.
    """
    cases = [Case(judged_of(record), was_right(labels)) for record, labels in hindsight.labelled()]
    if silent_days:
        cases += [Case(judged_of(record), right=True) for record in hindsight.silent(timedelta(days=silent_days))]
    return sorted(cases, key=lambda case: case.judged.when)


def was_right(labels: Iterable[Label]) -> bool:
    """Nothing but good was said of it."""
    return set(labels) == {Label.RIGHT}


def last_judge(judged: Sequence[Judged]) -> str:
    """The model that judged last; empty where none is told."""
    told = [one for one in judged if one.judge]
    return max(told, key=lambda one: one.when).judge if told else ""
