"""The real servers: at the URL of their setting, or started from the cache, or a line that says what is missing."""

from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

import pytest

from bench.model_server import MODEL as BENCH_MODEL
from bench.model_server import model_server
from config import ROOT
from llm.ollama_server import DEFAULT_MODEL
from llm.weights import is_placed, model_path
from tests.live.imported import MODEL, SERVER_CONTEXT, TEMPLATE, Importer, ModelServer
from tests.live.logql import Loki, loki_running
from tests.live.places import cache_folder, named
from tests.live.product import Product
from tests.live.recipe import LOKI, OLLAMA
from tests.live.running import free_port, running
from tests.live.worked import Worked

SETTINGS = ("LOKI_URL", "OLLAMA_BASE_URL", "LLM_MODEL", "VECTOR_DB_URL", "MLFLOW_TRACKING_URI", "GRAFANA_URL")
GIVEN = {setting: value for setting in SETTINGS if (value := named(setting))}
"""Read before the tests begin: each of them runs without any setting from outside."""
_MISSING: set[str] = set()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Those who name a server elsewhere want it reached; nothing else is."""
    hosts = {host for value in GIVEN.values() if (host := urlsplit(value).hostname)}
    for item in items:
        if item.get_closest_marker("live"):
            item.add_marker(pytest.mark.allow_hosts(["127.0.0.1", "::1", *sorted(hosts)]))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line for each server that is missing, however many tests it is missing from."""
    for line in sorted(_MISSING):
        terminalreporter.write_line(line)


def missing(line: str) -> NoReturn:
    """Skips the test for want of a server: `line` says which, and how to have it."""
    _MISSING.add(line)
    pytest.skip(line)


def required(setting: str, what: str) -> str:
    """The URL of that setting, or the test is skipped."""
    return GIVEN.get(setting) or missing(f"Falta {what}: indique su dirección en {setting}.")


@pytest.fixture(scope="session")
def loki(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Loki's URL."""
    if url := GIVEN.get(LOKI.setting):
        yield url
        return
    program: Path = request.getfixturevalue("loki_program")
    with loki_running(program, tmp_path_factory.mktemp("loki"), free_port()) as url:
        yield url


@pytest.fixture(scope="session")
def loki_program() -> Path:
    """A Loki to start and stop."""
    return LOKI.program() or missing("Falta Loki: indique su dirección en LOKI_URL, o constrúyalo con `make servers`.")


@pytest.fixture(scope="session")
def ollama(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelServer]:
    """An Ollama: the one named, with LLM_MODEL, or our own with the embedded model's file imported."""
    if url := GIVEN.get(OLLAMA.setting):
        yield ModelServer(url, GIVEN.get("LLM_MODEL") or DEFAULT_MODEL)
        return
    program = OLLAMA.program()
    if program is None:
        missing("Falta Ollama: indique su dirección en OLLAMA_BASE_URL, o constrúyalo con `make servers`.")
    weights = model_path(ROOT / "var" / "models")
    if not is_placed(weights):
        missing("Falta el modelo embebido, para darlo a Ollama: ejecute `make setup`.")
    folder = tmp_path_factory.mktemp("ollama")
    port = free_port()
    variables = {
        "OLLAMA_HOST": f"127.0.0.1:{port}",
        # A gigabyte: kept, and found there the next time.
        "OLLAMA_MODELS": str(cache_folder() / "modelos-de-ollama"),
        "OLLAMA_CONTEXT_LENGTH": str(SERVER_CONTEXT),
        "OLLAMA_NUM_PARALLEL": "1",
        "HOME": str(folder),
    }
    with running([program, "serve"], f"http://127.0.0.1:{port}", "/api/version", folder, variables) as url:
        importer = Importer(program, weights, folder, variables)
        importer.create(MODEL, TEMPLATE)
        yield ModelServer(url, MODEL, importer)


@pytest.fixture(scope="session")
def worked(loki: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worked]:
    """The model is the bench's: it answers at once, and what it answers does not matter here."""
    with model_server(0.0, 4) as model:
        settings = {"LLM_PROVIDER": "ollama", "OLLAMA_BASE_URL": model, "LLM_MODEL": BENCH_MODEL, "LOKI_URL": loki}
        product = Product(tmp_path_factory.mktemp("producto"), settings)
        product.build()
        yield Worked(product, Loki(loki), product.work())
