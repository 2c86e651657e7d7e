"""A real Grafana as docker-compose.yml starts it: what is provisioned is there, and its panels' queries are answered.

GRAFANA_URL carries the user and password: http://admin:…@127.0.0.1:3000. Nothing is changed there.
"""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from observabilidad.boards.logql import filled
from tests.live.conftest import required
from tests.live.test_dashboards import BOARDS, HOUR, RULES

pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]
each_board = pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)


@pytest.fixture
def grafana() -> Iterator[httpx.Client]:
    with httpx.Client(base_url=required("GRAFANA_URL", "Grafana"), timeout=60, trust_env=False) as client:
        yield client


def _got(grafana: httpx.Client, path: str) -> Any:
    answer = grafana.get(path)
    assert answer.status_code == 200, f"{path}: {answer.status_code} {answer.text[:300]}"
    return answer.json()


def test_its_source_reaches_loki(grafana: httpx.Client) -> None:
    assert _got(grafana, "/api/datasources/uid/loki")["type"] == "loki"
    assert _got(grafana, "/api/datasources/uid/loki/health")["status"] == "OK"


def test_the_alerts_are_there(grafana: httpx.Client) -> None:
    assert RULES.keys() <= {rule["uid"] for rule in _got(grafana, "/api/v1/provisioning/alert-rules")}


@each_board
def test_a_dashboard_is_the_file_s(grafana: httpx.Client, board: dict[str, Any]) -> None:
    found = _got(grafana, f"/api/dashboards/uid/{board['uid']}")
    assert found["meta"]["provisioned"]
    titles = [panel["title"] for panel in found["dashboard"]["panels"]]
    assert titles == [panel["title"] for panel in board["panels"]]


@each_board
def test_its_queries_are_answered(grafana: httpx.Client, board: dict[str, Any]) -> None:
    for panel in board["panels"]:
        queries = [
            {**target, "expr": filled(target["expr"], HOUR), "datasource": {"type": "loki", "uid": "loki"}}
            for target in panel["targets"]
        ]
        answer = grafana.post("/api/ds/query", json={"queries": queries, "from": "now-1h", "to": "now"})
        assert answer.status_code == 200, f"{panel['title']}: {answer.text[:300]}"
        assert not [result for result in answer.json()["results"].values() if result.get("error")], panel["title"]
