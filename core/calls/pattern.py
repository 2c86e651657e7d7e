"""What is tested and what is reported: a condition on a call, and the failures seen under it."""

from dataclasses import dataclass
from enum import StrEnum

ARROW = " -> "
GAP = " … "


class Kind(StrEnum):
    """How the steps of a pattern stand in a call."""

    ATTRIBUTE = "atributo"
    STEP = "paso"
    TRANSITION = "transicion"
    SEQUENCE = "secuencia"


class Attribute(StrEnum):
    """What else than its steps a pattern may ask of a call."""

    SEGMENT = "segmento"
    TYPE = "tipo"
    HOUR = "hora"


@dataclass(frozen=True)
class Condition:
    """Calls whose steps have `steps` (in a row for a transition, in this order for a sequence) and, where `attribute`
    is given, one of `values` there (a segment, a type, hours)."""

    steps: tuple[str, ...] = ()
    contiguous: bool = False
    attribute: Attribute | None = None
    values: tuple[str, ...] = ()

    @property
    def kind(self) -> Kind:
        if not self.steps:
            return Kind.ATTRIBUTE
        if len(self.steps) == 1:
            return Kind.STEP
        return Kind.TRANSITION if self.contiguous else Kind.SEQUENCE

    @property
    def simplicity(self) -> tuple[int, int, int]:
        """Lower is simpler: attributes count before length, length before gaps."""
        return (int(bool(self.attribute and self.steps)), len(self.steps), int(not self.contiguous))

    def completed(self, steps: tuple[str, ...]) -> int:
        """How many of a call's `steps` it takes until the pattern is complete; 0 where it never is.

        One without steps of its own is complete before the first: 1 for every call.
        """
        if not self.steps:
            return 1
        if self.contiguous:
            width = len(self.steps)
            return next((i + width for i in range(len(steps) - width + 1) if steps[i : i + width] == self.steps), 0)
        at = -1
        for wanted in self.steps:
            try:
                at = steps.index(wanted, at + 1)
            except ValueError:
                return 0
        return at + 1

    def has(self, segment: str, kind: str, hour: int | None) -> bool:
        """Whether a call with these attributes is meant."""
        match self.attribute:
            case None:
                return True
            case Attribute.SEGMENT:
                return segment in self.values
            case Attribute.TYPE:
                return kind in self.values
            case Attribute.HOUR:
                return hour is not None and f"{hour:02d}" in self.values

    def __str__(self) -> str:
        steps = (ARROW if self.contiguous else GAP).join(self.steps)
        if self.attribute is None:
            return steps
        if self.attribute is Attribute.HOUR and len(self.values) > 1:
            said = f"hora={self.values[0]}–{self.values[-1]}"
        else:
            said = f"{self.attribute}={', '.join(self.values)}"
        return f"{steps} [{said}]" if steps else said


@dataclass(frozen=True)
class CodeShare:
    """An error code that the failures under a pattern have more than other failures."""

    code: str
    failures: int
    share: float
    elsewhere: float
    q_value: float


@dataclass(frozen=True)
class Pattern:
    """A condition under which calls fail more than elsewhere, beyond chance and beyond the other patterns."""

    id: str
    condition: Condition
    calls: int
    failed: int
    support: float
    """Share of all calls."""
    rate: float
    low: float
    high: float
    """Wilson's interval of `rate`, 95 %."""
    elsewhere: float
    """Rate among the calls without it."""
    lift: float
    p_value: float
    """Exact, one-sided, against all calls without it."""
    q_value: float
    """After Benjamini–Hochberg over everything tested."""
    p_given: float
    """Exact, one-sided, among calls that are alike in every other reported pattern."""
    excess: float
    """Failures more than at the rate elsewhere."""
    lost_per_week: float | None
    equivalents: tuple[str, ...] = ()
    """Other ways to say the same calls."""
    codes: tuple[CodeShare, ...] = ()
    endings: tuple[tuple[str, int], ...] = ()
    """Where its failures end."""
