"""The business system behind `api|<sistema>` over HTTP."""

from collections.abc import Mapping
from urllib.parse import quote

import httpx
import stamina
from pydantic_core import to_json

from api.http import Service, Wording, retry_policy
from core.catalogue import normalised
from core.errors import Terminal
from core.ports import SystemAnswer
from core.reason import Reason

_WORDING = Wording(
    service="el sistema de negocio",
    setting="MOCK_SISTEMA_URL",
    unavailable=Reason.SYSTEM_UNAVAILABLE,
    refused=Reason.SYSTEM_ANSWER_INVALID,
    rubbish=Reason.SYSTEM_ANSWER_INVALID,
)
_RESOLUTION, _MAILBOX, _SOLUTION = "RESOLUCION AUTOMÁTICA", "BUZON REASIGNACION", "SOLUCIÓN"


class HttpSystem:
    """`core.ports.ExternalSystem` over an open client; the client's owner closes it."""

    def __init__(self, client: httpx.AsyncClient, retrying: stamina.AsyncRetryingCaller | None = None) -> None:
        self._service = Service(client, retrying or retry_policy(), _WORDING)

    async def policy(self, number: str) -> Mapping[str, object] | None:
        """What the system knows of a policy; None when it knows no such number."""
        _require_policy(number)
        answer = await self._service.get(f"/api/poliza/{quote(number, safe='')}", expected={404})
        if answer.status == 404:
            return None
        value = self._service.parse(answer)
        if not isinstance(value, dict):
            raise self._service.rubbish("una lista donde se esperaba una póliza")
        return value

    async def check(self, policy: str, system: str, payload: Mapping[str, object]) -> SystemAnswer:
        """What to do about the policy, asked once; sent again only while no connection could be made.

        Raises `Terminal(SYSTEM_ANSWER_INVALID)` for an answer that cannot be understood,
        `Retryable(SYSTEM_UNAVAILABLE)` for none.
        """
        _require_policy(policy)
        body = {"poliza": policy, "codSolucion": system, "strJson": to_json(dict(payload)).decode()}
        answer = await self._service.submit("POST", "/api/comprobacionPoliza", body, changes=False)
        value = self._service.parse(answer)
        if not isinstance(value, dict):
            raise self._service.rubbish("una lista donde se esperaba una respuesta")
        return self._understood(value)

    def _understood(self, value: Mapping[str, object]) -> SystemAnswer:
        """All three fields must be there; mailbox and solution may be null where the resolution needs none."""
        given = {normalised(name): field for name, field in value.items()}
        if len(given) < len(value):
            raise self._service.rubbish("campos repetidos")
        texts: dict[str, str] = {}
        for name in (_RESOLUTION, _MAILBOX, _SOLUTION):
            if normalised(name) not in given:
                raise self._service.rubbish(f"una respuesta sin «{name}»")
            field = given[normalised(name)]
            if field is None and name != _RESOLUTION:
                field = ""
            if not isinstance(field, str) or (name == _RESOLUTION and not field.strip()):
                raise self._service.rubbish(f"un «{name}» que no es un texto válido")
            texts[name] = field.strip()
        return SystemAnswer(resolution=texts[_RESOLUTION], mailbox=texts[_MAILBOX], solution=texts[_SOLUTION])


def _require_policy(number: str) -> None:
    if not number.strip() or number in (".", ".."):
        raise Terminal(Reason.MISSING_POLICY)
