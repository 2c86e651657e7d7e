"""A closed incident as it was when it was opened: whatever happened to it afterwards is hidden."""

from collections.abc import Iterator
from datetime import timedelta

from core.closed import read_date
from core.desk_state import is_ended, is_waiting
from core.incident import HistoryEntry, Incident
from core.marks import our_text

OPEN = "Abierta"
_AT_ONCE = timedelta(minutes=10)
"""What the requester adds so soon (a screenshot, a number forgotten) belongs to the opening."""


def as_opened(incident: Incident, tag: str) -> Incident:
    """The incident open, in the mailbox where it began, with the history entries of its opening only.

    Fields of the desk's own are left out: who closed it would be among them. Title, description and priority are as
    the desk has them now: no history tells what they were.
    """
    return Incident(
        code=incident.code,
        mailbox=opening_mailbox(incident, tag),
        title=incident.title,
        requester=incident.requester,
        status=OPEN,
        opened=incident.opened,
        priority=incident.priority,
        description=incident.description,
        history=opening_entries(incident, tag),
    )


def opening_entries(incident: Incident, tag: str) -> tuple[HistoryEntry, ...]:
    """The entries that were there before anybody did anything with it."""
    return tuple(_opening(incident, tag))


def opening_mailbox(incident: Incident, tag: str) -> str:
    """The mailbox of its first entry; the incident's own where the history does not tell."""
    first = next(iter(incident.history), None)
    if first is None:
        return incident.mailbox
    if opening_entries(incident, tag):
        return first.assigned_mailbox or first.comment_mailbox or incident.mailbox
    return first.comment_mailbox or incident.mailbox  # somebody's work already: assigned is where it went


def _opening(incident: Incident, tag: str) -> Iterator[HistoryEntry]:
    opened = read_date(incident.opened)
    for position, entry in enumerate(incident.history):
        if _is_work(entry, incident, tag):
            return
        if position:
            written = read_date(entry.date)
            if opened is None or written is None or written - opened > _AT_ONCE:
                return
        yield entry


def _is_work(entry: HistoryEntry, incident: Incident, tag: str) -> bool:
    """Whether somebody did something with it: only the requester's words, or an entry that says nothing, are not."""
    if our_text(entry, tag) is not None or entry.resolution_code.strip():
        return True
    if is_ended(entry.status) or is_waiting(entry.status):
        return True
    first = incident.history[0]
    moved = bool(entry.assigned_mailbox and first.assigned_mailbox and entry.assigned_mailbox != first.assigned_mailbox)
    return moved or (entry.author != incident.requester and bool(entry.notes.strip()))
