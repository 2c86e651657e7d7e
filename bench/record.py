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
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median
from tempfile import TemporaryDirectory
from typing import Any

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
    """In Loki when the process let go of the log."""


def measure_record(outage: float) -> list[Measure]:
    """`outage`: seconds that Loki is away in the first part. Raises `DependencyError` when a part cannot be built."""
    with TemporaryDirectory(prefix="spai-bench-") as folder, model_server(_LATENCY_S, _SLOTS) as model:
        place = Path(folder)
        return [*_outage(place, model, outage), *_black_hole(place, model), *_cost(place)]


def _outage(folder: Path, model: str, seconds: float) -> list[Measure]:
    """The run with the outage between two without: the machine's other work must not pass for ours."""
    incidents = round((_BEFORE_S + seconds + _AFTER_S) * _PER_SECOND)
    _run(folder / "calentar", model, 16)
    before = _run(folder / "antes", model, incidents)
    cut = _run(folder / "corte", model, incidents, outage=seconds)
    after = _run(folder / "despues", model, incidents)
    slower = cut.wall / mean([before.wall, after.wall]) - 1
    missing = set(cut.written) - set(cut.kept)
    came = 1 - len(missing) / len(cut.written)
    left, doubled = _after_resend(folder / "corte" / "logs" / "spai.jsonl", cut)
    facts = {
        "incidencias": incidents,
        "corte_s": seconds,
        "lineas": len(cut.written),
        "segundos": [round(ran.wall, 2) for ran in (before, cut, after)],
        "cpu_segundos": [round(ran.cpu, 2) for ran in (before, cut, after)],
        "ruido": round(abs(after.wall / before.wall - 1), 4),
    }
    name = f"registro, Loki falta {seconds:.0f} s de {cut.wall:.0f}"
    ended = sum('"incident_done"' in line for line in cut.written)
    return [
        Measure(
            f"{name}: lo que se alarga la ejecución",
            "≤ 2 %",
            f"{slower:+.1%} (entre dos sin corte, {after.wall / before.wall - 1:+.1%}); "
            f"CPU {cut.cpu / mean([before.cpu, after.cpu]) - 1:+.1%}",
            slower,
            slower <= 0.02,
            facts,
        ),
        Measure(f"{name}: incidencias en el disco", "todas", f"{ended} de {incidents}", ended, ended == incidents),
        Measure(f"{name}: líneas en Loki sin ayuda", "≥ 95 %", f"{came:.2%} de {len(cut.written)}", came, came >= 0.95),
        Measure(
            f"{name}: faltan tras reenviar",
            "0",
            f"{left}; repetidas {doubled}",
            left,
            left == doubled == 0,
        ),
    ]


def _run(folder: Path, model: str, incidents: int, *, outage: float = 0.0) -> _Ran:
    with loki_process(ROOT) as loki, configure_logs(folder / "logs", loki_url=loki.url) as log:
        with _away(loki, outage) if outage else tracing():
            wall, cpu = asyncio.run(_work(_settings(folder, model), incidents))
        log.close()
        written = log.path.read_text("utf-8").splitlines()
        return _Ran(wall, cpu, written, loki.order("lineas")["lineas"])


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


async def _work(settings: Settings, incidents: int) -> tuple[float, float]:
    """Wall and CPU seconds of a run, from the first incident to the report."""
    embedder, desk = HashEmbedder(), MemoryDesk(derived_incidents(incidents))
    with open_knowledge(settings, embedder) as knowledge:
        resources = ROOT / "resources"
        knowledge.build(read_inputs(resources / CATALOGUE, fixes_beside(resources)).entries)
        async with bench_pipeline(settings, knowledge, embedder, desk) as (pipeline, hands):
            run = Run(settings.directorio_recursos, "banco", settings.critic_approval_threshold, hands)
            start, cpu = time.perf_counter(), time.process_time()
            with run.told():
                await run.over(await select(desk, Selection()), pipeline.work, asyncio.Event())
            return time.perf_counter() - start, time.process_time() - cpu


def _black_hole(folder: Path, model: str) -> list[Measure]:
    """A process that works incidents and then logs more than may wait, to a Loki that takes connections only."""
    with loki_process(ROOT) as loki:
        loki.order("callar")
        command = [sys.executable, "-m", "bench.record", loki.url, model, str(folder / "agujero")]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            facts: dict[str, Any] = json.loads(process.stdout.readline())
            ended = time.perf_counter()
            _, told = process.communicate(timeout=60)
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
            f"{seconds:.1f} s",
            seconds,
            seconds <= 10 and process.returncode == 0,
        ),
    ]


def _drown(url: str, model: str, folder: Path) -> None:
    """In the process of its own: a line of JSON when the work is done, then the end."""
    with configure_logs(folder / "logs", loki_url=url):
        wall, _ = asyncio.run(_work(_settings(folder, model), 40))
        marks = [_resident()]
        for thirds in (1, 2):
            for number in range(_FLOOD * thirds // 3):
                _say(number)
            marks.append(_resident())
        sys.stdout.write(json.dumps({"segundos": round(wall, 2), "mib": [round(mark, 1) for mark in marks]}) + "\n")
        sys.stdout.flush()


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
    _drown(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
