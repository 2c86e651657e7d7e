"""A real Loki with the product's own settings, and asking it: numbers and lines."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from config import ROOT
from tests.live.running import free_port, running

_HOUR_NS = 3_600 * 10**9
_MOST = 5_000
"""Lines in an answer: Loki's own limit."""


@contextmanager
def loki_running(program: Path, folder: Path, port: int) -> Iterator[str]:
    """`program` on that port while the block lasts; its URL. Started again on `folder`, it has what it had."""
    config = folder / "loki.yaml"
    config.write_text(_settings(folder, port, free_port()), encoding="utf-8")
    with running([program, f"-config.file={config}"], f"http://127.0.0.1:{port}", "/ready", folder, {}, 120) as url:
        yield url


def _settings(folder: Path, http_port: int, grpc_port: int) -> str:
    """docker-compose.yml's settings for Loki, with data in `folder` and ports of this machine only."""
    text = (ROOT / "observabilidad" / "loki" / "loki.yaml").read_text(encoding="utf-8")
    settings = json.loads(json.dumps(yaml.safe_load(text)).replace('"/loki', f'"{folder}/datos'))
    settings["server"] |= {
        "http_listen_address": "127.0.0.1",
        "http_listen_port": http_port,
        "grpc_listen_address": "127.0.0.1",
        "grpc_listen_port": grpc_port,
    }
    settings["common"]["instance_addr"] = "127.0.0.1"
    settings["ingester"]["lifecycler"] = {"min_ready_duration": "0s"}
    return str(yaml.safe_dump(settings))


@dataclass(frozen=True)
class Loki:
    """A Loki's HTTP interface at `url`."""

    url: str

    def instant(self, query: str) -> list[dict[str, Any]]:
        """The series of a query as of now: `metric` with its labels, `value` with time and number."""
        answer = self.ask("query", query=query, time=str(time.time_ns()))
        assert answer["resultType"] == "vector", answer["resultType"]
        return list(answer["result"])

    def over_the_hour(self, query: str) -> list[dict[str, Any]]:
        """The series or streams of a query over the last hour."""
        now = time.time_ns()
        span = {"start": str(now - _HOUR_NS), "end": str(now), "step": "60", "limit": str(_MOST)}
        return list(self.ask("query_range", query=query, **span)["result"])

    def vector(self, query: str) -> dict[tuple[str, ...], float]:
        """The values of each series' labels, in the order of their names -> its number as of now."""
        return {
            tuple(value for _, value in sorted(series["metric"].items())): float(series["value"][1])
            for series in self.instant(query)
        }

    def number(self, query: str) -> float:
        """Of a query that gives one series, or none: then 0."""
        found = self.vector(query)
        assert len(found) <= 1, found
        return next(iter(found.values()), 0.0)

    def lines(self, query: str) -> list[str]:
        """The texts of the last hour."""
        return [text for stream in self.over_the_hour(query) for _, text in stream["values"]]

    def ask(self, what: str, **arguments: str) -> dict[str, Any]:
        """`data` of Loki's answer; its own words where it refuses the query."""
        reply = httpx.get(f"{self.url}/loki/api/v1/{what}", params=arguments, timeout=60, trust_env=False)
        assert reply.status_code == 200, f"{arguments.get('query')}: {reply.status_code} {reply.text}"
        data: dict[str, Any] = reply.json()["data"]
        return data

    def flush(self) -> None:
        """What is in memory goes to its files, as it does by itself after a while."""
        assert httpx.post(f"{self.url}/flush", timeout=60, trust_env=False).status_code == 204
