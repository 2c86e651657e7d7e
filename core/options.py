"""The options of `python main.py` that are orders rather than work."""

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
    options.add_argument("--pregunta", metavar="TEXTO", help="responde con los documentos cargados, citándolos")
    options.add_argument("--valorar", nargs=2, metavar=("ID", "bien|mal"), help="dice si una respuesta fue buena")
    options.add_argument("--valoraciones", action="store_true", help="cuánto se responde y con qué acierto")


def is_question(options: argparse.Namespace) -> bool:
    """Whether it is about answers rather than about the queue."""
    return options.pregunta is not None or bool(options.valorar or options.valoraciones or options.correccion)


def is_order(options: argparse.Namespace) -> bool:
    """Whether one of them was given."""
    return any(getattr(options, name) for name in _ORDERS)
