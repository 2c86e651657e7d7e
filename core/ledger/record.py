"""One decision as the ledger keeps it, the phases it goes through, and what people or the desk said of it."""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from core.catalogue import normalised
from core.desk_state import is_waiting
from core.incident import Incident


class Phase(StrEnum):
    """How far a decision got."""

    INTENDED = "intended"
    """Allowed and written down; nothing was sent, or what was sent surely did not arrive."""
    SENT = "sent"
    """Written before the change leaves: it may have arrived."""
    CONFIRMED = "confirmed"
    """The desk showed it."""
    REFUSED = "refused"
    """The desk did not take it, or it never arrived; nothing was changed."""
    UNKNOWN = "unknown"
    """Sent, and reading did not tell whether it took effect."""
    PROPOSED = "proposed"
    """Waits for a person."""
    REJECTED = "rejected"
    """A person said no."""
    UNDONE = "undone"
    """Done, and put back."""
    LEFT = "left"
    """Decided not to be done: kept for what was found, so that a label said later can teach something."""


LIVE = (Phase.SENT, Phase.UNKNOWN)
"""Phases to be settled by reading before anything else is done with the incident."""

JUDGED_WITH = "juicio"
"""Key of the evidence under which stand the row's kind, the calibration's fingerprint and the judge's name."""

UNDO = "deshacer"
"""The kind of a decision that puts another one back."""


class Label(StrEnum):
    """What turned out, in the contract's words."""

    RIGHT = "acertada"
    REVERTED = "revertida"
    REOPENED = "reabierta"
    WRONG = "equivocada"
    """A person's word on an action, or on a row that was not acted on."""


class Record(BaseModel):
    """A row of `decisions`. Times are ISO 8601 in UTC, to the second."""

    model_config = ConfigDict(frozen=True)

    id: str
    incident: str
    kind: str
    """`cierre`, `en espera`, `reasignacion`, `api|<sistema>` before the system was asked, or `deshacer`."""
    phase: Phase
    run: str = ""
    created: str = ""
    fingerprint: str = ""
    """Of the incident as it was decided on, our own notes left out."""
    entry: str | None = None
    entry_hash: str = ""
    """Of the catalogue row as it was then: an approval later is for that wording only."""
    mailbox: str = ""
    """The incident's, when it was decided."""
    target: str | None = None
    approval: int | None = None
    autonomy: str = ""
    """By which right: `automatica`, `propuesta` (a person approved or is to) or `persona` (ordered by one)."""
    reason: str = ""
    evidence: str = "{}"
    """JSON: scores, ids of the other rows found, and what they were judged with."""
    state_before: str = ""
    mailbox_before: str = ""
    state_after: str = ""
    mailbox_after: str = ""
    fingerprint_after: str = ""
    """Our own notes left out; empty where it was found done later and others may have gone on with it."""
    sent_at: str = ""
    closed_at: str = ""
    """When a closing was confirmed."""

    def reached(self, incident: Incident) -> bool:
        """Whether the incident stands where this decision leads."""
        status = normalised(incident.status)
        ended = status.startswith(("resuelt", "resolved", "cerrad", "closed", "solucionad", "finalizad"))
        waits = is_waiting(incident.status)
        there = normalised(incident.mailbox) == normalised(self.target or "")
        match self.kind:
            case "cierre":
                return ended
            case "en espera":
                return waits
            case "reasignacion":
                return there
            case "deshacer":
                return there and not ended and not waits
            case _:
                return False


class LabelledOutcome(BaseModel):
    """A row of `outcomes`: `said` by whom (a user of this machine, or `mesa`) and when."""

    model_config = ConfigDict(frozen=True)

    decision: str
    incident: str
    entry: str | None
    label: Label
    who: str
    said: str
    reason: str = ""
