"""`python -m api.mocks`: the demo desk and system on fixed ports, until Ctrl-C."""

import argparse
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from api.mocks.desk import create_desk
from api.mocks.server import DemoServer, create_demo, reset_demo
from api.mocks.system import create_system
from config import load_settings
from core.command_line import Parser, exit_code
from core.errors import UsageError

_EXAMPLES = """\
Ejemplos:
  python -m api.mocks                          mesa y sistema en http://127.0.0.1:8800
  python -m api.mocks --puerto-sistema 8801    la mesa en 8800 y el sistema en 8801
  python -m api.mocks --reiniciar              olvida lo hecho: las incidencias vuelven a estar abiertas
  python -m api.mocks --sencilla               una mesa sin ETag, sin Idempotency-Key y sin notas

Con la mesa en marcha, en otra terminal:
  curl http://127.0.0.1:8800/api/incidencias?buzon=CAU
  MOCK_GESTOR_URL=http://127.0.0.1:8800 MOCK_SISTEMA_URL=http://127.0.0.1:8800 python main.py --simular

Lo que se cambia se guarda en --estado y sigue ahí la próxima vez. Solo se escucha en esta máquina,
salvo que se pida otra cosa con --direccion: no hay usuarios ni claves, así que no la abra a una red ajena.
"""


def _parser() -> Parser:
    parser = Parser(
        prog="python -m api.mocks",
        description="Inicia la mesa de incidencias y el sistema de pólizas de demostración hasta Ctrl-C.",
        epilog=_EXAMPLES,
    )
    parser.add_argument("--puerto", type=int, default=8800, metavar="N", help="puerto de la mesa (8800)")
    parser.add_argument(
        "--puerto-sistema", type=int, metavar="N", help="puerto del sistema; si no se indica, el mismo que la mesa"
    )
    parser.add_argument(
        "--estado", type=Path, metavar="DIR", help="carpeta donde se guarda (demo/ en DIRECTORIO_ESTADO)"
    )
    parser.add_argument("--direccion", default="127.0.0.1", metavar="IP", help="dirección donde se escucha (127.0.0.1)")
    parser.add_argument("--sencilla", action="store_true", help="la mesa ofrece solo el contrato mínimo")
    parser.add_argument("--reiniciar", action="store_true", help="vuelve al contenido inicial antes de empezar")
    return parser


def _serve(arguments: argparse.Namespace, wait_for_signal: Callable[[], object]) -> None:
    state: Path = arguments.estado or load_settings().directorio_estado / "demo"
    for port in (arguments.puerto, arguments.puerto_sistema):
        if port is not None and not 1 <= port <= 65535:
            raise UsageError(f"El puerto {port} no vale: debe estar entre 1 y 65535.")
    if arguments.reiniciar:
        reset_demo(state)
    with ExitStack() as servers:
        if arguments.puerto_sistema is None:
            app = create_demo(state, plain=arguments.sencilla)
        else:
            app = create_desk(state, plain=arguments.sencilla)
            system = servers.enter_context(
                DemoServer(create_system(state), port=arguments.puerto_sistema, host=arguments.direccion)
            )
            print(f"Sistema de demostración en {system.url}")
        desk = servers.enter_context(DemoServer(app, port=arguments.puerto, host=arguments.direccion))
        print(f"Mesa de demostración en {desk.url} (Ctrl-C para terminar)", flush=True)
        wait_for_signal()


@contextmanager
def _signals() -> Iterator[Callable[[], object]]:
    """A call that returns once somebody asks to stop, even if that was before the call.

    The signal's byte in a socket cannot be missed. A thread's lock or event can: a handler does not run while its
    thread is about to block, and a second signal inside `Event.set()` waits for a lock that its own thread holds.
    """
    reader, writer = socket.socketpair()
    with reader, writer:
        writer.setblocking(False)
        previous = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        handlers = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield lambda: reader.recv(1)
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(previous)


def _run(arguments: argparse.Namespace) -> None:
    with _signals() as wait_for_signal:
        _serve(arguments, wait_for_signal)


def main() -> int:
    """Serve until interrupted; the exit code of design §3."""
    arguments = _parser().parse_args()
    return exit_code(lambda: _run(arguments), interrupted="Interrumpido antes de empezar a servir.")


if __name__ == "__main__":
    sys.exit(main())
