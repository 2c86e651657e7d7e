"""Works the desk's queue: `python main.py`."""

import argparse
import sys

from core.command_line import Parser, exit_code
from core.options import add_calls, add_history, add_orders, check_history, is_order, is_question, positive

_EXAMPLES = """\
ejemplos:
  python main.py                        trabaja todas las incidencias abiertas
  python main.py --simular              lo decide todo y no cambia nada: empiece por aquí
  python main.py --simular --historico  decide lo ya cerrado y lo compara con lo que hicieron las personas
  python main.py --limite 5             solo las cinco primeras, por prioridad y antigüedad
  python main.py --incidencia INC-0001  solo esa
  python main.py --trabajador           sigue trabajando lo que llegue hasta Ctrl-C; puede haber varios
  python main.py --json > informe.json  el informe, para otro programa
  python main.py --pendientes           lo que espera a que una persona lo apruebe (--aprobar, --rechazar)
  python main.py --historia INC-0001    todo lo que se sabe de esa incidencia, también durante una ejecución
  python main.py --pregunta "¿Cuándo se carga un recibo?"   responde con los documentos (batch.py --documentos DIR)
  python main.py --valorar f-0123456789 mal --correccion "Se carga el día 5"   lo que se aprende al reindexar
  python main.py --patrones             por qué fallan las llamadas cargadas con batch.py --llamadas
  python main.py --llamada "Inicio -> Menú pagos -> Validación de tarjeta -> Error 503" --segmento premium
                                        por qué ha fallado esa llamada y en qué se apoya
Primero se retoma lo que otra ejecución dejó a medias. Lo ya trabajado que siga igual no se repite.
Ctrl-C termina lo que está en curso y dice lo que queda; un segundo Ctrl-C corta.
códigos de salida: 0 hecho; 1 alguna incidencia ha fallado; 2 uso o configuración incorrectos;
                   3 no se llega a una dependencia (dice cuál y cómo iniciarla)
"""


def _parser() -> Parser:
    parser = Parser(
        prog="python main.py",
        description="Resuelve las incidencias cuyo problema se conoce con seguridad\n"
        "y deja las demás, preparadas, a una persona.",
        epilog=_EXAMPLES,
    )
    parser.add_argument("--buzon", metavar="NOMBRE", help="solo las de este buzón (por defecto, todos)")
    parser.add_argument("--limite", type=positive, metavar="N", help="como mucho N incidencias")
    parser.add_argument("--incidencia", metavar="COD", help="solo la de este código")
    way = parser.add_mutually_exclusive_group()
    way.add_argument("--simular", action="store_true", help="decide todo y no cambia nada")
    way.add_argument("--trabajador", action="store_true", help="trabaja la cola hasta que se le diga que pare")
    add_orders(way)
    parser.add_argument("--correccion", metavar="TEXTO", help="con --valorar: lo que había que responder")
    add_history(parser)
    add_calls(way, parser)
    parser.add_argument("--json", action="store_true", help="por la salida estándar, para otro programa")
    parser.add_argument("--concurrencia", type=positive, metavar="N", help="incidencias en curso a la vez")
    parser.add_argument("--detalle", action="store_true", help="muestra los avisos de cada etapa")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Exit code of design §3."""
    parser = _parser()
    options = parser.parse_args(arguments)
    check_history(parser, options)
    return exit_code(
        lambda: _run(options),
        interrupted="Cortado: lo que estaba en curso puede haber quedado a medias; repita la orden.",
    )


def _run(options: argparse.Namespace) -> int:
    import asyncio

    from config import load_settings
    from observabilidad.logs import open_logs

    settings = load_settings()
    if options.patrones:
        from core.calls.session import show_patterns

        return show_patterns(settings, options)
    if options.llamada:
        from core.calls.session import explain_call as carry_out
    elif is_question(options):
        from core.question_session import ask as carry_out
    elif is_order(options):
        from core.orders import follow as carry_out
    elif options.historico:
        from core.replay_session import replay_closed as carry_out
    else:
        from core.session import work_desk as carry_out
    with open_logs(settings, verbose=options.detalle):
        return asyncio.run(carry_out(settings, options))


if __name__ == "__main__":
    sys.exit(main())
