"""The embedded provider on the real model: loaded once for the file, skipped where it was not set up."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import pytest

from config import ROOT, Settings
from core.errors import Terminal
from core.reason import Reason
from core.usage import metering
from llm.provider import Provider, open_provider
from llm.tasks import ModelTasks
from llm.weights import is_placed, model_path

STATE = ROOT / "var"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not is_placed(model_path(STATE / "models")), reason="el modelo embebido no está instalado"),
]


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    opened = open_provider(Settings(llm_provider="embedded", directorio_estado=STATE, llm_contexto=2048))
    yield opened
    asyncio.run(opened.aclose())


async def test_a_judgement_tells_the_same_problem_from_another(provider: Provider) -> None:
    incident = (
        "Un cliente llama porque al entrar en la oficina virtual le dice que su clave ha caducado y no puede seguir."
    )
    with metering() as usage:
        same, other = await ModelTasks(provider).judge(
            incident,
            [
                "OFICINA VIRTUAL: El usuario no puede acceder porque la contraseña está caducada",
                "IMPRESIÓN: La carta de renovación sale sin el logotipo",
            ],
        )
    assert same > other + 1
    assert usage.judgements == 2
    assert usage.output_tokens == 2


async def test_a_reply_keeps_to_the_schema(provider: Provider) -> None:
    words = await ModelTasks(provider).keywords("El portal de pagos da error 500 al guardar el recibo.")
    assert 1 <= len(words) <= 8


async def test_what_does_not_fit_is_found_by_an_exact_count(provider: Provider) -> None:
    text = "incidencia " * 1500
    assert 1500 <= provider.count_tokens(text) < len(text)
    with pytest.raises(Terminal) as caught:
        await ModelTasks(provider).judge(text, ["a"])
    assert caught.value.reason is Reason.PROMPT_TOO_LONG


async def test_a_judgement_takes_the_adapter_on_and_nothing_after_it_does(provider: Provider) -> None:
    incident, rows = "La impresora de la planta no imprime nada.", ["IMPRESIÓN: La impresora figura sin conexión"]
    tuned, bare = ModelTasks(provider), ModelTasks(replace(provider, adapters={}))
    assert tuned.model_name != bare.model_name
    [before] = await bare.judge(incident, rows)
    [judged] = await tuned.judge(incident, rows)
    [after] = await bare.judge(incident, rows)  # the same words as before: the prefix cache must not answer for it
    # What the prefix cache already holds is computed in other batches: the same logit to .03, measured.
    assert after == pytest.approx(before, abs=0.05)
    assert abs(judged - before) > 0.15
