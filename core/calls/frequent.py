"""Sums for names that there may be any number of: the frequent ones for sure, the rare while there is room."""

from collections.abc import Callable, Iterable, Mapping, Sequence

MOST_NAMES = 20_000
"""Names that are kept apart."""


class Frequent:
    """name -> sums. When there are more than `most` names, the half with the smallest first sums is forgotten.

    A name is lost only where its first sum stays below twice all that was added over `most` (Misra and Gries 1982);
    what is kept of a name that was forgotten once is too little. `forgot` says whether that happened: count those that
    are left anew then.
    """

    def __init__(self, width: int, most: int = MOST_NAMES) -> None:
        self.sums: dict[str, list[int]] = {}
        self.forgot = False
        self._width = width
        self._most = most

    def add(self, name: str, *amounts: int) -> None:
        """Add to the sums of `name`."""
        sums = self.sums.get(name)
        if sums is None:
            if len(self.sums) >= self._most:
                self._forget()
            sums = self.sums[name] = [0] * self._width
        for i, amount in enumerate(amounts):
            sums[i] += amount

    def only(self, names: Iterable[str]) -> "Only":
        """Counts these names anew and no others."""
        return Only(self._width, names)

    def _forget(self) -> None:
        self.forgot = True
        ranked = sorted(self.sums.items(), key=lambda item: -item[1][0])
        self.sums = dict(ranked[: self._most // 2])


class Only(Frequent):
    """Sums for names that are given beforehand; others are passed over."""

    def __init__(self, width: int, names: Iterable[str]) -> None:
        super().__init__(width)
        self.sums = {name: [0] * width for name in names}

    def add(self, name: str, *amounts: int) -> None:
        if name in self.sums:
            super().add(name, *amounts)


def exact_sums(
    width: int, fill: Callable[[Frequent], None], most: int = MOST_NAMES
) -> tuple[Mapping[str, Sequence[int]], bool]:
    """What `fill` adds up by name, and whether that is every name.

    With more than `most` names it is the frequent ones: `fill` is then run again for these alone.
    """
    counts = Frequent(width, most)
    fill(counts)
    every = not counts.forgot
    if not every:
        counts = counts.only(counts.sums)
        fill(counts)
    return counts.sums, every
