"""What was decided, done, undone and said of it: our own durable tables. Codes, numbers and times; no incident text."""

from core.ledger.record import LIVE, Label, Outcome, Phase, Record
from core.ledger.store import Caps, Ledger, Scope, open_ledger

__all__ = ["LIVE", "Caps", "Label", "Ledger", "Outcome", "Phase", "Record", "Scope", "open_ledger"]
