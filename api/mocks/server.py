"""The demo served from this process: a thread, a loopback port, and a clean stop."""

import socket
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

import uvicorn
from fastapi import FastAPI

from api.mocks.desk import desk_router, desk_store, health_router
from api.mocks.system import policy_store, system_router
from core.errors import DependencyError, UsageError


def create_demo(state: Path, *, plain: bool = False) -> FastAPI:
    """Desk and system on one port; `state` is the folder that holds both their databases."""
    app = FastAPI(title="Mesa y sistema de demostración", docs_url=None, redoc_url=None)
    app.include_router(desk_router(state, plain=plain))
    app.include_router(system_router(state))
    app.include_router(health_router())
    return app


def reset_demo(state: Path) -> None:
    """Desk and system under the folder `state` back to the demo content, as on the first day."""
    desk_store(state).reset()
    policy_store(state).reset()


class _Server(uvicorn.Server):
    """Says when it has started, or when it has ended without."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.settled = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self.settled.set()


class DemoServer:
    """Serves `app` on `host` (loopback unless told) while the `with` block lasts.

    `port` 0 takes a free one. The socket is bound before the thread starts, so the address is known at once and
    nobody else can take it.
    """

    def __init__(self, app: FastAPI, *, port: int = 0, host: str = "127.0.0.1", timeout: float = 15.0) -> None:
        self._port = port
        self._host = host
        self._timeout = timeout
        config = uvicorn.Config(
            app, log_config=None, log_level="warning", access_log=False, lifespan="off", timeout_graceful_shutdown=2
        )
        self._server = _Server(config)
        self._thread: threading.Thread | None = None
        self._url = ""

    @property
    def url(self) -> str:
        """`http://<host>:<port>`; empty before it is started."""
        return self._url

    def __enter__(self) -> Self:
        """Start, and return once it answers. Raises `UsageError` (port taken) or `DependencyError` (did not start)."""
        try:
            bound = socket.create_server((self._host, self._port))
        except OSError as error:
            raise UsageError(
                f"No se puede abrir el puerto {self._port} en {self._host}: {error.strerror}. Elija otro con --puerto."
            ) from error
        self._url = f"http://{self._host}:{bound.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, args=(bound,), name="demo", daemon=True)
        self._thread.start()
        if not self._server.settled.wait(self._timeout) or not self._server.started:
            self._stop()
            raise DependencyError("La mesa de demostración no ha arrancado.")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def _serve(self, bound: socket.socket) -> None:
        try:
            with bound:
                self._server.run(sockets=[bound])
        finally:
            self._server.settled.set()

    def _stop(self) -> None:
        self._server.should_exit = True
        if self._thread is not None:
            self._thread.join(self._timeout)
            self._thread = None
