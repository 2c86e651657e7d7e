"""A call as a person wrote it, in the names that the loaded calls have: «Error 503» is `ERROR_503`."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from core.calls.call import Call
from core.calls.outcome_steps import ERROR_NAME
from core.catalogue import normalised

_JOINTS = re.compile(r"[\s_\-./:]+")
_GAP = re.compile(r"^(?:…|\.{2,})$")


def folded(name: str) -> str:
    """Two names that fold alike are the same to a person."""
    return _JOINTS.sub(" ", normalised(name)).strip()


@dataclass(frozen=True)
class KnownNames:
    """folded -> as the calls have it."""

    steps: dict[str, str]
    segments: dict[str, str]
    kinds: dict[str, str]
    codes: dict[str, str]

    @classmethod
    def of(
        cls, steps: Iterable[str], segments: Iterable[str], kinds: Iterable[str], codes: Iterable[str]
    ) -> "KnownNames":
        """From the names themselves; of two that fold alike the first counts."""
        return cls(
            *({folded(name): name for name in reversed(list(names))} for names in (steps, segments, kinds, codes))
        )

    def placed(self, call: Call) -> Call:
        """`call` with every known name as the calls have it; gaps («…») are left out, the error of the last step taken
        for its code where none is given."""
        steps = tuple(self.steps.get(folded(step), step) for step in call.steps if not _GAP.match(step))
        code = self.codes.get(folded(call.code), call.code)
        if not code and steps and (folded(steps[-1]) in self.codes or ERROR_NAME.search(steps[-1])):
            code = self.codes.get(folded(steps[-1]), "")
        return replace(
            call,
            steps=steps,
            code=code,
            segment=self.segments.get(folded(call.segment), call.segment),
            kind=self.kinds.get(folded(call.kind), call.kind),
        )
