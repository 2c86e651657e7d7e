import logging
import math
from dataclasses import replace
from pathlib import Path

import pytest
from langchain_core.messages import AIMessage

from core.errors import Terminal
from core.reason import Reason
from llm.adapter import Adapter
from llm.call import Caller
from llm.relevance import INCIDENT_NAMES, LOWEST, Relevance, first_token, yes_no_logit
from llm.scripted import Said, Script, scripted_provider
from llm.tasks import PROMPTS


@pytest.mark.parametrize(
    ("tokens", "logit"),
    [
        pytest.param({"sí": -1.0, "no": -2.0}, 1.0, id="plain"),
        pytest.param({"S": math.log(0.3), "Sí": math.log(0.2), "No": math.log(0.25)}, math.log(2), id="added up"),
        pytest.param({"▁SI": -1.0, "Ġno": -2.0, "«N": -2.0}, 1.0 - math.log(2), id="marks and capitals"),
        pytest.param({"sí": math.log(0.9), "x": math.log(0.01)}, math.log(0.9 / 0.01), id="no «no»: the least listed"),
        pytest.param({"no": math.log(0.99)}, math.log(0.01 / 0.99), id="no «sí»: what is left over"),
        pytest.param({"sí": 0.0}, -LOWEST, id="nothing left over"),
        pytest.param({"sí": -0.1, "no": -math.inf}, -0.1 - LOWEST, id="impossible «no»"),
    ],
)
def test_the_logit_adds_up_spellings(tokens: dict[str, float], logit: float) -> None:
    assert yes_no_logit(tokens) == pytest.approx(logit)


@pytest.mark.parametrize("token", ["not", "nota", "sin", "sim", "", "NaN", "yesterday"])
def test_words_that_only_begin_alike_do_not_count(token: str) -> None:
    with pytest.raises(Terminal) as caught:
        yes_no_logit({token: -0.1})
    assert caught.value.reason is Reason.MODEL_UNPARSEABLE


@pytest.mark.parametrize(
    "logprobs",
    [
        None, [], {}, {"content": None}, {"content": []}, "sí", {"content": "sí"}, 3,
        {"content": [{"token": "sí", "logprob": -1}]}, {"content": [{"token": "sí", "top_logprobs": []}]}, [None],
    ],
)  # fmt: skip
def test_without_probabilities_there_is_no_judgement(logprobs: object) -> None:
    with pytest.raises(Terminal) as caught:
        first_token(AIMessage("sí", response_metadata={"logprobs": logprobs}))
    assert caught.value.reason is Reason.MODEL_NO_LOGPROBS


@pytest.mark.parametrize(
    "item", [{"token": "sí"}, {"token": 3, "logprob": -1}, {"token": "a", "logprob": math.nan}, {}, "x"]
)
def test_probabilities_that_are_none_are_unreadable(item: object) -> None:
    message = AIMessage("sí", response_metadata={"logprobs": {"content": [{"top_logprobs": [item]}]}})
    with pytest.raises(Terminal) as caught:
        first_token(message)
    assert caught.value.reason is Reason.MODEL_UNPARSEABLE


def test_tokens_that_read_alike_are_added_up() -> None:
    top = [{"token": "s", "logprob": math.log(0.25)}, {"token": "s", "logprob": math.log(0.25)}]
    message = AIMessage("s", response_metadata={"logprobs": [{"top_logprobs": top}]})
    assert first_token(message) == pytest.approx({"s": math.log(0.5)})


@pytest.mark.parametrize(("task", "adapter"), [(None, None), ("relevance", "relevance")], ids=["its own", "another's"])
async def test_a_prompt_that_words_a_task_anew_takes_its_adapter_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, task: str | None, adapter: str | None
) -> None:
    text = (PROMPTS / "relevance.md").read_text("utf-8").replace("task: relevance", "task: otra")
    (tmp_path / "otra.md").write_text(text, "utf-8")
    script = Script([Said("sí", {"sí": -0.1, "no": -2.1})])
    provider = replace(scripted_provider(script), adapters={"relevance": Adapter(Path("a.gguf"), "v")})
    with caplog.at_level(logging.INFO, "llm.call"):
        judge = Relevance(tmp_path / "otra.md", Caller(provider, None), INCIDENT_NAMES, task=task)
        assert await judge("no imprime", ["IMPRESIÓN"]) == [pytest.approx(2.0)]
    assert script.options[0].get("adapter") == adapter
    assert caplog.records[-1].__dict__["model"] == provider.named(task or "otra")
