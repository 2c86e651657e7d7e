"""The quality bench runs the product's search, judge and loop, with a scripted model and hashed vectors."""

import json
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from langchain_core.messages import BaseMessage

from bench import figuras
from bench.calidad import __main__ as door
from bench.calidad import run
from bench.calidad.comparing import cost
from bench.calidad.deciding import Decided
from bench.calidad.finding import any_solution
from bench.calidad.judging import measure_candidates
from bench.calidad.metrics import auroc, average_precision, calibration, mean_with_interval, ranking, reliability
from bench.calidad.run import Plan, measure
from bench.calidad.tables import grids, legend
from bench.synthetic import HashEmbedder
from config import Settings, load_settings
from core.judgement import Calibration
from core.ports import Capabilities, Vectors
from finetune.calibration import Case
from finetune.judgements import JUDGE, Judgements
from llm.model import Provider
from llm.scripted import Said, Script, scripted_provider
from tests.labelled_folder import TOPICS, write_set


def hashed(texts: Sequence[str]) -> Vectors:
    return HashEmbedder().queries(texts)["e5"]


class Model:
    """Says «sí» when incident and problem are about the same topic; writes 70 when asked for a score."""

    def __init__(self) -> None:
        self.script = Script(self._reply)

    def _reply(self, messages: Sequence[BaseMessage]) -> Said:
        text = messages[-1].text
        if "puntuacion" in messages[0].text:
            return Said('{"puntuacion": 70}')
        same = any(text.count(topic) == 2 for topic in TOPICS)
        return Said("sí", {"sí": -0.1, "no": -2.5} if same else {"sí": -2.5, "no": -0.1})

    @asynccontextmanager
    async def open(self, settings: Settings) -> AsyncIterator[Provider]:
        yield scripted_provider(self.script, capabilities=Capabilities())


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Model:
    model = Model()
    monkeypatch.setattr(run, "open_judge", model.open)
    seen = Calibration(
        embeddings="e5+use+minilm", judge=JUDGE, prompt="p", intercept=-1.0, logit=1.5, logit_range=(-3.0, 3.0),
        scores={"bm25": 1.0, "margin": 1.0}, fitted={"sets": ["uno", "dos"]},
    )  # fmt: skip
    monkeypatch.setattr(run, "load_calibration", lambda embeddings: seen)
    return model


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    for name, word in (("uno", "banco"), ("dos", "tienda"), ("tres", "taller")):
        write_set(tmp_path / "datos" / name, word)
    return Plan(
        [tmp_path / "datos"], judged=12, searched=8, pairs=9, written=2, cache=tmp_path / "j.jsonl", trials=2
    )  # fmt: skip


async def _measure(plan: Plan) -> dict[str, Any]:
    return await measure(plan, load_settings(llm_provider="embedded"), HashEmbedder(), None, hashed)


async def test_every_figure_of_a_set(model: Model, plan: Plan) -> None:
    result = await _measure(plan)
    assert list(result["conjuntos"]) == ["dos", "tres", "uno"]
    one = result["conjuntos"]["uno"]
    assert one["orden"]["producto"]["n"] == 8
    assert one["orden"]["producto"]["recall@1"]["valor"] == 1.0
    assert set(one["hay_solucion"]["producto"]) == {"todas", "ajeno", "retirada"}
    assert one["juicio"]["auc_juez"] == 1.0
    assert one["pares"]["por_tipo"]["azar"]["auc"] == 1.0
    methods = one["decision"]["metodos"]
    assert set(methods) == {
        "producto", "coseno e5", "coseno use", "coseno MiniLM", "BM25", "aprobar siempre", "nota escrita",
    }  # fmt: skip
    assert methods["producto"]["umbral"]["equivocadas"] == 0
    assert methods["aprobar siempre"]["umbral"]["equivocadas"] > 0
    assert {k: f["incidencias"] for k, f in one["decision"]["por_tipo"].items()} == {
        "con solución": 6, "ajeno": 3, "retirada": 3,
    }  # fmt: skip
    assert one["coste"]["tokens"] > 0
    assert one["sin_decidir"] == 0
    assert result["total"]["divisiones"]["producto"]["divisiones"] == 2


async def test_the_larger_sample_is_judged_only_where_the_loop_would_ask(model: Model, plan: Plan) -> None:
    few = await _measure(replace(plan, judged=4, as_they_come=True))
    asked = len(model.script.asked)
    result = await _measure(replace(plan, judged=4, as_they_come=True, certified=14))
    certified = result["certificacion"]
    assert few["certificacion"] is None
    assert {name: f["incidencias"] for name, f in certified["conjuntos"].items()} == dict.fromkeys(
        ("dos", "tres", "uno"), 14
    )
    assert certified["sin_decidir"] == 0
    assert result["conjuntos"]["uno"]["juicio"] == few["conjuntos"]["uno"]["juicio"]
    assert 0 < len(model.script.asked) - asked < 3 * 3 * 10
    assert min(point["umbral"] for point in certified["curva"]["producto"]) >= 50
    titles = [grid.title for grid in grids(result)]
    assert any(title.startswith("Muestra para certificar") for title in titles)


async def test_incidents_as_they_come_lose_no_entry(model: Model, plan: Plan) -> None:
    result = await _measure(replace(plan, judged=8, as_they_come=True))
    by_type = result["conjuntos"]["uno"]["decision"]["por_tipo"]
    assert {kind: f["incidencias"] for kind, f in by_type.items()} == {"con solución": 6, "ajeno": 2}
    assert "a ninguna se le ha retirado" in legend(result)[-1]


async def test_the_written_score_is_asked_of_every_kind_of_incident(model: Model, plan: Plan) -> None:
    await _measure(replace(plan, written=4))
    texts = [asked[-1].text for asked in model.script.asked if "puntuacion" in asked[0].text]
    # The candidate's own topic alone: nothing solves the incident; another beside it: the right entry is taken out.
    topics = Counter(tuple(sorted(n for topic in TOPICS if (n := text.count(topic)))) for text in texts)
    assert topics == {(2,): 6, (1,): 3, (1, 1): 3}


async def test_a_written_score_kept_from_another_plan_does_not_count(model: Model, plan: Plan) -> None:
    await _measure(replace(plan, written=12))
    result = await _measure(replace(plan, written=4))
    methods = result["conjuntos"]["uno"]["decision"]["metodos"]
    assert {name: methods[name]["n"] for name in ("producto", "nota escrita")} == {"producto": 12, "nota escrita": 4}
    assert result["total"]["n"]["nota escrita"] == 12
    rows = next(grid for grid in grids(result) if "Lo que se haría solo" in grid.title).rows
    assert {(row[0], row[2]) for row in rows if row[1] == "nota escrita"} == {
        ("uno", "4"), ("dos", "4"), ("tres", "4"), ("TODOS", "12"),
    }  # fmt: skip
    assert "nota escrita" not in " ".join(legend(result))


async def test_the_legend_says_that_no_written_score_was_asked(model: Model, plan: Plan) -> None:
    await _measure(plan)
    result = await _measure(replace(plan, written=0))
    assert "nota escrita" not in result["total"]["riesgos"]
    assert "«nota escrita»: no se pidió" in legend(result)[-1]


async def test_the_approval_s_error_over_all_sets(model: Model, plan: Plan) -> None:
    result = await _measure(plan)
    sets = [figures["juicio"] for figures in result["conjuntos"].values()]
    pooled, n = result["total"]["juicio"], sum(f["n"] for f in sets)
    assert pooled["n"] == n
    assert pooled["brier"] == pytest.approx(sum(f["n"] * f["brier"] for f in sets) / n, abs=2e-4)
    assert 0 < pooled["ece"] <= sum(f["n"] * f["ece"] for f in sets) / n + 2e-4
    rows = next(grid for grid in grids(result) if grid.title.startswith("Juicio y aprobación")).rows
    assert rows[-1][:3] == ("todos los conjuntos", "todos", str(n))
    assert rows[-1][-2:] == (f"{pooled['ece']:.3f}", f"{pooled['brier']:.3f}")


async def test_a_result_without_the_newer_figures_is_drawn(model: Model, plan: Plan, tmp_path: Path) -> None:
    result: dict[str, Any] = {"fecha": "2026-01-01", "commit": None, **await _measure(plan)}
    del result["sin_retirar"], result["total"]["n"], result["total"]["juicio"]
    for figures in result["conjuntos"].values():
        del figures["coste"]["siguientes_medidos"]
        for method in figures["decision"]["metodos"].values():
            del method["n"]
        for kind in figures["juicio"]["por_tipo"].values():
            del kind["ap_juez"], kind["ap_aprobacion"], kind["ece"], kind["brier"]
    (tmp_path / "r.json").write_text(json.dumps(result), "utf-8")
    assert figuras.main([str(tmp_path / "r.json"), "--salida", str(tmp_path)]) == 0
    assert "| uno | producto | — |" in (tmp_path / "calidad.md").read_text("utf-8")


async def test_sets_that_the_calibration_has_seen_are_decided_without_it(model: Model, plan: Plan) -> None:
    result = await _measure(plan)
    assert {name: figures["ajuste"] for name, figures in result["conjuntos"].items()} == {
        "uno": "otros conjuntos", "dos": "otros conjuntos", "tres": "entregado",
    }  # fmt: skip


async def test_a_set_alone_that_was_seen_says_so(model: Model, tmp_path: Path, plan: Plan) -> None:
    alone = Plan([tmp_path / "datos" / "uno"], judged=12, searched=4, pairs=0, cache=plan.cache)
    result = await _measure(alone)
    assert result["conjuntos"]["uno"]["ajuste"] == "entregado, que ya ha visto el conjunto"
    risks = result["conjuntos"]["uno"]["decision"]["metodos"]["producto"]["riesgos"]
    assert {figures["umbral_ajeno"] for figures in risks.values()} == {None}


async def test_pairs_alone_are_put_to_the_judge_of_documents_too(model: Model, plan: Plan, tmp_path: Path) -> None:
    folder = tmp_path / "datos" / "uno"
    for file in ("corpus.jsonl", "queries.jsonl"):
        (folder / file).unlink()
    result = await _measure(plan)
    found = {name: figures["pares_documentos"] for name, figures in result["conjuntos"].items()}
    assert found["dos"] is found["tres"] is None
    assert (found["uno"]["n"], found["uno"]["auc"]) == (9, 1.0)
    rows = next(grid for grid in grids(result) if "pares etiquetados" in grid.title).rows
    assert {row[1] for row in rows if row[0] == "uno"} == {"mismo problema", "lo contesta"}
    assert {row[1] for row in rows if row[0] == "dos"} == {"mismo problema"}


async def test_a_second_run_asks_the_model_nothing_and_finds_the_same(model: Model, plan: Plan) -> None:
    first = await _measure(plan)
    asked = len(model.script.asked)
    assert asked > 0
    assert {figures["sin_decidir"] for figures in first["conjuntos"].values()} == {0}
    again = await _measure(plan)
    assert len(model.script.asked) == asked
    timeless = [{**r, "conjuntos": {n: {**f, "coste": 0} for n, f in r["conjuntos"].items()}} for r in (first, again)]
    assert timeless[0] == timeless[1]


async def test_without_model_what_is_not_judged_is_counted(model: Model, plan: Plan) -> None:
    dry = Plan(plan.folders, judged=12, searched=4, pairs=9, cache=plan.cache, cache_only=True)
    result = await _measure(dry)
    assert not model.script.asked
    assert {figures["pares"] for figures in result["conjuntos"].values()} == {None}
    assert all(figures["sin_decidir"] > 0 for figures in result["conjuntos"].values())
    assert grids(result)
    assert "no son una muestra al azar" in legend(result)[-1]


def test_the_doors_measure_draw_and_write(
    model: Model, plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(door, "open_embedder", lambda settings: HashEmbedder())
    monkeypatch.setattr(door, "open_minilm", lambda: hashed)
    target, docs = tmp_path / "sub" / "q.json", tmp_path / "docs"
    arguments = ["--datos", str(tmp_path / "datos"), "--muestra", "12", "--busqueda", "4", "--pares", "6"]
    assert door.main([*arguments, "--juicios", str(plan.cache), "--json", str(target)]) == 0
    assert "Lo que se haría solo" in capsys.readouterr().out
    content = target.read_text("utf-8")
    assert set(json.loads(content)) >= {"commit", "fecha", "modelo", "prompt", "conjuntos", "total"}
    assert not any(topic in content for topic in TOPICS)  # a set's texts stay where they are
    for _ in range(2):
        assert figuras.main([str(target), "--salida", str(docs)]) == 0
    assert sorted(path.name for path in docs.iterdir()) == [
        "calidad.md", "calidad_errores.png", "calidad_fiabilidad.png", "calidad_riesgo_cobertura.png",
    ]  # fmt: skip
    document = (docs / "calidad.md").read_text("utf-8")
    assert document.count(figuras.BEGIN) == document.count(figuras.END) == 1
    assert "| uno | producto |" in document


@pytest.mark.parametrize(
    ("content", "message"),
    [("{", "no se puede leer"), ("[]", "no es un resultado"), ('{"conjuntos": {}}', "no es un resultado")],
    ids=["not-json", "a-list", "something-else"],
)
def test_figures_want_a_result(tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, message: str) -> None:
    (tmp_path / "r.json").write_text(content, "utf-8")
    assert figuras.main([str(tmp_path / "r.json"), "--salida", str(tmp_path)]) == 2
    assert message in capsys.readouterr().err


def test_a_document_without_marks_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "calidad.md").write_text("# Otra cosa\n", "utf-8")
    result: dict[str, Any] = {
        "fecha": "2026-01-01", "commit": None, "modelo": "m", "prompt": "p", "vectores": "e5", "umbral": 65,
        "semilla": 1, "sin_retirar": False, "reintentos": 0, "conjuntos": {},
        "total": {"riesgos": {"producto": {}}, "umbral": None},
    }  # fmt: skip
    result["total"] = {"riesgos": {}, "curva": {}, "divisiones": {}}
    (tmp_path / "r.json").write_text(json.dumps(result), "utf-8")
    assert figuras.main([str(tmp_path / "r.json"), "--salida", str(tmp_path)]) == 2
    assert "marcas" in capsys.readouterr().err
    assert (tmp_path / "calidad.md").read_text("utf-8") == "# Otra cosa\n"


def test_ranks_and_chances() -> None:
    figures = ranking([1, 2, None, 6], seed=1)
    assert [figures[key]["valor"] for key in ("recall@1", "recall@5", "mrr")] == [0.25, 0.5, 0.4167]
    assert auroc([0.1, 0.9], [0, 1]) == average_precision([0.1, 0.9], [0, 1]) == 1.0
    assert auroc([0.1], [1]) is None
    assert calibration([1.0, 0.0], [1, 1]) == {"ece": 0.5, "brier": 0.5}
    assert calibration([], []) == {"ece": None, "brier": None}
    assert reliability([0.95, 1.0, 0.05], [1, 0, 0]) == [
        {"n": 1, "aprobacion": 0.05, "acierto": 0.0},
        {"n": 2, "aprobacion": 0.975, "acierto": 0.5},
    ]


def test_the_interval_holds_the_mean_and_is_the_same_for_the_same_seed() -> None:
    values = [1.0] * 60 + [0.0] * 40
    figures = mean_with_interval(values, seed=7)
    low, high = figures["intervalo"]
    assert low < 0.6 < high
    assert high - low == pytest.approx(2 * 1.96 * (0.24 / 100) ** 0.5, rel=0.25)
    assert figures == mean_with_interval(values, seed=7)
    assert mean_with_interval([], seed=7) == {"valor": None, "intervalo": None}


def test_the_approval_of_each_kind_of_incident() -> None:
    fit = Calibration(
        embeddings="e5", judge=JUDGE, prompt="p", intercept=0.0, logit=1.0, logit_range=(-9.0, 9.0), scores={}
    )

    def case(label: int, logit: float) -> Case:
        return Case("uno", "i", "e", label, bool(label), {}, logit)

    cases = [("", case(1, 2.0)), ("", case(1, -1.0)), ("ajeno", case(0, 0.0)), ("ajeno", case(0, 0.0))]
    kinds = measure_candidates(cases, fit)["por_tipo"]
    # Right ones at 0.88 and 0.27, the others at 0.5 twice: ranked 1st and last, precision 1 and 2 of 4.
    assert kinds["ajeno"] == {
        "n": 2, "auc_juez": 0.5, "ap_juez": 0.75, "auc_aprobacion": 0.5, "ap_aprobacion": 0.75,
        "ece": 0.5, "brier": 0.25,
    }  # fmt: skip
    assert (kinds["con solución"]["auc_juez"], kinds["con solución"]["ap_aprobacion"]) == (None, None)
    assert kinds["con solución"]["ece"] == pytest.approx((0.1192 + 0.7311) / 2, abs=1e-4)


def test_a_judgement_without_time_leaves_the_others_theirs(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"entry": "a", "tokens": 9, "seconds": 5.0},
        {"entry": "b", "tokens": 9, "seconds": 1.0},
        {"entry": "c"},
        {"entry": "d", "tokens": 9, "seconds": 3.0},
    ]
    head = {"prompt": "p", "model": "m", "incident": "i", "logit": 0.0}
    (tmp_path / "j.jsonl").write_text("".join(json.dumps(head | row) + "\n" for row in rows), "utf-8")
    one = Mock(spec=Decided, asked=tuple(("i", row["entry"]) for row in rows))
    figures = cost([one], Judgements(tmp_path / "j.jsonl", "p", "m"))
    assert figures == {
        "juicios": 4.0, "tokens": None, "segundos_juicio": None, "segundos_siguiente": 2.0, "siguientes_medidos": 2,
    }  # fmt: skip


def test_incidents_taken_out_are_told_apart_from_the_source_s_own() -> None:
    figures = any_solution({"": [0.9, 0.8], "ajeno": [0.1], "retirada": [0.95]})
    assert {name: f["auroc"] for name, f in figures.items()} == {"todas": 1.0, "ajeno": 1.0, "retirada": 0.0}
    assert "todas" not in any_solution({"": [0.9], "retirada": [0.5]})
