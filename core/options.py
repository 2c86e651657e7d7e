"""The options of `python main.py` that are orders rather than work."""

import argparse

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


def is_order(options: argparse.Namespace) -> bool:
    """Whether one of them was given."""
    return any(getattr(options, name) for name in _ORDERS)
