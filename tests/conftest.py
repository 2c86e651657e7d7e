"""What every test relies on: settings from nowhere but the test, and property tests that are the same every time."""

import pytest
from hypothesis import settings

from config import Settings

settings.register_profile("spai", derandomize=True, database=None, deadline=None)
settings.load_profile("spai")


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's `.env` or environment must not change what a test sees."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setitem(Settings.model_config, "env_file", None)
