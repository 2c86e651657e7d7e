"""What became of a decision."""

from dataclasses import dataclass

from core.actions import DeskAction
from core.reason import Reason


@dataclass(frozen=True)
class Outcome:
    """`done` is the action that the desk confirmed, None where nothing was changed."""

    done: DeskAction | None
    reason: Reason
    detail: str = ""
    proposed: bool = False
    """Kept in the ledger until a person approves or rejects it."""
