"""Calls that read the same, counted."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Group:
    """Calls that read the same: one history, segment, type, code, note and end."""

    steps: tuple[str, ...]
    segment: str
    kind: str
    code: str
    note: str
    failed: bool
    calls: int
