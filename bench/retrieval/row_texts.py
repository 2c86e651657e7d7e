"""What of a catalogue row is embedded, measured on the demo catalogue: public sets have one text per row."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from api.mocks.content import closed_incidents, expected, open_incidents, past_rows
from core.catalogue import CatalogueEntry, read_catalogue
from core.knowledge.entry import embed_text
from finetune.labelled import LabelledIncident, LabelledSet

NAME = "demo"
PRODUCT = "componente y descripción (producto)"


def _told(*parts: str) -> str:
    return "\n".join(part for part in parts if part)


ROW_TEXTS: Mapping[str, Callable[[CatalogueEntry], str]] = {
    "descripción": lambda row: row.description,
    PRODUCT: embed_text,
    "y tipo de incidencia": lambda row: _told(embed_text(row), row.incident_type),
    "y solución": lambda row: _told(embed_text(row), row.solution),
    "solución": lambda row: row.solution,
}
"""Name -> what a row becomes."""


@dataclass(frozen=True)
class DemoDesk:
    """The rows, the incidents that ask for them, and older closed ones that serve as examples."""

    rows: Mapping[str, CatalogueEntry]
    """By description, which names a row in the demo's answers."""
    asked: tuple[LabelledIncident, ...]
    examples: Mapping[str, tuple[str, ...]]

    def as_set(self, text_of: Callable[[CatalogueEntry], str]) -> LabelledSet:
        """With rows that say `text_of`; those with nothing to say keep their description."""
        return LabelledSet(NAME, {name: text_of(row) or name for name, row in self.rows.items()}, self.asked, ())


def demo_desk(catalogue: Path) -> DemoDesk:
    """Open incidents and the later half of the closed ones ask; the earlier half are examples.

    Raises `UsageError` when the catalogue cannot be read.
    """
    now = datetime.now(UTC)
    rows = {entry.description: entry for entry in read_catalogue(catalogue).entries}
    open_rows = {code: outcome.row for code, outcome in expected().items()}
    asked = [_incident(i, open_rows.get(i["codIncidencia"]), rows) for i in open_incidents(now)]
    past = past_rows()
    closed = sorted((i for i in closed_incidents(now) if i["codIncidencia"] in past), key=lambda i: str(i["apertura"]))
    half = len(closed) // 2
    asked += [_incident(i, past[i["codIncidencia"]], rows) for i in closed[half:]]
    examples: dict[str, tuple[str, ...]] = {}
    for told in closed[:half]:
        row = past[told["codIncidencia"]]
        examples[row] = (*examples.get(row, ()), _told(told["titulo"], told["descripcion"]))
    return DemoDesk(rows, tuple(i for i in asked if i), examples)


def _incident(told: Mapping[str, str], row: str | None, rows: Mapping[str, CatalogueEntry]) -> LabelledIncident | None:
    """None where there is no text, or a fix under way, which stands in another file, describes it."""
    text = _told(told["titulo"], told["descripcion"])
    if not text or (row and row not in rows):
        return None
    return LabelledIncident(told["codIncidencia"], text, frozenset([row] if row else []))
