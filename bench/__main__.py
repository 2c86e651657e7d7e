"""`python -m bench`: measures orchestration, queue, knowledge base, search, start-up, the log and calls."""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from bench.result import Measure, show, write
from core.command_line import Parser

_EXAMPLES = """\
ejemplos:
  python -m bench                               todo, unos minutos
  python -m bench --solo arranque busqueda      solo esas medidas
  python -m bench --solo orquestacion --incidencias 40
  python -m bench --solo llamadas               patrones plantados, carga, vectores y llamadas parecidas
  python -m bench --solo registro               Loki que cae a mitad, Loki que no contesta, coste por línea

códigos de salida: 0 medido (aunque no se llegue a lo pedido: la tabla lo dice); 2 uso o configuración incorrectos;
                   3 falta una dependencia o no se puede escribir el resultado
"""
_REAL = 12
"""Incidents at most with the real embedder: each takes from tenths of a second to several seconds of CPU."""

NAMES = (
    "orquestacion", "orquestacion_real", "cola", "base", "busqueda", "documentos", "arranque", "registro", "llamadas",
)  # fmt: skip


def _parser() -> Parser:
    parser = Parser(
        prog="python -m bench",
        description="Mide el rendimiento y lo compara con lo que se pide.",
        epilog=_EXAMPLES,
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="dónde escribir el JSON (por defecto, var/bench/)")
    parser.add_argument("--solo", nargs="+", choices=NAMES, metavar="NOMBRE", help=f"solo estas: {', '.join(NAMES)}")
    parser.add_argument("--incidencias", type=int, default=200, metavar="N", help="de la orquestación (200)")
    parser.add_argument("--en-cola", type=int, default=10_000, metavar="N", help="incidencias de la cola (10000)")
    parser.add_argument("--corte", type=float, default=30.0, metavar="S", help="que Loki falta, en «registro» (30)")
    parser.add_argument(
        "--proveedor", choices=("openai", "ollama"), default="openai", help="de la orquestación (openai)"
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when everything was measured, whatever came out."""
    options = _parser().parse_args(arguments)
    from core.errors import DependencyError, UsageError

    console = Console()
    measures: list[Measure] = []
    try:
        for name in options.solo or NAMES:
            console.print(f"Midiendo: {name}…")
            measures += _works(options)[name]()
        show(measures, console)
        console.print(f"Resultado: {write(measures, options.json, Path('var/bench'))}", soft_wrap=True)
    except UsageError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2
    except (DependencyError, OSError) as error:
        print(f"Error: {error}", file=sys.stderr)
        return 3
    return 0


def _works(options: argparse.Namespace) -> dict[str, Callable[[], list[Measure]]]:
    from bench.documents import measure_documents
    from bench.knowledge import measure_build, measure_search
    from bench.orchestration import Load, measure_orchestration
    from bench.queue import measure_queue
    from bench.record import measure_record
    from bench.startup import measure_startup

    load = Load(incidents=options.incidencias, provider=options.proveedor)
    real = replace(load, incidents=min(load.incidents, _REAL), real_embedder=True)
    return {
        "orquestacion": lambda: measure_orchestration(load),
        "orquestacion_real": lambda: measure_orchestration(real),
        "cola": lambda: measure_queue(options.en_cola),
        "base": measure_build,
        "busqueda": measure_search,
        "documentos": measure_documents,
        "arranque": measure_startup,
        "registro": lambda: measure_record(options.corte),
        "llamadas": _calls,
    }


def _calls() -> list[Measure]:
    from bench.llamadas.measures import measure_calls  # with libraries that nothing else here needs

    return measure_calls()


if __name__ == "__main__":
    sys.exit(main())
