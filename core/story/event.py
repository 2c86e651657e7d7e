"""One thing known of an incident, and all of them."""

from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

Fact = str | int | float | bool


class Source(StrEnum):
    """Who knows it."""

    QUEUE = "cola"
    LOG = "registro"
    MODEL = "modelo"
    REJECTIONS = "rechazos"
    LEDGER = "decisiones"


class Event(BaseModel):
    """What happened when; field names are those of `--json`. No text of the incident, no personal data."""

    model_config = ConfigDict(frozen=True)

    hora: datetime
    """Aware."""
    fuente: Source
    que: str
    ejecucion: str = ""
    datos: dict[str, Fact] = {}


class Story(BaseModel):
    """All of it, oldest first. `situacion`: how things stand; `avisos`: what is not known, and why."""

    model_config = ConfigDict(frozen=True)

    codIncidencia: str  # noqa: N815 - the contract's name
    situacion: tuple[str, ...]
    avisos: tuple[str, ...]
    eventos: tuple[Event, ...]
