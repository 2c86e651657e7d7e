"""May this incident be worked at all? Facts that code knows, before any model is asked."""

from core.catalogue import normalised
from core.incident import Incident
from core.reason import Reason

_ENDED = ("resuelt", "cerrad", "cancelad", "anulad", "finalizad", "solucionad", "resolved", "closed")
_WAITING = ("en espera", "pendiente de implantar", "pendiente_implantar", "pendiente implantar", "pendiente de cliente")
_WORKED = ("en curso", "en proceso", "en tratamiento", "en progreso")


def ineligible(incident: Incident, text_limit: int) -> Reason | None:
    """Why it must be left alone, or None. `text_limit`: characters over all its texts."""
    status = normalised(incident.status)
    if status.startswith(_ENDED):
        return Reason.NOT_OPEN
    if status.startswith(_WAITING):
        return Reason.WAITING
    if status.startswith(_WORKED):
        return Reason.WORKED_BY_PERSON
    texts = [incident.title, incident.description]
    texts += [text for entry in incident.history for text in (entry.notes, entry.detail)]
    if sum(map(len, texts)) > text_limit:
        return Reason.TEXT_TOO_LONG
    has_attachment = any(entry.attachments for entry in incident.history)
    if not any(text.strip() for text in texts) and not has_attachment:
        return Reason.EMPTY_TEXT
    return None


def priority(incident: Incident) -> tuple[int, str, str]:
    """What the queue is ordered by: the most urgent first, then the oldest."""
    word = normalised(incident.priority)
    ranks = {"critica": 0, "urgente": 0, "1": 0, "alta": 1, "2": 1, "media": 2, "normal": 2, "3": 2, "baja": 3, "4": 3}
    return ranks.get(word, 2), incident.opened, incident.code
