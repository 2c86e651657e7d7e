"""All the figures of a period put together, from the log of record, the ledger and the catalogue."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import islice

from pydantic import BaseModel, ConfigDict

from core.ledger import LabelledOutcome, Record
from observabilidad.metrics.drift import FIRST, Drift, drift
from observabilidad.metrics.figures import Figures, Prices, Tally, figures
from observabilidad.metrics.outcomes import Outcomes, outcomes_of
from observabilidad.metrics.rows import Rows, rows_to_mend
from observabilidad.record import RecordFolder


class Period(BaseModel):
    """`desde` ≤ time < `hasta`, both aware; None: as far as there is something."""

    model_config = ConfigDict(frozen=True)

    desde: datetime | None = None
    hasta: datetime | None = None

    def holds(self, when: str) -> bool:
        """Whether an ISO time with its zone lies within."""
        at = datetime.fromisoformat(when)
        return (self.desde is None or at >= self.desde) and (self.hasta is None or at < self.hasta)


class Metrics(BaseModel):
    """What `python -m observabilidad.metrics --json` prints."""

    model_config = ConfigDict(frozen=True)

    periodo: Period
    primera_linea: str
    ultima_linea: str
    lineas_ilegibles: int
    cifras: Figures
    desenlaces: Outcomes
    filas: Rows
    deriva: Drift


def measure(
    record: RecordFolder,
    period: Period,
    prices: Prices,
    *,
    decisions: Sequence[Record],
    outcomes: Sequence[LabelledOutcome],
    catalogue: Mapping[str, str],
    fitted: Mapping[str, object],
    simulated: bool = False,
) -> Metrics:
    """`decisions`: the period's; `outcomes`: the whole ledger's; `fitted`: how the calibration was made.

    Raises `DependencyError` for a record that cannot be read.
    """
    tally = Tally.of(record.lines(since=period.desde, until=period.hasta), simulated=simulated)
    unreadable = record.unreadable
    first = list(islice((line for line in record.lines() if line.get("action") == "judged"), FIRST))
    return Metrics(
        periodo=period,
        primera_linea=tally.first,
        ultima_linea=tally.last,
        lineas_ilegibles=unreadable,
        cifras=figures(tally, prices),
        desenlaces=outcomes_of(decisions, outcomes),
        filas=rows_to_mend(tally, [outcome for outcome in outcomes if period.holds(outcome.said)], catalogue),
        deriva=drift(tally["judged"], first, fitted),
    )
