"""Which run, incident and stage the code is in: read by the logs and by the history of model calls."""

import logging
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace

from core.spans import spanning

logger = logging.getLogger(__name__)


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


_timings: ContextVar[dict[str, float] | None] = ContextVar("timings", default=None)


@contextmanager
def timing() -> Iterator[dict[str, float]]:
    """Within the block every `stage` adds its seconds to the dictionary given."""
    seconds: dict[str, float] = defaultdict(float)
    token = _timings.set(seconds)
    try:
        yield seconds
    finally:
        _timings.reset(token)


@contextmanager
def stage(name: str) -> Iterator[None]:
    """A stage of one incident's way: named in the trace, its seconds counted and logged."""
    start, failed = time.perf_counter(), True
    try:
        with tracing(stage=name), spanning(name):
            yield
        failed = False
    finally:
        took = time.perf_counter() - start
        seconds = _timings.get()
        if seconds is not None:
            seconds[name] += took
        logger.info(
            "etapa terminada",
            extra={"action": "stage_done", "stage": name, "ms": round(took * 1000, 1), "failed": failed},
        )
