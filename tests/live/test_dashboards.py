"""Every panel of the dashboards asked of a real Loki that has a run's lines: it answers, and with the run's numbers."""

import json
from typing import Any

import pytest
import yaml

from config import ROOT
from observabilidad.boards.logql import filled
from tests.live.worked import Worked

pytestmark = [pytest.mark.live, pytest.mark.slow, pytest.mark.timeout(600)]

GRAFANA = ROOT / "observabilidad" / "grafana"
BOARDS: dict[str, dict[str, Any]] = {
    path.stem: json.loads(path.read_text("utf-8")) for path in sorted((GRAFANA / "dashboards").glob("*.json"))
}
PANELS = {
    f"{name}: {panel['title']}": panel
    for name, board in BOARDS.items()
    for panel in board["panels"]
    if "targets" in panel
}
ALERTS = yaml.safe_load((GRAFANA / "provisioning" / "alerting" / "alertas.yaml").read_text("utf-8"))
RULES = {rule["uid"]: rule for group in ALERTS["groups"] for rule in group["rules"]}
HOUR = {"__range": "1h", "__auto": "1m"}


def _asked(worked: Worked, target: dict[str, Any], *, this_run: bool = False) -> list[Any]:
    """What Loki answers Grafana for a panel's query; with `this_run`, of that run alone."""
    query = filled(target["expr"], HOUR)
    if this_run:
        query = query.replace("} |", f'}} | run="{worked.report["ejecucion"]}" |')
    if target["queryType"] == "instant":
        return worked.loki.instant(query)
    return worked.loki.over_the_hour(query)


@pytest.mark.parametrize("panel", PANELS.values(), ids=PANELS)
def test_a_panel_has_data(worked: Worked, panel: dict[str, Any]) -> None:
    answers = [_asked(worked, target) for target in panel["targets"]]
    assert any(answers), [filled(target["expr"], HOUR) for target in panel["targets"]]


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_loki_takes_the_query_of_each_alert(worked: Worked, rule: dict[str, Any]) -> None:
    for data in rule["data"]:
        if data["datasourceUid"] == "loki":
            worked.loki.instant(data["model"]["expr"])


def _expected(report: dict[str, Any]) -> dict[str, float]:
    """A panel's one number -> what the run's report says."""
    summary, found = report["resumen"], report["incidencias"]
    results, incidents = summary["por_resultado"], summary["incidencias"]
    calls = sum(incident["llamadas_llm"] + incident["juicios"] for incident in found)
    return {
        "operacion: Incidencias trabajadas": incidents,
        "operacion: Resueltas automáticamente": results["automatica"] / incidents,
        "operacion: Para una persona": results["humano"] + results["propuesta"],
        "operacion: Con error": results["error"] / incidents,
        "calidad: Sin nada parecido": summary["por_motivo"].get("NO_CANDIDATE", 0) / incidents,
        "llm: Llamadas": calls,
        "llm: Tokens leídos": sum(incident["tokens_entrada"] for incident in found),
        "llm: Tokens escritos": sum(incident["tokens_salida"] for incident in found),
        "llm: Llamadas por incidencia": calls / incidents,
        "incidencia: Veces trabajada": incidents,
    }


def test_the_figures_are_the_report_s(worked: Worked) -> None:
    expected = _expected(worked.report)
    shown = {}
    for name in expected:
        [series] = _asked(worked, PANELS[name]["targets"][0], this_run=True)
        shown[name] = float(series["value"][1])
    assert shown == pytest.approx(expected)


@pytest.mark.parametrize(
    ("name", "figures"),
    [
        pytest.param("operacion: Resultado", "por_resultado", id="results"),
        pytest.param("operacion: Acciones", "por_tipo", id="actions"),
    ],
)
def test_the_shares_are_the_report_s(worked: Worked, name: str, figures: str) -> None:
    series = _asked(worked, PANELS[name]["targets"][0], this_run=True)
    shown = {next(iter(found["metric"].values())): float(found["value"][1]) for found in series}
    assert shown == {kind: count for kind, count in worked.report["resumen"][figures].items() if count}
