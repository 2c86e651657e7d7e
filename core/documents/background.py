"""What the documents have near an incident: for the person who takes it, never a reason to act."""

import logging
from collections.abc import Sequence

from core.documents.pieces import Piece
from core.errors import SpaiError
from core.judgement import Calibration
from core.search import Searcher

logger = logging.getLogger(__name__)

SHOWN = 2
"""Places named, at most."""


class Background:
    """`background(text)` names the pieces that resemble an incident, best first; none where none does.

    A piece is named where a row of the catalogue with its scores would be put before the judge. Whatever fails here is
    logged and costs nothing.
    """

    def __init__(self, searcher: Searcher[Piece], calibration: Calibration, threshold: int) -> None:
        self._searcher = searcher
        self._calibration = calibration
        self._threshold = threshold

    def __call__(self, text: str) -> Sequence[str]:
        try:
            found = self._searcher.search([text])[:SHOWN]
        except SpaiError as error:
            logger.warning("documentos no consultados", extra={"action": "background_failed", "error": str(error)})
            return ()
        good = [c for c in found if self._calibration.best_possible(c.evidence) >= self._threshold]
        return [place(c.entry) for c in good]


def place(piece: Piece) -> str:
    """Where a piece stands, for a person."""
    page = f", página {piece.page}" if piece.page else ""
    return f"{piece.source}{page}: {' › '.join(piece.title)}"
