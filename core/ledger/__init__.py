"""What was decided, done, undone and said of it: our own durable tables. Codes, numbers and times; no incident text."""

from core.ledger.asking import ask
from core.ledger.hindsight import Hindsight, Said, Taken
from core.ledger.record import JUDGED_WITH, LIVE, UNDO, Label, LabelledOutcome, Phase, Record
from core.ledger.store import Caps, Control, Ledger, Scope, open_ledger

__all__ = [
    "JUDGED_WITH",
    "LIVE",
    "UNDO",
    "Caps",
    "Control",
    "Hindsight",
    "Label",
    "LabelledOutcome",
    "Ledger",
    "Phase",
    "Record",
    "Said",
    "Scope",
    "Taken",
    "ask",
    "open_ledger",
]
