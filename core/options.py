"""The options of `python main.py` that are orders rather than work, or about calls."""

import argparse

_ORDERS = ("pausar", "reanudar", "pendientes", "deshacer", "aprobar", "rechazar")


def add_orders(options: argparse._MutuallyExclusiveGroup) -> None:
    """The options of `python main.py` that are orders; one at a time."""
    options.add_argument("--pausar", action="store_true", help="nadie actúa hasta --reanudar, en pocos segundos")
    options.add_argument("--reanudar", action="store_true", help="se vuelve a actuar")
    options.add_argument("--pendientes", action="store_true", help="las propuestas que esperan a una persona")
    options.add_argument("--aprobar", metavar="DECISION", help="lleva a cabo una propuesta")
    options.add_argument("--rechazar", nargs=2, metavar=("DECISION", "MOTIVO"), help="descarta una propuesta")
    options.add_argument("--deshacer", metavar="DECISION", help="devuelve la incidencia a como estaba")


def add_calls(way: argparse._MutuallyExclusiveGroup, options: argparse.ArgumentParser) -> None:
    """The options of `python main.py` about calls."""
    way.add_argument("--patrones", action="store_true", help="por qué fallan las llamadas: lo más costoso, primero")
    way.add_argument("--llamada", metavar="PASOS", help="explica una llamada: «Inicio -> … -> Error 503»")
    options.add_argument("--error", metavar="CODIGO", help="con --llamada, su código de error")
    options.add_argument("--segmento", metavar="NOMBRE", help="con --llamada, el segmento del cliente")
    options.add_argument("--tipo", metavar="NOMBRE", help="con --llamada, el tipo de llamada")


def is_order(options: argparse.Namespace) -> bool:
    """Whether one of them was given."""
    return any(getattr(options, name) for name in _ORDERS)
