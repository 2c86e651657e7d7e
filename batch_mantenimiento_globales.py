"""Proposes catalogue rows from closed incidents, and applies them: `python batch_mantenimiento_globales.py`."""

import argparse
import sys
from pathlib import Path

from core.command_line import Parser, exit_code

_EXAMPLES = """\
ejemplos:
  python batch_mantenimiento_globales.py               mira lo cerrado en los últimos 3 meses
  python batch_mantenimiento_globales.py --meses 12    y en el último año
  python batch_mantenimiento_globales.py --aplicar resources/PROBLEMAS_GLOBALES_20250102.csv
                                                       pasa al catálogo las filas que ha revisado en ese fichero

cómo se usa:
  1. Sin --aplicar busca incidencias cerradas por personas cuyo problema no está en la base de conocimiento, junta las
     que son el mismo problema y escribe resources/PROBLEMAS_GLOBALES_AAAAMMDD.csv. No cambia nada más.
  2. Abra ese fichero, corrija las filas y borre las que no valgan. Mire sobre todo RESOLUCION AUTOMÁTICA: viene
     «manual», salvo con un modelo del que conste que sabe elegirla, y lo que no sea «manual» se hará solo. Las
     incidencias de las que sale cada fila están, con las dudosas, que decide una persona, en el informe:
     resources/reportes/reporte_mantenimiento_globales_AAAAMMDD.json.
  3. --aplicar comprueba todas las filas (con una mal no aplica ninguna), guarda el catálogo actual en var/copias,
     añade las nuevas, cambia las que ya estaban y pone al día la base de conocimiento.

códigos de salida: 0 hecho; 1 alguna incidencia no se ha podido mirar; 2 uso, configuración o fichero incorrectos;
                   3 no se llega a una dependencia (dice cuál): sin base de conocimiento no se propone nada
"""


def _months(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 120:
        raise argparse.ArgumentTypeError("debe ser un número de 1 a 120")
    return int(text)


def _parser() -> Parser:
    parser = Parser(
        prog="python batch_mantenimiento_globales.py",
        description="Propone filas para el catálogo a partir de las incidencias cerradas, y aplica las revisadas.",
        epilog=_EXAMPLES,
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--meses", type=_months, metavar="N", default=3, help="cerradas en los últimos N (por defecto, 3)"
    )
    what.add_argument("--aplicar", type=Path, metavar="FILE", help="pasa al catálogo las filas revisadas de este CSV")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Exit code of design §3."""
    options = _parser().parse_args(arguments)
    return exit_code(
        lambda: _run(options),
        interrupted="Interrumpido: no queda nada a medias. Si aplicaba filas, ejecute `python batch.py`.",
    )


def _run(options: argparse.Namespace) -> int:
    import asyncio

    from config import load_settings
    from core.maintenance_session import apply_reviewed, mine_closed
    from observabilidad.logs import open_logs

    settings = load_settings()
    if options.aplicar:
        with open_logs(settings):
            applied = apply_reviewed(settings, options.aplicar)
        print(applied.summary())
        return 0
    with open_logs(settings):
        written = asyncio.run(mine_closed(settings, options.meses))
    print(written.summary())
    return int(bool(written.mined.failures))


if __name__ == "__main__":
    sys.exit(main())
