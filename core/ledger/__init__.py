"""What was decided, done, undone and said of it: our own durable tables. Codes, numbers and times; no incident text."""

from core.ledger.asking import ask
from core.ledger.record import LIVE, UNDO, Label, LabelledOutcome, Phase, Record
from core.ledger.store import Caps, Control, Ledger, Scope, open_ledger

__all__ = [
    "LIVE",
    "UNDO",
    "Caps",
    "Control",
    "Label",
    "LabelledOutcome",
    "Ledger",
    "Phase",
    "Record",
    "Scope",
    "ask",
    "open_ledger",
]
