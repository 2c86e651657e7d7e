"""Our mark in an incident's history: who acted, by which decision, with which row of the catalogue."""

import re
from collections.abc import Collection
from dataclasses import dataclass

from core.catalogue import normalised
from core.incident import HistoryEntry, Incident

_STAMP = re.compile(
    r"\(decisi[oó]n (?P<decision>d-[0-9a-f]+); (?:fila (?P<entry>[0-9a-f-]{36})|sin fila); (?P<kind>[^)]*)\)"
)


LEFT_TO_PERSON = "manual"
ASKED_FOR_POLICY = "pide póliza"
_NOT_TRIES = (LEFT_TO_PERSON, ASKED_FOR_POLICY)


@dataclass(frozen=True)
class Mark:
    """One note of ours. `entry_id` is None when it cannot be read from it; `kind` is empty then too."""

    decision: str
    entry_id: str | None
    kind: str
    text: str


def write_mark(tag: str, decision: str, entry_id: str | None, kind: str, text: str) -> str:
    """A note as we send it: `[SPAI] (decisión d-…; fila …; cierre) text`."""
    row = f"fila {entry_id}" if entry_id else "sin fila"
    return f"{tag}(decisión {decision}; {row}; {kind}) {text}".rstrip()


def read_marks(incident: Incident, tag: str) -> list[Mark]:
    """Our notes in the history, oldest first."""
    texts = (our_text(entry, tag) for entry in incident.history)
    return [_parse(text) for text in texts if text is not None]


def our_text(entry: HistoryEntry, tag: str) -> str | None:
    """What we wrote in an entry, after the tag; None where a person wrote it."""
    return entry.after_tag(tag.strip())


def _parse(text: str) -> Mark:
    stamp = _STAMP.search(text)
    if not stamp:
        return Mark("", None, "", text.strip())
    return Mark(stamp["decision"], stamp["entry"], stamp["kind"], text[stamp.end() :].strip())


def carries(incident: Incident, decision: str) -> bool:
    """Whether this decision id stands anywhere in what the desk has, in whichever field it keeps notes."""
    return decision in incident.model_dump_json(by_alias=True)


def waits_for_person(incident: Incident, tag: str) -> bool:
    """Whether the last word in the history is our note that leaves it to a person: one more would say nothing new."""
    last = our_text(incident.history[-1], tag) if incident.history else None
    return last is not None and _parse(last).kind == LEFT_TO_PERSON


def was_tried(entry_id: str, solution: str, marks: Collection[Mark]) -> bool:
    """Whether one of our marks shows that this row was already tried.

    A mark that names its row decides by itself. One that does not (another version of us, or one whose text was edited)
    counts as this row when it has the solution's words; when it says nothing of what was tried, doubt counts as tried.
    """
    wanted = normalised(solution)
    for mark in marks:
        if mark.kind in _NOT_TRIES:
            continue
        if mark.entry_id == entry_id:
            return True
        if mark.entry_id is None:
            text = normalised(mark.text)
            if not text or not wanted or wanted in text or text in wanted or _overlap(wanted, text) >= 0.5:
                return True
    return False


def _overlap(wanted: str, text: str) -> float:
    words = set(wanted.split())
    return len(words & set(text.split())) / len(words)
