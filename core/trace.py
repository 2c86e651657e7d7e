"""Which run, incident and stage the code is in: read by the logs and by the history of model calls."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Trace:
    """Where we are; empty text means outside."""

    run: str = ""
    incident: str = ""
    stage: str = ""
    decision: str = ""


_current: ContextVar[Trace | None] = ContextVar("trace", default=None)


def current() -> Trace:
    """The trace in force in this task."""
    return _current.get() or Trace()


@contextmanager
def tracing(**changes: str) -> Iterator[Trace]:
    """Within the block the trace has these fields changed; nested tasks inherit it."""
    trace = replace(current(), **changes)
    token = _current.set(trace)
    try:
        yield trace
    finally:
        _current.reset(token)
