"""One service over HTTP: its client built once, its retries as a value, its errors put into the domain's words."""

import asyncio
import ipaddress
import json
import logging
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
import stamina

from core.errors import Retryable, StageError, Terminal, UsageError
from core.reason import Reason
from core.usage import count_error

logger = logging.getLogger(__name__)

BODY_LIMIT = 50 * 1024 * 1024
"""Bytes of an answer, decompressed; a larger one is refused."""

_DEADLINE_FACTOR = 6
"""A whole answer may take this many time-outs: a server that drips a byte now and then never trips a read time-out."""

_LONGEST_PAUSE_S = 5.0
_RETRYABLE_STATUS = frozenset({408, 425, 429})
_ENCODINGS = frozenset({"", "identity", "gzip", "deflate"})
_NEVER_CONNECTED = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


def retry_policy(attempts: int = 3, total_s: float = 45.0) -> stamina.AsyncRetryingCaller:
    """How often, and for how many seconds in all, a request that may be repeated is tried; waits grow, with jitter."""
    return stamina.AsyncRetryingCaller(
        attempts=attempts, timeout=total_s, wait_initial=0.2, wait_max=_LONGEST_PAUSE_S, wait_jitter=0.3
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _checked(base_url: str) -> httpx.URL:
    try:
        url = httpx.URL(base_url)
    except httpx.InvalidURL:
        url = httpx.URL()
    if url.scheme not in ("http", "https") or not url.host or "%" in url.host:  # httpx quotes what no host has
        raise UsageError(f"la dirección {base_url!r} no es válida: escriba algo como http://127.0.0.1:8000")
    return url


@asynccontextmanager
async def open_client(base_url: str, timeout_s: float, connections: int = 64) -> AsyncIterator[httpx.AsyncClient]:
    """The client of one service, closed at the end of the block.

    `timeout_s` bounds each of connecting, reading, writing and waiting for a free connection. Raises `UsageError`
    for an address that cannot be one.
    """
    url = _checked(base_url)
    # These libraries log whole addresses, and a policy number is part of one.
    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)
    async with httpx.AsyncClient(
        base_url=url,
        timeout=httpx.Timeout(connect=timeout_s, read=timeout_s, write=timeout_s, pool=timeout_s),
        # Idle connections go well before servers close theirs (often 5 s): a PATCH must not meet a dying one.
        limits=httpx.Limits(max_connections=connections, max_keepalive_connections=16, keepalive_expiry=2.0),
        headers={"Accept": "application/json, */*;q=0.5", "Accept-Encoding": "gzip, deflate"},
        follow_redirects=False,
        trust_env=not _is_loopback(url.host),
    ) as client:
        yield client


class ServiceDown(Retryable):
    """El servicio no responde."""

    def __init__(
        self, reason: Reason, message: str, *, sent: bool, maybe_applied: bool = False, pause_s: float | None = None
    ) -> None:
        super().__init__(reason, message, maybe_applied=maybe_applied)
        self.sent = sent
        """False where the connection was never made, so nothing can have arrived."""
        self.pause_s = pause_s
        """What the service asked to wait (`Retry-After`), where it did."""


@dataclass(frozen=True)
class Answer:
    """What came back: a success, or a status that the caller said it expects (then without a body)."""

    status: int
    headers: httpx.Headers
    body: bytes = b""

    def describe(self) -> str:
        """Kind and size, never the content: that may hold personal data."""
        if not self.body:
            return "una respuesta vacía"
        kind = self.headers.get("Content-Type", "").partition(";")[0].strip().lower() or "tipo desconocido"
        name = "una página HTML" if self.is_html() else "una respuesta"
        return f"{name} ({kind}, {len(self.body)} bytes)"

    def is_html(self) -> bool:
        """A login or proxy page in place of the service."""
        if "html" in self.headers.get("Content-Type", "").lower():
            return True
        return self.body[:64].lstrip().lower().startswith((b"<!doctype", b"<html"))


@dataclass(frozen=True)
class Wording:
    """How one service's failures are called: its name, the setting with its address, and the reason codes."""

    service: str
    setting: str
    unavailable: Reason
    refused: Reason
    rubbish: Reason


@dataclass(frozen=True)
class Service:
    """One service behind an open client. Errors carry no path: a path may hold a policy number."""

    client: httpx.AsyncClient
    retrying: stamina.AsyncRetryingCaller
    wording: Wording

    async def get(
        self,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        expected: Collection[int] = (),
        limit: int = BODY_LIMIT,
        wording: Wording | None = None,
    ) -> Answer:
        """GET, repeated by the policy. Raises `Retryable(unavailable)` or `Terminal(refused | rubbish)`."""
        exchange = _Exchange(self.client, wording or self.wording, changes=False, expected=expected, limit=limit)
        return await self.retrying(_may_repeat, exchange, lambda: self.client.build_request("GET", path, params=params))

    async def submit(
        self,
        method: str,
        path: str,
        body: object,
        *,
        headers: Mapping[str, str] | None = None,
        expected: Collection[int] = (),
        changes: bool = True,
    ) -> Answer:
        """Send a body once; repeated only while no connection could be made.

        Raises `Terminal(refused)`, or `Retryable` whose `maybe_applied` is set when a change may have arrived.
        With `changes=False` (a question) an answer that makes no sense is `Terminal(rubbish)` instead.
        """
        exchange = _Exchange(self.client, self.wording, changes=changes, expected=expected, limit=BODY_LIMIT)
        return await self.retrying(
            _never_arrived, exchange, lambda: self.client.build_request(method, path, json=body, headers=headers)
        )

    def parse(self, answer: Answer) -> dict[str, object] | list[object]:
        """The JSON object or list of an answer; `Terminal(rubbish)` for anything else."""
        what = answer.describe()
        try:
            value = json.loads(answer.body.decode(_charset(answer.headers)))
        except (ValueError, LookupError, RecursionError) as error:
            raise self.rubbish(f"{what} que no es JSON") from error
        if not isinstance(value, dict | list):
            raise self.rubbish(f"{what} cuyo JSON no es ni un objeto ni una lista")
        return value

    def rubbish(self, what: str) -> Terminal:
        """The error for an answer that makes no sense, to be raised: it is counted; `what` says what came."""
        count_error(self.wording.service)
        return _rubbish(self.client, self.wording, what)


@dataclass(frozen=True)
class _Exchange:
    """One try: request out, answer in, every failure mapped and counted."""

    client: httpx.AsyncClient
    wording: Wording
    changes: bool
    """The request changes something, so an unclear end means that it may have been applied."""
    expected: Collection[int]
    limit: int

    async def __call__(self, build: Callable[[], httpx.Request]) -> Answer:
        try:
            return await self._try(build)
        except StageError:
            count_error(self.wording.service)
            raise

    async def _try(self, build: Callable[[], httpx.Request]) -> Answer:
        deadline_s = (self.client.timeout.read or 60.0) * _DEADLINE_FACTOR
        request, status, started = build(), 0, time.perf_counter()
        try:
            async with asyncio.timeout(deadline_s):
                response = await self.client.send(request, stream=True, follow_redirects=False)
                status = response.status_code
                try:
                    return await self._receive(response)
                finally:
                    await response.aclose()
        except _NEVER_CONNECTED as error:
            late = ", HTTP_TIMEOUT" if isinstance(error, httpx.TimeoutException) else ""
            raise self._down("no se ha podido conectar", f"que está en marcha{late}", sent=False) from error
        except (httpx.TimeoutException, TimeoutError) as error:
            raise self._down("no ha respondido a tiempo", "HTTP_TIMEOUT") from error
        except httpx.DecodingError as error:
            raise self._unclear("una respuesta mal comprimida") from error
        except httpx.TransportError as error:
            raise self._down("ha cortado la conexión") from error
        finally:
            self._tell(request.method, status, time.perf_counter() - started)

    def _tell(self, method: str, status: int, seconds: float) -> None:
        """Without the path, which may hold a policy number; status 0: no answer."""
        facts = {"service": self.wording.service, "method": method, "status": status, "ms": round(seconds * 1000, 1)}
        logger.info(
            "petición atendida" if status else "petición sin respuesta", extra={"action": "http_answered", **facts}
        )

    async def _receive(self, response: httpx.Response) -> Answer:
        status = response.status_code
        if status in self.expected and not response.is_success:
            return Answer(status, response.headers)
        if status in _RETRYABLE_STATUS or response.is_server_error:
            # A request that was turned away at the door (429, 425) has changed nothing.
            raise self._down(
                f"ha respondido {status}", applied=status >= 500 or status == 408, headers=response.headers
            )
        if response.is_client_error:
            # Wanting a login, it may be another server than was meant; other refusals are about what was asked.
            hint = f"; compruebe {self.wording.setting}" if status in (401, 403) else ""
            raise Terminal(
                self.wording.refused, f"{_named(self.client, self.wording)} ha rechazado la petición ({status}){hint}"
            )
        if not response.is_success:
            raise self._unclear(f"una redirección o un estado inesperado ({status})")
        encoding = response.headers.get("Content-Encoding", "").strip().lower()
        if encoding not in _ENCODINGS:
            raise self._unclear(f"una respuesta con una compresión que no se había pedido ({encoding[:40]})")
        answer = Answer(status, response.headers, await self._body(response))
        if self.changes and answer.is_html():
            raise self._unclear(answer.describe())
        return answer

    async def _body(self, response: httpx.Response) -> bytes:
        """All bytes, counted as they come: `Content-Length` is only what the other side claims."""
        parts: list[bytes] = []
        size = 0
        async for part in response.aiter_bytes():
            size += len(part)
            if size > self.limit:
                raise self._unclear(f"una respuesta de más de {self.limit} bytes")
            parts.append(part)
        return b"".join(parts)

    def _down(
        self,
        what: str,
        check: str = "",
        *,
        sent: bool = True,
        applied: bool = True,
        headers: httpx.Headers | None = None,
    ) -> ServiceDown:
        """`check`: what to look at before the setting with the address."""
        hint = f"{check} y {self.wording.setting}" if check else self.wording.setting
        return ServiceDown(
            self.wording.unavailable,
            f"{_named(self.client, self.wording)} {what}; compruebe {hint}",
            sent=sent,
            maybe_applied=self.changes and sent and applied,
            pause_s=_retry_after(headers),
        )

    def _unclear(self, what: str) -> Terminal | ServiceDown:
        """Reading: the answer is worthless. Changing: nobody can say whether it was applied."""
        if self.changes:
            return self._down(f"ha contestado con {what}")
        return _rubbish(self.client, self.wording, what)


def _named(client: httpx.AsyncClient, wording: Wording) -> str:
    url = client.base_url
    port = f":{url.port}" if url.port else ""
    return f"{wording.service} ({url.scheme}://{url.host}{port})"


def _rubbish(client: httpx.AsyncClient, wording: Wording, what: str) -> Terminal:
    return Terminal(wording.rubbish, f"{_named(client, wording)} ha contestado con {what}; compruebe {wording.setting}")


def _charset(headers: httpx.Headers) -> str:
    """What the answer declares; UTF-8 (with or without a byte-order mark) where it declares none."""
    declared = httpx.Response(200, headers={"Content-Type": headers.get("Content-Type", "")}).charset_encoding
    return "utf-8-sig" if declared is None or declared.lower() in ("utf-8", "utf8") else declared


def _retry_after(headers: httpx.Headers | None) -> float | None:
    value = headers.get("Retry-After", "") if headers is not None else ""
    return min(float(value), _LONGEST_PAUSE_S) if value.isascii() and value.isdigit() and len(value) < 10 else None


def _may_repeat(error: Exception) -> bool | float:
    if not isinstance(error, ServiceDown):
        return False
    return True if error.pause_s is None else error.pause_s


def _never_arrived(error: Exception) -> bool:
    return isinstance(error, ServiceDown) and not error.sent
