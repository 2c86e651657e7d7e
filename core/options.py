"""The options of `python main.py` that are orders rather than work, about calls, and those of a replay."""

import argparse

_MONTHS = 3
_MOST_MONTHS = 1200
_ORDERS = ("pausar", "reanudar", "pendientes", "deshacer", "aprobar", "rechazar", "historia")


def add_orders(options: argparse._MutuallyExclusiveGroup) -> None:
    """The options of `python main.py` that are orders; one at a time."""
    options.add_argument("--pausar", action="store_true", help="nadie actúa hasta --reanudar, en pocos segundos")
    options.add_argument("--reanudar", action="store_true", help="se vuelve a actuar")
    options.add_argument("--pendientes", action="store_true", help="las propuestas que esperan a una persona")
    options.add_argument("--aprobar", metavar="DECISION", help="lleva a cabo una propuesta")
    options.add_argument("--rechazar", nargs=2, metavar=("DECISION", "MOTIVO"), help="descarta una propuesta")
    options.add_argument("--historia", metavar="COD", help="todo lo que se sabe de una incidencia; con --json, entero")
    options.add_argument("--deshacer", metavar="DECISION", help="devuelve la incidencia a como estaba")
    options.add_argument("--pregunta", metavar="TEXTO", help="responde con los documentos cargados, citándolos")
    options.add_argument("--valorar", nargs=2, metavar=("ID", "bien|mal"), help="dice si una respuesta fue buena")
    options.add_argument("--valoraciones", action="store_true", help="cuánto se responde y con qué acierto")


def is_question(options: argparse.Namespace) -> bool:
    """Whether it is about answers rather than about the queue."""
    return options.pregunta is not None or bool(options.valorar or options.valoraciones or options.correccion)


def add_calls(way: argparse._MutuallyExclusiveGroup, options: argparse.ArgumentParser) -> None:
    """The options of `python main.py` about calls."""
    way.add_argument("--patrones", action="store_true", help="por qué fallan las llamadas: lo más costoso, primero")
    way.add_argument("--llamada", metavar="PASOS", help="explica una llamada: «Inicio -> … -> Error 503»")
    options.add_argument("--error", metavar="CODIGO", help="con --llamada, su código de error")
    options.add_argument("--segmento", metavar="NOMBRE", help="con --llamada, el segmento del cliente")
    options.add_argument("--tipo", metavar="NOMBRE", help="con --llamada, el tipo de llamada")


def positive(text: str) -> int:
    """A number from 1 on. Raises `ValueError` or `ArgumentTypeError`."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("debe ser 1 o más")
    return number


def add_history(parser: argparse.ArgumentParser) -> None:
    """The options of a replay of closed incidents."""
    parser.add_argument(
        "--historico",
        action="store_true",
        help="con --simular: decide incidencias ya cerradas como si se acabaran de abrir y lo compara con lo que "
        "hicieron las personas",
    )
    parser.add_argument(
        "--meses", type=positive, metavar="N", help="con --historico: las cerradas en los últimos N (por defecto, 3)"
    )


def check_history(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Exit code 2 where they are used in a way that means nothing."""
    if options.historico and not options.simular:
        parser.error("--historico solo se usa con --simular: lo cerrado no se vuelve a trabajar")
    if options.meses and not options.historico:
        parser.error("--meses solo se usa con --simular --historico")
    options.meses = min(options.meses or _MONTHS, _MOST_MONTHS)


def is_order(options: argparse.Namespace) -> bool:
    """Whether one of them was given."""
    return any(getattr(options, name) for name in _ORDERS)
