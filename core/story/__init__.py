"""Everything known of one incident, in the order in which it happened: `python main.py --historia COD`."""

from core.story.event import Event, Source, Story

__all__ = ["Event", "Source", "Story"]
