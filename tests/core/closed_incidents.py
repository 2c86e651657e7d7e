"""Closed incidents, cases and suggestions made up for the tests of maintenance."""

from datetime import UTC, datetime, timedelta
from typing import Any

from core.catalogue import CatalogueEntry, Resolution
from core.closed import ClosedCase, Period
from core.incident import Incident
from core.ports import Suggestion
from core.proposed_row import Known

TAG = "[SPAI] "
NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)
PERIOD = Period.of_months(3, NOW)
ROW = CatalogueEntry(component="Correo", description="buzón lleno", solution="vacíelo", resolution=Resolution.CLOSE)
PLACES = CatalogueEntry(component="Puesto", description="ratón roto", resolution=Resolution.REASSIGN, mailbox="TALLER")
SYSTEM = CatalogueEntry(component="Emisión", description="x", resolution=Resolution.API, system="fxprovicion")
KNOWN = Known.of([ROW, PLACES, SYSTEM])


def closed(code: str = "I-1", *notes: dict[str, str], **fields: Any) -> Incident:
    """As the desk lists it; without `notes`, solved by a person in the period."""
    history = notes or ({"Fecha": "2026-03-02", "Autor": "Soporte", "NotasResolucion": "Se reinicia el terminal"},)
    content = {"titulo": "fichaje", "descripcion": "marca mal la hora", "solicitante": "Eva Mora", "estado": "Cerrada"}
    return Incident.model_validate(
        {"codIncidencia": code, "buzon": "CAU", "apertura": "2026-03-01", "historial": list(notes or history)}
        | content
        | fields
    )


def note(text: str, author: str = "Soporte", date: str = "2026-03-02", detail: str = "") -> dict[str, str]:
    """One history entry."""
    return {"Fecha": date, "Autor": author, "NotasResolucion": text, "detalle": detail}


def case(
    code: str, problem: str = "marca mal la hora", resolution: str = "reiniciar", mailbox: str = "CAU"
) -> ClosedCase:
    """What maintenance makes of one."""
    return ClosedCase(code, NOW - timedelta(days=3), mailbox, problem, resolution)


def suggestion(**fields: str) -> Suggestion:
    """A model's, for `case`."""
    usual = {
        "component": "Fichaje",
        "description": "El fichaje marca mal la hora",
        "incident_type": "",
        "solution": "Reinicie el terminal",
        "resolution": "cierre",
    }
    return Suggestion(**(usual | fields))
