"""Ollama and an OpenAI-compatible server on loopback, as far as the clients see them: one answer after another."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

Kind = Literal["ollama", "openai"]


@dataclass
class Answer:
    """What a model says, or what goes wrong instead."""

    text: str = ""
    logprobs: dict[str, float] | None = None
    cut: bool = False
    status: int = 200
    body: str | None = None
    """Sent as it is, in place of the server's own shape."""
    hangs: bool = False
    hangs_up: bool = False
    prompt_tokens: int | None = 300


@dataclass
class FakeServer:
    """Answers in order, the last one for ever; keeps what it was asked."""

    kind: Kind
    answers: list[Answer]
    models: list[str] = field(default_factory=lambda: ["m"])
    window: int = 32768
    shown: dict[str, Any] = field(default_factory=dict)
    """What else Ollama says of the model."""
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    url: str = ""
    released: threading.Event = field(default_factory=threading.Event)
    """Set to let the hanging answers go."""

    def next(self) -> Answer:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def shape(self, answer: Answer) -> dict[str, Any]:
        """The answer as this kind of server words it."""
        top = [{"token": token, "logprob": logprob, "bytes": [1]} for token, logprob in (answer.logprobs or {}).items()]
        first = {**top[0], "top_logprobs": top} if top else None
        reason = "length" if answer.cut else "stop"
        if self.kind == "ollama":
            shape: dict[str, Any] = {
                "model": "m", "created_at": "2025-01-01T00:00:00Z", "done": True, "done_reason": reason,
                "message": {"role": "assistant", "content": answer.text}, "eval_count": 5,
            }  # fmt: skip
            if answer.prompt_tokens is not None:
                shape["prompt_eval_count"] = answer.prompt_tokens
            return shape | ({"logprobs": [first]} if first else {})
        choice = {
            "index": 0, "finish_reason": reason, "message": {"role": "assistant", "content": answer.text},
            "logprobs": {"content": [first]} if first else None,
        }  # fmt: skip
        usage = {"prompt_tokens": 300, "completion_tokens": 5, "total_tokens": 305}
        return {"id": "x", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage}


def _handler(server: FakeServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *arguments: object) -> None:
            """Quiet."""

        def do_GET(self) -> None:
            server.headers.append({name.lower(): value for name, value in self.headers.items()})
            answer = server.answers[0]
            if answer.body is not None or answer.status != 200:
                self._send(answer.status, answer.body or "{}")
            elif self.path.endswith("/api/tags"):
                self._send(200, json.dumps({"models": [{"name": name} for name in server.models]}))
            elif self.path.endswith("/models"):
                self._send(200, json.dumps({"data": [{"id": name} for name in server.models]}))
            else:
                self._send(404, "{}")

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.path.endswith("/api/show"):
                self._send(200, json.dumps({"model_info": {"gemma3.context_length": server.window}} | server.shown))
                return
            server.requests.append(body)
            server.headers.append({name.lower(): value for name, value in self.headers.items()})
            answer = server.next()
            if answer.hangs:
                server.released.wait(30)
            if answer.hangs or answer.hangs_up:
                self.close_connection = True
                return
            self._send(answer.status, answer.body if answer.body is not None else json.dumps(server.shape(answer)))

        def _send(self, status: int, body: str) -> None:
            data = body.encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    return Handler


@contextmanager
def serving(kind: Kind, *answers: Answer) -> Iterator[FakeServer]:
    """The server on a free port of loopback; `url` is what the setting takes."""
    fake = FakeServer(kind, list(answers) or [Answer()])
    http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(fake))
    fake.url = f"http://127.0.0.1:{http.server_port}" + ("/v1" if kind == "openai" else "")
    thread = threading.Thread(target=lambda: http.serve_forever(poll_interval=0.02), daemon=True)
    thread.start()
    try:
        yield fake
    finally:
        fake.released.set()
        http.shutdown()
        http.server_close()
        thread.join()
