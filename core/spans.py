"""The stretches of one incident's work, for whoever collects them: stages, and the model calls within them."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from core.errors import StageError


@dataclass
class Span:
    """From `started` to `ended`, in nanoseconds since 1970."""

    name: str
    started: int
    ended: int = 0
    parent: "Span | None" = None
    facts: dict[str, Any] = field(default_factory=dict)
    """What is known of it; texts only with personal data hidden."""
    error: str = ""
    """Reason code, or the exception's name."""


_collected: ContextVar[list[Span] | None] = ContextVar("spans", default=None)
_open: ContextVar[Span | None] = ContextVar("span", default=None)


@contextmanager
def collecting(name: str) -> Iterator[list[Span]]:
    """Within the block, tasks started in it included, spans are added to the list given; the first is the whole."""
    spans: list[Span] = []
    token = _collected.set(spans)
    try:
        with spanning(name):
            yield spans
    finally:
        _collected.reset(token)


@contextmanager
def spanning(name: str) -> Iterator[None]:
    """A stretch; costs next to nothing where nobody collects."""
    spans = _collected.get()
    if spans is None:
        yield
        return
    span = Span(name, time.time_ns(), parent=_open.get())
    spans.append(span)
    token = _open.set(span)
    try:
        yield
    except (Exception, asyncio.CancelledError) as error:
        span.error = error.reason.value if isinstance(error, StageError) else type(error).__name__
        raise
    finally:
        span.ended = time.time_ns()
        _open.reset(token)


def add_span(name: str, milliseconds: float, error: str = "", **facts: Any) -> None:
    """A stretch that has just ended, within the one in force."""
    spans = _collected.get()
    if spans is not None:
        now = time.time_ns()
        spans.append(Span(name, now - int(milliseconds * 1e6), now, _open.get(), facts, error))
