"""What turned out of the decisions of the period, from the ledger."""

from collections import Counter
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from core.ledger import UNDO, Label, LabelledOutcome, Phase, Record

_DONE = (Phase.CONFIRMED, Phase.UNDONE)


class Outcomes(BaseModel):
    """`precision_conocida`: share of the automatic actions that nobody has put back or seen open again so far.

    An upper bound: a mistake that nobody has told of counts as right.
    """

    model_config = ConfigDict(frozen=True)

    acciones_automaticas: int
    acciones_de_personas: int
    propuestas_pendientes: int
    sin_saber: int
    """Sent, and nobody knows whether it took effect."""
    por_desenlace: dict[str, int]
    equivocadas: int
    precision_conocida: float | None


def outcomes_of(records: Sequence[Record], said: Sequence[LabelledOutcome]) -> Outcomes:
    """`said` may be of any decisions; those of `records` count."""
    ours = {record.id for record in records}
    known = [outcome for outcome in said if outcome.decision in ours]
    done = [record for record in records if record.phase in _DONE and record.kind != UNDO]
    automatic = [record for record in done if record.autonomy == "automatica"]
    bad = {outcome.decision for outcome in known if outcome.label in (Label.REOPENED, Label.REVERTED)}
    wrong = sum(record.id in bad or record.phase is Phase.UNDONE for record in automatic)
    return Outcomes(
        acciones_automaticas=len(automatic),
        acciones_de_personas=len(done) - len(automatic),
        propuestas_pendientes=sum(record.phase is Phase.PROPOSED for record in records),
        sin_saber=sum(record.phase in (Phase.SENT, Phase.UNKNOWN) for record in records),
        por_desenlace=dict(Counter(outcome.label.value for outcome in known).most_common()),
        equivocadas=wrong,
        precision_conocida=round(1 - wrong / len(automatic), 4) if automatic else None,
    )
