"""`python -m observabilidad.metrics`."""

import argparse
import re
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from core.command_line import Parser, exit_code
from core.errors import DependencyError

if TYPE_CHECKING:
    from config import Settings
    from core.ledger import LabelledOutcome, Record
    from observabilidad.metrics.report import Metrics, Period

_EXAMPLES = """\
ejemplos:
  python -m observabilidad.metrics                      todo lo que hay en el registro
  python -m observabilidad.metrics --desde 7d           los últimos siete días
  python -m observabilidad.metrics --desde 2026-11-01 --hasta 2026-12-01
  python -m observabilidad.metrics --json > cifras.json
Solo lee: puede usarse durante una ejecución. El registro es el de esta máquina; las decisiones, las de todas.
El coste sale de LLM_PRECIO_ENTRADA y LLM_PRECIO_SALIDA.
"""
_AGO = re.compile(r"(\d{1,4})\s*(h|d)")


def when(text: str) -> datetime:
    """`2026-11-01`, `2026-11-01T08:30`, or how long ago: `24h`, `7d`. Local time where no zone is named."""
    if ago := _AGO.fullmatch(text.strip()):
        number = int(ago[1])
        return datetime.now().astimezone() - (timedelta(days=number) if ago[2] == "d" else timedelta(hours=number))
    try:
        return datetime.fromisoformat(text.strip()).astimezone()
    except (ValueError, OverflowError) as error:
        raise argparse.ArgumentTypeError(
            f"{text!r} no es una fecha: use 2026-11-01, 2026-11-01T08:30, 24h o 7d"
        ) from error


def _parser() -> Parser:
    parser = Parser(
        prog="python -m observabilidad.metrics",
        description="Cifras de lo trabajado: tiempos, aciertos, errores, modelo, deriva y filas del catálogo por\n"
        "arreglar, del registro en disco y de las decisiones guardadas.",
        epilog=_EXAMPLES,
    )
    parser.add_argument("--desde", type=when, metavar="CUÁNDO", help="desde entonces (por omisión, todo)")
    parser.add_argument("--hasta", type=when, metavar="CUÁNDO", help="hasta entonces, sin incluirlo")
    parser.add_argument("--simuladas", action="store_true", help="cuenta también lo que solo se simuló")
    parser.add_argument("--json", action="store_true", help="las cifras por la salida estándar, para otro programa")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """0 done, 2 wrong usage or settings, 3 nothing to read."""
    options = _parser().parse_args(arguments)
    return exit_code(lambda: _run(options), interrupted="Interrumpido: no se ha cambiado nada.")


def _run(options: argparse.Namespace) -> int:
    from rich.console import Console

    from config import load_settings
    from observabilidad.metrics.report import Period
    from observabilidad.metrics.screen import show

    metrics = _measured(load_settings(), Period(desde=options.desde, hasta=options.hasta), options.simuladas)
    if options.json:
        sys.stdout.write(metrics.model_dump_json(indent=2) + "\n")
    else:
        show(metrics, Console())
    return 0


def _measured(settings: "Settings", period: "Period", simulated: bool) -> "Metrics":
    from core.judgement import load_calibration
    from observabilidad.metrics.figures import Prices
    from observabilidad.metrics.report import measure
    from observabilidad.record import RecordFolder

    record = RecordFolder(settings.directorio_estado / "logs")
    if not record.exists:
        raise DependencyError(
            f"No hay registro en {record.folder}: se crea con la primera ejecución (python main.py). Si usa otro "
            "DIRECTORIO_ESTADO, indíquelo."
        )
    decisions, outcomes = _decided(settings, period)
    return measure(
        record,
        period,
        Prices(entrada=settings.llm_precio_entrada, salida=settings.llm_precio_salida),
        decisions=decisions,
        outcomes=outcomes,
        catalogue=_catalogue(settings.directorio_recursos),
        fitted=load_calibration(settings.embedding_model).fitted,
        simulated=simulated,
    )


def _decided(settings: "Settings", period: "Period") -> "tuple[list[Record], list[LabelledOutcome]]":
    """Nothing is made where nothing was decided yet."""
    from core.database import Database
    from core.ledger import open_ledger

    database = Database(settings.directorio_estado, settings.database_url)
    if not database.served and not database.file("decisiones").exists():
        return [], []
    with open_ledger(database) as ledger:
        return ledger.between(period.desde, period.hasta), ledger.outcomes()


def _catalogue(resources: Path) -> dict[str, str]:
    """id -> description; what cannot be read is left out."""
    from core.batch import CATALOGUE, FIXES
    from core.originals import Originals
    from core.privacy import scrub

    rows = Originals(resources / CATALOGUE, resources / FIXES, scrub).rows
    return {identity: scrub(row.description) for identity, row in rows.items()}


if __name__ == "__main__":
    raise SystemExit(main())
