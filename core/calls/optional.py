"""The packages that only calls need: an extra, so that those without call logs do not carry them."""

import importlib.util

from core.errors import UsageError

_NEEDED = ("pandas", "scipy", "matplotlib")


def require_packages() -> None:
    """Raises `UsageError` naming what is missing and how to install it."""
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(
            f"Para trabajar con llamadas falta {', '.join(missing)}. Instálelo con: pip install 'spai[llamadas]' "
            "(en este repositorio, uv sync --extra llamadas)."
        )
