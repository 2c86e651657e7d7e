"""finetune/calibration.py: whom it asks, and what the fit writes down of itself and of its own candidates."""

import shlex
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import BaseMessage

from bench.synthetic import HashEmbedder
from config import Settings
from core.evidence import Evidence
from core.judgement import load_calibration
from finetune import calibration
from finetune.calibration import JUDGED_FROM, Case, distribution
from finetune.judgements import judge_of
from finetune.labelled import rows
from llm.scripted import Said, Script, scripted_provider
from llm.tasks import ModelTasks
from observabilidad.metrics.drift import drift
from tests.labelled_folder import TOPICS, write_set

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


def _same_topic(messages: Sequence[BaseMessage]) -> Said:
    likely = any(messages[-1].text.count(topic) == 2 for topic in TOPICS)
    return Said("sí", {"sí": -0.1, "no": -2.5} if likely else {"sí": -2.5, "no": -0.1})


def test_the_fit_keeps_apart_and_names_the_model_that_it_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Script] = {}

    @asynccontextmanager
    async def scripted(settings: Settings) -> AsyncIterator[ModelTasks]:
        yield ModelTasks(scripted_provider(asked.setdefault(settings.provider, Script(_same_topic))))

    monkeypatch.setattr(calibration, "open_tasks", scripted)
    monkeypatch.setattr(calibration, "E5Use", lambda names: HashEmbedder())
    for name, word in (("uno", "banco"), ("dos", "tienda")):
        write_set(tmp_path / "los datos" / name, word)
    cache, target = tmp_path / "j.jsonl", tmp_path / "c.json"
    arguments = ["--datos", str(tmp_path / "los datos"), "--juicios", str(cache), "--salida", str(target)]
    arguments += ["--vectores", "e5"]

    monkeypatch.setenv("LLM_PROVIDER", "embedded")
    assert calibration.main(arguments) == 0
    first = load_calibration("e5", target)
    assert first.judge == judge_of("relevance")
    assert shlex.split(str(first.fitted["command"])) == ["python", "-m", "finetune.calibration", *arguments]

    monkeypatch.setenv("LLM_PROVIDER", "ollama")
    monkeypatch.setenv("OLLAMA_BASE_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("LLM_MODEL", "gemma3:27b")
    assert calibration.main(arguments) == 0
    assert load_calibration("e5", target).judge == "gemma3:27b"
    assert len(asked["ollama"].asked) == len(asked["embedded"].asked) > 0
    assert {line["model"] for line in rows(cache, "model")} == {first.judge, "gemma3:27b"}
