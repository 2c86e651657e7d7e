"""Solutions as the catalogue's files have them: the knowledge base keeps no phone, address or URL of theirs."""

import logging
from collections.abc import Sequence
from pathlib import Path

from core.catalogue import CatalogueEntry, read_catalogue, read_open_fixes
from core.errors import UsageError
from core.knowledge import KnownEntry
from core.knowledge.entry import Scrub, restored

logger = logging.getLogger(__name__)

_State = tuple[tuple[int, int] | None, ...]


class Originals:
    """The catalogue on disk, read anew when a file changes. Safe to share among threads."""

    def __init__(self, catalogue: Path, fixes: Path, scrub: Scrub) -> None:
        self._catalogue = catalogue
        self._fixes = fixes
        self._scrub = scrub
        self._read: tuple[_State, dict[str, CatalogueEntry]] = ((), {})

    def whole(self, entry: KnownEntry) -> KnownEntry:
        """`entry` with its solution as written, if it was withheld and the catalogue's row is still the one stored.

        Otherwise `entry` as it came, which nothing sends while it is withheld.
        """
        row = self.rows.get(entry.id) if entry.withheld else None
        return (restored(entry, row, self._scrub) if row else None) or entry

    def row(self, entry_id: str) -> CatalogueEntry | None:
        """The row as the catalogue has it now; None where it is no longer there."""
        return self.rows.get(entry_id)

    @property
    def mailboxes(self) -> frozenset[str]:
        """Those that the catalogue sends incidents to."""
        return frozenset(row.mailbox for row in self.rows.values() if row.mailbox)

    @property
    def rows(self) -> dict[str, CatalogueEntry]:
        """Every row as the files have it now, by id; those of a file that cannot be read are left out."""
        state = _state((self._catalogue, self._fixes))
        if self._read[0] != state:
            self._read = (state, self._read_files())
        return self._read[1]

    def _read_files(self) -> dict[str, CatalogueEntry]:
        rows: dict[str, CatalogueEntry] = {}
        for path, read in ((self._fixes, read_open_fixes), (self._catalogue, read_catalogue)):
            try:
                rows |= {row.id: row for row in read(path).entries} if path.exists() else {}
            except UsageError as error:
                logger.warning("catálogo ilegible", extra={"action": "catalogue_unreadable", "error": str(error)})
        return rows


def _state(paths: Sequence[Path]) -> _State:
    """When each file was last written, and its size; None for one that is not there."""
    found: list[tuple[int, int] | None] = []
    for path in paths:
        try:
            stat = path.stat()
        except OSError:
            found.append(None)
        else:
            found.append((stat.st_mtime_ns, stat.st_size))
    return tuple(found)
