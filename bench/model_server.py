"""A model server that takes a fixed time and has a fixed number of slots: OpenAI's and Ollama's shapes on one port.

Runs in a process of its own (`python -m bench.model_server`), so that its CPU is not counted as ours.
"""

import asyncio
import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from config import ROOT
from core.command_line import Parser

MODEL: Final = "banco"
_TEXT: Final = "error al guardar el suplemento en la pantalla de pólizas"
_YES_IN_TEN: Final = 4
"""Of ten judgements, how many say «sí»: enough of each for every branch of the loop to be taken."""


def answer(path: str, body: dict[str, Any]) -> dict[str, Any] | None:
    """What is answered to `body` at `path`, the same each time; None where there is no such path."""
    match path.removeprefix("/v1"):
        case "/models":
            return {"object": "list", "data": [{"id": MODEL, "object": "model"}]}
        case "/api/tags":
            return {"models": [{"name": MODEL}]}
        case "/api/show":
            return {"model_info": {"banco.context_length": 32768}}
        case "/chat/completions":
            return _openai(body)
        case "/api/chat":
            return _ollama(body)
    return None


def _openai(body: dict[str, Any]) -> dict[str, Any]:
    schema = body.get("response_format", {}).get("json_schema", {}).get("schema")
    text, first = _reply(body, schema, bool(body.get("logprobs")))
    choice = {
        "index": 0,
        "finish_reason": "stop",
        "message": {"role": "assistant", "content": text},
        "logprobs": {"content": [first]} if first else None,
    }
    usage = {"prompt_tokens": 300, "completion_tokens": 5, "total_tokens": 305}
    return {
        "id": "banco", "object": "chat.completion", "created": 1, "model": MODEL, "choices": [choice], "usage": usage,
    }  # fmt: skip


def _ollama(body: dict[str, Any]) -> dict[str, Any]:
    schema = body.get("format")
    text, first = _reply(body, schema if isinstance(schema, dict) else None, bool(body.get("logprobs")))
    words = len(json.dumps(body["messages"]).split())
    reply: dict[str, Any] = {
        "model": MODEL, "created_at": "2026-01-01T00:00:00Z", "done": True, "done_reason": "stop",
        "message": {"role": "assistant", "content": text}, "prompt_eval_count": 2 * words, "eval_count": 5,
    }  # fmt: skip
    return reply | ({"logprobs": [first]} if first else {})


def _reply(body: dict[str, Any], schema: dict[str, Any] | None, judged: bool) -> tuple[str, dict[str, Any] | None]:
    """Text and, for a judgement, its first token with the likeliest others."""
    if schema is not None:
        return json.dumps(instance(schema, schema.get("$defs", {})), ensure_ascii=False), None
    if not judged:
        return _TEXT, None
    digest = hashlib.sha256(json.dumps(body["messages"]).encode()).digest()
    likely, other = ("sí", "no") if digest[0] % 10 < _YES_IN_TEN else ("no", "sí")
    top = [{"token": likely, "logprob": -0.01, "bytes": None}, {"token": other, "logprob": -5.0, "bytes": None}]
    return likely, {**top[0], "top_logprobs": top}


def instance(schema: dict[str, Any], definitions: dict[str, Any]) -> Any:
    """A value that holds by `schema`, as far as the schemas of our tasks go."""
    if "$ref" in schema:
        return instance(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    if "enum" in schema:
        return schema["enum"][0]
    if "const" in schema:
        return schema["const"]
    if "anyOf" in schema:
        return instance(schema["anyOf"][0], definitions)
    match schema.get("type"):
        case "object":
            return {name: instance(child, definitions) for name, child in schema.get("properties", {}).items()}
        case "array":
            return [instance(schema["items"], definitions)]
        case "string":
            return _TEXT
        case "boolean":
            return True
        case "integer" | "number":
            return schema.get("minimum", 1)
    return None


async def serve(latency: float, slots: int) -> None:
    """Print the port on one line, then serve until standard input ends. `latency` in seconds is spent inside a slot."""
    free = asyncio.Semaphore(slots)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (request := await _read(reader)) is not None:
                path, body = request
                found = answer(path, body)
                if path.endswith(("/chat/completions", "/api/chat")):
                    async with free:
                        await asyncio.sleep(latency)
                content = json.dumps(found or {}).encode()
                status = "200 OK" if found is not None else "404 Not Found"
                head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
                writer.write(head.encode() + content)
                await writer.drain()
        except ConnectionError:
            return  # the client is gone: nobody to tell
        finally:
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    # It ends with whoever holds the other end, even if that one was killed; not `async with`: nobody waits for clients.
    await asyncio.to_thread(sys.stdin.read)
    server.close()


async def _read(reader: asyncio.StreamReader) -> tuple[str, dict[str, Any]] | None:
    """Path and JSON body of one request; None when the client has hung up."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
    except asyncio.IncompleteReadError:
        return None
    return head[0].split()[1], json.loads(body or b"{}")


@contextmanager
def model_server(latency: float, slots: int) -> Iterator[str]:
    """The server in a process of its own while the block lasts; gives its URL without `/v1`."""
    command = [sys.executable, "-m", "bench.model_server", "--latencia", str(latency), "--ranuras", str(slots)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            port = process.stdout.readline().strip()
            if not port:
                raise RuntimeError("El servidor de modelo del banco no arranca: vea su error más arriba.")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def main() -> int:
    """Serves until standard input ends."""
    parser = Parser(prog="python -m bench.model_server", description="Servidor de modelo falso, de latencia fija.")
    parser.add_argument("--latencia", type=float, default=0.2, metavar="S", help="segundos por respuesta")
    parser.add_argument("--ranuras", type=int, default=8, metavar="N", help="respuestas a la vez")
    options = parser.parse_args()
    asyncio.run(serve(options.latencia, options.ranuras))
    return 0


if __name__ == "__main__":
    sys.exit(main())
