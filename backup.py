"""Saves and restores what is known, and the catalogue: `python backup.py crear|restaurar|verificar`."""

import argparse
import sys
from datetime import datetime
from pathlib import Path

from core.command_line import Parser, exit_code

_EXAMPLES = """\
ejemplos:
  python backup.py crear                                 copia en var/copias/ (o donde diga --salida FILE)
  python backup.py verificar var/copias/copia_20250102_030405.tar.zst
  python backup.py restaurar FILE                        restaura lo que haya en la copia; el catálogo no se toca
  python backup.py restaurar FILE --con-catalogo         y también el catálogo; el actual se guarda antes al lado

códigos de salida: 0 hecho; 2 uso incorrecto o copia dañada; 3 no se llega a una dependencia
"""


def _parser() -> Parser:
    parser = Parser(
        prog="python backup.py",
        description="Copia de seguridad, en un fichero, de la base de conocimiento, los documentos y los relatos de "
        "llamadas (vectores y textos) y del catálogo. El registro de llamadas se carga otra vez con "
        "python batch.py --llamadas.",
        epilog=_EXAMPLES,
    )
    orders = parser.add_subparsers(title="órdenes", dest="order", required=True, metavar="ORDEN")
    create = orders.add_parser("crear", help="guarda todo en un fichero comprimido con sus sumas SHA-256")
    create.add_argument("--salida", type=Path, metavar="FILE", help="dónde (por defecto, en copias/ del estado)")
    restore = orders.add_parser("restaurar", help="comprueba la copia, la carga al lado y la pone a servir")
    restore.add_argument("file", type=Path, metavar="FILE")
    restore.add_argument("--con-catalogo", action="store_true", help="repone también los CSV del catálogo")
    verify = orders.add_parser("verificar", help="lee la copia entera y la comprueba")
    verify.add_argument("file", type=Path, metavar="FILE")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Exit code of design §3."""
    options = _parser().parse_args(arguments)
    return exit_code(
        lambda: print(_run(options)),
        interrupted="Interrumpido: sigue sirviendo la base de conocimiento que había.",
    )


def _run(options: argparse.Namespace) -> str:
    from config import load_settings
    from core import backup
    from core.batch import CATALOGUE, FIXES
    from core.build import open_knowledge
    from observabilidad.logs import open_logs

    if options.order == "verificar":
        return f"{options.file}: copia correcta. {backup.described(backup.verify_backup(options.file))}"
    settings, now = load_settings(), datetime.now().astimezone()
    files = [settings.directorio_recursos / name for name in (CATALOGUE, FIXES)]
    with open_logs(settings), open_knowledge(settings) as knowledge:
        shelf = knowledge.shelf
        others = [shelf.beside(name) for name in backup.BESIDE]
        if options.order == "crear":
            path = options.salida or settings.directorio_estado / "copias" / f"copia_{now:%Y%m%d_%H%M%S}.tar.zst"
            made = backup.create_backup(shelf, files, path, now=now, others=others)
            return f"Copia creada: {path}. {backup.described(made)}"
        wanted = files * options.con_catalogo
        done = backup.restore_backup(shelf, options.file, files=wanted, now=now, others=others)
    saved = "".join(f"\nEl catálogo que había está en {path}" for path in done.saved)
    return f"Restaurada {options.file} y puesta a servir. {backup.described(done.manifest)}{saved}"


if __name__ == "__main__":
    sys.exit(main())
