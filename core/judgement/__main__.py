"""`python -m core.judgement etiquetar|riesgo|recalibrar|volver|versiones`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from core.command_line import Parser, exit_code

_EXAMPLES = """\
ejemplos:
  python -m core.judgement etiquetar etiquetas.csv   guarda lo que las personas dicen de las decisiones
  python -m core.judgement riesgo                    qué umbral pide cada riesgo, y con qué datos
  python -m core.judgement recalibrar                ajusta la aprobación con los resultados; solo si mejora
  python -m core.judgement volver                    vuelve a la calibración anterior
El fichero de etiquetas es un CSV con las columnas INCIDENCIA, FILA y RESULTADO: el código, la fila del catálogo (su id,
su descripción o COMPONENTE: DESCRIPCION) y «acertada» o «equivocada».
códigos de salida: 0 hecho; 1 alguna línea del fichero no sirve; 2 uso o configuración incorrectos;
                   3 no se llega a una dependencia
"""


def _parser() -> Parser:
    parser = Parser(
        prog="python -m core.judgement",
        description="La aprobación y el umbral, con los resultados de su mesa.",
        epilog=_EXAMPLES,
    )
    orders = parser.add_subparsers(dest="orden", required=True, metavar="ORDEN")
    labels = orders.add_parser("etiquetar", help="guarda las etiquetas de un CSV", description=_about_labels())
    labels.add_argument("fichero", type=Path, metavar="FICHERO.csv")
    labels.add_argument("--estricto", action="store_true", help="si alguna línea no sirve, no guarda ninguna")
    about = (
        "Muestra el umbral que piden el 1, 2, 5 y 10 % de riesgo y RIESGO_MAXIMO, con los resultados en que se basa."
    )
    orders.add_parser("riesgo", help="qué umbral pide cada riesgo", description=about)
    about = (
        "Ajusta la aprobación con los resultados guardados (la primera mitad en el tiempo), la compara con la que está "
        "en vigor en el cuarto siguiente y la pone en vigor solo si es mejor. El último cuarto queda para certificar."
    )
    refit = orders.add_parser("recalibrar", help="ajusta la aprobación; vale solo si mejora", description=about)
    refit.add_argument(
        "--completo",
        action="store_true",
        help="con RIESGO_MAXIMO, ajusta también todos los pesos si hay resultados de sobra; los umbrales certificados "
        "empiezan entonces de cero",
    )
    about = "Pone en vigor la calibración anterior a la que lo está."
    orders.add_parser("volver", help="vuelve a la calibración anterior", description=about)
    about = "Lista las calibraciones guardadas bajo DIRECTORIO_ESTADO/calibraciones."
    orders.add_parser("versiones", help="las calibraciones guardadas", description=about)
    return parser


def _about_labels() -> str:
    return (
        "Guarda lo que las personas dicen de las decisiones: un CSV con INCIDENCIA, FILA y RESULTADO (acertada o "
        "equivocada). Las líneas que no sirven se dicen con su número y se omiten. Repetir un fichero no cambia nada; "
        "una etiqueta posterior sustituye a la anterior."
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code: 0 done, 1 some line unusable, 2 wrong usage or configuration, 3 a dependency away."""
    options = _parser().parse_args(arguments)
    return exit_code(lambda: _run(options), interrupted="Interrumpido: no ha quedado nada a medias.")


def _run(options: argparse.Namespace) -> int:
    from config import load_settings
    from core.judgement import orders

    settings = load_settings()
    match options.orden:
        case "etiquetar":
            return orders.label(settings, options.fichero, strict=options.estricto)
        case "riesgo":
            return orders.show_risk(settings)
        case "recalibrar":
            from core.build import tell_registry

            return orders.tell_recalibration(settings, tell_registry, every_weight=options.completo)
        case "volver":
            return orders.go_back(settings)
        case _:
            return orders.list_versions(settings)


if __name__ == "__main__":
    sys.exit(main())
