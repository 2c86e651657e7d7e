"""A server's program on a free loopback port, for as long as a block lasts."""

import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

_POLL_S = 0.1


def free_port() -> int:
    """A port that nobody has at this moment."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
    return port


@contextmanager
def running(
    command: Sequence[str | Path], url: str, ready: str, folder: Path, variables: Mapping[str, str], seconds: float = 60
) -> Iterator[str]:
    """`url` once `ready` answers 200 there. What the server says is kept in `folder`, and shown if it never does."""
    said = folder / "servidor.log"
    with said.open("wb") as log:
        process = subprocess.Popen(
            [str(word) for word in command], cwd=folder, env=os.environ | variables, stdout=log, stderr=log
        )
        try:
            deadline = time.monotonic() + seconds
            while not _answers(url + ready):
                if process.poll() is not None or time.monotonic() > deadline:
                    told = said.read_text(encoding="utf-8", errors="replace")
                    pytest.fail(f"{command[0]}: not ready within {seconds} s\n{told[-3000:]}")
                time.sleep(_POLL_S)
            yield url
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False
