"""Every model call, kept in SQLite with content-addressed texts; `python -m llm.history` exports and verifies."""

from llm.history.store import Call, History, forget

__all__ = ["Call", "History", "forget"]
