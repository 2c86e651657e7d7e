"""What several tests of the domain use."""

import pytest

from core.privacy import PersonalData


@pytest.fixture(scope="session")
def personal() -> PersonalData:
    """Built once: its recognisers take a second, and it keeps nothing of what it is given."""
    return PersonalData()
