"""core/screen.py: what an operator reads at the end of a run."""

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from core.reason import Reason
from core.report import IncidentResult, Result, RunReport, summarise
from core.screen import MOST_DONE, show


def _result(code: str, **fields: Any) -> IncidentResult:
    defaults = {"resultado": Result.HUMAN, "tipo": "manual", "motivo": Reason.BELOW_THRESHOLD}
    return IncidentResult.model_validate({"codIncidencia": code} | defaults | fields)


ACTED = {"resultado": Result.AUTOMATIC, "tipo": "cierre", "motivo": Reason.APPROVED, "aprobacion": 91}


def _shown(*results: IncidentResult, left: int = 0, width: int = 200, **more: Any) -> str:
    summary = summarise(results, left=left, **more)
    report = RunReport(ejecucion="e-1", inicio="i", fin="f", version="1", resumen=summary, incidencias=results)
    text = io.StringIO()
    show(report, Path("informes/reporte.json"), Console(file=text, width=width))
    return text.getvalue()


def test_what_was_done_and_what_waits() -> None:
    told = _shown(
        _result("INC-1", **ACTED, descripcion_fila="buzón lleno"),
        _result("INC-2", **ACTED | {"tipo": "reasignacion"}, buzon_destino="COBROS"),
        _result("INC-3", **ACTED | {"tipo": "en espera", "motivo": Reason.MISSING_POLICY}),
        _result("INC-4", aprobacion=40, descripcion_fila="d" * 90),
        _result("INC-5", resultado=Result.ERROR, motivo=Reason.MODEL_TIMEOUT, detalle="tras 120 s"),
    )
    assert "Ejecución e-1: 5 incidencias" in told
    assert "3 resueltas automáticamente, 1 para una persona, 1 con error" in told
    assert "propuestas" not in told
    done, waiting = told.split("Esperan a una persona")
    assert "Hecho por el sistema" in done
    assert "buzón lleno" in done
    assert "reasignacion → COBROS" in done
    assert "(se pide la póliza)" in done
    assert "91" in done
    assert "la aprobación no llega al umbral" in waiting
    assert "d" * 70 + "…" in waiting
    assert "d" * 71 not in waiting
    assert "el modelo ha tardado demasiado (tras 120 s)" in waiting
    assert told.rstrip().endswith("Informe: informes/reporte.json")


def _many() -> list[IncidentResult]:
    return [
        *[_result(f"INC-A{n}", motivo=Reason.NO_CANDIDATE, detalle="esto no se enseña") for n in range(9)],
        *[_result(f"INC-B{n}", aprobacion=n) for n in range(7)],
        _result("INC-C", motivo=Reason.ALREADY_TRIED),
        _result("INC-D", resultado=Result.ERROR, motivo=Reason.DESK_REFUSED, detalle="409"),
    ]


def test_many_that_wait_are_told_by_reason() -> None:
    told = [line.strip() for line in _shown(*_many()).partition("Esperan a una persona (18)")[2].splitlines()]
    assert told[1:9] == [
        "1  error: la mesa ha rechazado el cambio (409)",
        "INC-D",
        "9  ningún problema conocido se le parece",
        "INC-A0, INC-A1, INC-A2, INC-A3, INC-A4, INC-A5 … y 3 más",
        "7  la aprobación no llega al umbral",
        "INC-B6 (6), INC-B5 (5), INC-B4 (4), INC-B3 (3), INC-B2 (2), INC-B1 (1) … y 1 más",
        "1  esa solución ya se probó",
        "INC-C",
    ]


@pytest.mark.parametrize("width", [40, 60, 80])
def test_the_reasons_fit_the_terminal(width: int) -> None:
    told = _shown(*_many(), width=width)
    assert max(len(line) for line in told.splitlines() if not line.startswith("Informe:")) <= width
    assert "y 3 más" in " ".join(told.split())


def test_a_long_list_of_what_was_done_is_cut() -> None:
    told = _shown(*[_result(f"INC-{n:03}", **ACTED) for n in range(MOST_DONE + 3)])
    assert f"INC-{MOST_DONE - 1:03}" in told
    assert f"INC-{MOST_DONE:03}" not in told
    assert "… y 3 más, en el informe" in told


def test_quick_stages_are_left_out() -> None:
    told = _shown(_result("INC-1", etapas={"judge": 1.0, "intake": 0.01}))
    assert "juicio 1.0" in told
    assert "datos personales" not in told


def test_a_simulation_says_that_nothing_was_changed() -> None:
    told = _shown(_result("INC-1", **ACTED), simulada=True)
    assert "(simulación: no se ha cambiado nada)" in told
    assert "Se habría hecho" in told
    assert "Hecho por el sistema" not in told
    assert "Esperan a una persona" not in told


def test_nothing_to_work() -> None:
    told = _shown()
    assert "0 incidencias" in told
    assert "Hecho" not in told
    assert "Segundos por etapa" not in told
    assert "Sin empezar" not in told
    assert "Errores de servicios" not in told


def test_service_errors_are_told_in_a_line() -> None:
    told = _shown(_result("INC-1", errores_api={"la mesa de incidencias": 3}), _result("INC-2", errores_api={"x": 1}))
    assert "\nErrores de servicios (con reintentos): la mesa de incidencias 3, x 1\n" in told


@pytest.mark.parametrize(
    ("more", "words"),
    [
        pytest.param({"left": 3}, "Sin empezar: 3. Repita la orden", id="stopped"),
        pytest.param({"registros_perdidos": 2}, "2 llamadas al modelo no se han podido guardar", id="lost records"),
        pytest.param(
            {"rechazos": "rejected/hoy.csv"}, "Rechazadas por el crítico: 1 (rejected/hoy.csv)", id="rejected"
        ),
        pytest.param({}, "búsqueda 3.0 (p95 3.0), juicio 1.0 (p95 1.0)", id="slowest stage first"),
        pytest.param({}, "2.0 llamadas al modelo", id="cost"),
    ],
)
def test_figures(more: dict[str, Any], words: str) -> None:
    told = _shown(
        _result("INC-1", estado_critico="REJECTED", llamadas_llm=2, etapas={"judge": 1.0, "search": 3.0}), **more
    )
    assert words in told


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        pytest.param(["INC-1"], "1 equivocadas de 4 automáticas: INC-1; resueltas 3 de 5", id="wrong"),
        pytest.param([], "0 equivocadas de 4 automáticas; resueltas 3 de 5", id="right"),
    ],
)
def test_against_what_is_expected(wrong: list[str], words: str) -> None:
    against = {
        "equivocadas": len(wrong),
        "automaticas": 4,
        "cuales": wrong,
        "resueltas_de_ellas": 3,
        "con_solucion_conocida": 5,
    }
    assert words in _shown(_result("INC-1"), contra_lo_esperado=against)


@pytest.mark.parametrize("text", ["[red]rojo[/red]", "[/x] suelto", "[bold"])
def test_texts_from_outside_are_no_markup(text: str) -> None:
    against = {
        "equivocadas": 1,
        "automaticas": 1,
        "cuales": [text],
        "resueltas_de_ellas": 0,
        "con_solucion_conocida": 1,
    }
    told = _shown(
        _result(text, descripcion_fila=text, resultado=Result.ERROR, motivo=Reason.DESK_REFUSED, detalle=text),
        _result("INC-2", estado_critico="REJECTED"),
        rechazos=text,
        contra_lo_esperado=against,
    )
    assert told.count(text) == 5


def test_a_narrow_terminal_keeps_the_codes_whole() -> None:
    told = _shown(_result("INC-0000000001", aprobacion=40, descripcion_fila="palabra " * 9), width=60)
    assert "INC-0000000001" in told
    assert max(len(line) for line in told.splitlines() if not line.startswith("Informe:")) <= 60


def _rule(group: str, **fields: Any) -> dict[str, Any]:
    return {
        "tipo": group,
        "umbral": 80,
        "motivo": "certificado: 0 equivocadas en 90; riesgo de 3.3 % como mucho",
    } | fields


@pytest.mark.parametrize(
    ("risk", "lines"),
    [
        pytest.param({"maximo": None, "umbrales": []}, ["Umbral: 65, puesto a mano (sin RIESGO_MAXIMO)"], id="by hand"),
        pytest.param(
            {"maximo": 0.05, "certificado": True, "umbrales": [_rule("todas")]},
            ["Umbral: 80, certificado: 0 equivocadas en 90; riesgo de 3.3 % como mucho"],
            id="certified",
        ),
        pytest.param(
            {
                "maximo": 0.05,
                "certificado": False,
                "umbrales": [
                    _rule("cierre"),
                    _rule("otras", umbral=65, motivo="sin certificar: 3 resultados no bastan"),
                ],
            },
            [
                "Umbral (cierre): 80, certificado",
                "Umbral (otras): 65, sin certificar: 3 resultados no bastan",
                "Atención: RIESGO_MAXIMO=0.05 no está garantizado donde dice «sin certificar»",
            ],
            id="not all certified",
        ),
    ],
)
def test_the_threshold_in_force_and_why(risk: dict[str, Any], lines: list[str]) -> None:
    told = _shown(_result("INC-1"), riesgo=risk, umbral=65)
    assert all(line in told for line in lines)
    assert ("Atención" in told) is (len(lines) == 3)
