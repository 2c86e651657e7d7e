"""Asking the ledger from a task: in a thread, waiting while its database is away."""

import asyncio
import logging
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from core.errors import DependencyAway, DependencyError
from core.steps import Unrecorded

logger = logging.getLogger(__name__)
P = ParamSpec("P")
T = TypeVar("T")

_AWAY_SECONDS = 1.0
"""Between looks for a database that is away."""


async def ask(call: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    """What `call` gives, made again while the database is locked or being restarted.

    Raises `Unrecorded`: what cannot be written down is not done.
    """
    while True:
        try:
            return await asyncio.to_thread(call, *arguments, **named)
        except DependencyAway:
            logger.warning("el registro de decisiones no está libre", extra={"action": "ledger_busy"})
            await asyncio.sleep(_AWAY_SECONDS)
        except DependencyError as error:
            raise Unrecorded(str(error)) from error
