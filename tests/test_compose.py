"""docker-compose.yml and Dockerfile, as far as they can be judged without a Docker engine."""

import ast
import graphlib
import json
import re
import shutil
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from config import ROOT, Settings
from observabilidad.boards.logql import ENVIRONMENT

COMPOSE = ROOT / "docker-compose.yml"
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["services"]
SERVING = {name: service for name, service in SERVICES.items() if "profiles" not in service}
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
_TAG = re.compile(r":v?\d+\.\d+\.\d+(-[\w.-]+)?$")
each_service = pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES.keys())
each_serving = pytest.mark.parametrize("service", SERVING.values(), ids=SERVING.keys())


def _schema() -> dict[str, Any]:
    text = (files("check_jsonschema") / "builtin_schemas/vendor/compose-spec.json").read_text(encoding="utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


def test_it_follows_the_published_schema() -> None:
    content = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))
    assert [error.message for error in Draft7Validator(_schema()).iter_errors(content)] == []


def test_the_schema_would_find_a_fault() -> None:
    content = {"services": {"qdrant": {"image": 3, "puertos": []}}}
    assert list(Draft7Validator(_schema()).iter_errors(content))


def test_all_that_is_promised_is_there() -> None:
    assert set(SERVING) == {"qdrant", "ollama", "demo", "loki", "grafana", "mlflow"}
    assert set(SERVICES) - set(SERVING) == {"batch", "spai"}


@each_service
def test_versions_are_pinned(service: dict[str, Any]) -> None:
    assert _TAG.search(service["image"]), service["image"]


@each_service
def test_ports_are_open_on_this_machine_only(service: dict[str, Any]) -> None:
    for port in service.get("ports", []):
        assert re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port), port


@each_serving
def test_what_serves_has_a_health_check_a_volume_and_comes_back(service: dict[str, Any]) -> None:
    assert service["healthcheck"]["test"][0] == "CMD"
    assert {"interval", "timeout", "retries", "start_period"} <= set(service["healthcheck"])
    assert service["volumes"]
    assert service["restart"] == "unless-stopped"


@each_service
def test_no_default_password(service: dict[str, Any]) -> None:
    """A secret comes from outside or the start stops."""
    for name, value in service.get("environment", {}).items():
        if re.search(r"PASS|SECRET|TOKEN|KEY", name, re.IGNORECASE):
            assert re.fullmatch(r"\$\{[A-Z_]+:\?[^}]+\}", value), name
        assert "@" not in str(value), name


@each_service
def test_volumes_are_named_and_declared_or_files_of_ours_to_be_read(service: dict[str, Any]) -> None:
    declared = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["volumes"]
    for volume in service.get("volumes", []):
        source, _, rest = volume.partition(":")
        if source.startswith("./"):
            assert (ROOT / source).exists(), source
            assert rest.endswith(":ro"), volume
        else:
            assert source in declared


@pytest.mark.parametrize("name", sorted(set(SERVICES) - set(SERVING)))
def test_the_pipeline_waits_for_what_it_needs_and_is_told_where_it_is(name: str) -> None:
    service = SERVICES[name]
    needed = set(SERVING) - {"grafana"}  # which only shows: the pipeline never asks it
    assert service["depends_on"] == {other: {"condition": "service_healthy"} for other in needed}
    told = set()
    for setting, value in service["environment"].items():
        assert setting.lower() in Settings.model_fields
        host, port = re.fullmatch(r"\$\{\w+:-http://(\w+):(\d+)\}", value).groups()  # type: ignore[union-attr]
        assert any(mapping.endswith(f":{port}") for mapping in SERVING[host]["ports"])
        told.add(host)
    assert told == needed


def test_nobody_waits_in_a_circle_and_grafana_comes_after_loki() -> None:
    waits = {name: set(service.get("depends_on", {})) for name, service in SERVICES.items()}
    assert waits["grafana"] == {"loki"}
    order = list(graphlib.TopologicalSorter(waits).static_order())
    assert order.index("loki") < order.index("grafana") < len(order)
    assert order.index("mlflow") < order.index("spai")


def test_no_port_is_taken_twice() -> None:
    ports = [mapping.split(":")[1] for service in SERVICES.values() for mapping in service.get("ports", [])]
    assert len(ports) == len(set(ports))


class TestWhatShowsIt:
    """Loki and Grafana as they are set up: the files agree with each other and with the dashboards."""

    loki = yaml.safe_load((ROOT / "observabilidad" / "loki" / "loki.yaml").read_text("utf-8"))
    provisioning = ROOT / "observabilidad" / "grafana" / "provisioning"

    def test_loki_keeps_its_lines_for_a_while_in_the_current_format(self) -> None:
        [period] = self.loki["schema_config"]["configs"]
        assert (period["store"], period["schema"], period["index"]["period"]) == ("tsdb", "v13", "24h")
        assert self.loki["compactor"]["retention_enabled"] is True
        assert self.loki["compactor"]["delete_request_store"] == period["object_store"]
        hours = int(re.fullmatch(r"(\d+)h", self.loki["limits_config"]["retention_period"])[1])  # type: ignore[index]
        assert hours >= 7 * 24  # as far back as the alerts look
        assert self.loki["limits_config"]["allow_structured_metadata"] is True

    def test_loki_is_where_the_others_think_and_writes_into_its_volume(self) -> None:
        port = self.loki["server"]["http_listen_port"]
        assert SERVICES["loki"]["ports"] == [f"127.0.0.1:{port}:{port}"]
        [source] = yaml.safe_load((self.provisioning / "datasources" / "loki.yaml").read_text("utf-8"))["datasources"]
        assert (source["uid"], source["type"], source["url"]) == ("loki", "loki", f"http://loki:{port}")
        volumes = dict(volume.split(":")[:2] for volume in SERVICES["loki"]["volumes"])
        assert self.loki["common"]["path_prefix"] == volumes["loki"]
        assert volumes["./observabilidad/loki/loki.yaml"] == SERVICES["loki"]["command"][0].partition("=")[2]

    def test_the_labels_that_the_dashboards_ask_for_are_indexed(self) -> None:
        [config] = self.loki["limits_config"]["otlp_config"]["resource_attributes"]["attributes_config"]
        assert config["action"] == "index_label"
        assert {"service.name", ENVIRONMENT.replace("_", ".")} <= set(config["attributes"])

    def test_grafana_finds_the_dashboards_where_they_are_mounted(self) -> None:
        grafana = SERVICES["grafana"]
        mounted = dict(volume.split(":")[:2] for volume in grafana["volumes"])
        [provider] = yaml.safe_load((self.provisioning / "dashboards" / "spai.yaml").read_text("utf-8"))["providers"]
        assert provider["options"]["path"] == mounted["./observabilidad/grafana/dashboards"]
        assert mounted["./observabilidad/grafana/provisioning"] == "/etc/grafana/provisioning"
        home = grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
        assert (ROOT / "observabilidad" / "grafana" / "dashboards" / home.rpartition("/")[2]).is_file()

    def test_nobody_gets_in_without_the_password(self) -> None:
        environment = SERVICES["grafana"]["environment"]
        assert environment["GF_AUTH_ANONYMOUS_ENABLED"] == "false"
        assert environment["GF_SECURITY_ADMIN_PASSWORD"].startswith("${GRAFANA_ADMIN_PASSWORD:?")

    def test_grafana_is_of_the_series_that_the_dashboards_are_written_for(self) -> None:
        [series] = re.findall(r"grafana-foundation-sdk==\d+!(\d+\.\d+)\.", (ROOT / "pyproject.toml").read_text("utf-8"))
        assert SERVICES["grafana"]["image"].startswith(f"grafana/grafana:{series}.")


class TestMake:
    """`make stack`, without an engine: a `docker` of the test's own writes down what it is asked for."""

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        shutil.copy(ROOT / "Makefile", tmp_path)
        (tmp_path / "requirements").mkdir()
        shutil.copy(ROOT / "requirements" / "dev.txt", tmp_path / "requirements")
        (tmp_path / "bin").mkdir()
        docker = tmp_path / "bin" / "docker"
        docker.write_text('#!/bin/sh\necho "$@" >> orden\n', encoding="utf-8")
        docker.chmod(0o755)
        return tmp_path

    def _make(self, folder: Path, target: str, **environment: str) -> subprocess.CompletedProcess[str]:
        path = f"{folder / 'bin'}:/usr/bin:/bin"
        return subprocess.run(
            ["make", target], cwd=folder, env={"PATH": path, **environment}, capture_output=True, text=True, timeout=30
        )

    def test_it_starts_nothing_without_a_password(self, folder: Path) -> None:
        done = self._make(folder, "stack")
        assert done.returncode == 2
        assert "GRAFANA_ADMIN_PASSWORD" in done.stderr
        assert "up" not in (folder / "orden").read_text("utf-8")

    @pytest.mark.parametrize("in_file", [True, False], ids=[".env", "environment"])
    def test_it_starts_everything_and_waits(self, folder: Path, in_file: bool) -> None:
        if in_file:
            (folder / ".env").write_text("GRAFANA_ADMIN_PASSWORD=algo\n", encoding="utf-8")
        done = self._make(folder, "stack", **({} if in_file else {"GRAFANA_ADMIN_PASSWORD": "algo"}))
        assert done.returncode == 0, done.stderr
        assert "compose up --detach --build --wait" in (folder / "orden").read_text("utf-8")
        assert "algo" not in done.stdout

    def test_it_stops_without_asking_for_the_password(self, folder: Path) -> None:
        assert self._make(folder, "stack-down").returncode == 0
        assert (folder / "orden").read_text("utf-8").strip().endswith("down")


@pytest.mark.parametrize("name", ["demo", "batch", "spai"])
def test_our_commands_exist(name: str) -> None:
    """The command line of each service is one that the program takes: checked with --help after it."""
    command = [*SERVICES[name]["command"], "--help"]
    if not command[0].startswith("-") and not (ROOT / command[0]).is_file():
        pytest.fail(f"{command[0]} no está")
    done = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    for option in SERVICES[name]["command"]:
        if option.startswith("--"):
            assert option in done.stdout


def test_the_health_check_of_the_demo_is_valid_python() -> None:
    compile(SERVICES["demo"]["healthcheck"]["test"][-1], "healthcheck", "exec")


def test_the_image_is_pinned_runs_as_nobody_special_and_installs_with_hashes() -> None:
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert _TAG.search(bases[0])
    assert set(bases[1:]) <= {"base", "packages"}
    assert re.search(r"^USER spai$", DOCKERFILE, re.MULTILINE)
    installs = re.findall(r"pip install .*", DOCKERFILE)
    assert len(installs) == 2
    for install in installs:
        assert "--require-hashes" in install
        assert "--no-deps" in install


def _imported(path: Path) -> set[str]:
    """The top-level names that a module imports anywhere in it, inside functions too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name.split(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found


def test_the_image_holds_every_module_that_runs() -> None:
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line[:1] == "!"}
    assert {"config.py", "config_doc.py", "core", "llm", "api", "observabilidad", "prompts", "resources"} <= kept
    shipped = {name.split("/")[0].removesuffix(".py") for name in kept}
    ours = {path.name.removesuffix(".py") for path in ROOT.iterdir() if path.suffix == ".py" or path.is_dir()}
    for package in ("core", "llm", "api", "observabilidad"):
        for path in (ROOT / package).rglob("*.py"):
            assert _imported(path) & ours <= shipped, path
    assert {path.name for path in ROOT.glob("*.py")} <= kept
