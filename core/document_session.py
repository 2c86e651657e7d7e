"""What `python batch.py` does with documents once its arguments are read."""

import time
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from config import Settings
from core.build import open_classifier, open_database, open_documents, open_embedder, open_loader
from core.documents.load import Classify
from core.documents.outcome import LoadOutcome, write_report
from core.documents.reindex import reindex
from core.errors import UsageError
from core.feedback import open_feedback
from core.ports import Embedder
from core.terminal import Show


def load_folder(settings: Settings, folder: Path, progress: Show | None) -> LoadOutcome:
    """`--documentos DIR`. Raises `UsageError` or `DependencyError`; what was stored before either stays."""
    started, clock = datetime.now().astimezone(), time.perf_counter()
    if not folder.is_dir():
        raise UsageError(f"No existe la carpeta {folder}. Indique en --documentos la que tiene los documentos.")
    embedder = open_embedder(settings)
    with open_documents(settings, embedder) as base, open_loader(settings, base) as loader:
        if base.outdated_vectors():
            raise UsageError(base.outdated)
        loader.classify, loader.progress = _classify(settings, embedder), progress
        outcomes = loader.load(folder)
    seconds = time.perf_counter() - clock
    return write_report(folder, outcomes, settings.directorio_recursos / "reportes", started, seconds)


def reindex_all(settings: Settings, progress: Show | None) -> str:
    """`--reindexar`. Raises `UsageError` where nothing is loaded, `DependencyError`; what serves stays until the end."""
    embedder = open_embedder(settings)
    with open_documents(settings, embedder) as base, open_loader(settings, base) as loader:
        if not base.exists():
            raise UsageError(base.missing)
        with open_feedback(open_database(settings)) as feedback:
            rated = feedback.answers(rated=True)
        step = _step(progress)
        pieces, used = reindex(base, rated, loader.count, _classify(settings, embedder), step)
    return f"Documentos reindexados: {pieces} piezas, con {used} valoraciones."


def _step(progress: Show | None) -> Callable[[int, int], None] | None:
    return (lambda done, total: progress("Guardando", done, total)) if progress else None


def _classify(settings: Settings, embedder: Embedder) -> Classify | None:
    classifier = open_classifier(settings, embedder)
    if classifier is None:
        return None
    named = classifier

    def classify(texts: Sequence[str]) -> list[str]:
        return [found.intent or "" for found in named.classify(texts)]

    return classify
