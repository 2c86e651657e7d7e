"""core/report.py: the figures of a run, and what counts as wrong against what is known of the demo desk."""

from typing import Any

import pytest
from pydantic import ValidationError

from core.reason import Reason
from core.report import FAULTS, Expected, IncidentResult, Result, RunReport, summarise


def result(code: str = "INC-1", **fields: Any) -> IncidentResult:
    defaults = {"resultado": Result.HUMAN, "tipo": "manual", "motivo": Reason.BELOW_THRESHOLD}
    return IncidentResult.model_validate({"codIncidencia": code} | defaults | fields)


def acted(code: str, kind: str = "cierre", row: str = "fila", mailbox: str | None = None) -> IncidentResult:
    return result(
        code,
        resultado=Result.AUTOMATIC,
        tipo=kind,
        motivo=Reason.APPROVED,
        descripcion_fila=row,
        buzon_destino=mailbox,
        estado_critico="APPROVED",
    )


def test_no_incident() -> None:
    summary = summarise([])
    assert summary["incidencias"] == 0
    assert set(summary["por_resultado"].values()) == {0}
    assert summary["segundos_por_incidencia"] == {"mediana": 0.0, "p95": 0.0}
    assert summary["llamadas_llm_por_incidencia"] == 0
    assert summary["segundos_por_etapa"] == {}
    assert summary["errores_api"] == {}
    assert "contra_lo_esperado" not in summary


def test_counts_and_means() -> None:
    results = [
        acted("1"),
        acted("2", "en espera"),
        acted("3"),
        result("4", estado_critico="REJECTED", llamadas_llm=2, juicios=3, tokens_entrada=100, tokens_salida=20),
        result("5", estado_critico="ALREADY_TRIED", motivo=Reason.ALREADY_TRIED),
        result("6", resultado=Result.ERROR, motivo=Reason.MODEL_TIMEOUT),
    ]
    summary = summarise(results, left=4, simulada=True)
    assert summary["por_resultado"] == {"automatica": 3, "propuesta": 0, "humano": 2, "error": 1}
    assert summary["por_motivo"]["APPROVED"] == 3
    assert summary["por_tipo"] == {"cierre": 2, "en espera": 1}
    assert summary["sin_empezar"] == 4
    assert summary["esperan_a_una_persona"] == 3
    assert summary["rechazadas_por_el_critico"] == 1
    assert summary["llamadas_llm_por_incidencia"] == 0.33
    assert summary["juicios_por_incidencia"] == 0.5
    assert summary["tokens_por_incidencia"] == 20
    assert summary["simulada"] is True


@pytest.mark.parametrize(
    ("seconds", "middle", "p95"),
    [
        pytest.param([2.0], 2, 2, id="one"),
        pytest.param([3.0, 1.0], 2, 3, id="two"),
        pytest.param([float(n) for n in range(100, 0, -1)], 50.5, 95, id="a hundred"),
        pytest.param([float(n) for n in range(1, 21)], 10.5, 19, id="twenty"),
    ],
)
def test_median_and_95th_percentile(seconds: list[float], middle: float, p95: float) -> None:
    results = [result(segundos=s, etapas={"search": s}) for s in seconds]
    summary = summarise([*results, result(segundos=seconds[0])] if len(seconds) == 1 else results)
    assert summary["segundos_por_incidencia"] == {"mediana": middle, "p95": p95}
    assert summary["segundos_por_etapa"] == {"search": {"mediana": middle, "p95": p95}}


def test_stages_that_only_some_incidents_reach() -> None:
    summary = summarise([result(etapas={"search": 1.0, "act": 4.0}), result(etapas={"search": 3.0}), result()])
    assert summary["segundos_por_etapa"]["act"] == {"mediana": 4, "p95": 4}
    assert list(summary["segundos_por_etapa"]) == ["search", "act"]


RIGHT = Expected(codIncidencia="1", fila="fila", aceptable=("cierre", "reasignacion"), buzon_destino="COBROS")


@pytest.mark.parametrize(
    ("expected", "ended", "wrong"),
    [
        pytest.param(RIGHT, acted("1"), False, id="right"),
        pytest.param(RIGHT, acted("1", "en espera"), True, id="another kind"),
        pytest.param(RIGHT, acted("1", row="otra"), True, id="another row"),
        pytest.param(RIGHT, acted("1", "reasignacion", mailbox="COBROS"), False, id="right mailbox"),
        pytest.param(RIGHT, acted("1", "reasignacion", mailbox="TALLER"), True, id="another mailbox"),
        pytest.param(RIGHT, result("1"), False, id="left to a person"),
        pytest.param(RIGHT, result("1", resultado=Result.PROPOSED, tipo="en espera"), False, id="only proposed"),
        pytest.param(Expected(codIncidencia="1"), acted("1"), True, id="nothing is right for it"),
        pytest.param(Expected(codIncidencia="1", aceptable=("cierre",)), acted("1"), False, id="whatever the row"),
    ],
)
def test_what_is_wrong(expected: Expected, ended: IncidentResult, wrong: bool) -> None:
    assert expected.is_wrong(ended) is wrong


def test_against_what_is_expected() -> None:
    expected = {
        code: Expected(codIncidencia=code, fila="fila" if code != "4" else None, aceptable=("cierre",) * (code != "4"))
        for code in "1234"
    }
    results = [acted("1"), acted("2", row="otra"), result("3"), acted("4"), acted("desconocida", row="x")]
    assert summarise(results, expected=expected)["contra_lo_esperado"] == {
        "automaticas": 3,
        "equivocadas": 2,
        "cuales": ["2", "4"],
        "precision": 0.333,
        "con_solucion_conocida": 3,
        "resueltas_de_ellas": 1,
        "cobertura": 0.333,
    }


def test_shares_of_nothing_are_unknown() -> None:
    against = summarise([result("x")], expected={"1": RIGHT})["contra_lo_esperado"]
    assert against["precision"] is None
    assert against["cobertura"] is None


def test_reasons_that_are_faults() -> None:
    assert Reason.DESK_REFUSED in FAULTS
    assert FAULTS.isdisjoint({Reason.APPROVED, Reason.BELOW_THRESHOLD, Reason.TOUCHED_MEANWHILE, Reason.MANUAL_ENTRY})


def test_service_errors_are_summed_over_the_incidents() -> None:
    summary = summarise(
        [acted("1"), result("2", errores_api={"el modelo": 1}), result("3", errores_api={"la mesa": 3, "el modelo": 1})]
    )
    assert list(summary["errores_api"].items()) == [("la mesa", 3), ("el modelo", 2)]


def test_a_result_of_before_errors_were_counted_is_read() -> None:
    old = result("1").model_dump(mode="json")
    del old["errores_api"]
    assert IncidentResult.model_validate(old).errores_api == {}


def test_the_report_is_read_back_as_it_was() -> None:
    report = RunReport(
        ejecucion="e", inicio="i", fin="f", version="1", resumen=summarise([acted("1")]), incidencias=(acted("1"),)
    )
    assert RunReport.model_validate_json(report.model_dump_json()) == report


@pytest.mark.parametrize(
    "fields",
    [pytest.param({"aprobacion": 101}), pytest.param({"aprobacion": -1}), pytest.param({"estado_critico": "x"})],
)
def test_what_a_record_cannot_say(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        result(**fields)
