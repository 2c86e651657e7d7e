"""docker-compose.yml and Dockerfile, as far as they can be judged without a Docker engine."""

import json
import re
import subprocess
import sys
from importlib.resources import files
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from config import ROOT, Settings

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
    assert set(SERVING) == {"qdrant", "ollama", "demo"}
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
    for name, value in service.get("environment", {}).items():
        assert not re.search(r"PASS|SECRET|TOKEN|KEY", name, re.IGNORECASE), name
        assert "@" not in str(value), name


@each_service
def test_volumes_are_named_and_declared(service: dict[str, Any]) -> None:
    declared = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["volumes"]
    for volume in service.get("volumes", []):
        assert volume.split(":")[0] in declared


@pytest.mark.parametrize("name", sorted(set(SERVICES) - set(SERVING)))
def test_the_pipeline_waits_for_what_it_needs_and_is_told_where_it_is(name: str) -> None:
    service = SERVICES[name]
    assert service["depends_on"] == {other: {"condition": "service_healthy"} for other in SERVING}
    for setting, value in service["environment"].items():
        assert setting.lower() in Settings.model_fields
        host, port = re.fullmatch(r"\$\{\w+:-http://(\w+):(\d+)\}", value).groups()  # type: ignore[union-attr]
        assert host in SERVING
        assert any(mapping.endswith(f":{port}") for mapping in SERVING[host]["ports"])


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


def test_the_image_holds_every_module_that_runs() -> None:
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line[:1] == "!"}
    assert {"config.py", "config_doc.py", "core", "llm", "api", "observabilidad", "prompts", "resources"} <= kept
    assert {path.name for path in ROOT.glob("*.py")} <= kept
