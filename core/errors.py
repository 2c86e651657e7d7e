"""The errors of the domain. `Retryable` and `Terminal` are types; the docstring is the default message."""

from core.reason import Reason


class SpaiError(Exception):
    """Error de SPAI."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip())


class UsageError(SpaiError):
    """Uso o configuración incorrectos."""  # exit code 2


class DependencyError(SpaiError):
    """Una dependencia no responde."""  # exit code 3; the message says how to start it


class DependencyAway(DependencyError):
    """Una dependencia no responde ahora; puede volver sola."""  # a server being restarted, a locked file


class StageError(SpaiError):
    """An incident's stage failed: the incident goes to a person with `reason`."""

    def __init__(self, reason: Reason, message: str | None = None) -> None:
        super().__init__(message or reason.text)
        self.reason = reason


class Terminal(StageError):
    """Trying again will not help."""


class Retryable(StageError):
    """Trying again may help; `maybe_applied` says whether a change may have taken effect all the same."""

    def __init__(self, reason: Reason, message: str | None = None, *, maybe_applied: bool = False) -> None:
        super().__init__(reason, message)
        self.maybe_applied = maybe_applied
