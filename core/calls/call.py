"""A call that is asked about, as a person writes it."""

import re
from dataclasses import dataclass

from core.calls.pattern import ARROW
from core.identifiers import Kind, scrub

_HIDDEN = re.compile(f"(<(?:{'|'.join(Kind)})>)")
_ARROWS = (*map(re.compile, ("->", "→", "=>", r"\|")), re.compile("".join(f"(?<!<{kind})" for kind in Kind) + ">"))
"""The last one is no arrow where it ends a step's `<NIF>`."""


@dataclass(frozen=True)
class Call:
    """The call that is asked about."""

    steps: tuple[str, ...]
    code: str = ""
    segment: str = ""
    kind: str = ""
    hour: int | None = None


def read_call(text: str, *, code: str = "", segment: str = "", kind: str = "") -> Call:
    """A call as a person writes it: «Inicio -> Menú -> Error 503», without personal data, as calls are loaded."""
    arrow = next((arrow for arrow in _ARROWS if arrow.search(text)), None)
    parts = arrow.split(text) if arrow else [text]
    steps = tuple(step for part in parts if (step := _scrubbed(part)))
    return Call(steps, _scrubbed(code), _scrubbed(segment), _scrubbed(kind))


def _scrubbed(text: str) -> str:
    """`text` as `Loader` would keep it; what is hidden already stays as it is, so that a step can be copied."""
    plain = " ".join(text.split())
    return "".join(part if i % 2 else scrub(part) for i, part in enumerate(_HIDDEN.split(plain)))


def steps_told(call: Call) -> str:
    """The way of a call, as it is written."""
    return ARROW.join(call.steps)
