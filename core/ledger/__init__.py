"""What was decided, done, undone and said of it: our own durable tables. Codes, numbers and times; no incident text."""

from core.ledger.asking import ask
from core.ledger.hindsight import Hindsight, Said, Taken
from core.ledger.known_rows import NOTHING_KNOWN, KnownRows, known_rows
from core.ledger.record import JUDGED_WITH, LIVE, UNDO, Label, LabelledOutcome, Phase, Record
from core.ledger.store import Caps, Control, Ledger, Scope, open_ledger

__all__ = [
    "JUDGED_WITH",
    "LIVE",
    "NOTHING_KNOWN",
    "UNDO",
    "Caps",
    "Control",
    "Hindsight",
    "KnownRows",
    "Label",
    "LabelledOutcome",
    "Ledger",
    "Phase",
    "Record",
    "Said",
    "Scope",
    "Taken",
    "ask",
    "known_rows",
    "open_ledger",
]
