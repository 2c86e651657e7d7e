"""Judgements are kept by prompt, model, incident and entry, and outlive a kill."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from config import load_settings
from core.usage import Usage, count
from finetune.judgements import FIRST_PROMPT, JUDGE, LONGEST, Judgements, judge_of, model_name


class Lengths:
    """Its logit is how long the entry is; counts what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    async def judge(self, incident: str, candidates: Sequence[str]) -> list[float]:
        self.asked += [(incident, candidate) for candidate in candidates]
        count(Usage(judgements=1, input_tokens=7, output_tokens=1))
        return [float(len(candidate)) for candidate in candidates]


async def test_each_is_judged_once_and_known_to_the_next_run(tmp_path: Path) -> None:
    path, judge = tmp_path / "sub" / "j.jsonl", Lengths()
    first = Judgements(path, "p1", "m")
    await first.judge(judge, "i", ["ab", "abc", "ab"])
    await first.judge(judge, "i", ["ab"])
    assert judge.asked == [("i", "ab"), ("i", "abc")]
    again = Judgements(path, "p1", "m")
    assert len(again) == 2
    found = again.get("i", "abc")
    assert found is not None
    assert (found.logit, found.tokens) == (3.0, 8)
    assert found.seconds is not None


async def test_another_prompt_or_model_does_not_see_them(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    await Judgements(path, "p1", "m").judge(Lengths(), "i", ["ab"])
    assert Judgements(path, "p2", "m").get("i", "ab") is None
    assert Judgements(path, "p1", "otro").get("i", "ab") is None


def test_lines_without_prompt_are_of_the_first_one(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    path.write_text(json.dumps({"incident": "i", "entry": "e", "logit": 1.5}) + "\n", "utf-8")
    known = Judgements(path, FIRST_PROMPT, JUDGE).get("i", "e")
    assert known is not None
    assert (known.logit, known.tokens) == (1.5, None)
    assert Judgements(path, "otro", JUDGE).get("i", "e") is None


async def test_a_line_cut_short_by_a_kill_costs_only_itself(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    whole = json.dumps({"incident": "i\u2028j", "entry": "e", "logit": 1.0}, ensure_ascii=False)
    path.write_text(f'{whole}\n{{"incident": "k", "ent', "utf-8")
    await Judgements(path, FIRST_PROMPT, JUDGE).judge(Lengths(), "k", ["abcd"])
    again = Judgements(path, FIRST_PROMPT, JUDGE)
    assert len(again) == 2
    assert again.get("i\u2028j", "e") is not None
    assert again.get("k", "abcd") is not None


@pytest.mark.parametrize(("length", "missing"), [(LONGEST - 1, 1), (LONGEST, 0), (LONGEST + 5, 0)])
async def test_only_the_start_of_a_long_entry_counts(tmp_path: Path, length: int, missing: int) -> None:
    known = Judgements(tmp_path / "j.jsonl", "p", "m")
    await known.judge(Lengths(), "i", ["x" * (LONGEST + 100)])
    assert len(known.missing([("i", "x" * length)])) == missing


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"llm_provider": "embedded"}, judge_of("relevance")),
        ({"llm_provider": "embedded", "llm_gguf": Path(__file__)}, "test_judgements"),
        ({"llm_provider": "ollama", "ollama_base_url": "http://127.0.0.1:1"}, "gemma3"),
        ({"llm_provider": "ollama", "ollama_base_url": "http://127.0.0.1:1", "llm_model": "otro"}, "otro"),
    ],
    ids=["embedded", "own-file", "default", "named"],
)
def test_the_model_s_name_without_loading_it(settings: dict[str, Any], name: str) -> None:
    assert model_name(load_settings(**settings)) == name
