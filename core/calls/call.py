"""A call that is asked about, as a person writes it."""

from dataclasses import dataclass

from core.calls.pattern import ARROW


@dataclass(frozen=True)
class Call:
    """The call that is asked about."""

    steps: tuple[str, ...]
    code: str = ""
    segment: str = ""
    kind: str = ""
    hour: int | None = None


def read_call(text: str, *, code: str = "", segment: str = "", kind: str = "") -> Call:
    """A call as a person writes it: «Inicio -> Menú -> Error 503»."""
    for arrow in ("->", "→", "=>", "|", ">"):
        if arrow in text:
            parts = text.split(arrow)
            break
    else:
        parts = [text]
    steps = tuple(" ".join(part.split()) for part in parts if part.strip())
    return Call(steps, code.strip(), segment.strip(), kind.strip())


def steps_told(call: Call) -> str:
    """The way of a call, as it is written."""
    return ARROW.join(call.steps)
