"""Which rows of the catalogue need mending: never matched, often turned down, opened again."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from pydantic import BaseModel, ConfigDict

from core.ledger import Label, LabelledOutcome
from observabilidad.metrics.figures import Tally
from observabilidad.record import Line

OFTEN = 3
"""Rejections from which a row is worth a look."""


class Row(BaseModel):
    """A row of the catalogue and how often that happened to it."""

    model_config = ConfigDict(frozen=True)

    fila: str
    descripcion: str
    veces: int


class Rows(BaseModel):
    """The catalogue's rows to mend, the worst first."""

    model_config = ConfigDict(frozen=True)

    en_el_catalogo: int
    sin_coincidencias: tuple[Row, ...]
    """Never among the candidates judged in the period."""
    muy_rechazadas: tuple[Row, ...]
    """Turned down at least `OFTEN` times and more often than approved."""
    reabiertas: tuple[Row, ...]
    """Whose closings were opened again, or put back by a person."""


def rows_to_mend(tally: Tally, outcomes: Sequence[LabelledOutcome], catalogue: Mapping[str, str]) -> Rows:
    """`catalogue`: id -> description of every row as it is now."""
    seen = _counted(tally["judged"])
    rejected = _counted(tally["critic_rejected"])
    approved = _counted(line for line in tally["incident_done"] if line.get("critic") == "APPROVED")
    often = {row: times for row, times in rejected.items() if times >= OFTEN and times > approved[row]}
    bad = Counter(o.entry for o in outcomes if o.entry and o.label in (Label.REOPENED, Label.REVERTED))
    return Rows(
        en_el_catalogo=len(catalogue),
        sin_coincidencias=_rows(((row, 0) for row in catalogue if not seen[row]), catalogue),
        muy_rechazadas=_rows(often.items(), catalogue),
        reabiertas=_rows(bad.items(), catalogue),
    )


def _counted(lines: Iterable[Line]) -> Counter[str]:
    return Counter(str(line["row"]) for line in lines if line.get("row"))


def _rows(counts: Iterable[tuple[str, int]], catalogue: Mapping[str, str]) -> tuple[Row, ...]:
    rows = [Row(fila=row, descripcion=catalogue.get(row, "(ya no está)"), veces=times) for row, times in counts]
    return tuple(sorted(rows, key=lambda row: (-row.veces, row.descripcion)))
