"""What every test relies on: settings from nowhere but the test, and property tests that are the same every time."""

import pytest
from hypothesis import settings

from config import Settings

settings.register_profile("spai", derandomize=True, database=None, deadline=None)
settings.load_profile("spai")


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--parada N`: seconds for which the fault tests stop a worker; 90 are what is asked of it."""
    parser.addoption("--parada", type=float, default=30.0, help="segundos que duerme el trabajador detenido (30)")


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's `.env` or environment must not change what a test sees."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setitem(Settings.model_config, "env_file", None)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "no")  # where MLflow is installed, only tests of it write there
