"""What the pipeline knows of the journal: a step is run once and its result kept. Without a journal it just runs."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol

Json = Any
"""None, bool, int, float, str, list or dict of these; never an incident's text or personal data."""


class Unrecorded(BaseException):
    """Not the incident's end: it stays unfinished and is taken up again.

    No `Exception`, so that neither the pipeline's edge nor the journal takes it for a result.
    """


class Steps(Protocol):
    """The journal of one incident's work."""

    async def once(self, name: str, run: Callable[[], Awaitable[Json]]) -> Json:
        """Run it and write down what it gives, or give what was written down when it ran before.

        A `StageError` that it raises is written down too, by its reason code. Raises `Terminal(STATE_CHANGED)` when
        the work is being done again and comes to another step than the first time.
        """
        ...

    async def mine(self) -> None:
        """Right before an effect outside. Raises `Unrecorded` when another worker has taken the incident over."""
        ...


class DirectSteps:
    """No journal: every step runs each time."""

    async def once(self, name: str, run: Callable[[], Awaitable[Json]]) -> Json:
        """What `run` gives."""
        return await run()

    async def mine(self) -> None:
        """There is nobody else."""


_DIRECT = DirectSteps()
_current: ContextVar[Steps | None] = ContextVar("steps", default=None)


def current_steps() -> Steps:
    """The journal in force in this task."""
    return _current.get() or _DIRECT


@contextmanager
def journalling(steps: Steps) -> Iterator[None]:
    """Within the block, nested tasks included, steps are kept in this journal."""
    token = _current.set(steps)
    try:
        yield
    finally:
        _current.reset(token)
