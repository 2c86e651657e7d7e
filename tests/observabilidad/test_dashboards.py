"""observabilidad/dashboards.py: the files are current, every query parses, no panel lacks what a reader needs."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from config import ROOT
from observabilidad import dashboards
from observabilidad.boards.logql import filled, lines, or_zero
from observabilidad.boards.panel import INCIDENT, SOURCE
from observabilidad.facts import ACTIONS

GRAFANA = ROOT / "observabilidad" / "grafana"
BOARDS: dict[str, dict[str, Any]] = {
    path.stem: json.loads(path.read_text("utf-8")) for path in sorted((GRAFANA / "dashboards").glob("*.json"))
}
PANELS = [(f"{name}: {panel['title']}", panel) for name, board in BOARDS.items() for panel in board["panels"]]
ALERTS = yaml.safe_load((GRAFANA / "provisioning" / "alerting" / "alertas.yaml").read_text("utf-8"))
RULES = [rule for group in ALERTS["groups"] for rule in group["rules"]]
QUERIES = [query for board in BOARDS.values() for _, query in dashboards.queries(board)]
ALERT_QUERIES = [data["model"]["expr"] for rule in RULES for data in rule["data"] if data["datasourceUid"] == "loki"]
each_board = pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS.keys())
each_panel = pytest.mark.parametrize("panel", [panel for _, panel in PANELS], ids=[name for name, _ in PANELS])
Parse = Callable[[list[str]], list[list[Any]]]


def test_the_files_are_current() -> None:
    assert dashboards.out_of_date() == [], "ejecute: python -m observabilidad.dashboards --escribir"


def test_the_four_are_there() -> None:
    assert {name: board["uid"] for name, board in BOARDS.items()} == {
        "operacion": "spai-operacion",
        "calidad": "spai-calidad",
        "llm": "spai-llm",
        "incidencia": "spai-incidencia",
    }


@each_board
def test_panels_lie_side_by_side_and_their_titles_differ(board: dict[str, Any]) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells
    titles = [panel["title"] for panel in board["panels"]]
    assert len(titles) == len(set(titles))


@each_panel
def test_a_panel_says_what_it_shows_and_asks_the_right_source(panel: dict[str, Any]) -> None:
    assert panel["title"]
    assert panel["description"].endswith(".")
    assert panel["datasource"] == {"type": "loki", "uid": SOURCE.uid}
    assert panel["targets"]
    assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
    if panel["type"] in ("stat", "bargauge", "timeseries"):
        assert panel["fieldConfig"]["defaults"]["unit"]
    if panel["type"] in ("stat", "bargauge"):
        assert panel["fieldConfig"]["defaults"]["thresholds"]["steps"][0]["value"] is None


@each_panel
def test_nothing_that_never_happened_is_shown_as_no_data(panel: dict[str, Any]) -> None:
    """A figure is 0 where there are no lines; the rest says so in words."""
    if panel["type"] == "stat":
        assert all("vector(" in target["expr"] for target in panel["targets"])
    elif panel["type"] in ("table", "bargauge", "timeseries"):
        assert panel["fieldConfig"]["defaults"]["noValue"]


def test_a_zero_never_stands_beside_the_figure() -> None:
    """`or` drops the 0 only where both sides have the same labels: none."""
    assert or_zero("quantile_over_time(0.5, x) by (y)") == "max(quantile_over_time(0.5, x) by (y)) or vector(0)"
    for _, panel in PANELS:
        if panel["type"] == "stat":
            assert not [t for t in panel["targets"] if re.match(r"\(?quantile_over_time", t["expr"])]


def test_tables_link_each_incident_to_its_story() -> None:
    tables = [panel for _, panel in PANELS if panel["type"] == "table" and "Incidencia" in json.dumps(panel)]
    assert len(tables) >= 5
    for table in tables:
        [override] = table["fieldConfig"]["overrides"]
        assert override["matcher"]["options"] == "Incidencia"
        [link] = override["properties"][0]["value"]
        assert link["url"].startswith(f"/d/{INCIDENT}/")
        assert "var-incidencia=${__value.raw}" in link["url"]


def test_every_variable_of_a_query_is_one_of_its_dashboard() -> None:
    for name, board in BOARDS.items():
        known = {variable["name"] for variable in board["templating"]["list"]} | {"__range", "__auto"}
        for title, query in dashboards.queries(board):
            assert set(re.findall(r"\$\{?(\w+)", query)) <= known, f"{name}: {title}"


def test_alerts_know_no_variables() -> None:
    assert not [query for query in ALERT_QUERIES if "$" in query]


def test_a_variable_that_no_dashboard_has_is_not_filled() -> None:
    assert filled("[$__auto]", {"__auto": "1h"}) == "[1h]"
    with pytest.raises(KeyError):
        filled("$otra")


# Which lines there are: what the queries ask for must be what the program logs.


def test_every_action_asked_for_is_one_that_is_logged() -> None:
    asked = {
        action
        for query in (*QUERIES, *ALERT_QUERIES)
        for names in re.findall(r"action=~?[`\"]([^`\"]+)", query)
        for action in names.split("|")
    }
    assert asked - {".+"} <= ACTIONS.keys()


def _npm_install(folder: Path) -> None:
    """With hashes from the lock file, no scripts; skips where the registry cannot be reached."""
    for name in ("package.json", "package-lock.json", "parse.mjs"):
        shutil.copy(Path(__file__).parent / "logql" / name, folder)
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=100)
    away = re.search(r"ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|ENETUNREACH|ENOTCACHED", done.stderr)
    if done.returncode and away:
        pytest.skip(f"npm no llega al registro de paquetes ({away[0]}): no se comprueban las consultas LogQL")
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def parse(tmp_path_factory: pytest.TempPathFactory) -> Parse:
    """Where each query does not parse, by Grafana's own grammar."""
    if missing := [name for name in ("node", "npm") if shutil.which(name) is None]:
        pytest.skip(f"no está {' ni '.join(missing)}: no se comprueban las consultas LogQL")
    folder = tmp_path_factory.mktemp("logql")
    _npm_install(folder)

    def run(queries: list[str]) -> list[list[Any]]:
        done = subprocess.run(
            ["node", "parse.mjs"], cwd=folder, input=json.dumps(queries), capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        found: list[list[Any]] = json.loads(done.stdout)
        return found

    return run


def test_the_parser_would_find_a_fault(parse: Parse) -> None:
    good, bad = filled(lines("incident_done", "result")), '{service_name="spai" | x'
    assert [bool(faults) for faults in parse([good, bad, f"sum(count_over_time({good} [5m])"])] == [False, True, True]


def test_every_query_parses(parse: Parse) -> None:
    asked = [filled(query) for query in (*QUERIES, *ALERT_QUERIES)]
    assert len(asked) > 80
    faults = parse(asked)
    assert [(query, found) for query, found in zip(asked, faults, strict=True) if found] == []


class TestCommand:
    """`python -m observabilidad.dashboards`."""

    def test_it_writes_what_is_missing_and_takes_away_what_is_not_ours(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for function in (dashboards.out_of_date, dashboards.write):
            monkeypatch.setattr(function, "__defaults__", (tmp_path,))
        (tmp_path / "vieja.json").write_text("{}", encoding="utf-8")
        assert dashboards.main(["--comprobar"]) == 1
        assert "operacion.json: no está al día" in capsys.readouterr().out
        assert dashboards.main(["--escribir"]) == 0
        assert dashboards.main(["--comprobar"]) == 0
        assert sorted(path.stem for path in tmp_path.iterdir()) == sorted(BOARDS)


def test_the_lock_file_names_versions_and_hashes_and_no_host() -> None:
    lock = json.loads((Path(__file__).parent / "logql" / "package-lock.json").read_text("utf-8"))
    for name, package in lock["packages"].items():
        assert "resolved" not in package
        assert not name or package["integrity"].startswith("sha512-")


# The alert rules, as Grafana's file provisioning takes them.


@pytest.mark.parametrize("rule", RULES, ids=[rule["uid"] for rule in RULES])
def test_a_rule_is_complete(rule: dict[str, Any]) -> None:
    assert re.fullmatch(r"spai-[a-z-]{3,35}", rule["uid"])
    assert rule["condition"] in [data["refId"] for data in rule["data"]]
    assert rule["noDataState"] in ("NoData", "Alerting", "OK")
    assert rule["execErrState"] in ("Error", "Alerting", "OK")
    assert re.fullmatch(r"\d+[mh]", rule["for"])
    assert {"summary", "description"} <= rule["annotations"].keys()
    assert rule["labels"]["severity"] in ("warning", "critical")
    [board] = [board for board in BOARDS.values() if board["uid"] == rule["annotations"]["__dashboardUid__"]]
    assert int(rule["annotations"]["__panelId__"]) in [panel["id"] for panel in board["panels"]]
    for data in rule["data"]:
        assert data["datasourceUid"] in (SOURCE.uid, "__expr__")
        assert data["relativeTimeRange"]["from"] > data["relativeTimeRange"]["to"] == 0
        assert data["model"]["refId"] == data["refId"]
    last = rule["data"][-1]["model"]
    assert last["type"] == "threshold"
    assert last["expression"] in [data["refId"] for data in rule["data"][:-1]]
    assert last["conditions"][0]["evaluator"]["type"] in ("gt", "lt")


def test_the_four_alerts_are_there() -> None:
    assert {rule["uid"] for rule in RULES} == {
        "spai-errores",
        "spai-critico-rechaza-todo",
        "spai-sin-trabajo",
        "spai-precision-baja",
    }
