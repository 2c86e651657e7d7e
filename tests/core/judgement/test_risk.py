"""core/judgement/risk: which outcomes certify, per kind or pooled, and what is in force where nothing is certified."""

import random
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.evidence import Evidence
from core.judgement.cases import Case
from core.judgement.risk import ALL, OTHERS, OWN, Experience, Thresholds, percent
from tests.core.judgement.desk import FIT, JUDGE, case, moment

PLATT = FIT.model_copy(
    update={"logit": 2.0, "scores": {"bm25": 2.0, "margin": 4.0}, "intercept": -1.0, "before": FIT, "seen_from": 0.0}
)
OTHER_ORDER = PLATT.model_copy(update={"scores": {"bm25": 9.0, "margin": 4.0}, "fitted": {"hasta": moment(50)}})


def _experience(cases: Sequence[Case], **changes: Any) -> Experience:
    given_to: dict[str, Any] = {
        "calibration": FIT, "known": {FIT.fingerprint: FIT}, "judge": JUDGE, "cases": cases,
    }  # fmt: skip
    return Experience(**(given_to | changes))


def _many(count: int, wrong: int = 0, **changes: Any) -> list[Case]:
    return [case(number, right=number >= wrong, **changes) for number in range(count)]


def test_a_certified_threshold() -> None:
    found = _experience(_many(200, approval=90) + _many(80, wrong=50, approval=70)).thresholds(0.05, 65)
    (rule,) = found.rules
    assert (rule.group, rule.threshold, rule.outcomes, rule.at.n, rule.at.errors) == (ALL, 90, 280, 200, 0)
    assert (found.default, found.by_kind, found.certain) == (90, {}, True)
    assert rule.told == "certificado: 0 equivocadas en 200; riesgo de 1.7 % como mucho"


def test_a_certified_threshold_may_lie_below_the_one_set_by_hand() -> None:
    assert _experience(_many(200, approval=60)).thresholds(0.05, 65).default == 60


@pytest.mark.parametrize(
    ("cases", "threshold", "told"),
    [
        pytest.param([], 65, "sin certificar: no hay resultados etiquetados que valgan", id="none"),
        pytest.param(
            _many(30, approval=64),
            65,
            "30 resultados no bastan; lo menor que se puede certificar es un 9.6 %",
            id="few",
        ),
        pytest.param(_many(300, wrong=300), 65, "sin certificar: 300 resultados no bastan", id="all wrong"),
        pytest.param(_many(100, wrong=4, approval=85), 85, "sin certificar: 100 resultados", id="strictest of others"),
    ],
)
def test_nothing_certified(cases: list[Case], threshold: int, told: str) -> None:
    found = _experience(cases).thresholds(0.05, 65)
    assert (found.default, found.certain) == (threshold, False)
    assert told in found.rules[0].told


def test_a_kind_with_enough_outcomes_has_its_own_threshold() -> None:
    moves = _many(OWN, wrong=OWN // 2, approval=70, kind="reasignacion")
    found = _experience(_many(OWN, approval=70) + moves + _many(90, approval=75, kind="en espera"))
    thresholds = found.thresholds(0.05, 65)
    assert [rule.group for rule in thresholds.rules] == ["cierre", "reasignacion", OTHERS]
    assert thresholds.by_kind == {"cierre": 70, "reasignacion": 70}
    assert thresholds.default == 75
    assert [rule.certified is not None for rule in thresholds.rules] == [True, False, True]
    assert not thresholds.certain


def test_kinds_that_the_catalogue_does_not_have_need_no_threshold() -> None:
    cases = _many(OWN, approval=90)
    alone = _experience(cases, kinds=frozenset({"cierre"})).thresholds(0.05, 65)
    assert ([rule.group for rule in alone.rules], alone.default, alone.certain) == (["cierre"], 90, True)
    more = _experience(cases, kinds=frozenset({"cierre", "en espera"})).thresholds(0.05, 65)
    assert ([rule.group for rule in more.rules], more.default, more.certain) == (["cierre", OTHERS], 65, False)


@pytest.mark.parametrize(
    ("changes", "calibration", "why"),
    [
        pytest.param({"acted": False}, FIT, "quedó para una persona", id="left"),
        pytest.param({"judge": "otro"}, FIT, "lo juzgó otro modelo, o no consta cuál", id="another judge"),
        pytest.param({"calibration": "?"}, FIT, "otra calibración, sin su evidencia completa", id="unknown fit"),
        pytest.param({}, OTHER_ORDER, "otra calibración, sin su evidencia completa", id="another order"),
        pytest.param(
            {"evidence": None}, PLATT, "otra calibración, sin su evidencia completa", id="no evidence to compute from"
        ),
    ],
)
def test_what_does_not_certify(changes: dict[str, Any], calibration: Any, why: str) -> None:
    cases = [case(number, **changes) for number in range(60, 160)]
    found = _experience(cases, calibration=calibration).thresholds(0.05, 65)
    assert (found.rules[0].outcomes, found.unusable) == (0, {why: 100})


def test_the_past_that_it_was_fitted_on_does_not_certify() -> None:
    cases = _many(100, calibration=OTHER_ORDER.fingerprint)
    found = _experience(cases, calibration=OTHER_ORDER).thresholds(0.5, 65)
    assert (found.rules[0].outcomes, found.unusable) == (49, {"sirvió para ajustar la calibración": 51})


def test_over_platts_scaling_outcomes_go_on_counting() -> None:
    evidence = Evidence(bm25=0.5, margin=1)
    found = _experience(_many(100, evidence=evidence, logit=1.0), calibration=PLATT).thresholds(0.05, 65)
    assert found.default == PLATT.approval(evidence, 1.0) != 80


def test_the_coverage_to_expect() -> None:
    recent = [
        *[one.judged for one in _many(5, approval=90)],
        *[one.judged for one in _many(3, approval=70)],
        case(approval=95, acted=False).judged,
        case(approval=95, acted=False, only_below=True).judged,
        case(approval=None, evidence=None, acted=False, calibration="").judged,
        case(calibration="?").judged,
    ]
    found = _experience(_many(200, approval=90), recent=recent).thresholds(0.05, 65)
    assert found.coverage == pytest.approx(6 / 11)
    facts = found.facts()
    assert (facts["cobertura_esperada"], facts["a_personas_como_minimo"]) == (0.5455, 0.4545)
    assert facts["umbrales"][0] | {"motivo": ""} == {
        "tipo": ALL, "umbral": 90, "certificado": True, "resultados": 200, "n": 200, "equivocadas": 0,
        "cota": facts["umbrales"][0]["cota"], "minimo_certificable": facts["umbrales"][0]["minimo_certificable"],
        "motivo": "",
    }  # fmt: skip


def test_by_hand() -> None:
    by_hand = Thresholds(None, 65)
    assert (by_hand.default, by_hand.by_kind, by_hand.facts()["umbrales"]) == (65, {}, [])


@given(
    st.integers(0, 2**20),
    st.integers(0, 900),
    st.integers(0, 100),
    st.floats(0.001, 0.5),
    st.floats(0.001, 0.5),
)
def test_more_allowed_risk_never_means_fewer_actions(
    seed: int, count: int, fallback: int, one: float, two: float
) -> None:
    """Whatever is certified or not, for every kind."""
    rng = random.Random(seed)
    cases = []
    for number in range(count):
        approval = rng.randint(60, 70)
        kind = rng.choice(("cierre", "cierre", "cierre", "en espera"))
        cases.append(case(number, right=rng.random() < 0.7 + 0.3 * (approval - 60) / 10, approval=approval, kind=kind))
    experience = _experience(cases)
    strict, lax = (experience.thresholds(risk, fallback) for risk in sorted((one, two)))
    for kind in ("cierre", "en espera", "api|otro"):
        assert lax.by_kind.get(kind, lax.default) <= strict.by_kind.get(kind, strict.default)


@pytest.mark.parametrize(("share", "shown"), [(0.0487, "4.9 %"), (0.05, "5 %"), (0.0501, "5.1 %"), (1.0, "100 %")])
def test_a_share_is_never_shown_smaller(share: float, shown: str) -> None:
    assert percent(share) == shown
