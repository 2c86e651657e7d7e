"""What the calls say about an incident: for the person who takes it, never the cause of an action."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from core.calls.explain import pattern_told
from core.calls.known import KnownNames, folded
from core.calls.pattern import Pattern
from core.incident import Incident

_TELEPHONE = re.compile(
    r"\b(?:ivr|llam[aoóá]\w*|centralita|locuci[oó]n|tel[eé]fono|telef[oó]nic[oa]|contestador)\b", re.IGNORECASE
)
_CALL_ID = re.compile(r"\b[A-Za-z]{1,12}[-_][A-Za-z0-9][A-Za-z0-9_-]{2,40}\b|\b\d{5,20}\b")
_SHORTEST = 6
"""Letters of a step's name from which it is looked for in a text about a call."""
_MOST = 3
_MOST_IDS = 20


@dataclass(frozen=True)
class CallEvidence:
    """Patterns for incidents that name a call, a step or an error code of the telephone service."""

    patterns: Sequence[Pattern]
    names: KnownNames
    steps_of: Callable[[Sequence[str]], list[tuple[str, ...]]]
    """The ways of those among these ids that are calls."""

    def __call__(self, incident: Incident) -> tuple[str, ...]:
        """Up to three patterns, the one that fails most often first."""
        text = "\n".join([incident.title, incident.description, *(entry.detail for entry in incident.history)])
        named = [
            *self._of_calls(text),
            *(self._of_steps(text) if _TELEPHONE.search(text) or self._codes(text) else ()),
        ]
        found = {pattern.id: pattern for pattern in named}
        told = sorted(found.values(), key=lambda pattern: -pattern.rate)[:_MOST]
        return tuple(f"{pattern.id}: {pattern_told(pattern)}" for pattern in told)

    def _of_calls(self, text: str) -> list[Pattern]:
        """Of the calls that the text names by their id."""
        ids = list(dict.fromkeys(_CALL_ID.findall(text)))[:_MOST_IDS]
        ways = self.steps_of(ids) if ids else []
        return [
            pattern
            for steps in ways
            for pattern in self.patterns
            if pattern.condition.steps and pattern.condition.completed(steps)
        ]

    def _of_steps(self, text: str) -> list[Pattern]:
        """Of the steps and error codes that the text names."""
        words = f" {folded(text)} "
        steps = {name for fold, name in self.names.steps.items() if len(fold) >= _SHORTEST and f" {fold} " in words}
        codes = self._codes(text)
        return [
            pattern
            for pattern in self.patterns
            if steps & set(pattern.condition.steps) or codes & {code.code for code in pattern.codes}
        ]

    def _codes(self, text: str) -> set[str]:
        words = f" {folded(text)} "
        return {name for fold, name in self.names.codes.items() if len(fold) >= _SHORTEST and f" {fold} " in words}
