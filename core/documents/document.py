"""What a document is once it has been read, and who reads it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from core.errors import SpaiError


@dataclass(frozen=True)
class Block:
    """A heading, paragraph, list item or table row, in reading order."""

    text: str
    level: int = 0
    """1 to 6 for a heading; 0 for everything else."""
    page: int | None = None
    """From 1; None where the format has no pages."""
    scanned: bool = False
    """It was read from a picture."""


class Unreadable(SpaiError):
    """El documento no se puede leer."""  # the message says why, as the report shows it


@dataclass(frozen=True)
class ReadingLimits:
    """What is still read. A document beyond any of them is left out, with the reason."""

    bytes: int = 50_000_000
    unpacked: int = 200_000_000
    """Bytes of a .zip or .docx once unpacked, by what its directory declares; more is never unpacked."""
    members: int = 2_000
    """Files in one .zip."""
    pages: int = 2_000
    scanned_pages: int = 300
    characters: int = 2_000_000
    seconds: float = 300.0
    """For one document; a page that has to be read from its picture takes seconds."""


class DocumentReader(Protocol):
    """Turns a file's bytes into text."""

    version: str
    """Changes when the same file would read differently: what another version read is read again."""

    def read(self, name: str, data: bytes) -> Sequence[Block]:
        """The blocks of a file called `name` (its ending says of which kind). Raises `Unreadable`. Blocking."""
        ...
