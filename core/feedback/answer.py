"""One answer or explanation as it is kept, and what a person said of it."""

from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict


class Label(StrEnum):
    """What a person says, in the contract's words."""

    GOOD = "bien"
    BAD = "mal"


class Rating(BaseModel):
    """A person's word on an answer; the last one counts."""

    model_config = ConfigDict(frozen=True)

    answer: str
    """The answer's id."""
    label: Label
    correction: str = ""
    who: str
    said: str
    """ISO 8601 in UTC, to the second."""


class Answer(BaseModel):
    """What was asked, what was found and what was said. `retrieved` are JSON objects, best first."""

    model_config = ConfigDict(frozen=True)

    id: str
    kind: str
    """`respuesta` (from documents) or `llamada` (why a call failed)."""
    asked: str
    """ISO 8601 in UTC, to the second."""
    question: str
    retrieved: tuple[dict[str, Any], ...] = ()
    answer: str = ""
    intent: str = ""
    answered: bool = True
    """False where it said that it does not know."""
    out_of_context: bool = False
    """A text was written that its sources do not bear out; it was withheld."""
    seconds: float = 0.0
    rating: Rating | None = None
