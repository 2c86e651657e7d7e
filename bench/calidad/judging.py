"""The judge and the approval on judged candidates and on labelled pairs."""

import random
from collections.abc import Sequence
from typing import Any

from bench.calidad.metrics import auroc, average_precision, calibration, reliability
from core.evidence import Evidence
from core.judgement import Calibration
from finetune.calibration import Case
from finetune.judgements import Judgements
from finetune.labelled import LabelledSet, Pair


def chance_of(case: Case, fit: Calibration) -> float:
    """0..1, unrounded."""
    return fit.probability(Evidence(**case.evidence), case.logit)


def measure_candidates(cases: Sequence[tuple[str, Case]], fit: Calibration) -> dict[str, Any]:
    """`cases` with the kind of their incident. AUC and AP of logit and approval; the approval's error, all and by kind.

    A kind's AUC and AP are of its candidates against every right one; its ECE and Brier of its own alone, since right
    ones of other incidents would change how often the approval is right.
    """
    labels = [case.label for _, case in cases]
    logits = [case.logit for _, case in cases]
    chances = [chance_of(case, fit) for _, case in cases]
    figures: dict[str, Any] = {
        "n": len(cases),
        "auc_juez": auroc(logits, labels),
        "ap_juez": average_precision(logits, labels),
        "auc_aprobacion": auroc(chances, labels),
        "ap_aprobacion": average_precision(chances, labels),
        **calibration(chances, labels),
        "fiabilidad": reliability(chances, labels) if cases else [],
        "por_tipo": {},
    }
    for kind in sorted({kind for kind, _ in cases}):
        own = [i for i, (other, _) in enumerate(cases) if other == kind]
        here = [i for i, (other, case) in enumerate(cases) if other == kind or case.label]
        truth = [labels[i] for i in here]
        figures["por_tipo"][kind or "con solución"] = {
            "n": len(own),
            "auc_juez": auroc([logits[i] for i in here], truth),
            "ap_juez": average_precision([logits[i] for i in here], truth),
            "auc_aprobacion": auroc([chances[i] for i in here], truth),
            "ap_aprobacion": average_precision([chances[i] for i in here], truth),
            **calibration([chances[i] for i in own], [labels[i] for i in own]),
        }
    return figures


def sample_pairs(labelled: LabelledSet, count: int, seed: int) -> list[Pair]:
    """`count` pairs at most, each kind and label in its share, the same for the same seed; more add to fewer."""
    pairs = list(labelled.pairs)
    random.Random(f"{seed}/{labelled.name}/pares").shuffle(pairs)  # noqa: S311 - a sample, not a secret
    return pairs[:count]


def measure_pairs(pairs: Sequence[Pair], judgements: Judgements) -> dict[str, Any] | None:
    """AUC and average precision of the logit, all and each kind of wrong pair against every right one."""
    judged = [(pair, found.logit) for pair in pairs if (found := judgements.get(pair.incident, pair.solution))]
    if not judged:
        return None

    def figures(rows: Sequence[tuple[Pair, float]]) -> dict[str, Any]:
        logits, labels = [logit for _, logit in rows], [pair.label for pair, _ in rows]
        return {
            "n": len(rows),
            "aciertan": sum(labels),
            "auc": auroc(logits, labels),
            "ap": average_precision(logits, labels),
        }

    kinds = sorted({pair.kind for pair, _ in judged if not pair.label})
    by_kind = {kind: figures([row for row in judged if row[0].label or row[0].kind == kind]) for kind in kinds}
    return figures(judged) | {"por_tipo": by_kind}
