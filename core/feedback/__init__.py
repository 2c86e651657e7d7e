"""What was answered and explained, with what it rested on, and what people said of it. Texts without personal data."""

from core.feedback.answer import Answer, Label, Rating
from core.feedback.store import Feedback, open_feedback

__all__ = ["Answer", "Feedback", "Label", "Rating", "open_feedback"]
