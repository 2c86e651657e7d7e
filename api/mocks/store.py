"""The demo desk's incidents: read, changed under `If-Match`, each change applied once per `Idempotency-Key`."""

import hashlib
import json
import sqlite3
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Self

from fastapi import HTTPException
from pydantic import BaseModel, ConfigDict, Field, model_validator

from api.mocks import content
from api.mocks.database import prepare, transaction

AUTHOR = "SPAI"
"""Who the desk says made a change through its API: the demo has no users."""

CLOSED_STATES = ("Resuelta", "Cerrada")

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS incidencias (orden INTEGER PRIMARY KEY, cod TEXT UNIQUE NOT NULL, "
    "buzon TEXT NOT NULL, estado TEXT NOT NULL, documento TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS peticiones (clave TEXT PRIMARY KEY, huella TEXT NOT NULL, respuesta TEXT NOT NULL)",
)
_STATE_AFTER = {"resolver": "Resuelta", "en_espera": "En espera", "pendiente_implantar": "Pendiente de implantar"}
_RESOLUTION_CODE = {
    "resolver": "RESUELTA",
    "reasignar": "REASIGNADA",
    "en_espera": "EN_ESPERA",
    "pendiente_implantar": "PENDIENTE_IMPLANTAR",
}

Document = dict[str, Any]


class Change(BaseModel):
    """The body of `PATCH /api/incidencias/{cod}`."""

    model_config = ConfigDict(extra="forbid")

    action: Literal["resolver", "reasignar", "en_espera", "pendiente_implantar"]
    buzonDestino: str | None = None
    notasResolucion: str | None = None
    detalle: str | None = None

    @model_validator(mode="after")
    def _mailbox_when_reassigning(self) -> Self:
        if self.action == "reasignar" and not (self.buzonDestino or "").strip():
            raise ValueError("para reasignar hay que indicar buzonDestino")
        return self


class Note(BaseModel):
    """The body of `POST /api/incidencias/{cod}/notas`."""

    model_config = ConfigDict(extra="forbid")

    nota: str = Field(min_length=1)


def etag(document: Document) -> str:
    """The strong entity tag of an incident's present state."""
    content_bytes = json.dumps(document, sort_keys=True, ensure_ascii=False).encode()
    return f'"{hashlib.sha256(content_bytes).hexdigest()[:32]}"'


class DeskStore:
    """All incidents of the demo desk, in one SQLite file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        prepare(path, _SCHEMA, _seed)

    def reset(self) -> None:
        """Back to the demo content as it was on the first day."""
        with transaction(self._path) as db:
            db.execute("DELETE FROM incidencias")
            db.execute("DELETE FROM peticiones")
            _seed(db)

    def list_open(self, mailbox: str | None = None) -> list[Document]:
        """Everything that is neither resolved nor closed, oldest code first; only `mailbox`'s where one is given."""
        query = "SELECT documento FROM incidencias WHERE estado NOT IN (?, ?)"
        parameters: tuple[str, ...] = CLOSED_STATES
        if mailbox is not None:
            query, parameters = query + " AND buzon = ?", (*parameters, mailbox)
        return self._select(query + " ORDER BY orden", parameters)

    def list_closed(self) -> list[Document]:
        """What is resolved or closed."""
        query = "SELECT documento FROM incidencias WHERE estado IN (?, ?) ORDER BY orden"
        return self._select(query, CLOSED_STATES)

    def read(self, code: str) -> Document:
        """One incident; 404 when there is none with that code."""
        with transaction(self._path) as db:
            return _find(db, code)

    def change(self, code: str, change: Change, *, if_match: str | None = None, key: str | None = None) -> Document:
        """Apply `change`; 409 when it is closed already, 412 when `if_match` is not its state now.

        Giving a resolved incident to a mailbox opens it again; a closed one stays closed.
        """

        def apply(document: Document) -> None:
            reopens = document["estado"] == "Resuelta" and change.action == "reasignar"
            if document["estado"] in CLOSED_STATES and not reopens:
                raise HTTPException(409, f"La incidencia {code} ya está {document['estado'].lower()}.")
            _append_change(document, change)

        return self._modify(code, change.model_dump(), apply, if_match, key)

    def note(self, code: str, note: Note, *, if_match: str | None = None, key: str | None = None) -> Document:
        """Append a note; state and mailbox stay as they are."""

        def apply(document: Document) -> None:
            _append(document, NotasResolucion=note.nota, detalle="Nota añadida.")

        return self._modify(code, note.model_dump(), apply, if_match, key)

    def _modify(
        self,
        code: str,
        body: Document,
        apply: Callable[[Document], None],
        if_match: str | None,
        key: str | None,
    ) -> Document:
        request = hashlib.sha256(json.dumps([code, body], sort_keys=True).encode()).hexdigest()
        with transaction(self._path) as db:
            # A repetition gets the first answer even though the state, and so the ETag, has moved on since.
            if key is not None and (answered := _answered(db, key, request)) is not None:
                return answered
            document = _find(db, code)
            if if_match is not None and not _matches(if_match, etag(document)):
                raise HTTPException(412, f"La incidencia {code} ha cambiado desde que se leyó.")
            apply(document)
            text = json.dumps(document, ensure_ascii=False)
            db.execute(
                "UPDATE incidencias SET buzon = ?, estado = ?, documento = ? WHERE cod = ?",
                (document["buzon"], document["estado"], text, code),
            )
            if key is not None:
                db.execute("INSERT INTO peticiones VALUES (?, ?, ?)", (key, request, text))
            return document

    def _select(self, query: str, parameters: tuple[str, ...]) -> list[Document]:
        with transaction(self._path) as db:
            return [json.loads(text) for (text,) in db.execute(query, parameters)]


def _seed(db: sqlite3.Connection) -> None:
    now = datetime.now().astimezone()
    for document in content.open_incidents(now) + content.closed_incidents(now):
        db.execute(
            "INSERT INTO incidencias (cod, buzon, estado, documento) VALUES (?, ?, ?, ?)",
            (
                document["codIncidencia"],
                document["buzon"],
                document["estado"],
                json.dumps(document, ensure_ascii=False),
            ),
        )


def _find(db: sqlite3.Connection, code: str) -> Document:
    found = db.execute("SELECT documento FROM incidencias WHERE cod = ?", (code,)).fetchone()
    if found is None:
        raise HTTPException(404, f"No hay ninguna incidencia {code}.")
    document: Document = json.loads(found[0])
    return document


def _answered(db: sqlite3.Connection, key: str, request: str) -> Document | None:
    """The answer already given to `key`; 422 when it came with another request."""
    found = db.execute("SELECT huella, respuesta FROM peticiones WHERE clave = ?", (key,)).fetchone()
    if found is None:
        return None
    if found[0] != request:
        raise HTTPException(422, "Esa Idempotency-Key ya se usó con otra petición.")
    document: Document = json.loads(found[1])
    return document


def _matches(if_match: str, present: str) -> bool:
    return if_match.strip() == "*" or present in [tag.strip() for tag in if_match.split(",")]


def _append_change(document: Document, change: Change) -> None:
    if change.action == "reasignar":
        document["buzon"] = change.buzonDestino
        document["estado"] = "Abierta"
    else:
        document["estado"] = _STATE_AFTER[change.action]
    _append(
        document,
        CodigoResolucion=_RESOLUTION_CODE[change.action],
        NotasResolucion=change.notasResolucion or "",
        detalle=change.detalle or "",
    )


def _append(document: Document, **fields: str) -> None:
    """Add a history entry that shows the incident's state and mailbox after it."""
    entry = {
        "Fecha": datetime.now().astimezone().isoformat(timespec="seconds"),
        "Autor": AUTHOR,
        "CodigoResolucion": "",
        "NotasResolucion": "",
        "buzonComentario": document["buzon"],
        "buzonAsignado": document["buzon"],
        "estado": document["estado"],
        "detalle": "",
    }
    document["historial"] = [*(document.get("historial") or []), entry | fields]
