"""A Loki in memory for tests and the bench: takes OTLP, keeps lines, drops equal ones; can be out of order at will.

`python -m observabilidad.fake_loki` runs it in a process of its own, told what to do by words on standard input.
"""

import argparse
import gzip
import json
import socket
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from core.command_line import Parser

PATH = "/otlp/v1/logs"
ASKED = "/loki/api/v1/query_range"
Labels = tuple[tuple[str, str], ...]
_INDEXED = {"service.name", "deployment.environment.name"}


class FakeLoki:
    """Serves on a loopback port within `with`. `status`, `silent` and `delay` may be changed at any time."""

    def __init__(self, port: int = 0) -> None:
        self.lines: dict[Labels, dict[int, list[str]]] = defaultdict(lambda: defaultdict(list))
        """Labels -> nanoseconds -> different lines."""
        self.metadata: list[dict[str, str]] = []
        """Structured metadata of each kept line, in the order in which they came."""
        self.received = 0
        """Lines, equal ones included."""
        self.refused = 0
        """Lines of requests that were answered with an error."""
        self.requests = 0
        self.paths: list[str] = []
        self.headers: dict[str, str] = {}
        """Of the last request."""
        self.status = 204
        self.silent = False
        """A black hole: requests are read and never answered."""
        self.takes_only = False
        """Answers no question, as a gateway that only takes lines in."""
        self.delay = 0.0
        self.changed = threading.Condition()
        self._port = port
        self._released = threading.Event()
        self._server: _Server | None = None

    @property
    def url(self) -> str:
        """For `LOKI_URL`."""
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Open the port, the same one again after `stop`."""
        self._released.clear()
        self._server = _Server(("127.0.0.1", self._port), self)
        self._port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        """Close the port and every connection: nobody listens. The lines stay."""
        if self._server:
            self._released.set()
            self._server.shutdown()
            self._server.hang_up()
            self._server.server_close()
            self._server = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def texts(self) -> list[str]:
        """Every kept line, by stream and time."""
        return [text for stream in self.lines.values() for when in sorted(stream) for text in stream[when]]

    def wait_for(self, lines: int, seconds: float = 10.0) -> bool:
        """Until so many different lines are here."""
        with self.changed:
            return self.changed.wait_for(lambda: len(self.metadata) >= lines, seconds)

    def answer(self, body: bytes) -> int:
        """Takes the body in; the status to answer with."""
        if self.silent or self.delay:
            self._released.wait(None if self.silent else self.delay)
        with self.changed:
            self.requests += 1
            sent = ExportLogsServiceRequest.FromString(body)
            if self.status < 300:
                self._keep(sent)
            else:
                self.refused += sum(len(s.log_records) for r in sent.resource_logs for s in r.scope_logs)
            self.changed.notify_all()
            return self.status

    def _keep(self, request: ExportLogsServiceRequest) -> None:
        for group in request.resource_logs:
            resource = {item.key: item.value.string_value for item in group.resource.attributes}
            stream = self.lines[tuple(sorted((k.replace(".", "_"), v) for k, v in resource.items() if k in _INDEXED))]
            for scope in group.scope_logs:
                for record in scope.log_records:
                    self.received += 1
                    at_that_time = stream[record.time_unix_nano]
                    if record.body.string_value not in at_that_time:  # what goes with it does not count, as in Loki
                        at_that_time.append(record.body.string_value)
                        self.metadata.append(_metadata(record))


def _metadata(record: Any) -> dict[str, str]:
    found = {item.key: _text(item.value) for item in record.attributes}
    return found | {"severity_text": record.severity_text, "observed_timestamp": str(record.observed_time_unix_nano)}


def _text(value: Any) -> str:
    return str(getattr(value, value.WhichOneof("value")))


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], loki: FakeLoki) -> None:
        self.loki = loki
        self._open: set[socket.socket] = set()
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        for connection in list(self._open):
            self.shutdown_request(connection)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that is gone is nobody to tell."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        """Its lines between two moments, whatever the selection: the oldest first, no more than are asked for."""
        path, _, asked = self.path.partition("?")
        loki, wanted = self.server.loki, parse_qs(asked)
        loki.paths.append(path)
        if path != ASKED or loki.takes_only:
            self._answer(404)
            return
        since, until, most = (int(wanted[name][0]) for name in ("start", "end", "limit"))
        with loki.changed:
            values = sorted(
                [str(at), text]
                for times in loki.lines.values()
                for at in times
                for text in times[at]
                if since <= at < until
            )
        body = {"status": "success", "data": {"resultType": "streams", "result": [{"values": values[:most]}]}}
        self._answer(200, json.dumps(body).encode())

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        loki = self.server.loki
        loki.headers = {name.lower(): value for name, value in self.headers.items()}
        loki.paths.append(self.path)
        try:
            status = loki.answer(gzip.decompress(body)) if self.path == PATH else 404
        except (DecodeError, gzip.BadGzipFile, EOFError):
            status = 400
        self._answer(status)

    def _answer(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Silence."""


def main(arguments: list[str] | None = None) -> int:
    """Serves until standard input ends; a line of JSON on standard output for each word on the other."""
    parser = Parser(
        prog="python -m observabilidad.fake_loki",
        description="Loki de mentira para pruebas: guarda en memoria lo que recibe por OTLP.\nPor la entrada: "
        "caer, volver, callar (no contesta), hablar, estado N, cuenta, lineas. Termina con ella (Ctrl-D).",
        epilog="ejemplo:\n  python -m observabilidad.fake_loki --puerto 3100   y LOKI_URL=http://127.0.0.1:3100",
    )
    parser.add_argument("--puerto", type=int, default=0, metavar="N", help="por omisión, uno libre")
    options: argparse.Namespace = parser.parse_args(arguments)
    with FakeLoki(options.puerto) as loki:
        sys.stdout.write(json.dumps({"url": loki.url}) + "\n")
        sys.stdout.flush()
        for word in sys.stdin:
            sys.stdout.write(json.dumps(_obey(loki, word.split()), ensure_ascii=False) + "\n")
            sys.stdout.flush()
    return 0


def _obey(loki: FakeLoki, words: list[str]) -> dict[str, Any]:
    match words:
        case ["caer"]:
            loki.stop()
        case ["volver"]:
            loki.start()
        case ["callar"]:
            loki.silent = True
        case ["hablar"]:
            loki.silent = False
        case ["estado", number] if number.isdigit():
            loki.status = int(number)
        case ["lineas"]:
            return {"lineas": loki.texts()}
        case ["cuenta"]:
            pass
        case _:
            return {"error": "no se entiende"}
    return {"distintas": len(loki.metadata), "recibidas": loki.received, "peticiones": loki.requests}


class LokiProcess:
    """A fake Loki in a process of its own, so that its work is not counted as ours."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self._lock = threading.Lock()
        self.url = str(self._read()["url"])

    def order(self, words: str) -> dict[str, Any]:
        """What `python -m observabilidad.fake_loki` answers to these words."""
        assert self._process.stdin is not None
        with self._lock:
            self._process.stdin.write(words + "\n")
            self._process.stdin.flush()
            return self._read()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer


@contextmanager
def loki_process(root: Path) -> Iterator[LokiProcess]:
    """Runs while the block lasts; `root` is the folder of the code."""
    command = [sys.executable, "-m", "observabilidad.fake_loki"]
    with subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - our own module
        try:
            yield LokiProcess(process)
        finally:
            process.terminate()


if __name__ == "__main__":
    sys.exit(main())
