"""The figures of the calls: what is found, how fast, how much memory, how alike the similar calls are."""

import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from bench.llamadas.finding import Score, measure, tallied
from bench.llamadas.generar import write_csv
from bench.llamadas.generate import Calls, generate, in_parts
from bench.llamadas.world import SEGMENTS, TYPES
from bench.result import Measure
from config import ROOT, load_settings
from core.build import open_embedder
from core.calls.call import Call
from core.calls.collection import NarrativeBase
from core.calls.group import Group
from core.calls.loading import Loader
from core.calls.mapping import CallMap
from core.calls.narrative import narrative
from core.calls.patterns import find_patterns
from core.calls.similar import similar_calls
from core.calls.store import open_store
from core.knowledge import open_client
from core.ports import Embedder
from core.privacy import scrub

SEEDS = range(20)
"""Those reported; development used 100 and above."""
_BATCH = 32


def measure_finding(seeds: Sequence[int] = SEEDS, count: int = 50_000) -> list[Measure]:
    """Planted faults found and false discoveries, and what is found where nothing is planted."""
    scores = [measure(generate(seed, count)) for seed in seeds]
    hard = [measure(generate(seed, count, support=(0.005, 0.01), lift=(2.0, 2.5))) for seed in seeds[::4]]
    empty = [measure(generate(seed, count, faults=0)) for seed in seeds]
    clean = sum(not score.reported for score in empty)
    asked = int(np.ceil(0.95 * len(empty)))
    return [
        *_found(f"llamadas: fallos plantados ({len(seeds)} semillas, {count} llamadas)", scores, asked=True),
        *_found("llamadas: solo los más difíciles (soporte 0,5–1 %, veces 2–2,5)", hard, asked=False),
        Measure(
            "llamadas: sin nada plantado, semillas sin ningún patrón",
            f"≥ {asked} de {len(empty)}",
            f"{clean} de {len(empty)}",
            clean,
            clean >= asked,
            {"patrones": [list(score.wrong) for score in empty]},
        ),
    ]


def _found(name: str, scores: Sequence[Score], *, asked: bool) -> list[Measure]:
    planted, found = sum(s.planted for s in scores), sum(s.found for s in scores)
    reported, false = sum(s.reported for s in scores), sum(s.false for s in scores)
    share, wrong = found / max(planted, 1), false / max(reported, 1)
    facts = {"no_hallados": [s.missed for s in scores if s.missed], "falsos": [s.wrong for s in scores if s.wrong]}
    return [
        Measure(name, "≥ 95 %" if asked else "—", f"{share:.1%} ({found} de {planted})", share,
                share >= 0.95 if asked else None, facts),
        Measure(f"{name}: descubrimientos falsos", "≤ 5 %" if asked else "—", f"{wrong:.1%} ({false} de {reported})",
                wrong, wrong <= 0.05 if asked else None),
    ]  # fmt: skip


def measure_loading(sizes: Sequence[int] = (100_000, 1_000_000), seed: int = 0) -> list[Measure]:
    """Calls per second from the CSV to the patterns, without vectors, and the most memory it takes, a process each."""
    peaks, measures = [], []
    with TemporaryDirectory(prefix="spai-bench-") as folder:
        source = Path(folder) / "llamadas.csv"
        for size in sizes:
            _write(source, seed, size)
            one = loaded_apart(source, Path(folder) / f"estado{size}")
            peaks.append(one.peak_mb)
            facts = {
                "llamadas": size, "recorridos": one.ways, "segundos": one.wall, "segundos_cpu": one.cpu,
                "memoria_mb": one.peak_mb,
            }  # fmt: skip
            rate = size / one.cpu  # of one core: what else runs on the machine does not count
            told = f"{rate:,.0f} llamadas por segundo de CPU ({one.cpu:.1f} s; {one.wall:.1f} s de reloj; "
            told += f"{one.peak_mb:.0f} MB; {one.ways} recorridos distintos)"
            last = size == max(sizes)
            measures.append(
                Measure(f"llamadas: carga y patrones ({size})", "≥ 50 000/s" if last else "—", told, rate,
                        rate >= 50_000 if last else None, facts)
            )  # fmt: skip
    growth = peaks[-1] / peaks[0]
    asked = f"{sizes[0]} → {sizes[-1]}"
    flat = Measure(f"llamadas: memoria de {asked}", "plana (≤ 1,10)", f"x {growth:.2f}", growth, growth <= 1.1)
    return [*measures, flat]


def _write(path: Path, seed: int, size: int) -> None:
    """`size` calls as CSV, without planted faults."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        write_csv(stream, in_parts(seed, size, 0), seed)


@dataclass(frozen=True)
class Loaded:
    """What loading a log and finding its patterns took, in a process of its own."""

    wall: float
    """Seconds."""
    cpu: float
    peak_mb: float
    ways: int
    """Different histories."""


def loaded_apart(source: Path, state: Path) -> Loaded:
    """Load `source` into a new store under `state` and find its patterns."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.llamadas.measures", str(source), str(state)],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    wall, cpu, ways, peak = map(float, done.stdout.split())
    return Loaded(wall, cpu, peak, int(ways))


def load_and_find(source: Path, state: Path) -> tuple[float, float, int]:
    """Wall and CPU seconds of loading `source` into a new store and finding its patterns, libraries loaded before; and
    the distinct histories."""
    import pandas
    import scipy.sparse
    import scipy.special
    import scipy.stats

    del pandas, scipy
    wall, cpu = time.perf_counter(), time.process_time()
    with open_store(state) as store:
        Loader(store, CallMap(), scrub).load(source)
        with store.counted(state) as log:
            find_patterns(log, scratch=state)
        ways = store.ways()
    return time.perf_counter() - wall, time.process_time() - cpu, ways


def _peak_mb() -> float:
    """The most memory that this process has held. On Linux alone: `ru_maxrss` begins with what the process that started
    this one held, and a bench holds more than what it measures."""
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) / 1024


def measure_vectors(narratives: int = 150, rounds: int = 3, embedder: Embedder | None = None) -> list[Measure]:
    """Narratives per second into the collection over those of the bare embedder, by CPU seconds: what else runs on the
    machine does not count. The median of `rounds` of each, in turn."""
    embedder = embedder or open_embedder(load_settings())
    bare, built = [], []
    with TemporaryDirectory(prefix="spai-bench-") as folder:
        _write(Path(folder) / "llamadas.csv", 0, 5_000)
        with open_store(Path(folder) / "estado") as store:
            Loader(store, CallMap(), scrub).load(Path(folder) / "llamadas.csv")
            groups = list(store.groups())[:narratives]
        texts = [narrative(group, embedder.version).embed_text for group in groups]
        embedder.passages(texts[:1])
        for number in range(rounds):
            start = time.process_time()
            for first in range(0, len(texts), _BATCH):
                embedder.passages(texts[first : first + _BATCH])
            bare.append(time.process_time() - start)
            with open_client(Path(folder) / f"qdrant{number}", None) as client:
                start = time.process_time()
                NarrativeBase(client, embedder).bring_up_to_date(groups, narratives)
                built.append(time.process_time() - start)
    share = float(np.median(bare) / np.median(built))
    rates = [narratives / float(np.median(one)) for one in (built, bare)]
    told = f"{share:.1%} ({rates[0]:.0f} relatos por segundo de CPU de {rates[1]:.0f})"
    facts = {"relatos": narratives, "segundos_cpu_modelo_solo": bare, "segundos_cpu_construir": built}
    name = f"llamadas: ritmo de los vectores ({narratives} relatos)"
    return [Measure(name, "≥ 85 %", told, share, share >= 0.85, facts)]


def measure_similar(
    seed: int = 0, narratives: int = 1_500, asked: int = 100, embedder: Embedder | None = None
) -> list[Measure]:
    """Of the five past calls shown for a failure that a planted fault caused, the share with that fault's condition.

    `narratives` failed calls drawn from all are indexed, those asked about not among them. Hours are not looked at: a
    narrative has none.
    """
    embedder = embedder or open_embedder(load_settings())
    calls = generate(seed)
    patterns = find_patterns(tallied(calls)).patterns
    rng = np.random.default_rng([seed, 2])
    questions = rng.permutation(np.flatnonzero(calls.cause >= 0))[:asked]
    others = rng.permutation(np.setdiff1d(np.flatnonzero(calls.failed), questions))[:narratives]
    shares = []
    with TemporaryDirectory(prefix="spai-bench-") as folder, open_client(Path(folder), None) as client:
        base = NarrativeBase(client, embedder)
        base.bring_up_to_date([_group(calls, i) for i in others.tolist()], narratives)
        for i in questions.tolist():
            fault = calls.planted[calls.cause[i]].condition
            one = _group(calls, i)
            call = Call(one.steps, one.code, one.segment, one.kind, int(calls.hour[i]))
            past = [found.narrative for found in similar_calls(call, base, patterns)]
            alike = [fault.completed(n.steps) > 0 and fault.has(n.segment, n.kind, call.hour) for n in past]
            shares.append(sum(alike) / 5)
    share = float(np.mean(shares))
    facts = {"preguntas": asked, "relatos": narratives}
    name = "llamadas: de las 5 más parecidas, comparten la causa"
    return [Measure(name, "≥ 90 %", f"{share:.1%}", share, share >= 0.9, facts)]


def _group(calls: Calls, i: int) -> Group:
    segment, kind = SEGMENTS[calls.segment[i]], TYPES[calls.kind[i]]
    return Group(calls.steps[i], segment, kind, calls.error[i], "", bool(calls.failed[i]), 1)


def measure_calls() -> list[Measure]:
    """All of them."""
    return [*measure_finding(), *measure_loading(), *measure_vectors(), *measure_similar()]


if __name__ == "__main__":  # a process of its own for `loaded_apart`
    seconds = load_and_find(Path(sys.argv[1]), Path(sys.argv[2]))
    print(*seconds, _peak_mb())
