"""The name of whoever gives an order, where there is none too."""

import getpass
import os

import pytest

from core.login import login_name


def test_the_name_that_the_system_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "ana")
    assert login_name() == "ana"


@pytest.mark.parametrize("error", [KeyError("getpwuid(): uid not found"), OSError("No username set")])
def test_a_user_without_a_name_is_told_by_number(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> str:
        raise error

    monkeypatch.setattr(getpass, "getuser", nobody)
    assert login_name() == f"uid {os.getuid()}"
