"""The log while Loki is away in the middle of a run, while it never answers, and what a line costs.

The runs are those of `bench.orchestration`, with hashed vectors; the fake Loki has a process of its own.
"""

import asyncio
import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median
from tempfile import TemporaryDirectory
from typing import Any, Self

from api.memory import MemoryDesk
from bench.model_server import MODEL, model_server
from bench.orchestration import bench_pipeline, derived_incidents
from bench.result import Measure
from bench.synthetic import HashEmbedder
from config import ROOT, Settings, load_settings
from core.batch import CATALOGUE, fixes_beside, read_inputs
from core.build import open_knowledge
from core.run import Run, Selection, select
from core.trace import tracing
from observabilidad.fake_loki import LokiProcess, loki_process
from observabilidad.logs import configure_logs
from observabilidad.resend import Stretch, record_files, resend, sender

logger = logging.getLogger("core.banco")

_LATENCY_S, _SLOTS = 0.2, 8
_PER_SECOND = 10.5
"""Incidents that the model server lets through, roughly."""
_BEFORE_S, _AFTER_S = 5.0, 10.0
_WARM = 8
"""Incidents worked before the clock starts."""
_FLOOD = 60_000
"""Lines: three times what may wait."""
_COSTED = 5_000


@dataclass(frozen=True)
class _Ran:
    """One run with its log."""

    wall: float
    cpu: float
    written: list[str]
    kept: list[str]
    """In Loki when the process had ended."""


def measure_record(outage: float) -> list[Measure]:
    """`outage`: seconds that Loki is away in the first part. Raises `DependencyError` when a part cannot be built."""
    with TemporaryDirectory(prefix="spai-bench-") as folder:
        place = Path(folder)
        return [*_outage(place, outage), *_black_hole(place), *_cost(place)]


def _outage(folder: Path, seconds: float) -> list[Measure]:
    """Three runs at once, one of them with the outage: whatever else the machine does, it does to all of them."""
    incidents = round((_BEFORE_S + seconds + _AFTER_S) * _PER_SECOND)
    with ExitStack() as stack:
        runs = [stack.enter_context(_Twin(folder / name, incidents)) for name in ("con", "corte", "sin")]
        for run in runs:
            run.wait()
        for run in runs:
            run.start()
        stack.enter_context(_away(runs[1].loki, seconds))
        one, cut, other = (run.end() for run in runs)
    slower = cut.wall / mean([one.wall, other.wall]) - 1
    missing = set(cut.written) - set(cut.kept)
    came = 1 - len(missing) / len(cut.written)
    left, doubled = _after_resend(folder / "corte" / "logs" / "spai.jsonl", cut)
    facts = {
        "incidencias": incidents,
        "corte_s": seconds,
        "lineas": len(cut.written),
        "segundos": {"con_corte": cut.wall, "sin_corte": [one.wall, other.wall]},
        "cpu_segundos": {"con_corte": cut.cpu, "sin_corte": [one.cpu, other.cpu]},
    }
    name = f"registro, Loki falta {seconds:.0f} s de {cut.wall:.0f}"
    ended = sum('"incident_done"' in line for line in cut.written) - _WARM
    return [
        Measure(
            f"{name}: lo que se alarga la ejecución, frente a dos a la vez sin corte",
            "≤ 2 %",
            f"{slower:+.1%} (de una de las dos a la otra, {other.wall / one.wall - 1:+.1%}); "
            f"CPU {cut.cpu / mean([one.cpu, other.cpu]) - 1:+.1%} ({other.cpu / one.cpu - 1:+.1%})",
            slower,
            slower <= 0.02,
            facts,
        ),
        Measure(f"{name}: incidencias en el disco", "todas", f"{ended} de {incidents}", ended, ended == incidents),
        Measure(f"{name}: líneas en Loki sin ayuda", "≥ 95 %", f"{came:.2%} de {len(cut.written)}", came, came >= 0.95),
        Measure(f"{name}: faltan tras reenviar", "0", f"{left}; repetidas {doubled}", left, left == doubled == 0),
    ]


class _Twin:
    """A run in a process of its own, with a model server and a Loki of its own."""

    def __init__(self, folder: Path, incidents: int) -> None:
        self._folder = folder
        self._incidents = incidents
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self.loki = self._stack.enter_context(loki_process(ROOT))
        model = self._stack.enter_context(model_server(_LATENCY_S, _SLOTS))
        self._process = self._stack.enter_context(_child(self.loki.url, model, self._folder, str(self._incidents)))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def wait(self) -> None:
        """Until its parts are loaded."""
        _read(self._process)

    def start(self) -> None:
        """Lets it go."""
        assert self._process.stdin is not None
        self._process.stdin.write("ya\n")
        self._process.stdin.flush()

    def end(self) -> _Ran:
        """What came of it, once the process is gone."""
        told = _read(self._process)
        self._process.communicate(timeout=120)
        written = (self._folder / "logs" / "spai.jsonl").read_text("utf-8").splitlines()
        return _Ran(told["segundos"], told["cpu"], written, self.loki.order("lineas")["lineas"])


def _child(*arguments: str | Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "bench.record", *map(str, arguments)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def _read(process: "subprocess.Popen[str]") -> dict[str, Any]:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"El banco del registro no arranca: {process.communicate()[1]}")
    told: dict[str, Any] = json.loads(line)
    return told


def _tell(**facts: object) -> None:
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


@contextmanager
def _away(loki: LokiProcess, seconds: float) -> Iterator[None]:
    """Goes away after `_BEFORE_S` and comes back."""
    ended = threading.Event()

    def play() -> None:
        ended.wait(_BEFORE_S)
        loki.order("caer")
        ended.wait(seconds)
        loki.order("volver")

    thread = threading.Thread(target=play)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _after_resend(path: Path, ran: _Ran) -> tuple[int, int]:
    """Lines that a Loki lacks that had what `ran` left there and then got the record again; and those that doubled."""
    with loki_process(ROOT) as loki:
        send = sender(loki.url, "DESA")
        first = path.with_name("llegadas.jsonl")
        first.write_text("".join(line + "\n" for line in ran.kept), "utf-8")
        resend([first], Stretch(), send)
        resend(record_files(path), Stretch(), send)
        kept: list[str] = loki.order("lineas")["lineas"]
    return len(set(ran.written) - set(kept)), len(kept) - len(set(ran.written))


def _settings(folder: Path, model: str) -> Settings:
    return load_settings(
        entorno="DESA",
        directorio_estado=folder,
        directorio_recursos=folder / "recursos",
        llm_provider="openai",
        llm_model=MODEL,
        openai_base_url=f"{model}/v1",
        vector_db_url=None,
    )


async def _work(settings: Settings, incidents: int, ready: Callable[[], object]) -> tuple[float, float]:
    """Wall and CPU seconds of a run, from the first incident to the report; `ready` is called before it."""
    embedder, desk, warm = (
        HashEmbedder(),
        MemoryDesk(derived_incidents(incidents)),
        MemoryDesk(derived_incidents(_WARM)),
    )
    with open_knowledge(settings, embedder) as knowledge:
        resources = ROOT / "resources"
        knowledge.build(read_inputs(resources / CATALOGUE, fixes_beside(resources)).entries)
        async with bench_pipeline(settings, knowledge, embedder, warm) as (pipeline, hands):
            run = Run(settings.directorio_recursos, "banco", hands)
            await run.over(await select(warm, Selection()), pipeline.work, asyncio.Event())
        async with bench_pipeline(settings, knowledge, embedder, desk) as (pipeline, hands):
            ready()
            run = Run(settings.directorio_recursos, "banco", hands)
            start, cpu = time.perf_counter(), time.process_time()
            with run.told():
                await run.over(await select(desk, Selection()), pipeline.work, asyncio.Event())
            return time.perf_counter() - start, time.process_time() - cpu


def _run(url: str, model: str, folder: Path, incidents: int) -> None:
    """In a process of its own: says when it is ready, and what it took."""

    def ready() -> None:
        _tell(listo=True)
        sys.stdin.readline()

    with configure_logs(folder / "logs", loki_url=url):
        wall, cpu = asyncio.run(_work(_settings(folder, model), incidents, ready))
    _tell(segundos=round(wall, 3), cpu=round(cpu, 3))


def _black_hole(folder: Path) -> list[Measure]:
    """A process that works incidents and then logs more than may wait, to a Loki that takes connections only."""
    with loki_process(ROOT) as loki, model_server(_LATENCY_S, _SLOTS) as model:
        loki.order("callar")
        with _child(loki.url, model, folder / "agujero") as process:
            facts = _read(process)
            ended = time.perf_counter()
            closed = _read(process)["cierre"]
            _, told = process.communicate(timeout=120)
            seconds = time.perf_counter() - ended
    grown, more = facts["mib"][1] - facts["mib"][0], facts["mib"][2] - facts["mib"][1]
    facts |= {"dicho": told.strip().splitlines()[-1:], "codigo": process.returncode}
    return [
        Measure(
            f"registro, Loki no contesta: memoria con {_FLOOD} líneas",
            "acotada",
            f"{grown:+.0f} MiB al llenarse la cola (20000), {more:+.0f} con el doble de líneas más",
            more,
            more <= 0.1 * max(grown, 50),
            facts,
        ),
        Measure(
            "registro, Loki no contesta: del fin de la ejecución a la salida",
            "≤ 10 s",
            f"{seconds:.1f} s: {closed:.1f} el registro y el resto Python al terminar",
            seconds,
            seconds <= 10 and process.returncode == 0,
        ),
    ]


def _drown(url: str, model: str, folder: Path) -> None:
    """In a process of its own: says what memory it takes when the work is done, and ends."""
    with configure_logs(folder / "logs", loki_url=url):
        wall, _ = asyncio.run(_work(_settings(folder, model), 40, lambda: None))
        marks = [_resident()]
        for thirds in (1, 2):
            for number in range(_FLOOD * thirds // 3):
                _say(number)
            marks.append(_resident())
        _tell(segundos=round(wall, 2), mib=[round(mark, 1) for mark in marks])
        start = time.perf_counter()
    _tell(cierre=round(time.perf_counter() - start, 2))


def _resident() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def _say(number: int) -> None:
    facts = {"task": "judge", "model": MODEL, "prompt_version": "0123456789ab", "tokens_in": number, "tokens_out": 1}
    logger.info("llamada al modelo", extra={"action": "model_called", **facts, "ms": 200.5, "failed": False})


def _cost(folder: Path) -> list[Measure]:
    """What the caller of `logger.info` waits for and works, and what the whole process works, sending included."""
    wall, cpu = [0.0] * _COSTED, [0.0] * _COSTED
    with loki_process(ROOT) as loki:
        with configure_logs(folder / "coste", loki_url=loki.url), tracing(run="banco", incident="INC-1", stage="judge"):
            for number in range(200):
                _say(number)
            process = time.process_time()
            for number in range(_COSTED):
                start, begun = time.perf_counter(), time.thread_time()
                _say(number)
                wall[number], cpu[number] = time.perf_counter() - start, time.thread_time() - begun
        whole = (time.process_time() - process) / _COSTED * 1000
    each, worked = 1000 * median(wall), 1000 * median(cpu)
    p99 = 1000 * sorted(wall)[_COSTED * 99 // 100]
    return [
        Measure(
            "registro: coste de una línea, mediana",
            "≤ 0.2 ms",
            f"{each:.3f} ms (p99 {p99:.2f}), {worked:.3f} de CPU; con el envío, {whole:.3f} de CPU",
            each,
            each <= 0.2 and worked <= 0.2,
        )
    ]


if __name__ == "__main__":
    _url, _model, _folder, *_incidents = sys.argv[1:]
    if _incidents:
        _run(_url, _model, Path(_folder), int(_incidents[0]))
    else:
        _drown(_url, _model, Path(_folder))
