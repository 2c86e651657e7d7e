"""`python -m bench.llamadas.generar`: a CSV of invented calls, and a file of the faults planted in it."""

import argparse
import csv
import io
import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from bench.llamadas.generate import BASE_RATE, Calls, generate
from bench.llamadas.world import SEGMENTS, TYPES
from core.calls.pattern import ARROW
from core.command_line import Parser, exit_code
from core.files import write_whole

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


def rows(calls: Calls, seed: int) -> list[list[str]]:
    """The calls as lines of the CSV, under `_COLUMNS`."""
    rng = np.random.default_rng([seed, 1])
    count = len(calls.steps)
    minutes = rng.integers(0, 60, count)
    days = rng.integers(0, 28, count)
    notes = np.where(calls.failed & (rng.random(count) < 0.05), rng.integers(0, len(_NOTES), count), -1)
    lines = []
    for i, steps in enumerate(calls.steps):
        when = _START + timedelta(days=int(days[i]), hours=int(calls.hour[i]), minutes=int(minutes[i]))
        note = _NOTES[notes[i]].format(phone=_phone(rng), nif=_nif(rng)) if notes[i] >= 0 else ""
        lines.append([
            f"LL-{seed:02d}-{i:07d}", ARROW.join(steps), "failed" if calls.failed[i] else "success", calls.error[i],
            SEGMENTS[calls.segment[i]], TYPES[calls.kind[i]], when.strftime("%Y-%m-%dT%H:%M:%S"),
            str(20 + 15 * len(steps)), note,
        ])  # fmt: skip
    return lines


def _phone(rng: np.random.Generator) -> str:
    return f"6{rng.integers(10_000_000, 99_999_999)}"


def _nif(rng: np.random.Generator) -> str:
    number = int(rng.integers(10_000_000, 99_999_999))
    return f"{number}{'TRWAGMYFPDXBNJZSQVHLCKE'[number % 23]}"


def as_csv(calls: Calls, seed: int) -> str:
    """The whole file."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    writer.writerows(rows(calls, seed))
    return text.getvalue()


def planted(calls: Calls, seed: int) -> dict[str, object]:
    """What was planted."""
    return {
        "semilla": seed,
        "llamadas": len(calls.steps),
        "tasa_base": BASE_RATE,
        "fallos": [
            {
                "patron": str(fault.condition),
                "clase": fault.condition.kind.value,
                "pasos": list(fault.condition.steps),
                "atributo": fault.condition.attribute.value if fault.condition.attribute else None,
                "valores": list(fault.condition.values),
                "soporte": round(float(calls.met[:, number].mean()), 5),
                "veces": round(fault.lift, 3),
                "tasa": round(fault.rate, 4),
                "error": fault.code,
            }
            for number, fault in enumerate(calls.planted)
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
    calls = generate(options.semilla, options.filas, options.fallos)
    write_whole(options.salida, as_csv(calls, options.semilla))
    told = options.salida.with_suffix(".plantado.json")
    write_whole(told, json.dumps(planted(calls, options.semilla), ensure_ascii=False, indent=2) + "\n")
    print(f"{options.salida}: {len(calls.steps)} llamadas, {int(calls.failed.sum())} fallidas")
    print(f"{told}: {len(calls.planted)} fallos plantados")
    print(f"Ahora: python batch.py --llamadas {options.salida}")


if __name__ == "__main__":
    sys.exit(main())
