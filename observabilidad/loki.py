"""One Loki: the record's lines as OTLP over HTTP, and what it answers, in four words.

Labels (few values): `service_name`, `deployment_environment_name`. The level goes as `severity_text`, and `PLACES` as
structured metadata. Of a line that it gets twice (same labels, same time, same text) Loki shows one, but may count two
until it has merged its chunks, and some for good: ask `kept` before sending anything again.
"""

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import Enum
from typing import Any

import requests
from opentelemetry._logs import LogRecord
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.sdk._logs import LogRecordLimits, ReadWriteLogRecord
from opentelemetry.sdk._logs._internal import std_to_otel
from opentelemetry.sdk._logs.export import LogRecordExportResult
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from requests.adapters import HTTPAdapter

from observabilidad.line import Line

SERVICE = "spai"
_PATH = "/otlp/v1/logs"
_ASKED = "/loki/api/v1/query_range"
_PAGE = 5_000
"""Lines in an answer: what Loki gives at most unless it is told otherwise."""
_KEPT_HEADERS = ("content-type", "content-encoding", "content-length", "user-agent")
_NO_BACK_OFF = 0.5
"""Seconds that the exporter believes it has: too few for its own back-offs (from 0.8 s), which nothing can cut short
and after which it drops the batch. How long a request may take is said by the adapter."""
_NOWHERE = Context({"spai": True})
"""No span: a line sent again must be the same, whatever is being traced."""
_UNLIMITED = LogRecordLimits(*[LogRecordLimits.UNSET] * 4)


class Answer(Enum):
    """What became of a batch."""

    TAKEN = "recibido"
    REFUSED = "rechazado"
    """It will be the next time, too."""
    FAULTY = "error de Loki"
    """An error of its own, or too much at once: worth another try."""
    AWAY = "sin respuesta"


class _Adapter(HTTPAdapter):
    """One request as we want it: our time limit, and nothing that the environment adds to headers or certificates."""

    def __init__(self, headers: Sequence[str]) -> None:
        super().__init__(max_retries=0)
        self._headers = headers
        self.seconds = 0.0
        self.answer, self.why = Answer.AWAY, ""

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        self.answer, self.why = Answer.AWAY, "no se puede conectar"
        for name in list(request.headers):
            if name.lower() not in self._headers:
                del request.headers[name]
        try:
            response = super().send(request, timeout=self.seconds, verify=True, cert=None, proxies={})
        except requests.exceptions.SSLError:
            self.why = "su certificado no es de confianza"
            raise
        except requests.exceptions.Timeout:
            self.why = "no contesta a tiempo"
            raise
        self.answer, self.why = _read(response)
        return response


def _read(response: requests.Response) -> tuple[Answer, str]:
    """A page in place of Loki, or a redirection to one, has taken nothing, whatever its status."""
    status, text = response.status_code, response.text[:200].strip()
    if 200 <= status < 300 and "html" not in response.headers.get("Content-Type", ""):
        return Answer.TAKEN, ""
    why = f"ha contestado {status}" + (f": {text}" if text and status >= 400 and text.isprintable() else "")
    return (Answer.FAULTY if status >= 500 or status in (408, 425, 429) else Answer.REFUSED), why


class Loki:
    """Where the lines go. Only what it is given counts: proxies and OpenTelemetry's own variables are not looked at."""

    def __init__(self, url: str, environment: str) -> None:
        user, _, host = url.partition("://")[2].partition("/")[0].rpartition("@")
        self.name = f"Loki ({host})"
        """For messages: without user and password, nor the form of a URL, which the log does not show."""
        self._url = url
        self._selector = f'{{service_name="{SERVICE}", deployment_environment_name="{environment}"}}'
        self._resource = Resource({"service.name": SERVICE, "deployment.environment.name": environment})
        self._scope = InstrumentationScope(SERVICE)
        # User and password of the URL become this header; nobody else's may.
        self._adapter = _Adapter([*_KEPT_HEADERS, "authorization"] if user else _KEPT_HEADERS)
        self._session = session = requests.Session()
        session.trust_env = False
        for scheme in ("http://", "https://"):
            session.mount(scheme, self._adapter)
        self._exporter = OTLPLogExporter(
            url + _PATH, timeout=_NO_BACK_OFF, compression=Compression.Gzip, session=session
        )

    @property
    def why(self) -> str:
        """In words, why the last batch was not taken."""
        return self._adapter.why

    def record(self, line: Line) -> ReadWriteLogRecord:
        """The line as OpenTelemetry has it."""
        made = LogRecord(
            timestamp=line.nanoseconds,
            observed_timestamp=line.nanoseconds,
            context=_NOWHERE,
            severity_text=line.level,
            severity_number=std_to_otel(logging.getLevelNamesMapping().get(line.level, logging.INFO)),
            body=line.text,
            attributes=dict(line.places),
        )
        return ReadWriteLogRecord(made, self._resource, self._scope, _UNLIMITED)

    def send(self, batch: Sequence[Any], seconds: float) -> Answer:
        """One try, of at most `seconds` for connecting and as many for the answer; `batch` as `record` makes them."""
        self._adapter.seconds = max(seconds, 0.01)
        self._adapter.answer, self._adapter.why = Answer.REFUSED, "la petición no se puede hacer; compruebe LOKI_URL"
        with _sending():
            done = self._exporter.export(batch)
        if done is LogRecordExportResult.SUCCESS and self._adapter.answer is not Answer.TAKEN:
            return Answer.REFUSED
        return self._adapter.answer

    def kept(self, since: int, until: int, seconds: float) -> set[tuple[int, str]] | None:
        """Nanoseconds and text of our lines that it has between two moments, both included; None: it does not say.

        Each request may take `seconds`. One that only takes lines (a gateway, a collector) does not say.
        """
        found: set[tuple[int, str]] = set()
        while True:
            page = self._page(since, until, max(seconds, 0.01))
            if page is None:
                return None
            more = len(page) >= _PAGE and not page <= found
            found |= page
            if not more:
                return found
            since = max(nanoseconds for nanoseconds, _ in page)

    def _page(self, since: int, until: int, seconds: float) -> set[tuple[int, str]] | None:
        self._adapter.seconds = seconds
        asked = {
            "query": self._selector,
            "start": str(since),
            "end": str(until + 1),
            "limit": str(_PAGE),
            "direction": "forward",
        }
        try:
            with _sending():
                response = self._session.get(self._url + _ASKED, params=asked, allow_redirects=False)
            streams = response.json()["data"]["result"] if response.status_code == 200 else None
            return None if streams is None else {(int(at), text) for one in streams for at, text, *_ in one["values"]}
        except (requests.RequestException, ValueError, LookupError, TypeError):
            return None

    def close(self) -> None:
        """Lets go of the connection."""
        self._session.close()


_thread = threading.local()


@contextmanager
def _sending() -> Iterator[None]:
    _thread.sending = True
    try:
        yield
    finally:
        _thread.sending = False


class SendingFilter(logging.Filter):
    """Keeps out what libraries log while they send lines: it would be sent in turn, and told at every try."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not getattr(_thread, "sending", False)
