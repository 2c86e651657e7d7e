"""The catalogue of known problems: one row, how it is resolved, and the CSV files it comes from."""

import unicodedata
import uuid
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

_NAMESPACE = uuid.UUID("6f0f5b0e-6d0c-5b52-9a55-0c9f6f3c1d7e")


def normalised(text: str) -> str:
    """Without accents, case or runs of white space: what two spellings of one thing share."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    return " ".join("".join(c for c in plain if not unicodedata.combining(c)).split())


class Resolution(StrEnum):
    """The five kinds of `RESOLUCION AUTOMÁTICA`."""

    MANUAL = "manual"
    CLOSE = "cierre"
    WAIT = "en espera"
    REASSIGN = "reasignacion"
    API = "api"


class CatalogueEntry(BaseModel):
    """One known problem. `id` is UUIDv5 of its normalised component and description."""

    model_config = ConfigDict(frozen=True)

    component: str
    description: str
    incident_type: str = ""
    solution: str = ""
    resolved_on: str = ""
    resolution: Resolution
    system: str = ""
    """Only for `Resolution.API`: the name after `api|`."""
    mailbox: str = ""
    expected_on: str = ""
    """Only for fixes under way (`CORRECTIVOS_ABIERTOS.csv`): the date it is due."""
    summary: str = ""
    """Only with `batch.py --resumir`: the model's summary, embedded in place of the description."""

    @property
    def id(self) -> str:
        """Stable over runs and machines."""
        return str(uuid.uuid5(_NAMESPACE, f"{normalised(self.component)}\n{normalised(self.description)}"))

    @property
    def kind(self) -> str:
        """As the catalogue spells it: `cierre`, …, `api|<sistema>`."""
        return f"api|{self.system}" if self.resolution is Resolution.API else self.resolution.value
