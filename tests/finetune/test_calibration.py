"""finetune/calibration.py: what the fit writes down of its own candidates."""

from dataclasses import asdict
from typing import Any

import pytest

from core.evidence import Evidence
from finetune.calibration import JUDGED_FROM, Case, distribution
from observabilidad.metrics.drift import drift

FIT: dict[str, Any] = {
    "embeddings": "e5",
    "judge": "j",
    "prompt": "p",
    "intercept": -1.0,
    "logit": 1.0,
    "logit_range": [-2.0, 2.0],
    "scores": {"margin": 1.0},
}


def _case(margin: float, logit: float) -> Case:
    return Case("g", "i", "e", 0, True, asdict(Evidence(margin=margin)), logit)


CASES = [_case(number % 10 / 5, number % 7 - 3) for number in range(140)]


def test_the_distribution_is_that_of_what_a_judge_could_lift_over_the_threshold() -> None:
    hopeless = [_case(-9.0, 3.0)] * 60
    found = distribution(CASES + hopeless, FIT)
    assert found == distribution(CASES, FIT)
    assert set(found) == {"approval", "logit", "margin", "csls"}
    for binned in found.values():
        assert len(binned["shares"]) == len(binned["edges"]) + 1
        assert sum(binned["shares"]) == pytest.approx(1, abs=1e-3)
        assert binned["edges"] == sorted(set(binned["edges"]))


def test_the_metrics_take_it_as_their_reference() -> None:
    kept = {"distribution": distribution(CASES, FIT)}
    same = [{"time": "", "logit": case.logit, "margin": case.evidence["margin"]} for case in CASES]
    assert drift(same, [], kept).puntuaciones["logit"].juicio == "estable"
    moved = [{**line, "logit": line["logit"] + 3} for line in same]
    assert drift(moved, [], kept).puntuaciones["logit"].juicio == "muy distinta"


def test_nothing_that_could_pass_leaves_nothing() -> None:
    assert distribution([_case(-9.0, 0.0)], FIT) == {}
    assert JUDGED_FROM == 75
