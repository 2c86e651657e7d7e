"""What one incident's work leaves for whoever follows it: its result and the stretches it was made of."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from core.decision import Decision
from core.incident import Incident
from core.report import IncidentResult
from core.spans import Span, collecting
from core.trace import current

Work = Callable[[Incident], Awaitable[tuple[IncidentResult, Decision]]]


@dataclass(frozen=True)
class IncidentTrace:
    """One incident worked once; `spans[0]` is the whole."""

    run: str
    result: IncidentResult
    spans: tuple[Span, ...]


def traced(work: Work, sink: Callable[[IncidentTrace], None]) -> Work:
    """`work` that hands a trace to `sink` after each incident; `sink` must neither raise nor take long."""

    async def followed(incident: Incident) -> tuple[IncidentResult, Decision]:
        with collecting("incidencia") as spans:
            result, decision = await work(incident)
        sink(IncidentTrace(current().run, result, tuple(spans)))
        return result, decision

    return followed
