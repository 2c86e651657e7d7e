"""What may be done with an incident: a closed set. An unknown kind cannot be carried out because it cannot be built."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from core.reason import Reason

_FROZEN = ConfigDict(frozen=True, extra="forbid")


class Close(BaseModel):
    """Resolve it with the catalogue's solution as the note."""

    model_config = _FROZEN
    kind: Literal["cierre"] = "cierre"
    note: str


class Wait(BaseModel):
    """Hold it until the customer answers or a fix comes; `until` is the fix's date where one is known."""

    model_config = _FROZEN
    kind: Literal["en espera"] = "en espera"
    note: str
    until: str | None = None


class Reassign(BaseModel):
    """Send it to a mailbox that the catalogue knows."""

    model_config = _FROZEN
    kind: Literal["reasignacion"] = "reasignacion"
    mailbox: Annotated[str, Field(min_length=1)]
    note: str


class CallSystem(BaseModel):
    """Ask a system what to do; its answer is itself one of the other actions."""

    model_config = _FROZEN
    kind: Literal["api"] = "api"
    system: Annotated[str, Field(min_length=1)]
    policy: Annotated[str, Field(min_length=1)]
    """The policy number in clear: it goes to the system only."""
    solution: str


class LeaveToHuman(BaseModel):
    """Change nothing; a person takes it, with the reason."""

    model_config = _FROZEN
    kind: Literal["manual"] = "manual"
    reason: Reason
    note: str = ""


DeskAction = Close | Wait | Reassign
Action = Annotated[Close | Wait | Reassign | CallSystem | LeaveToHuman, Field(discriminator="kind")]


class DeskVerb(StrEnum):
    """The desk's `action` words."""

    RESOLVE = "resolver"
    REASSIGN = "reasignar"
    WAIT = "en_espera"
    AWAIT_FIX = "pendiente_implantar"


class DeskChange(BaseModel):
    """The body of a PATCH to the desk, JSON names as in the contract."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    verb: DeskVerb = Field(alias="action")
    mailbox: str | None = Field(default=None, alias="buzonDestino")
    notes: str | None = Field(default=None, alias="notasResolucion")
    detail: str | None = Field(default=None, alias="detalle")
