"""What several tests of the domain use."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.control import KillSwitch
from core.database import Database
from core.delivery import Patience
from core.execute import Guard
from core.ledger import Ledger, open_ledger
from core.privacy import PersonalData


@pytest.fixture(scope="session")
def personal() -> PersonalData:
    """Built once: its recognisers take a second, and it keeps nothing of what it is given."""
    return PersonalData()


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """A ledger of its own, in a file."""
    with open_ledger(Database(tmp_path / "libro")) as opened:
        yield opened


@pytest.fixture
def guard(ledger: Ledger) -> Guard:
    """Everything allowed; nobody waits for the desk."""
    return Guard(ledger, KillSwitch(ledger), patience=Patience(reads=3, first_wait=0, longest_wait=0, late=0))
