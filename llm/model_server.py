"""What asking a model server before the run has in common: bounded answers, and errors that say how to start it."""

import json
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import httpx

from core.errors import DependencyError

_LIMIT: Final = 2_000_000
"""Bytes of an answer that are read."""

_SECONDS: Final = 10.0

CONNECTIONS: Final = httpx.Limits(max_connections=None, max_keepalive_connections=64)
"""Who calls limits what is under way. The clients send by aiohttp: 1 ms less CPU a call than httpx's own pool."""


def shown(url: str) -> str:
    """The URL without the user and password it may carry."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


async def ask(
    method: str,
    url: str,
    remedy: str,
    *,
    body: object = None,
    headers: dict[str, str] | None = None,
    proxies: bool = False,
) -> tuple[int, Any]:
    """HTTP status and JSON answer (None when it is no JSON). Raises `DependencyError` when nobody answers."""
    try:
        async with (
            httpx.AsyncClient(timeout=_SECONDS, trust_env=proxies, headers=headers) as client,
            client.stream(method, url, json=body) as response,
        ):
            content = b""
            async for chunk in response.aiter_bytes():
                content += chunk
                if len(content) > _LIMIT:
                    break
            status = response.status_code
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise DependencyError(f"El modelo no responde en {shown(url)} ({type(error).__name__}). {remedy}") from error
    if status >= 500:
        raise DependencyError(f"El servidor del modelo, {shown(url)}, responde HTTP {status}. {remedy}")
    try:
        return status, json.loads(content)
    except ValueError:
        return status, None
