"""Generated calls, once for all tests."""

from collections.abc import Callable
from pathlib import Path

import pytest

from bench.llamadas.finding import tallied
from bench.llamadas.generar import write_csv
from bench.llamadas.generate import Calls, generate
from core.calls.patterns import Found, find_patterns
from core.calls.tally import Tally


@pytest.fixture(scope="session")
def calls() -> Calls:
    return generate(100, 20_000, 4, support=(0.02, 0.06), lift=(3.0, 4.0))


@pytest.fixture(scope="session")
def tally(calls: Calls) -> Tally:
    return tallied(calls)


@pytest.fixture(scope="session")
def found(tally: Tally) -> Found:
    return find_patterns(tally)


@pytest.fixture(scope="session")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CSV of 2,000 generated calls."""
    path = tmp_path_factory.mktemp("log") / "llamadas.csv"
    with path.open("w", encoding="utf-8", newline="") as stream:
        write_csv(stream, [generate(101, 2_000, 0)], 101)
    return path


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str | bytes], Path]:
    def written(content: str | bytes) -> Path:
        path = tmp_path / "entrada.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return written
