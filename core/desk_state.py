"""What the states of a desk mean, whatever they are called."""

from core.catalogue import normalised

ENDED = ("resuelt", "cerrad", "cancelad", "anulad", "finalizad", "solucionad", "resolved", "closed")
WAITING = ("en espera", "pendiente de implantar", "pendiente_implantar", "pendiente implantar", "pendiente de cliente")


def is_ended(status: str) -> bool:
    """Whether this state of the desk means that the incident is closed."""
    return normalised(status).startswith(ENDED)


def is_waiting(status: str) -> bool:
    """Whether this state of the desk means that the incident waits."""
    return normalised(status).startswith(WAITING)
