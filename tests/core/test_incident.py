"""core/incident: which codes are taken."""

import pytest
from pydantic import ValidationError

from core.incident import Incident


@pytest.mark.parametrize(
    "code",
    ["INC\x1b[2J", "INC-1\nerror grave: base borrada", "INC\x9b31m", "INC\u202e1", "INC\u2028x", "", "x" * 201],
    ids=["escape", "line end", "C1", "reordered", "line separator", "empty", "long"],
)
def test_codes_that_are_refused(code: str) -> None:
    with pytest.raises(ValidationError):
        Incident(code=code)


@pytest.mark.parametrize("code", ["INC-1", "Nº 7/2024 ñ", "事件-1", "[bold]"])
def test_codes_that_are_taken(code: str) -> None:
    assert Incident(code=code).code == code
