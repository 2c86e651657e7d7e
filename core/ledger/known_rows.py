"""Which rows are known to be right or wrong for an incident, by what people and the desk said of decisions on it."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from core.ledger.record import Label, LabelledOutcome


@dataclass(frozen=True)
class KnownRows:
    """Ids of catalogue rows. `complete`: any row that is not among the right ones is wrong."""

    right: frozenset[str] = frozenset()
    wrong: frozenset[str] = frozenset()
    complete: bool = False

    def verdict(self, entry_id: str) -> bool | None:
        """Whether this row is the incident's; None where nobody said."""
        if entry_id in self.wrong:
            return False
        if entry_id in self.right:
            return True
        # One problem has one row: who was told the right one was told that the others are not.
        return False if self.complete or self.right else None


NOTHING_KNOWN = KnownRows()


def known_rows(outcomes: Iterable[LabelledOutcome]) -> dict[str, KnownRows]:
    """Incident code -> what was said of rows on it. A row that was ever reverted or reopened on it counts as wrong."""
    right: defaultdict[str, set[str]] = defaultdict(set)
    wrong: defaultdict[str, set[str]] = defaultdict(set)
    for outcome in outcomes:
        if outcome.entry:
            (right if outcome.label is Label.RIGHT else wrong)[outcome.incident].add(outcome.entry)
    return {code: KnownRows(frozenset(right[code] - wrong[code]), frozenset(wrong[code])) for code in {*right, *wrong}}
