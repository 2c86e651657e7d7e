"""The bench measures what it says, at sizes that take no time."""

import json
from pathlib import Path

import httpx
import pytest
from rich.console import Console

from bench import __main__ as door
from bench.knowledge import measure_build, measure_search
from bench.model_server import answer, instance, model_server
from bench.orchestration import derived_incidents
from bench.queue import measure_queue
from bench.result import Measure, commit, show, write
from bench.startup import measure_startup
from bench.synthetic import HashEmbedder, queries, rows
from config import ROOT

_SCHEMA = {"type": "object", "properties": {"consulta": {"type": "string"}, "sirve": {"type": "boolean"}}}
_MESSAGES = [{"role": "user", "content": "¿Es el mismo problema?"}]


def test_structured_answer_follows_the_schema() -> None:
    body = {"messages": _MESSAGES, "response_format": {"json_schema": {"schema": _SCHEMA}}}
    reply = answer("/v1/chat/completions", body)
    assert reply is not None
    content = json.loads(reply["choices"][0]["message"]["content"])
    assert set(content) == {"consulta", "sirve"}
    assert content["sirve"] is True


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"enum": ["b", "a"]}, "b"),
        ({"const": 7}, 7),
        ({"type": "array", "items": {"type": "boolean"}}, [True]),
        ({"anyOf": [{"type": "boolean"}, {"type": "null"}]}, True),
        ({"$ref": "#/$defs/P"}, "x"),
        ({"type": "integer", "minimum": 3}, 3),
    ],
    ids=["enum", "const", "array", "any-of", "reference", "number"],
)
def test_instance(schema: dict[str, object], expected: object) -> None:
    assert instance(schema, {"P": {"enum": ["x"]}}) == expected


def test_a_judgement_has_both_words_in_either_shape() -> None:
    body = {"messages": _MESSAGES, "logprobs": True}
    openai, ollama = answer("/v1/chat/completions", body), answer("/api/chat", body)
    assert openai is not None
    assert ollama is not None
    for first in (openai["choices"][0]["logprobs"]["content"][0], ollama["logprobs"][0]):
        assert {item["token"] for item in first["top_logprobs"]} == {"sí", "no"}


def test_no_such_path() -> None:
    assert answer("/v1/otra", {}) is None


def test_the_server_answers_in_a_process_of_its_own() -> None:
    with model_server(latency=0.0, slots=1) as url, httpx.Client(trust_env=False) as client:
        assert client.get(f"{url}/v1/models").json()["data"][0]["id"] == "banco"
        body = {"messages": _MESSAGES, "logprobs": True}
        assert client.post(f"{url}/v1/chat/completions", json=body).status_code == 200
        assert client.get(f"{url}/otra").status_code == 404


def test_derived_incidents_are_all_different_and_have_no_images() -> None:
    incidents = derived_incidents(80)
    assert len({incident.code for incident in incidents}) == 80
    assert not any(entry.attachments for incident in incidents for entry in incident.history)


def test_rows_and_queries_are_as_many_as_asked() -> None:
    assert len({row.id for row in rows(3000)}) == 3000
    assert len(set(queries(50))) == 50


def test_hashed_vectors_have_length_one() -> None:
    for name, matrix in HashEmbedder().queries(["uno dos", ""]).items():
        assert matrix.shape == (2, HashEmbedder.dimensions[name])
        assert (matrix**2).sum(axis=1) == pytest.approx(1)


def test_build_and_search_are_measured() -> None:
    (build,) = measure_build(count=20, rounds=1, embedder=HashEmbedder())
    (search,) = measure_search(sizes=(40,), searches=3)
    assert 0 < build.value < 1  # the embedder alone cannot be slower than embedding and writing
    assert 0 < search.value <= search.facts["p95_ms"]


def test_start_up_is_measured() -> None:
    measures = measure_startup(times=1)
    assert [measure.met is None for measure in measures] == [False, True, True]
    assert all(measure.value > 0 for measure in measures)


def test_result_is_written_with_commit_and_shown(tmp_path: Path) -> None:
    measures = [Measure("una", "≥ 1", "2", 2.0, True, {"n": 1}), Measure("otra", "≤ 1", "2", 2.0, False)]
    written = json.loads(write(measures, tmp_path / "sub" / "b.json", tmp_path).read_text("utf-8"))
    assert written["commit"] == commit(ROOT)
    assert [item["met"] for item in written["medidas"]] == [True, False]
    console = Console(record=True, width=100)
    show(measures, console)
    assert "otra" in console.export_text()


def test_no_commit_outside_git(tmp_path: Path) -> None:
    assert commit(tmp_path) is None


def test_the_door_runs_what_it_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("bench.startup.measure_startup", lambda: [Measure("puerta", "—", "1 s", 1.0)])
    target = tmp_path / "b.json"
    assert door.main(["--solo", "arranque", "--json", str(target)]) == 0
    assert [item["name"] for item in json.loads(target.read_text("utf-8"))["medidas"]] == ["puerta"]
    assert "puerta" in capsys.readouterr().out


@pytest.mark.slow
def test_orchestration_end_to_end(tmp_path: Path) -> None:
    target = tmp_path / "b.json"
    assert door.main(["--solo", "orquestacion", "--incidencias", "4", "--json", str(target)]) == 0
    facts = json.loads(target.read_text("utf-8"))["medidas"][0]["facts"]
    assert facts["incidencias"] == 4
    assert facts["errores"] == {}


def test_the_queue_is_measured_with_and_without() -> None:
    rate, flat, memory, added = measure_queue(47)
    assert rate.facts["incidencias"] == 40
    assert rate.value > 0
    assert len(rate.facts["por_segundo_por_decimas"]) == len(rate.facts["cpu_ms_por_decimas"]) == 10
    assert flat.value > 0
    assert memory.value < 200
    assert added.value > 0


@pytest.mark.slow
def test_the_log_is_measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("bench.record._BEFORE_S", 0.2)
    monkeypatch.setattr("bench.record._AFTER_S", 0.5)
    monkeypatch.setattr("bench.record._COSTED", 100)
    target = tmp_path / "b.json"
    assert door.main(["--solo", "registro", "--corte", "0.3", "--json", str(target)]) == 0
    found = json.loads(target.read_text("utf-8"))["medidas"]
    assert len(found) == 7
    missing = next(item for item in found if "faltan tras reenviar" in item["name"])
    assert missing["value"] == 0
    assert "no han llegado a Loki" in found[4]["facts"]["dicho"][0]
