"""core/replay_report, core/replay_screen and core/replay_kept: what is written, shown and taken up again."""

import json
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from core.closed import Skip
from core.ending import Did
from core.ledger import KnownRows
from core.reason import Reason
from core.replay import Case, Cases, Replayed, compare
from core.replay_kept import Unfinished, hashed
from core.replay_report import CAUTION, ReplayRun, Told, disagreements, figures, write_replay
from core.replay_screen import MOST, show_replay
from tests.core.test_opening import closed
from tests.core.test_replay import case, result

RUN = ReplayRun(
    "r-1", "0.1.0", datetime(2026, 3, 31, 9, 5, tzinfo=UTC), 3, datetime(2025, 12, 31, tzinfo=UTC), 9, 0, {"umbral": 65}
)
RIGHT, NONE = KnownRows(right=frozenset("a")), KnownRows(complete=True)


def replayed(code: str, given: Case, **fields: Any) -> Replayed:
    found = result(code, **{"descripcion_fila": "Se lee [bold]así[/bold]", "aprobacion": 70} | fields)
    return Replayed(given, found, compare(given, found))


MOVE = {"tipo": "reasignacion", "buzon_destino": "COBROS", "fila": "b"}
ALL = [
    replayed("right", case(known=RIGHT)),
    replayed("wrong", case(known=NONE), aprobacion=80),
    replayed("same", case()),
    replayed("moved-by-us", case(), **MOVE, aprobacion=95),
    replayed("they-waited", case(Did.WAITED), aprobacion=80),
    replayed("asks", case(), tipo="api|fxprovicion", fila="c"),
    replayed("left", case(known=RIGHT), resultado="humano", motivo="BELOW_THRESHOLD"),
    replayed("proposed", case(), resultado="propuesta", motivo="NEEDS_APPROVAL"),
    replayed("proposed-otherwise", case(Did.REASSIGNED, "WEB"), resultado="propuesta", motivo="NEEDS_APPROVAL"),
    replayed("failed", case(), resultado="error", motivo="MODEL_TIMEOUT"),
]
CASES = Cases(tuple(item.case for item in ALL), (("old", Skip.OLD), ("ours", Skip.HANDLED)))


def test_the_figures() -> None:
    found = figures(ALL, CASES, RUN)
    assert (found["decididas"], found["automaticas"], found["cobertura"]) == (10, 6, 0.6)
    assert found["con_fila_conocida"] == {"comparadas": 2, "correctas": 1, "equivocadas": 1}
    assert found["solo_por_accion"] == {"comparadas": 3, "iguales": 1, "distintas": 2}
    assert (found["sin_comparar"], found["acuerdo"]) == (1, 0.4)
    assert found["tienen_fila"] == {"incidencias": 2, "resueltas": 1}
    assert found["cierres"] == {
        "cuantos": 4,
        "erroneos": 1,
        "quiza_erroneos": 1,
        "correctos": 1,
        "cerrados_tambien_por_personas": 1,
    }
    assert found["propuestas"]["cuantas"] == 2
    assert found["propuestas"]["acuerdo"] == 0.5
    assert found["hicieron_las_personas"] == {"cierre": 8, "en espera": 1, "reasignacion": 1}
    assert found["omitidas"] == {"ANTIGUA": 1, "TRATADA_POR_SPAI": 1}
    assert [(row["clave"], row["automaticas"], row["discrepan"]) for row in found["por_tipo"]] == [
        ("cierre", 4, 2),
        ("reasignacion", 1, 1),
        ("api|fxprovicion", 1, 0),
    ]
    assert [(row["clave"], row["coinciden"]) for row in found["por_fila"]] == [("a", 2), ("b", 0), ("c", 0)]


def test_nothing_decided_is_no_share() -> None:
    found = figures([], Cases((), ()), RUN)
    assert (found["cobertura"], found["acuerdo"], found["por_tipo"]) == (None, None, [])


def test_the_highest_approval_first_and_what_is_certain_before_what_is_not() -> None:
    codes = [item.result.codIncidencia for item in disagreements(ALL)]
    assert codes == ["moved-by-us", "wrong", "they-waited", "proposed-otherwise"]


@pytest.fixture
def written(tmp_path: Path) -> tuple[dict[str, Any], Path]:
    return write_replay(ALL, CASES, RUN, tmp_path, lambda item: Told("no va [x]", "se llamó al banco"))


def test_the_report(written: tuple[dict[str, Any], Path]) -> None:
    content, path = written
    assert path.name == "reporte_historico_20260331_0905.json"
    assert json.loads(path.read_text("utf-8")) == content
    assert content["historico"]["aviso"] == CAUTION
    assert content["resumen"]["simulada"] is True
    assert content["resumen"]["umbral"] == 65
    first = content["discrepancias"][0]
    assert first["habriamos_hecho"]["buzon_destino"] == "COBROS"
    assert first["hicieron"]["accion"] == "cierre"
    assert (first["titulo"], first["hicieron"]["nota"]) == ("no va [x]", "se llamó al banco")
    assert len(content["incidencias"]) == 10
    assert content["incidencias"][1]["comparacion"] == "fila_equivocada"
    assert content["incidencias"][1]["personas"]["ninguna_fila_la_describe"] is True
    assert content["omitidas"] == [{"codIncidencia": "ours", "motivo": "TRATADA_POR_SPAI"}]


def test_two_replays_write_two_files(tmp_path: Path) -> None:
    paths = {write_replay(ALL, CASES, RUN, tmp_path, lambda item: Told("", ""))[1] for _ in range(2)}
    assert len(paths) == 2


def shown(content: dict[str, Any]) -> str:
    out = StringIO()
    show_replay(content, Path("informe.json"), Console(file=out, width=160))
    return out.getvalue()


def test_the_screen(written: tuple[dict[str, Any], Path]) -> None:
    told = shown(written[0])
    assert "Se habrían hecho solas: 6 de 10 (60 %)" in told
    assert "con fila conocida: 1 correctas, 1 equivocadas (tienen fila 2; resueltas de ellas, 1)" in told
    assert "sin fila conocida: 1 como las personas, 2 de otra manera" in told
    assert "Cierres: 4, de ellos erróneos 1, quizá erróneos 1" in told
    assert "Se habrían propuesto a una persona: 2 (50 % de acuerdo)" in told
    assert "Mire primero (4 discrepancias)" in told
    assert "reasignacion → COBROS: Se lee [bold]así[/bold]" in told
    assert "ninguna fila la describe; las personas la cerraron: «se llamó al banco»" in told
    assert "las personas la reasignaron a WEB" in told
    assert Reason.BELOW_THRESHOLD.text in told
    assert Skip.HANDLED.text in told
    assert "no prueba" in told
    assert "informe.json" in told
    assert "Sin empezar" not in told


def test_a_narrow_terminal_keeps_the_counts(written: tuple[dict[str, Any], Path]) -> None:
    out = StringIO()
    content = written[0]
    for row in content["historico"]["por_fila"]:
        row["descripcion_fila"] = "larga " * 30
    show_replay(content, Path("informe.json"), Console(file=out, width=80))
    told = out.getvalue()
    assert told.count("Sin comparar") == 2
    assert "larga" in told
    assert max(map(len, told.splitlines())) <= 140


def test_the_screen_of_nothing() -> None:
    run = ReplayRun("r-1", "0", RUN.started, 3, RUN.since, 0, 2, {})
    content = {"ejecucion": "r-1", "resumen": {"por_motivo": {}}, "historico": figures([], Cases((), ()), run)}
    told = shown(content | {"discrepancias": []})
    assert "0 incidencias cerradas" in told
    assert "Sin empezar: 2" in told
    assert "Mire primero" not in told


def test_the_screen_names_a_few(tmp_path: Path) -> None:
    many = [replayed(f"I-{n}", case(Did.WAITED), fila=f"f{n}") for n in range(MOST + 5)]
    content, _ = write_replay(many, Cases((), ()), RUN, tmp_path, lambda item: Told("", ""))
    assert len(content["discrepancias"]) == MOST + 5
    assert shown(content).count("I-") == MOST


def test_a_row_known_wrong_where_nobody_left_a_trace(tmp_path: Path) -> None:
    given = case(None, known=KnownRows(wrong=frozenset("a")))
    content, _ = write_replay([replayed("I-9", given)], Cases((), ()), RUN, tmp_path, lambda item: Told("", ""))
    assert "no es su fila" in shown(content)
    assert content["historico"]["hicieron_las_personas"] == {"no consta": 1}


# What a replay cut short had decided


def test_taken_up_again(tmp_path: Path) -> None:
    path, one, other = tmp_path / "e" / "f.jsonl", closed(codIncidencia="A"), closed(codIncidencia="B")
    kept = Unfinished(path, "b1")
    assert kept.known([one]) == {}
    kept.keep(one, result("A", detalle="de 12345678Z"))
    kept.keep(other, result("B", motivo="MODEL_TIMEOUT", resultado="error"))
    assert set(kept.known([one, other])) == {"A"}
    assert "12345678Z" not in path.read_text("utf-8")
    assert Unfinished(path, "b2").known([one]) == {}
    assert kept.known([one.model_copy(update={"title": "otra cosa"})]) == {}
    kept.forget()
    kept.forget()
    assert not path.exists()


@pytest.mark.faults
@pytest.mark.parametrize("rubbish", ["{", "[]", "3", '{"basis": "b"}', '{"basis": "b", "resultado": {}}', "\xff\x00"])
def test_lines_cut_short_cost_only_themselves(tmp_path: Path, rubbish: str) -> None:
    path, one, other = tmp_path / "f.jsonl", closed(codIncidencia="A"), closed(codIncidencia="B")
    kept = Unfinished(path, "b")
    kept.keep(one, result("A"))
    with path.open("a", encoding="latin-1") as stream:
        stream.write("\n" + rubbish)
    kept.keep(other, result("B"))
    assert set(kept.known([one, other])) == {"A", "B"}


@pytest.mark.faults
def test_what_cannot_be_kept_costs_only_time(tmp_path: Path) -> None:
    (tmp_path / "no").write_text("a file where a folder should be")
    kept = Unfinished(tmp_path / "no" / "f.jsonl", "b")
    kept.keep(closed(), result())
    kept.forget()
    assert kept.known([closed()]) == {}


def test_the_hash_tells_parts_apart() -> None:
    assert hashed("ab", "c") != hashed("a", "bc")
