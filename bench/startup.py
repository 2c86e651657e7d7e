"""How long the doors take to answer `--help`, and all their parts to be imported."""

import subprocess
import sys
import time
from collections.abc import Sequence
from statistics import median

from bench.result import Measure
from config import ROOT

_PARTS = "core.session, core.pipeline, core.attachments, llm.provider, llm.tasks, llm.ocr, api.gestor_incidencias"
_ASKED_S = 0.5


def measure_startup(times: int = 5) -> list[Measure]:
    """Best and median of `times` runs of each; what is asked is asked of the median."""
    commands = {
        "python main.py --help": ("main.py", "--help"),
        "python batch.py --help": ("batch.py", "--help"),
        "importar todas las partes": ("-c", f"import {_PARTS}"),
    }
    return [_measure(name, arguments, times) for name, arguments in commands.items()]


def _measure(name: str, arguments: Sequence[str], times: int) -> Measure:
    seconds = sorted(_run(arguments) for _ in range(times))
    middle = median(seconds)
    asked = "main.py" in arguments
    return Measure(
        f"arranque: {name}",
        f"< {_ASKED_S} s" if asked else "—",
        f"mediana {middle:.2f} s, mejor {seconds[0]:.2f} s",
        middle,
        middle < _ASKED_S if asked else None,
        {"segundos": seconds},
    )


def _run(arguments: Sequence[str]) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], cwd=ROOT, check=True, stdout=subprocess.DEVNULL, timeout=120)
    return time.perf_counter() - start
