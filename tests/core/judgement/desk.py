"""A made-up desk: decisions with evidence, and whether they were right."""

import json
import math
import random
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

from core.evidence import Evidence
from core.judgement.calibration import Calibration
from core.judgement.cases import Case, Judged
from core.ledger import JUDGED_WITH, Phase, Record

JUDGE = "un modelo"
FIT = Calibration(
    embeddings="e5+use+minilm", judge=JUDGE, prompt="1", intercept=-1.0, logit=1.0, logit_range=(-3, 3),
    scores={"bm25": 1.0, "margin": 2.0},
)  # fmt: skip


def moment(number: int) -> str:
    """Of the decision with this number."""
    return (datetime(2026, 3, 1, tzinfo=UTC) + timedelta(minutes=number)).isoformat(timespec="seconds")


def case(number: int = 0, *, right: bool = True, **changes: Any) -> Case:
    """Acted on by `FIT`, with approval 80 unless `changes` say otherwise."""
    given: dict[str, Any] = {
        "kind": "cierre", "when": moment(number), "approval": 80, "evidence": Evidence(bm25=0.5, margin=0.5),
        "logit": 1.0, "calibration": FIT.fingerprint, "judge": JUDGE, "acted": True, "only_below": False,
    }  # fmt: skip
    return Case(Judged(**(given | changes)), right)


def drawn(count: int, slope: float, shift: float, seed: int = 1, at_least: int = 0) -> list[Case]:
    """Outcomes of a desk whose true log-odds are `slope` times those of `FIT` and `shift` more."""
    rng = random.Random(seed)
    found: list[Case] = []
    while len(found) < count:
        evidence = Evidence(bm25=rng.random(), margin=rng.uniform(-1, 2))
        logit = rng.gauss(0, 1.2)
        approval = FIT.approval(evidence, logit)
        right = rng.random() < 1 / (1 + math.exp(-(slope * FIT.score(evidence, logit) + shift)))
        if approval >= at_least:
            found.append(case(len(found), right=right, approval=approval, evidence=evidence, logit=logit))
    return found


def record(number: int = 1, **fields: Any) -> Record:
    """A decision as the ledger keeps it, with all its evidence."""
    made = {"tipo": "cierre", "calibracion": FIT.fingerprint, "juez": JUDGE}
    evidence = {"logit": 1.0} | asdict(Evidence(bm25=0.5, margin=0.5)) | {"otras": [], JUDGED_WITH: made}
    given = {
        "id": f"d-{number:012x}", "incident": f"INC-{number}", "kind": "cierre", "phase": Phase.INTENDED, "entry": "e1",
        "mailbox": "Soporte", "autonomy": "automatica", "approval": 80, "evidence": json.dumps(evidence),
        "created": moment(number),
    }  # fmt: skip
    return Record.model_validate(given | fields)
