"""The comparison of judges runs the product's search, judge and loop, with a scripted model and hashed vectors."""

import json
import math
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import BaseMessage

from bench.juez import __main__ as door
from bench.juez.__main__ import Plan, measure
from bench.juez.comparing import prepare
from bench.juez.repeating import Acted, Scale, near, raised_to, repeat_check
from bench.juez.tables import grids, legend
from bench.juez.variants import HERE, ORDER, PRODUCT, VARIANTS, Kept, expected_grade
from bench.synthetic import HashEmbedder
from config import Settings, load_settings
from core.errors import Terminal
from core.evidence import Evidence
from core.judgement import Calibration
from core.ports import Capabilities
from core.reason import Reason
from finetune.judgements import JUDGE, Judgements, model_name
from finetune.labelled import rows
from llm.adapter import Adapter
from llm.model import Provider
from llm.prompt import Prompt
from llm.scripted import Said, Script, scripted_provider
from tests.labelled_folder import TOPICS, write_rows, write_set


class Model:
    """Knows the same topic when it sees it; with the problem first it says the contrary."""

    def __init__(self) -> None:
        self.script = Script(self._reply)
        self.unreadable = ""

    def _reply(self, messages: Sequence[BaseMessage]) -> Said:
        text = messages[-1].text
        if self.unreadable and self.unreadable in text:
            return Said("quizá", {"quizá": -0.1})
        same = any(text.count(topic) == 2 for topic in TOPICS)
        if "Grado de 0 a 3" in text:
            return Said("3", {"3": -0.1, "0": -2.5} if same else {"0": -0.1, "3": -2.5})
        likely = same != text.startswith("<problema>")
        return Said("sí", {"sí": -0.1, "no": -2.5} if likely else {"sí": -2.5, "no": -0.1})

    @asynccontextmanager
    async def open(self, settings: Settings) -> AsyncIterator[Provider]:
        provider = scripted_provider(self.script, capabilities=Capabilities())
        yield replace(provider, adapters={task: Adapter(Path(task), "v") for task in ("relevance", "answers")})


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Model:
    model = Model()
    monkeypatch.setattr(door, "open_judge", model.open)
    return model


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    for name, word in (("uno", "banco"), ("dos", "tienda"), ("tres", "taller")):
        write_set(tmp_path / "datos" / name, word)
    (tmp_path / "datos" / "textos").mkdir()
    write_rows(
        tmp_path / "datos" / "textos" / "pairs.jsonl",
        [
            {"incident": f"¿{topic}?", "solution": f"Trata de {other}", "label": int(topic == other)}
            for topic in TOPICS[:3]
            for other in TOPICS[:3]
        ],
    )
    return Plan([tmp_path / "datos"], incidents=12, pairs=9, cache=tmp_path / "j.jsonl")


async def _measure(plan: Plan) -> dict[str, Any]:
    return await measure(plan, load_settings(llm_provider="embedded"), HashEmbedder(), None)


async def test_each_variant_is_measured_on_the_same_questions(model: Model, plan: Plan) -> None:
    result = await _measure(plan)
    one = result["conjuntos"]["uno"]["variantes"]
    assert set(one) == set(VARIANTS) - {"documentos"}  # a catalogue is no text that answers questions
    assert {f["n"] for f in one.values()} == {result["conjuntos"]["uno"]["pedidos"]}
    assert {name: f["auc"] for name, f in one.items()} == {
        "producto": 1.0, "resuelve": 1.0, "condiciones": 1.0, "ejemplos": 1.0, "orden": 0.0, "ambos": 0.5,
        "grados": 1.0,
    }  # fmt: skip
    assert one["ambos"]["tokens"] > one["producto"]["tokens"]
    assert one["ejemplos"]["tokens"] > one["producto"]["tokens"]
    pairs = result["conjuntos"]["textos"]
    assert pairs["pares"]
    assert pairs["variantes"]["documentos"]["n"] == 9
    assert pairs["variantes"]["documentos"]["aciertan"] == 3
    assert result["medias"]["orden"] == {"conjuntos": 4, "n": result["medias"]["producto"]["n"], "auc": 0.0,
                                         "ap": result["medias"]["orden"]["ap"]}  # fmt: skip
    assert result["sin_leer"] == 0


async def test_every_wording_of_a_question_is_put_to_the_same_judge(model: Model, plan: Plan) -> None:
    await _measure(plan)
    of_texts = "¿Contiene el fragmento"
    taken = {
        (of_texts in messages[-1].text, options.get("adapter"))
        for messages, options in zip(model.script.asked, model.script.options, strict=True)
    }
    assert taken == {(False, "relevance"), (True, "answers")}
    kept = {line["prompt"]: line["model"] for line in rows(plan.cache, "prompt", "model")}
    settings = load_settings(llm_provider="embedded")
    relevance, answers = model_name(settings, "relevance"), model_name(settings, "answers")
    assert relevance != JUDGE
    assert kept == {
        Prompt.load(file).version: answers if variant.questions else relevance
        for variant in VARIANTS.values()
        for file in variant.files
    }


async def test_a_second_run_asks_nothing_and_a_dry_one_finds_the_same(model: Model, plan: Plan) -> None:
    first = await _measure(plan)
    asked = len(model.script.asked)
    assert asked > 0
    assert await _measure(plan) == first
    assert await _measure(replace(plan, cache_only=True)) == first
    assert len(model.script.asked) == asked


async def test_only_what_every_variant_has_judged_is_compared(model: Model, plan: Plan) -> None:
    await _measure(replace(plan, variants=[PRODUCT], margin=0))
    asked = len(model.script.asked)
    dry = await _measure(replace(plan, variants=[PRODUCT, ORDER], margin=0, cache_only=True))
    assert {f["n"] for f in dry["conjuntos"]["uno"]["variantes"].values()} == {0}
    assert len(model.script.asked) == asked
    assert dry["medias"] == {}
    assert grids(dry) == []
    assert any(f"uno (0 de {dry['conjuntos']['uno']['pedidos']})" in line for line in legend(dry))


async def test_a_reply_that_cannot_be_read_is_counted_and_left_out(model: Model, plan: Plan) -> None:
    model.unreadable = "Trata de recibo duplicado"
    result = await _measure(replace(plan, variants=[PRODUCT], margin=0))
    assert result["sin_leer"] == 3
    assert result["conjuntos"]["textos"]["variantes"]["producto"]["n"] == 6
    assert any("no se pueden leer: 3" in line for line in legend(result))


async def test_another_fault_of_the_model_stops_it(model: Model, plan: Plan) -> None:
    model.script = Script(lambda messages: Said(error=Terminal(Reason.MODEL_UNAVAILABLE)))
    with pytest.raises(Terminal):
        await _measure(plan)


async def test_the_judgements_of_the_calibration_serve(plan: Plan) -> None:
    few, many = (prepare(plan.folders[0] / "uno", HashEmbedder(), 20, n, 0, 1) for n in (4, 12))
    assert {(i.incident, i.entry) for i in few.items} < {(i.incident, i.entry) for i in many.items}
    assert len(few.rows) == len(many.rows)
    kinds = [row.incident.none_type for row in few.rows if row.incident.text in {i.incident for i in few.items}]
    assert sorted(kinds) == ["", "", "ajeno"]  # none is left to take out: all twelve with a solution are asked as such


def test_the_door_shows_and_writes(
    model: Model, plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(door, "open_embedder", lambda settings: HashEmbedder())
    target = tmp_path / "sub" / "juez.json"
    arguments = ["--datos", str(tmp_path / "datos"), "--juicios", str(plan.cache), "--json", str(target)]
    arguments += ["--cache", str(tmp_path / "v"), "--variantes", "producto", "orden", "producto"]
    assert door.main(arguments) == 0
    out = capsys.readouterr().out
    assert "Variantes del juez" in out
    assert "Segunda opinión" in out
    content = target.read_text("utf-8")
    assert set(json.loads(content)) >= {"commit", "fecha", "modelo", "prompts", "conjuntos", "repeticion"}
    assert not any(topic in content for topic in TOPICS)  # a set's texts stay where they are
    assert door.main([*arguments, "--solo-cache", "--margen", "0"]) == 0
    assert json.loads(target.read_text("utf-8"))["repeticion"] is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--datos", "."], "No hay ningún conjunto"),
        (["--datos", ".", "--muestra", "-1"], "valor no válido"),
        (["--datos", ".", "--variantes", "otra"], "valor no válido"),
    ],
    ids=["no-sets", "negative", "unknown-variant"],
)
def test_wrong_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str],
    message: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(door, "open_embedder", lambda settings: HashEmbedder())
    try:
        code = door.main(arguments)
    except SystemExit as stopped:
        code = int(stopped.code or 0)
    assert code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("file", sorted(HERE.glob("*.md")), ids=lambda file: file.stem)
def test_every_prompt_beside_the_bench_is_a_variant(file: Path) -> None:
    assert set(Prompt.load(file).variables) == {"incidencia", "candidato"}
    assert file in {file for variant in VARIANTS.values() for file in variant.files}


def test_the_grade_expected() -> None:
    assert expected_grade({"3": math.log(0.5), " 1": math.log(0.25), "sí": math.log(0.25)}) == pytest.approx(7 / 3)
    with pytest.raises(Terminal):
        expected_grade({"sí": -0.1, "33": -0.2})


def test_both_ways_is_the_mean_and_costs_both(tmp_path: Path) -> None:
    path, both = tmp_path / "j.jsonl", VARIANTS["ambos"]
    write_rows(
        path,
        [
            {"prompt": PRODUCT.version, "model": JUDGE, "incident": "i", "entry": "e", "logit": 3.0, "tokens": 5,
             "seconds": 1.0},
            {"prompt": ORDER.version, "model": JUDGE, "incident": "i", "entry": "e", "logit": 1.0, "tokens": 7,
             "seconds": 2.0},
            {"prompt": PRODUCT.version, "model": JUDGE, "incident": "i", "entry": "otra", "logit": 1.0},
        ],
    )  # fmt: skip
    kept = Kept(path, lambda task: JUDGE, dict.fromkeys(both.files, both))
    found = kept.get(both, "i", "e")
    assert found is not None
    assert (found.logit, found.tokens, found.seconds) == (2.0, 12, 3.0)
    assert kept.get(both, "i", "otra") is None
    alone = kept.get(PRODUCT, "i", "otra")
    assert alone is not None
    assert (alone.tokens, alone.seconds) == (None, None)


def _acted(name: str, chance: float, right: bool) -> Acted:
    fit = Calibration(embeddings="e", judge="j", prompt="p", intercept=0.0, logit=1.0, logit_range=(-5.0, 5.0),
                      scores={})  # fmt: skip
    evidence = Evidence(**dict.fromkeys(Evidence.__dataclass_fields__, 0.0))
    return Acted("uno", name, "e", evidence, chance, right, fit)


ACTED = [_acted("a", 0.66, False), _acted("b", 0.67, True), _acted("c", 0.68, True), _acted("d", 0.95, True)]


@pytest.mark.parametrize(
    ("second", "stopped", "gains"),
    [
        ({"a": -1.0, "b": 3.0, "c": 3.0}, (0, 1), False),  # raising to .67 stops the same one
        ({"a": 3.0, "b": -1.0, "c": 3.0}, (1, 0), False),
        ({"a": 3.0, "b": 3.0, "c": 3.0}, (0, 0), False),
        ({}, (0, 0), None),
    ],
    ids=["no-better-than-a-higher-threshold", "stops-a-right-one", "agrees-with-everything", "not-asked"],
)
def test_the_repeat_check(
    tmp_path: Path, second: dict[str, float], stopped: tuple[int, int], gains: bool | None
) -> None:
    figures = _checked(tmp_path, ACTED, second)
    assert (figures["frenadas"]["bien"], figures["frenadas"]["mal"]) == stopped
    assert figures["gana"] is gains
    assert figures["cerca"]["n"] == 3
    assert figures["con_repeticion"]["bien"] == figures["umbral_subido"]["bien"]


@pytest.mark.parametrize(("copies", "gains"), [(1, False), (8, True)], ids=["one-may-be-chance", "many-are-not"])
def test_a_second_opinion_gains_when_it_stops_wrong_ones_that_are_surer(
    tmp_path: Path, copies: int, gains: bool
) -> None:
    acted = [
        _acted(f"{name}{n}", chance, right)
        for n in range(copies)
        for name, chance, right in (("a", 0.66, True), ("b", 0.72, False), ("d", 0.95, True))
    ]
    second = {f"{name}{n}": logit for n in range(copies) for name, logit in (("a", 3.0), ("b", -1.0))}
    figures = _checked(tmp_path, acted, second)
    assert figures["gana"] is gains
    assert figures["errores_menos"]["valor"] == copies
    assert (figures["con_repeticion"]["mal"], figures["umbral_subido"]["mal"]) == (0, copies)
    assert "gana" in legend_of(figures)


def test_nothing_to_act_on_is_nothing_measured(tmp_path: Path) -> None:
    figures = _checked(tmp_path, [], {})
    assert figures["gana"] is None
    assert "no se ha podido medir" in legend_of(figures)


def legend_of(check: dict[str, Any]) -> str:
    result = {"modelo": "m", "vectores": "e", "semilla": 1, "prompts": {}, "conjuntos": {}, "sin_leer": 0}
    return " ".join(legend(result | {"repeticion": check}))


def _checked(tmp_path: Path, acted: Sequence[Acted], second: dict[str, float]) -> dict[str, Any]:
    rows = [
        {"prompt": ORDER.version, "model": JUDGE, "incident": name, "entry": "e", "logit": logit}
        for name, logit in second.items()
    ]
    write_rows(tmp_path / "j.jsonl", rows)
    judgements = Judgements(tmp_path / "j.jsonl", ORDER.version, JUDGE)
    return repeat_check(acted, judgements, {"uno": Scale(1.0, 0.0)}, 65, 10)


def test_near_and_raised() -> None:
    assert [one.incident for one in near(ACTED, 65, 2)] == ["a"]
    assert [one.incident for one in raised_to(ACTED, 2)] == ["d", "c"]
    assert raised_to(ACTED, 0) == []


def test_two_orders_on_one_scale() -> None:
    scale = Scale.of([(float(i), 10.0 + 2 * i) for i in range(10)])
    assert scale is not None
    assert scale(14.0) == pytest.approx(2.0)
    assert Scale.of([(1.0, 2.0)] * 9) is None
    flat = Scale.of([(float(i), 3.0) for i in range(10)])
    assert flat is not None
    assert flat(3.0) == pytest.approx(4.5)
