"""core/judgement/calibration: approval never falls with better evidence, and no bad number or file buys any."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import UsageError
from core.evidence import Evidence
from core.judgement import Calibration, load_calibration
from llm.prompt import Prompt
from llm.tasks import PROMPTS

FIT: dict[str, Any] = {
    "embeddings": "e5",
    "judge": "un modelo",
    "prompt": "0123456789ab",
    "intercept": -2.0,
    "logit": 1.5,
    "logit_range": [-2.0, 3.0],
    "scores": {"bm25": 4.0, "margin": 0.5},
}


def _fit(**changes: Any) -> Calibration:
    return Calibration.model_validate(FIT | changes)


NAMES = tuple(Evidence.__dataclass_fields__)
_share = st.floats(-10, 10)
_evidence = st.tuples(*[_share] * len(NAMES))
_logit = st.floats(allow_nan=False)
_weights = st.dictionaries(st.sampled_from(NAMES), st.floats(0, 50))
_better = st.tuples(*[st.floats(0, 10)] * len(NAMES))


@given(_weights, st.floats(-20, 20), st.floats(0, 20), _evidence, _better, _logit, _logit)
def test_better_evidence_never_lowers_approval(
    weights: dict[str, float],
    intercept: float,
    weight: float,
    evidence: tuple[float, ...],
    gain: tuple[float, ...],
    one: float,
    other: float,
) -> None:
    fit = _fit(scores=weights, intercept=intercept, logit=weight)
    worse = fit.approval(Evidence(*evidence), min(one, other))
    better = fit.approval(Evidence(*(a + b for a, b in zip(evidence, gain, strict=True))), max(one, other))
    assert 0 <= worse <= better <= 100


@given(_evidence, _logit)
def test_no_logit_beats_the_best_possible(evidence: tuple[float, ...], logit: float) -> None:
    fit = _fit()
    assert fit.approval(Evidence(*evidence), logit) <= fit.best_possible(Evidence(*evidence))


def test_the_formula() -> None:
    expected = 1 / (1 + math.exp(-(-2 + 1.5 * 1 + 4 * 0.25 + 0.5 * 2)))
    assert _fit().probability(Evidence(e5=9, bm25=0.25, margin=2), 1) == pytest.approx(expected)
    assert _fit().approval(Evidence(e5=9, bm25=0.25, margin=2), 1) == round(100 * expected)


@pytest.mark.parametrize(
    ("logit", "counts_as"),
    [
        pytest.param(20, 3, id="surer than the fit ever saw"),
        pytest.param(math.inf, 3, id="infinite"),
        pytest.param(-20, -2, id="surer of no"),
        pytest.param(-math.inf, -2, id="minus infinite"),
        pytest.param(math.nan, -2, id="not a number"),
    ],
)
def test_a_logit_out_of_range(logit: float, counts_as: float) -> None:
    evidence = Evidence(bm25=0.5)
    assert _fit().probability(evidence, logit) == _fit().probability(evidence, counts_as)


def test_numbers_that_would_overflow() -> None:
    assert _fit(intercept=-1e6).probability(Evidence(), 0) == 0
    assert _fit(intercept=1e6).approval(Evidence(), 0) == 100


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"logit": -0.1}, id="negative logit weight"),
        pytest.param({"scores": {"bm25": -1}}, id="negative score weight"),
        pytest.param({"scores": {"nadie": 1}}, id="unknown score"),
        pytest.param({"scores": {"score": 1}}, id="a property is no raw score"),
        pytest.param({"logit_range": [1, -1]}, id="range upside down"),
        pytest.param({"otro": 1}, id="unknown field"),
        pytest.param({"intercept": None}, id="no intercept"),
        pytest.param({"intercept": "inf"}, id="infinite intercept"),
        pytest.param({"logit": "nan"}, id="weight not a number"),
    ],
)
def test_a_fit_that_does_not_hold(changes: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "calibracion.json"
    path.write_text(json.dumps({"fits": [FIT]}), "utf-8")
    assert load_calibration("e5", path) == _fit()
    path.write_text(json.dumps({"fits": [FIT | changes]}), "utf-8")
    with pytest.raises(UsageError, match=r"calibracion\.json no se puede leer"):
        load_calibration("e5", path)


@pytest.mark.parametrize("content", [pytest.param("", id="empty"), pytest.param("{", id="cut"), pytest.param("[]")])
def test_a_file_that_cannot_be_read(content: str, tmp_path: Path) -> None:
    path = tmp_path / "calibracion.json"
    with pytest.raises(UsageError, match="no se puede leer"):
        load_calibration("e5", path)
    path.write_text(content, "utf-8")
    with pytest.raises(UsageError, match="no se puede leer"):
        load_calibration("e5", path)


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "calibracion.json"
    path.write_bytes(b"\xff\xfe\xff")
    with pytest.raises(UsageError, match="no se puede leer"):
        load_calibration("e5", path)


def test_no_fit_for_these_embeddings(tmp_path: Path) -> None:
    path = tmp_path / "calibracion.json"
    path.write_text(json.dumps({"fits": [FIT]}), "utf-8")
    with pytest.raises(UsageError, match=r"EMBEDDING_MODEL=use: ejecute `python -m finetune\.calibration`"):
        load_calibration("use", path)


def test_the_shipped_calibration_is_of_the_shipped_prompt() -> None:
    fit = load_calibration("e5+use+minilm")
    assert fit.prompt == Prompt.load(PROMPTS / "relevance.md").version
    assert fit.logit_range[0] < fit.logit_range[1]
    assert fit.approval(Evidence(), -20) < 50
