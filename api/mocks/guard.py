"""`python -m api.mocks.guard`: stops `make demo` where the settings name anything that is not the demonstration's."""

import sys

from config import Environment, load_settings
from core.command_line import exit_code
from core.errors import UsageError

_REAL = ("mock_gestor_url", "mock_sistema_url", "vector_db_url", "database_url")
"""Settings that lead the demonstration's incidents, labels or rows to services that others use."""


def main() -> int:
    """0 where everything is the demonstration's own, 2 where it is not."""
    return exit_code(_check, interrupted="Interrumpido.")


def _check() -> None:
    settings = load_settings()
    named = [name.upper() for name in _REAL if getattr(settings, name)]
    if settings.entorno is Environment.PROD:
        named.insert(0, "ENTORNO=PROD")
    if named:
        raise UsageError(
            f"make demo es para la mesa de demostración, y en .env o en el entorno está {', '.join(named)}: trabajaría "
            "con servicios de verdad. Quítelo para ver la demostración; para su mesa, python batch.py y "
            "python main.py --simular."
        )


if __name__ == "__main__":
    sys.exit(main())
