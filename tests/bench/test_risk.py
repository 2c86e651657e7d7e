"""Thresholds by allowed risk, on decisions whose outcome is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.calidad.risk import Decisions, at_risks, by_score, split_trials, together


def _ramp(n: int = 200, errors_below: float = 0.4) -> Decisions:
    """Scores 0..1; wrong below `errors_below`, right above."""
    scores = [i / n for i in range(n)]
    return by_score(scores, [s >= errors_below for s in scores], [True] * n)


def test_figures_at_a_threshold() -> None:
    decisions = by_score([0.9, 0.8, 0.2], [True, False, True], [True, False, True])
    assert decisions.at(0.5) == {
        "umbral": 0.5, "incidencias": 3, "automaticas": 2, "equivocadas": 1, "precision": 0.5, "cobertura": 0.5,
    }  # fmt: skip
    nothing = decisions.at(1.0)
    assert (nothing["automaticas"], nothing["precision"], nothing["cobertura"]) == (0, None, 0.0)


def test_a_right_entry_that_was_taken_out_is_never_right() -> None:
    assert by_score([0.9], [True], [False]).at(0.0)["equivocadas"] == 1


@pytest.mark.parametrize(("risk", "threshold"), [(0.0, 0.4), (0.5, 0.0)], ids=["none", "half"])
def test_threshold_in_hindsight(risk: float, threshold: float) -> None:
    assert _ramp().threshold_within(risk) == pytest.approx(threshold, abs=0.01)


def test_none_without_any_right_action() -> None:
    wrong = by_score([0.5, 0.6], [False, False], [True, True])
    assert wrong.threshold_within(0.1) is None
    assert wrong.certified(0.5) is None
    assert at_risks(wrong, wrong)["0.05"] == {"a_posteriori": None, "umbral_ajeno": None}


def test_too_few_certify_nothing() -> None:
    assert by_score([0.9] * 58, [True] * 58, [True] * 58).certified(0.05) is None
    assert by_score([0.9] * 59, [True] * 59, [True] * 59).certified(0.05) == 0.9


@given(st.integers(0, 2**31), st.sampled_from([(0.01, 0.02), (0.02, 0.05), (0.05, 0.2)]))
def test_more_allowed_risk_never_means_fewer_actions(seed: int, risks: tuple[float, float]) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.random(300)
    right = rng.random(300) < scores
    decisions = by_score(scores.tolist(), right.tolist(), [True] * 300)
    low, high = (decisions.certified(risk) for risk in risks)
    assert low is None or (high is not None and high <= low)


def test_certified_thresholds_hold_on_the_other_half() -> None:
    rng = np.random.default_rng(3)
    scores = rng.random(2000)
    right = rng.random(2000) < 0.75 + scores / 4
    trials = split_trials(by_score(scores.tolist(), right.tolist(), [True] * 2000, most=20), 0.1, 20, 1)
    assert trials["certificadas"] >= 15
    assert trials["dentro"] >= 19
    assert trials["cobertura"] > 0.1


def test_together_keeps_each_method_at_each_threshold() -> None:
    one, two = by_score([0.9], [True], [True]), by_score([0.5, 0.1], [True, False], [True, True])
    both = together([one, two])
    assert both.thresholds == (0.1, 0.5, 0.9)
    assert [both.at(t)["automaticas"] for t in both.thresholds] == [3, 2, 1]
    assert [both.at(t)["equivocadas"] for t in both.thresholds] == [1, 0, 0]
