"""`python -m bench.llamadas.generar`: a CSV of invented calls, and a file of the faults planted in it."""

import argparse
import csv
import io
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TextIO

import numpy as np

from bench.llamadas.generate import BASE_RATE, PART, Calls, in_parts
from bench.llamadas.world import SEGMENTS, TYPES, Planted
from core.calls.pattern import ARROW
from core.command_line import Parser, exit_code
from core.files import atomic_writer, write_whole

_COLUMNS = (
    "call_id", "steps_history", "final_status", "error_code", "user_segment", "call_type", "timestamp", "duration",
    "notes",
)  # fmt: skip
_NOTES = (
    "El cliente dice que se ha quedado esperando y nadie le contesta",
    "Se corta al confirmar, es la segunda vez hoy",
    "Pide que le llamen al {phone}",
    "Comunica que su DNI {nif} no se reconoce",
    "Insiste en hablar con una persona",
)
_START = datetime(2026, 3, 2, tzinfo=UTC)
_EXAMPLES = """\
ejemplos:
  python -m bench.llamadas.generar                       50 000 llamadas con 6 fallos plantados, en var/demo/
  python -m bench.llamadas.generar --filas 1000000 --semilla 3 --salida /tmp/muchas.csv
  python -m bench.llamadas.generar --fallos 0            sin ningún fallo plantado: no debe encontrarse nada

Junto al CSV queda FICHERO.plantado.json: cada fallo con sus pasos, su parte de las llamadas y cuánto más fallan.
Todo es inventado; con la misma semilla sale lo mismo.
códigos de salida: 0 hecho; 2 uso incorrecto; 3 no se puede escribir
"""


def _rows(calls: Calls, seed: int, part: int) -> Iterator[list[str]]:
    """The calls as lines of the CSV, under `_COLUMNS`."""
    rng = np.random.default_rng([seed, 1, part] if part else [seed, 1])
    count = len(calls.steps)
    minutes = rng.integers(0, 60, count)
    days = rng.integers(0, 28, count)
    notes = np.where(calls.failed & (rng.random(count) < 0.05), rng.integers(0, len(_NOTES), count), -1)
    for i, steps in enumerate(calls.steps):
        when = _START + timedelta(days=int(days[i]), hours=int(calls.hour[i]), minutes=int(minutes[i]))
        note = _NOTES[notes[i]].format(phone=_phone(rng), nif=_nif(rng)) if notes[i] >= 0 else ""
        yield [
            f"LL-{seed:02d}-{part * PART + i:07d}", ARROW.join(steps), "failed" if calls.failed[i] else "success",
            calls.error[i], SEGMENTS[calls.segment[i]], TYPES[calls.kind[i]], when.strftime("%Y-%m-%dT%H:%M:%S"),
            str(20 + 15 * len(steps)), note,
        ]  # fmt: skip


def _phone(rng: np.random.Generator) -> str:
    return f"6{rng.integers(10_000_000, 99_999_999)}"


def _nif(rng: np.random.Generator) -> str:
    number = int(rng.integers(10_000_000, 99_999_999))
    return f"{number}{'TRWAGMYFPDXBNJZSQVHLCKE'[number % 23]}"


@dataclass
class Written:
    """What went into a file: sums over its parts."""

    calls: int = 0
    failed: int = 0
    planted: tuple[Planted, ...] = ()
    met: list[int] = field(default_factory=list)
    """Calls that meet each planted fault."""

    def add(self, part: Calls) -> None:
        """Count a part."""
        self.calls += len(part.steps)
        self.failed += int(part.failed.sum())
        self.planted = part.planted
        before = self.met or [0] * len(part.planted)
        self.met = [n + int(more) for n, more in zip(before, part.met.sum(axis=0), strict=True)]


def write_csv(stream: TextIO, parts: Iterable[Calls], seed: int) -> Written:
    """Write the calls, a part in memory at a time."""
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(_COLUMNS)
    written = Written()
    for number, calls in enumerate(parts):
        writer.writerows(_rows(calls, seed, number))
        written.add(calls)
    return written


def planted(written: Written, seed: int) -> dict[str, object]:
    """What was planted."""
    return {
        "semilla": seed,
        "llamadas": written.calls,
        "tasa_base": BASE_RATE,
        "fallos": [
            {
                "patron": str(fault.condition),
                "clase": fault.condition.kind.value,
                "pasos": list(fault.condition.steps),
                "atributo": fault.condition.attribute.value if fault.condition.attribute else None,
                "valores": list(fault.condition.values),
                "soporte": round(calls / written.calls, 5),
                "veces": round(fault.lift, 3),
                "tasa": round(fault.rate, 4),
                "error": fault.code,
            }
            for fault, calls in zip(written.planted, written.met, strict=True)
        ],
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when both files are written."""
    parser = Parser(
        prog="python -m bench.llamadas.generar",
        description="Genera llamadas inventadas con fallos plantados.",
        epilog=_EXAMPLES,
    )
    parser.add_argument("--salida", type=Path, default=Path("var/demo/llamadas.csv"), metavar="FILE", help="el CSV")
    parser.add_argument("--semilla", type=int, default=1, metavar="N", help="(1)")
    parser.add_argument("--filas", type=_count, default=50_000, metavar="N", help="llamadas (50000)")
    parser.add_argument("--fallos", type=int, default=6, choices=range(13), metavar="N", help="plantados, 0–12 (6)")
    options = parser.parse_args(arguments)
    return exit_code(lambda: _write(options), interrupted="Interrumpido: no queda ningún fichero a medias.")


def _count(text: str) -> int:
    if not text.isdecimal() or not 100 <= int(text) <= 5_000_000:
        raise argparse.ArgumentTypeError("debe ser un número de 100 a 5000000")
    return int(text)


def _write(options: argparse.Namespace) -> None:
    with atomic_writer(options.salida) as binary:
        stream = io.TextIOWrapper(binary, "utf-8", newline="")
        written = write_csv(stream, in_parts(options.semilla, options.filas, options.fallos), options.semilla)
        stream.detach()  # writes what it holds back; the file is not its own to close
    told = options.salida.with_suffix(".plantado.json")
    write_whole(told, json.dumps(planted(written, options.semilla), ensure_ascii=False, indent=2) + "\n")
    print(f"{options.salida}: {written.calls} llamadas, {written.failed} fallidas")
    print(f"{told}: {len(written.planted)} fallos plantados")
    print(f"Ahora: python batch.py --llamadas {options.salida}")


if __name__ == "__main__":
    sys.exit(main())
