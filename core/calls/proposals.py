"""Recurrent failures of the telephone service as rows for the catalogue: always `manual`, for a person to review."""

from collections.abc import Callable, Iterator

from core.calls.explain import pattern_told
from core.calls.pattern import Pattern
from core.calls.patterns import Found
from core.calls.wording import decimal
from core.catalogue import CatalogueEntry, Resolution
from core.proposed_row import Known, ProposedRow

COMPONENT = "IVR"
_LEAST_LOST = 5.0
"""Calls lost per week, or in all where they have no dates, from which a failure is worth a row."""
_MOST = 10


def rows(found: Found, known: Known, examples: Callable[[Pattern], tuple[str, ...]]) -> Iterator[ProposedRow]:
    """A row for each costly pattern that the catalogue does not have; its text holds however the figures change.

    `examples`: `call_id` of calls that failed so.
    """
    worth = [p for p in found.patterns if (p.excess if p.lost_per_week is None else p.lost_per_week) >= _LEAST_LOST]
    for pattern in worth[:_MOST]:
        error = f" con el error {pattern.codes[0].code}" if pattern.codes else ""
        entry = CatalogueEntry(
            component=known.components.get(COMPONENT.lower(), COMPONENT),
            description=f"Las llamadas al servicio telefónico fallan{error} en «{pattern.condition}».",
            incident_type="Llamadas",
            solution=f"Revisar el servicio que atiende «{pattern.condition}» y los registros del error; después, "
            "avisar a quien llamó.",
            resolution=Resolution.MANUAL,
        )
        if entry.id in known.ids:
            continue
        cost = pattern.excess if pattern.lost_per_week is None else pattern.lost_per_week
        span = "por semana" if pattern.lost_per_week is not None else "en total"
        remarks = (
            f"sale del registro de llamadas, patrón {pattern.id}: {pattern_told(pattern)}",
            f"llamadas perdidas {span}: {decimal(cost)}; escriba usted la solución de verdad",
        )
        yield ProposedRow(entry, examples(pattern), remarks)
