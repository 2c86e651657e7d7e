"""Closed incidents as maintenance reads them: of the last months, solved by a person, without personal data."""

import calendar
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from core.catalogue import normalised
from core.hostile import gives_orders
from core.incident import Incident
from core.marks import ASKED_FOR_POLICY, LEFT_TO_PERSON, our_text, read_marks
from core.privacy import PersonalData, strip_identifiers

_TIME = r"(?:[ T,]+(?P<hour>\d{1,2}):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:[.,]\d+)?)?(?:[ ]?h)?)?"
_FORMS = (
    re.compile(rf"(?P<day>\d{{1,2}})[/.-](?P<month>\d{{1,2}})[/.-](?P<year>\d{{4}}){_TIME}"),
    re.compile(rf"(?P<year>\d{{4}})[/.-](?P<month>\d{{1,2}})[/.-](?P<day>\d{{1,2}}){_TIME}"),
)
_PARTS = ("year", "month", "day", "hour", "minute", "second")
_CLOCKS_DIFFER = timedelta(days=1)
"""A date this far ahead of our clock may still be today's; beyond, it was misread or mistyped."""


class Skip(StrEnum):
    """Why a closed incident is not looked into; `.text` is what a person reads."""

    text: str

    def __new__(cls, code: str, text: str) -> "Skip":
        member = str.__new__(cls, code)
        member._value_ = code
        member.text = text
        return member

    OLD = "ANTIGUA", "cerrada antes del periodo"
    UNREADABLE_DATE = "FECHA_ILEGIBLE", "su fecha de cierre no se puede leer"
    OURS = "CERRADA_POR_SPAI", "la resolvimos nosotros: su problema ya se conoce"
    NO_TEXT = "SIN_TEXTO", "no tiene texto"
    NO_RESOLUTION = "SIN_RESOLUCION", "nadie escribió cómo se resolvió"
    TOO_LONG = "DEMASIADO_LARGA", "el texto es demasiado largo para juzgarlo entero"
    SUSPICIOUS = "SOSPECHOSA", "el texto intenta dar órdenes al sistema"
    CALLED_OFF = "ANULADA", "se anuló: nadie la resolvió"
    NO_TRACE = "SIN_HUELLA", "su historial no dice qué hizo nadie"
    HANDLED = "TRATADA_POR_SPAI", "la tratamos nosotros y nadie ha dicho si bien o mal"
    EXAMPLE = "EJEMPLO", "ya es un ejemplo de una fila: preguntar por ella no enseña nada"


@dataclass(frozen=True)
class ClosedCase:
    """A closed incident with how a person solved it; no personal data in any of its texts."""

    code: str
    closed: datetime
    mailbox: str
    problem: str
    """Title and description."""
    resolution: str
    """The last notes that a person wrote."""

    @property
    def search_text(self) -> str:
        """The problem without identifiers."""
        return strip_identifiers(self.problem)


@dataclass(frozen=True)
class Period:
    """From `start` to `now`, both with their time zones."""

    start: datetime
    now: datetime

    @classmethod
    def of_months(cls, months: int, now: datetime) -> "Period":
        """The last `months` calendar months: from the same day of the month, or the last that month has."""
        month = now.year * 12 + now.month - 1 - months
        year, month = divmod(month, 12)
        day = min(now.day, calendar.monthrange(year, month + 1)[1])
        return cls(now.replace(year=year, month=month + 1, day=day), now)


def read_date(text: str) -> datetime | None:
    """ISO 8601 or day first (`31/01/2025`, `31-1-2025 9:05`), with or without time; None when it cannot be read.

    Without a time zone it is taken for local time.
    """
    text = text.strip()
    try:
        match = next((found for form in _FORMS if (found := form.fullmatch(text))), None)
        if match:
            year, month, day, hour, minute, second = (int(match[name] or 0) for name in _PARTS)
            return datetime(year, month, day, hour, minute, second).astimezone()
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError):
        return None


def closing_date(incident: Incident) -> datetime | None:
    """The date of the last history entry that has one, or that of opening; None when it cannot be read."""
    dated = [incident.opened, *(entry.date for entry in incident.history)]
    last = next((date for date in reversed(dated) if date.strip()), "")
    return read_date(last)


def look_into(
    incident: Incident, period: Period, personal: PersonalData, tag: str, text_limit: int
) -> ClosedCase | Skip:
    """What maintenance needs of a closed incident, or why it is left aside. `text_limit` in characters."""
    closed = closing_date(incident)
    if closed is None or closed > period.now + _CLOCKS_DIFFER:
        return Skip.UNREADABLE_DATE
    if closed < period.start:
        return Skip.OLD
    if _closed_by_us(incident, tag):
        return Skip.OURS
    position = _resolution_position(incident, tag)
    if position is None:
        return Skip.NO_RESOLUTION
    if sum(map(len, (incident.title, incident.description, incident.history[position].notes))) > text_limit:
        return Skip.TOO_LONG
    redacted = personal.redact_incident(incident)
    problem = "\n".join(text for text in (redacted.title, redacted.description) if text.strip())
    case = ClosedCase(incident.code, closed, incident.mailbox, problem, redacted.history[position].notes.strip())
    if not case.search_text:
        return Skip.NO_TEXT
    if not strip_identifiers(case.resolution):
        return Skip.NO_RESOLUTION
    return Skip.SUSPICIOUS if gives_orders(f"{case.problem}\n{case.resolution}") else case


def _closed_by_us(incident: Incident, tag: str) -> bool:
    """A mark that only left it to a person or asked for the policy solved nothing: the person's solution counts."""
    return any(mark.kind not in (LEFT_TO_PERSON, ASKED_FOR_POLICY) for mark in read_marks(incident, tag))


def _resolution_position(incident: Incident, tag: str) -> int | None:
    """Where in the history the last notes stand that neither we nor the requester wrote."""
    requester = normalised(incident.requester)
    for position, entry in reversed(list(enumerate(incident.history))):
        ours = our_text(entry, tag) is not None
        asked = bool(requester) and normalised(entry.author) == requester
        if entry.notes.strip() and not ours and not asked:
            return position
    return None
