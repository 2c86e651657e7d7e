"""core/judgement/bound: the exact bound, what is certified, and that more allowed risk never means fewer actions."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta

from core.judgement.bound import Trial, certify, least_risk, trials_of, upper_bound

outcomes = st.lists(st.tuples(st.integers(60, 70), st.booleans()), max_size=60).flatmap(
    lambda few: st.integers(1, 12).map(lambda times: few * times)
)
risks = st.floats(0.001, 0.5)


@given(st.integers(0, 400), st.integers(1, 20_000), st.sampled_from([0.05, 0.0125, 0.01, 0.2]))
def test_the_bound_is_clopper_and_pearsons(errors: int, n: int, level: float) -> None:
    if errors >= n:
        assert upper_bound(errors, n, level) == 1.0
    else:
        assert upper_bound(errors, n, level) == pytest.approx(beta.ppf(1 - level, errors + 1, n - errors), rel=1e-6)


@pytest.mark.parametrize("n", [59, 300, 3000])
def test_none_wrong_certifies_about_three_in_n(n: int) -> None:
    assert upper_bound(0, n) == pytest.approx(1 - 0.05 ** (1 / n), rel=1e-6)
    assert upper_bound(0, n) == pytest.approx(3 / n, rel=0.03)


@pytest.mark.parametrize(("n", "certified"), [(58, False), (59, True)])
def test_how_many_without_error_certify_five_percent(n: int, certified: bool) -> None:
    assert (certify(trials_of([(80, True)] * n), 0.05) is not None) is certified


def test_a_trial_per_approval_the_strictest_first() -> None:
    assert trials_of([(70, True), (90, False), (70, False), (95, True)]) == [
        Trial(95, 1, 0), Trial(90, 2, 1), Trial(70, 4, 2),
    ]  # fmt: skip
    assert trials_of([]) == []


def test_nothing_certifies_nothing() -> None:
    assert certify([], 0.5) is None
    assert least_risk([]) is None
    assert least_risk(trials_of([(80, False)] * 50)) is None


def test_never_below_the_lowest_approval_with_an_outcome() -> None:
    found = certify(trials_of([(75, True)] * 500), 0.5)
    assert found is not None
    assert found.trial.threshold == 75


def test_one_early_error_does_not_end_the_search() -> None:
    found = certify(trials_of([(99, True)] * 59 + [(99, False)] + [(80, True)] * 900), 0.02)
    assert found is not None
    assert found.trial.threshold == 80


def test_a_strict_threshold_is_found_above_a_bad_lower_part() -> None:
    found = certify(trials_of([(95, True)] * 300 + [(70, True), (70, False)] * 400), 0.05)
    assert found is not None
    assert found.trial.threshold == 95


@settings(max_examples=300)
@given(outcomes, risks, risks)
def test_more_allowed_risk_never_means_fewer_actions(known: list[tuple[int, bool]], one: float, other: float) -> None:
    trials = trials_of(known)
    low, high = (certify(trials, risk) for risk in sorted((one, other)))
    assert low is None or (high is not None and high.trial.threshold <= low.trial.threshold)


@given(outcomes, risks)
def test_the_least_risk_is_where_certifying_begins(known: list[tuple[int, bool]], risk: float) -> None:
    trials = trials_of(known)
    least = least_risk(trials)
    assert (certify(trials, risk) is not None) is (least is not None and risk >= least)
    if least is not None:
        assert certify(trials, least) is not None
        assert certify(trials, math.nextafter(least, 0)) is None


@given(outcomes.filter(bool), risks)
def test_a_bound_is_within_the_risk_and_above_the_share(known: list[tuple[int, bool]], risk: float) -> None:
    found = certify(trials_of(known), risk)
    if found:
        assert found.trial.errors / found.trial.n < found.bound <= risk


@pytest.mark.parametrize("size", [150, 400, 1500])
def test_it_holds_as_often_as_it_says(size: int) -> None:
    """Risk just above the one allowed everywhere: certifying anything is a mistake, made in 5 % of worlds at most."""
    rng = np.random.default_rng(size)
    approvals = rng.integers(65, 100, size).tolist()
    worlds = 400
    mistakes = sum(
        certify(trials_of(list(zip(approvals, (rng.random(size) >= 0.0501).tolist(), strict=True))), 0.05) is not None
        for _ in range(worlds)
    )
    assert mistakes / worlds <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / worlds)
