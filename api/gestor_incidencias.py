"""The incident desk over HTTP, as the contract has it; what a desk offers beyond that is used where it is there."""

import dataclasses
import logging
import re
import unicodedata
from collections.abc import Mapping
from urllib.parse import quote, unquote

import httpx
import stamina
from pydantic import ValidationError

from api.http import Service, Wording, retry_policy
from core.actions import DeskChange
from core.catalogue import normalised
from core.characters import clean
from core.errors import Terminal
from core.incident import Incident
from core.ports import DeskListing
from core.reason import Reason

logger = logging.getLogger(__name__)

_WORDING = Wording(
    service="la mesa de incidencias",
    setting="MOCK_GESTOR_URL",
    unavailable=Reason.DESK_UNAVAILABLE,
    refused=Reason.DESK_REFUSED,
    rubbish=Reason.DESK_UNAVAILABLE,
)
_ATTACHMENT_WORDING = dataclasses.replace(
    _WORDING, refused=Reason.ATTACHMENT_UNREADABLE, rubbish=Reason.ATTACHMENT_UNREADABLE
)
_LISTING = "/api/incidencias"
_ATTACHMENTS = "/api/adjuntos"
_NOT_OFFERED = frozenset({404, 405, 501})
_OTHER_VERSION = frozenset({409, 412})
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


class HttpIncidentDesk:
    """`core.ports.IncidentDesk` over an open client; the client's owner closes it."""

    def __init__(self, client: httpx.AsyncClient, retrying: stamina.AsyncRetryingCaller | None = None) -> None:
        self._client = client
        self._service = Service(client, retrying or retry_policy(), _WORDING)
        # None: not known yet. What a desk offers is learnt from its own answers, once.
        self._offers_read: bool | None = None
        self._offers_notes: bool | None = None

    async def list_open(self, mailbox: str | None = None) -> DeskListing:
        """The open incidents, of one mailbox or of all."""
        params = {"buzon": mailbox} if mailbox else None
        listing = await self._list(_LISTING, params)
        return _only(listing, mailbox) if mailbox else listing

    async def list_closed(self) -> DeskListing:
        """The closed incidents."""
        return await self._list(f"{_LISTING}/cerradas", None)

    async def read(self, code: str) -> Incident:
        """The incident as it is now, with its version where the desk has one.

        Raises `Terminal(DESK_REFUSED)` for a code that the desk does not know, `Terminal(INCIDENT_INVALID)` for one
        whose data cannot be read.
        """
        path = _incident_path(code)
        if self._offers_read is not False:
            answer = await self._service.get(path, expected=_NOT_OFFERED)
            if answer.status not in _NOT_OFFERED:
                self._offers_read = True
                return self._single(code, self._service.parse(answer), answer.headers)
        incident = await self._read_from_listings(code)
        if self._offers_read is None and _is_plain(code):
            # A code with a slash may be missed by the route alone; a plain one means that there is no route.
            self._offers_read = False
            logger.info("la mesa no ofrece leer una incidencia", extra={"action": "desk_plain", "missing": "read"})
        return incident

    async def change(self, incident: Incident, change: DeskChange, key: str) -> None:
        """Send the change once (see the Protocol for the errors)."""
        headers = {"Idempotency-Key": key}
        if incident.etag is not None:
            headers["If-Match"] = incident.etag
        body = change.model_dump(mode="json", by_alias=True, exclude_none=True)
        path = _incident_path(incident.code)
        expected = _OTHER_VERSION if incident.etag is not None else frozenset({412})
        answer = await self._service.submit("PATCH", path, body, headers=headers, expected=expected)
        if answer.status in expected:
            raise Terminal(Reason.TOUCHED_MEANWHILE)

    async def note(self, incident: Incident, text: str, key: str) -> bool:
        """Leave a note; False where the desk has no such route."""
        if self._offers_notes is False:
            return False
        answer = await self._service.submit(
            "POST",
            f"{_incident_path(incident.code)}/notas",
            {"nota": text},
            headers={"Idempotency-Key": key},
            expected=_NOT_OFFERED,
        )
        if answer.status not in _NOT_OFFERED:
            self._offers_notes = True
            return True
        if self._offers_notes is None and _is_plain(incident.code):
            self._offers_notes = False
            logger.info("la mesa no admite notas", extra={"action": "desk_plain", "missing": "notes"})
        return False

    async def attachment(self, name: str, limit: int) -> bytes:
        """The bytes of an attachment, given its name or its address on this desk; at most `limit` bytes."""
        path = f"{_ATTACHMENTS}/{quote(self._attachment_name(name), safe='')}"
        answer = await self._service.get(path, limit=limit, wording=_ATTACHMENT_WORDING)
        return answer.body

    async def _list(self, path: str, params: Mapping[str, str] | None) -> DeskListing:
        value = self._service.parse(await self._service.get(path, params=params))
        items = value.get("incidencias") if isinstance(value, dict) else value
        if not isinstance(items, list):
            raise self._service.rubbish("un objeto JSON que no es una lista de incidencias")
        listing = _read_items(items)
        if listing.invalid:
            logger.warning(
                "la mesa ha enviado incidencias que no se pueden leer",
                extra={"action": "invalid", "count": len(listing.invalid)},
            )
        return listing

    def _single(self, code: str, value: object, headers: Mapping[str, str]) -> Incident:
        if isinstance(value, dict) and isinstance(value.get("incidencia"), dict):
            value = value["incidencia"]
        incident = _parsed(value)
        if isinstance(incident, str):
            raise Terminal(
                Reason.INCIDENT_INVALID, f"la mesa ha enviado una incidencia con datos no válidos: {incident}"
            )
        if incident.code != code:
            raise Terminal(Reason.INCIDENT_INVALID, "la mesa ha enviado otra incidencia en lugar de la pedida")
        return incident.model_copy(update={"etag": _strong_etag(headers.get("ETag"))})

    async def _read_from_listings(self, code: str) -> Incident:
        for list_all in (self.list_open, self.list_closed):
            listing = await list_all()
            for incident in listing.incidents:
                if incident.code == code:
                    return incident
            for named, why in listing.invalid:
                if named == code:
                    raise Terminal(Reason.INCIDENT_INVALID, f"{Reason.INCIDENT_INVALID.text}: {why}")
        raise Terminal(Reason.DESK_REFUSED, "la mesa no tiene esa incidencia, ni abierta ni cerrada")

    def _attachment_name(self, name: str) -> str:
        """The bare name; `Terminal(ATTACHMENT_UNREADABLE)` for anything that could lead elsewhere."""
        if _ABSOLUTE.match(name):
            name = self._name_in_url(name)
        # Some servers decode a path twice, so the decoded name must be harmless too.
        for form in (name, unquote(name)):
            if not form.strip(". ") or len(form) > 255 or ".." in form or "/" in form or "\\" in form:
                raise _unreadable("su nombre no es un nombre de fichero")
            if any(unicodedata.category(char).startswith("C") for char in form):
                raise _unreadable("su nombre tiene caracteres de control")
        return name

    def _name_in_url(self, address: str) -> str:
        """The last part of an address under this desk's own attachments."""
        try:
            url = httpx.URL(address)
        except httpx.InvalidURL as error:
            raise _unreadable("su dirección no es válida") from error
        own = self._client.base_url
        # Compared before any decoding or tidying of the path, and with nothing else in the address.
        prefix = f"{own.path.rstrip('/')}{_ATTACHMENTS}/"
        same = (url.scheme, url.host, _port(url)) == (own.scheme, own.host, _port(own))
        path = re.sub(r"^[^:]+://[^/?#\\]*", "", address)
        if not same or url.userinfo or "?" in path or "#" in path or not path.startswith(prefix):
            raise _unreadable("está fuera de la mesa de incidencias")
        return unquote(path.removeprefix(prefix))


def _only(listing: DeskListing, mailbox: str) -> DeskListing:
    """Without other mailboxes' incidents: a desk that ignores the filter must not widen what we work on."""
    kept = tuple(i for i in listing.incidents if not i.mailbox or normalised(i.mailbox) == normalised(mailbox))
    if len(kept) < len(listing.incidents):
        dropped = len(listing.incidents) - len(kept)
        logger.warning("la mesa no ha filtrado por buzón", extra={"action": "mailbox_filter", "dropped": dropped})
    return DeskListing(incidents=kept, invalid=listing.invalid)


def _read_items(items: list[object]) -> DeskListing:
    """Each item by itself, so that a broken one costs only itself."""
    incidents: dict[str, Incident] = {}
    invalid: list[tuple[str, str]] = []
    for position, item in enumerate(items, start=1):
        incident = _parsed(item)
        if isinstance(incident, str):
            invalid.append((_code_of(item) or f"posición {position}", incident))
        elif incident.code in incidents:
            invalid.append((incident.code, f"código repetido en la posición {position}; vale la primera"))
        else:
            incidents[incident.code] = incident
    return DeskListing(incidents=tuple(incidents.values()), invalid=tuple(invalid))


def _parsed(item: object) -> Incident | str:
    """The incident, or in words why it is none (field and fault, never its text)."""
    if not isinstance(item, dict):
        return "no es un objeto"
    try:
        # A field of this name in the body is not the header that `If-Match` wants back.
        incident = Incident.model_validate({name: value for name, value in item.items() if name != "etag"})
        incident.fingerprint()  # fields we do not know are kept unchecked: half a surrogate pair shows only here
    except ValidationError as error:
        fields = sorted({".".join(str(part) for part in fault["loc"][:3]) for fault in error.errors()})
        return f"campos no válidos: {', '.join(fields[:5])}"
    except (ValueError, RecursionError):
        return "contiene texto o datos que no se pueden representar"
    return incident


def _code_of(item: object) -> str:
    code = item.get("codIncidencia") if isinstance(item, dict) else None
    # Cleaned: it may have been refused for control characters, and is shown and logged.
    return " ".join(clean(code).split())[:200] if isinstance(code, str) else ""


def _incident_path(code: str) -> str:
    """The incident's route, its code quoted whole; "." and ".." would name another route."""
    try:
        quoted = quote(code, safe="")
    except UnicodeEncodeError as error:
        raise Terminal(Reason.INCIDENT_INVALID, "el código de la incidencia no es texto válido") from error
    if not code.strip() or code in (".", "..", "cerradas"):
        raise Terminal(Reason.INCIDENT_INVALID, f"{code!r} no puede ser el código de una incidencia")
    return f"{_LISTING}/{quoted}"


def _is_plain(code: str) -> bool:
    return quote(code, safe="") == code


def _strong_etag(value: str | None) -> str | None:
    """A weak validator never matches in `If-Match` (RFC 9110, 13.1.1), so it is no version to us."""
    if value is None or value.startswith("W/") or not value.isascii():
        return None
    return value


def _port(url: httpx.URL) -> int | None:
    return url.port or {"http": 80, "https": 443}.get(url.scheme)


def _unreadable(why: str) -> Terminal:
    return Terminal(Reason.ATTACHMENT_UNREADABLE, f"hay un adjunto que no se puede leer: {why}")
