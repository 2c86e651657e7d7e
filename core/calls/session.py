"""What the commands do with calls once their arguments are read: load them, rank patterns, explain one."""

import argparse
import asyncio
import json
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from config import Settings
from core.build import open_database, open_embedder, open_tasks
from core.calls.collection import Indexed
from core.calls.loading import LoadReport
from core.calls.mapping import CallMap, read_map
from core.calls.mining import gaps_looked_for
from core.calls.optional import require_packages
from core.calls.patterns import Found, find_patterns
from core.calls.selection import Rules
from core.calls.store import CallStore, open_store
from core.errors import DependencyError, UsageError
from core.files import write_fresh, write_whole
from core.terminal import Show

if TYPE_CHECKING:
    from core.calls.answer import Answer
    from core.calls.call import Call
    from core.calls.collection import NarrativeBase
    from core.calls.explain import Explanation

_CACHE = "patrones.json"
_VERSION = "version"


@dataclass(frozen=True)
class LoadOptions:
    """`python batch.py --llamadas`."""

    file: Path
    map: Path | None = None
    full: bool = False
    strict: bool = False
    vectors: bool = True


def calls_folder(settings: Settings) -> Path:
    """Where the calls of this set-up are kept."""
    return settings.directorio_estado / "llamadas"


def load_calls(settings: Settings, options: LoadOptions, progress: Show | None = None) -> str:
    """Load a log and index its narratives; what to tell. Raises `UsageError` or `DependencyError`.

    What was loaded before stays whatever happens, but with `full`, which forgets it once the file is known to be a log.
    """
    require_packages()
    from core.calls.loading import Loader
    from core.calls.reading import look_at
    from core.privacy import scrub

    mapped = read_map(options.map, settings.directorio_recursos)
    folder = calls_folder(settings)
    with _alone(folder), open_store(folder) as store:
        look_at(options.file, mapped)
        if options.full:
            store.clear()
        step = (lambda done, total: progress("Leyendo llamadas", done, total)) if progress else None
        report = Loader(store, mapped, scrub).load(options.file, strict=options.strict, progress=step)
        if report.added or report.changed or options.full:
            store.keep_fact(_VERSION, f"{datetime.now().astimezone().isoformat()}")
        store.keep_fact("pasos", mapped.pasos.model_dump_json())
        store.commit()
        indexed = _index(settings, store, progress) if options.vectors else None
        total = store.count()
    return _told(settings, report, indexed, total)


def _index(settings: Settings, store: CallStore, progress: Show | None) -> Indexed:
    from core.calls.collection import NarrativeBase
    from core.knowledge import open_client

    step = (lambda done, total: progress("Vectores de llamadas", done, total)) if progress else None
    where = None if settings.vector_db_url else settings.directorio_estado / "qdrant"
    with open_client(where, settings.vector_db_url) as client:
        base = NarrativeBase(client, open_embedder(settings))
        return base.bring_up_to_date(store.groups(), settings.llamadas_vectores, step)


def _told(settings: Settings, report: LoadReport, indexed: Indexed | None, total: int) -> str:
    now = datetime.now().astimezone()
    content = report.model_dump(mode="json") | {"total": total}
    lines = [report.summary(), f"Llamadas guardadas en total: {total}."]
    if indexed:
        content["vectores"] = {
            "nuevos": indexed.embedded, "iguales": indexed.kept, "retirados": indexed.removed,
            "sin_vector": indexed.left_out,
        }  # fmt: skip
        lines.append(f"Relatos distintos con vector: {indexed.embedded + indexed.kept} ({indexed.embedded} nuevos).")
        if indexed.left_out:
            lines.append(
                f"  {indexed.left_out} relatos se quedan sin vector (los menos frecuentes; el límite es "
                f"LLAMADAS_VECTORES={settings.llamadas_vectores})."
            )
    target = settings.directorio_recursos / "reportes" / f"reporte_llamadas_{now:%Y%m%d_%H%M}.json"
    path = write_fresh(target, json.dumps(content, ensure_ascii=False, indent=2) + "\n")
    return "\n".join([*lines, f"Informe: {path}", "Ahora: python main.py --patrones"])


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One load at a time."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / "en_uso.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise DependencyError(f"Otro proceso está cargando llamadas en {folder}. Espere a que termine.") from error
    try:
        yield
    finally:
        lock.release()


def current_patterns(settings: Settings, store: CallStore) -> Found:
    """The patterns of the calls as they are now, worked out anew only where calls or rules have changed."""
    from core.calls.ranking import kept, restored

    rules = Rules(support=settings.llamadas_soporte)
    stamp = f"{store.fact(_VERSION)} {store.fact('pasos')} {rules} {gaps_looked_for()}"
    path = calls_folder(settings) / _CACHE
    try:
        saved = json.loads(path.read_text("utf-8"))
        if saved["sello"] == stamp:
            return restored(json.dumps(saved["patrones"]))
    except (OSError, ValueError, KeyError, TypeError):
        pass  # none yet, or of another version
    scratch = calls_folder(settings)
    with store.counted(scratch) as log:
        found = find_patterns(log, rules, **_named_steps(store), scratch=scratch)
    write_whole(path, json.dumps({"sello": stamp, "patrones": json.loads(kept(found))}, ensure_ascii=False))
    return found


def _named_steps(store: CallStore) -> dict[str, tuple[str, ...]]:
    text = store.fact("pasos")
    steps = CallMap.model_validate({"pasos": json.loads(text)}).pasos if text else CallMap().pasos
    return {"causes": steps.causas, "outcomes": steps.desenlaces}


@contextmanager
def loaded_calls(settings: Settings) -> Iterator[CallStore]:
    """The store, where calls were loaded. Raises `UsageError` where there are none."""
    require_packages()
    folder = calls_folder(settings)
    if not (folder / "llamadas.db").exists():
        raise UsageError("No hay llamadas cargadas. Ejecute antes: python batch.py --llamadas FICHERO.csv")
    with open_store(folder) as store:
        if not store.count():
            raise UsageError("No hay llamadas cargadas. Ejecute antes: python batch.py --llamadas FICHERO.csv")
        yield store


def show_patterns(settings: Settings, options: argparse.Namespace) -> int:
    """`python main.py --patrones`."""
    from rich.console import Console

    from core.calls.flow import draw
    from core.calls.outcome_steps import Outcomes
    from core.calls.ranking import as_json, table, told, write

    now = datetime.now().astimezone()
    with loaded_calls(settings) as store:
        found = current_patterns(settings, store)
        report, rows = write(found, settings.directorio_recursos / "reportes", now)
        with store.counted(calls_folder(settings)) as log:
            picture = draw(log, Outcomes(dict(found.outcomes)), found.patterns, report.with_suffix(".png"))
    if options.json:
        sys.stdout.write(json.dumps(as_json(found, now), ensure_ascii=False) + "\n")
        return 0
    console = Console()
    for line in told(found):
        console.print(line, markup=False, highlight=False)
    if found.patterns:
        console.print(table(found))
    console.print(f"Escrito: {report}, {rows.name} y {picture.name}", markup=False, highlight=False, soft_wrap=True)
    return 0


async def explain_call(settings: Settings, options: argparse.Namespace) -> int:
    """`python main.py --llamada "…"`."""
    from core.calls.answer import as_json, lines
    from core.calls.call import read_call

    call = read_call(options.llamada, code=options.error or "", segment=options.segmento or "", kind=options.tipo or "")
    if not call.steps:
        raise UsageError('Diga los pasos de la llamada, por ejemplo: --llamada "Inicio -> Menú pagos -> Error 503"')
    answered = await answer(settings, call)
    if options.json:
        sys.stdout.write(json.dumps(as_json(answered), ensure_ascii=False) + "\n")
    else:
        sys.stdout.write("\n".join(lines(answered)) + "\n")
    return 0


async def answer(settings: Settings, call: "Call") -> "Answer":
    """`call` explained from what is loaded, and kept so that a person can rate it."""
    from core.calls.answer import Answer
    from core.calls.explain import explain

    started = perf_counter()
    with loaded_calls(settings) as store:
        found = current_patterns(settings, store)
        call = store.names(call.steps).placed(call)
        async with AsyncExitStack() as stack:
            base = stack.enter_context(_narratives(settings))
            patterns = found.patterns
            explanation = await explain(call, base, patterns, None)
            trouble = ""
            if explanation.grounded:
                try:
                    tasks = await stack.enter_async_context(open_tasks(settings))
                    explanation = await explain(call, base, patterns, tasks.explain_call)
                except DependencyError as error:
                    trouble = str(error)
            if trouble:
                explanation = replace(explanation, trouble=trouble)
        past = [store.alike(one.narrative) for one in explanation.similar]
    seconds = perf_counter() - started
    return Answer(explanation, past, _recorded(settings, explanation, seconds), seconds)


def _recorded(settings: Settings, found: "Explanation", seconds: float) -> str:
    """Keep the explanation with what it rested on; its id."""
    from core.calls.call import steps_told
    from core.calls.explain import NO_EVIDENCE
    from core.feedback import open_feedback

    scores = {f"L{i}": past.score for i, past in enumerate(found.similar, start=1)}
    retrieved = [{"id": name, "texto": text, "parecido": scores.get(name)} for name, text in found.evidence.items()]
    said = "\n".join(f"{claim.cause} [{', '.join(claim.evidence)}]" for claim in found.claims)
    with open_feedback(open_database(settings)) as feedback:
        return feedback.record(
            "llamada",
            steps_told(found.call),
            retrieved,
            said or NO_EVIDENCE,
            answered=bool(found.claims),
            out_of_context=bool(found.dropped),
            seconds=seconds,
        )


@contextmanager
def _narratives(settings: Settings) -> "Iterator[NarrativeBase | None]":
    """The narratives, where some were indexed."""
    from core.calls.collection import NarrativeBase
    from core.knowledge import open_client

    where = None if settings.vector_db_url else settings.directorio_estado / "qdrant"
    with open_client(where, settings.vector_db_url) as client:
        base = NarrativeBase(client, open_embedder(settings))
        yield base if base.exists() else None


def analyse(call_type: str, failure_step: str, failure_reason: str, customer_segment: str) -> dict[str, Any]:
    """`core.calls.analizar_fallo_rapido`, from threads and from notebooks, too."""
    from config import load_settings
    from core.calls.answer import as_json
    from core.calls.call import read_call

    call = read_call(failure_step, code=failure_reason, segment=customer_segment, kind=call_type)
    if not call.steps:
        raise UsageError("failure_step no puede ir vacío: diga en qué paso falló la llamada.")
    settings = load_settings()
    with ThreadPoolExecutor(max_workers=1) as thread:  # a notebook has a running loop of its own
        return as_json(thread.submit(asyncio.run, answer(settings, call)).result())
