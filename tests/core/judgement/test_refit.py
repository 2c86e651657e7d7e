"""core/judgement/refit: fitted on the past, compared on what came later, taken over only if better."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from core.evidence import Evidence
from core.judgement.refit import LEAST, PLENTY, fit_logistic, recalibrate
from tests.core.judgement.desk import FIT, case, drawn, moment

_number = st.floats(-5, 5)


def test_too_few_outcomes() -> None:
    cases = [*drawn(LEAST - 1, 1, 0), *[case(evidence=None)] * 50]
    result = recalibrate(cases, FIT, FIT, 65)
    assert (result.taken_over, result.candidate, result.outcomes) == (False, None, LEAST - 1)
    assert result.why == f"hacen falta {LEAST} resultados con su evidencia y hay {LEAST - 1}"


def test_a_better_one_takes_over() -> None:
    cases = drawn(400, 2.5, 1.5)
    result = recalibrate(cases, FIT, FIT, 65)
    assert result.taken_over
    assert (result.way, result.fitted_on, result.compared_on) == ("platt", 200, 100)
    assert result.candidate is not None
    assert result.candidate.ranks_as(FIT)
    assert result.candidate.fitted["hasta"] == cases[299].judged.when == moment(299)
    assert result.tried is not None
    assert result.in_force is not None
    assert result.tried.log_loss < result.in_force.log_loss
    assert result.figures()["metodo"] == "platt"


def test_no_better_than_chance_does_not_take_over() -> None:
    result = recalibrate(drawn(400, 1, 0), FIT, FIT, 65)
    assert not result.taken_over
    assert "no se distingue del azar" in result.why


def test_the_last_quarter_is_not_looked_at() -> None:
    cases = drawn(400, 2.5, 1.5)
    other = [*cases[:300], *[case(number, right=False) for number in range(300, 400)]]
    assert recalibrate(cases, FIT, FIT, 65) == recalibrate(other, FIT, FIT, 65)


def test_better_in_log_loss_but_wrong_more_often_does_not_take_over() -> None:
    """The one in force is unsure of everything, but puts the errors last; the new one is sure, and puts them first."""
    unsure = FIT.model_copy(update={"intercept": -0.85, "scores": {"bm25": 2.1}, "logit": 0.0})
    likely = {"evidence": Evidence(bm25=0.6, margin=-0.8), "logit": 0.0}
    cases = [case(number, **likely) for number in range(400)]
    cases[250:252] = [case(n, evidence=Evidence(margin=1.0), logit=0.0, right=False) for n in (250, 251)]
    result = recalibrate(cases, FIT, unsure, 60)
    assert result.wrong_at_equal == (0, 2)
    assert not result.taken_over
    assert "a igual número de acciones se equivoca más (2 frente a 0)" in result.why


@pytest.mark.parametrize(("keep_order", "way"), [(False, "completo"), (True, "platt")], ids=["free", "order kept"])
def test_with_plenty_every_weight_is_fitted(keep_order: bool, way: str) -> None:
    result = recalibrate(drawn(2 * PLENTY, 1.5, -0.5), FIT, FIT, 65, keep_order=keep_order)
    assert result.way == way
    assert result.candidate is not None
    assert result.candidate.ranks_as(FIT) is keep_order


def test_good_outcomes_above_do_not_lift_what_was_never_seen() -> None:
    """All that was acted on turned out well: the approvals rise there, and below, where nobody looked, they do not."""
    cases = [case(n, approval=approval, evidence=one.judged.evidence, logit=one.judged.logit)
             for n, one in enumerate(drawn(200, 1, 0, at_least=65)) if (approval := one.judged.approval)]  # fmt: skip
    candidate = recalibrate(cases, FIT, FIT, 65).candidate
    assert candidate is not None
    seen, unseen = Evidence(bm25=0.5, margin=1.0), Evidence(margin=0.2)
    assert candidate.approval(seen, 1) > FIT.approval(seen, 1) > 65
    assert FIT.approval(unseen, 0) < 65
    assert candidate.approval(unseen, 0) <= FIT.approval(unseen, 0)


@pytest.mark.parametrize("every", [False, True], ids=["platt", "every weight"])
@given(seed=st.integers(0, 50), slope=st.floats(-2, 3), evidence=st.tuples(_number, _number), gain=st.floats(0, 5),
       logits=st.tuples(_number, _number))  # fmt: skip
def test_better_evidence_never_lowers_a_fitted_approval(
    every: bool, seed: int, slope: float, evidence: tuple[float, float], gain: float, logits: tuple[float, float]
) -> None:
    """Even where the desk's outcomes say the opposite of the search."""
    candidate = recalibrate(
        drawn(2 * PLENTY if every else LEAST, slope, 0, seed=seed % 4), FIT, FIT, 65, keep_order=not every
    ).candidate
    assert candidate is not None
    assert candidate.logit >= 0
    assert all(weight >= 0 for weight in candidate.scores.values())
    worse = candidate.approval(Evidence(bm25=evidence[0], margin=evidence[1]), min(logits))
    better = candidate.approval(Evidence(bm25=evidence[0] + gain, margin=evidence[1]), max(logits))
    assert worse <= better


def test_the_solver_agrees_with_sklearn() -> None:
    rng = np.random.default_rng(2)
    x = rng.standard_normal((500, 3))
    x /= x.std(axis=0)
    y = (rng.random(500) < 1 / (1 + np.exp(-x @ np.array([1.0, 0.5, 2.0])))).astype(float)
    ours = fit_logistic(x, y, np.zeros(3), np.full(3, -np.inf))
    theirs = LogisticRegression(C=1 / 4, fit_intercept=False, tol=1e-10).fit(x, y).coef_[0]
    assert ours == pytest.approx(theirs, abs=1e-4)


@pytest.mark.parametrize(
    ("x", "y"),
    [
        pytest.param(np.ones((50, 2)), np.ones(50), id="nothing varies, all right"),
        pytest.param(np.full((50, 2), 1e6), np.zeros(50), id="huge"),
        pytest.param(np.array([[-1.0, 1.0], [1.0, 1.0]] * 30), np.array([0.0, 1.0] * 30), id="separable"),
    ],
)
def test_the_solver_ends_with_numbers(x: Any, y: Any) -> None:
    found = fit_logistic(x, y, np.array([1.0, 0.0]), np.array([0.05, -np.inf]))
    assert np.isfinite(found).all()
    assert found[0] >= 0.05
