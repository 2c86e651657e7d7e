"""What an incident costs in model calls, and what failed: counted at the call, read by whoever opened the meter."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field


@dataclass
class Usage:
    """Model calls made, failed ones and repairs included; tokens as the provider counted them."""

    generative: int = 0
    judgements: int = 0
    """One-token calls, of which only the probabilities are read."""
    input_tokens: int = 0
    output_tokens: int = 0
    errors: dict[str, int] = field(default_factory=dict)
    """Service -> requests to it that failed, each try of a repeated one."""

    def add(self, other: "Usage") -> None:
        """Add `other`'s counts to these."""
        self.generative += other.generative
        self.judgements += other.judgements
        self.input_tokens += other.input_tokens
        self.output_tokens += other.output_tokens
        for service, failed in other.errors.items():
            self.errors[service] = self.errors.get(service, 0) + failed


_meter: ContextVar[Usage | None] = ContextVar("usage", default=None)


@contextmanager
def metering() -> Iterator[Usage]:
    """Count the calls made within the block, tasks started in it included. An outer meter gets them at the end."""
    outer = _meter.get()
    usage = Usage()
    token = _meter.set(usage)
    try:
        yield usage
    finally:
        _meter.reset(token)
        if outer is not None:
            outer.add(usage)


def count(call: Usage) -> None:
    """Add one call's cost to the meter in force, if any."""
    usage = _meter.get()
    if usage is not None:
        usage.add(call)


def count_error(service: str) -> None:
    """Add one failed request to the meter in force, if any."""
    count(Usage(errors={service: 1}))
