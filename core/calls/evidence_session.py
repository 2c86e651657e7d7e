"""The evidence that loaded calls give on incidents, where there are any: opened by the doors."""

import importlib.util
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from config import Settings
from core.errors import DependencyError, UsageError

if TYPE_CHECKING:
    from core.decision import Evidence
    from core.proposed_row import Known, ProposedRow

logger = logging.getLogger(__name__)


def call_evidence(settings: Settings) -> "Evidence | None":
    """What the loaded calls say about an incident; None where none are loaded or they cannot be read.

    Safe to use from any thread.
    """
    folder = settings.directorio_estado / "llamadas"
    if not (folder / "llamadas.db").exists() or importlib.util.find_spec("pandas") is None:
        return None
    from core.calls.evidence import CallEvidence
    from core.calls.known import KnownNames
    from core.calls.session import current_patterns, loaded_calls
    from core.calls.store import open_store

    def steps_of(ids: Sequence[str]) -> list[tuple[str, ...]]:
        with open_store(folder) as store:  # SQLite's connections stay in their thread
            return [steps for steps in map(store.steps_of, ids) if steps]

    try:
        with loaded_calls(settings) as store:
            patterns = current_patterns(settings, store).patterns
            steps = [step for pattern in patterns for step in pattern.condition.steps]
            return CallEvidence(patterns, KnownNames.of(steps, (), (), store.names(()).codes.values()), steps_of)
    except (DependencyError, UsageError) as error:
        logger.warning("sin llamadas", extra={"action": "calls_unavailable", "error": str(error)})
        return None


def call_rows(settings: Settings, known: "Known") -> "list[ProposedRow]":
    """Rows proposed for recurrent failures of the loaded calls; none where there are no calls."""
    if not (settings.directorio_estado / "llamadas" / "llamadas.db").exists():
        return []
    if importlib.util.find_spec("pandas") is None:
        return []
    from core.calls.proposals import rows
    from core.calls.session import current_patterns, loaded_calls

    try:
        with loaded_calls(settings) as store:
            return list(rows(current_patterns(settings, store), known, store.failing_like))
    except UsageError:  # an empty store
        return []
