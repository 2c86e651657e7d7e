"""`python -m llm.history export|verify`."""

import argparse
import sqlite3
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from config import load_settings
from core.command_line import Parser, exit_code
from llm.history.export import damaged, export
from llm.history.schema import open_existing


def _parser() -> Parser:
    parser = Parser(prog="python -m llm.history", description="Exporta o comprueba el histórico de llamadas al modelo.")
    commands = parser.add_subparsers(dest="orden", required=True, metavar="export|verify")
    place = Parser(add_help=False)
    place.add_argument(
        "--directorio", type=Path, help="carpeta de historico.db (por omisión, la que usan las ejecuciones)"
    )
    exporting = commands.add_parser(
        "export", parents=[place], help="un fichero por tarea, listo para el ajuste fino", description=export_help()
    )
    exporting.add_argument("--formato", choices=("jsonl", "csv"), default="jsonl", help="por omisión, jsonl")
    exporting.add_argument(
        "--modulo", action="append", default=[], help="tarea que se exporta; puede repetirse (por omisión, todas)"
    )
    exporting.add_argument(
        "--salida", type=Path, help="carpeta de los ficheros (por omisión, export/ junto al histórico)"
    )
    commands.add_parser(
        "verify",
        parents=[place],
        help="vuelve a calcular las huellas",
        description="Vuelve a calcular las huellas de todos los textos; termina con 1 si alguna no corresponde.",
    )
    return parser


def export_help() -> str:
    """What the exported files hold."""
    return (
        "Escribe un fichero por tarea con las llamadas cuya respuesta se usó: en jsonl, una conversación por línea "
        '({"messages": […]}); en csv, una fila por llamada.'
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code: 0 done, 1 damage found, 2 wrong usage, 3 no history."""
    options = _parser().parse_args(arguments)
    return exit_code(lambda: _run(options), interrupted="Interrumpido: el histórico no se ha tocado.")


def _run(options: argparse.Namespace) -> int:
    directory: Path = options.directorio or load_settings().directorio_historico
    try:
        with closing(open_existing(directory)) as connection:
            if options.orden == "verify":
                return _verify(connection)
            written = export(connection, options.formato, options.modulo, options.salida or directory / "export")
    except sqlite3.Error as error:
        sys.stderr.write(f"El histórico de {directory} no se puede leer: {error}.\n")
        return 1
    for path, count in written:
        sys.stdout.write(f"{path}: {count} llamadas\n")
    if not written:
        sys.stdout.write("El histórico está vacío.\n")
    return 0


def _verify(connection: sqlite3.Connection) -> int:
    faults = list(damaged(connection))
    for fault in faults:
        sys.stderr.write(f"{fault}\n")
    calls, texts = connection.execute("SELECT (SELECT count(*) FROM calls), (SELECT count(*) FROM texts)").fetchone()
    sys.stdout.write(f"{calls} llamadas, {texts} textos, {len(faults)} con daños\n")
    return 1 if faults else 0


if __name__ == "__main__":
    raise SystemExit(main())
