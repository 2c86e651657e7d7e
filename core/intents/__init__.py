"""What a question is after: its intent, or none of those known, and what is missing to see to it."""

from core.intents.catalogue import Intent, Parameter, read_intents
from core.intents.classifier import Classification, Classifier

__all__ = ["Classification", "Classifier", "Intent", "Parameter", "read_intents"]
