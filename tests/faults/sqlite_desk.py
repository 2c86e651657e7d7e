"""A desk in one SQLite file: what it did survives whoever asked for it. No versions, no idempotency keys, no notes."""

import json
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from core.actions import DeskChange, DeskVerb
from core.errors import Terminal
from core.incident import Incident
from core.ports import DeskListing
from core.reason import Reason

_AFTER = {
    DeskVerb.RESOLVE: "Resuelta",
    DeskVerb.REASSIGN: "Abierta",
    DeskVerb.WAIT: "En espera",
    DeskVerb.AWAIT_FIX: "Pendiente de implantar",
}


class SqliteDesk:
    """`core.ports.IncidentDesk`; a change sent twice takes effect twice, and `effects` shows it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def create(self, incidents: Iterable[Incident]) -> None:
        """Make the file with these open incidents."""
        with closing(self._connect()) as db, db:
            db.execute("CREATE TABLE incidencias (cod TEXT PRIMARY KEY, orden INTEGER, documento TEXT NOT NULL)")
            db.execute("CREATE TABLE efectos (cod TEXT, clave TEXT, cambio TEXT)")
            rows = ((i.code, n, i.model_dump_json(by_alias=True)) for n, i in enumerate(incidents))
            db.executemany("INSERT INTO incidencias VALUES (?, ?, ?)", rows)

    def effects(self) -> list[str]:
        """The incidents' codes, once per change that took effect."""
        with closing(self._connect()) as db:
            return [code for (code,) in db.execute("SELECT cod FROM efectos ORDER BY rowid")]

    async def list_open(self, mailbox: str | None = None) -> DeskListing:
        """All but the resolved ones."""
        return DeskListing(incidents=tuple(i for i in self._all() if i.status != "Resuelta"))

    async def list_closed(self) -> DeskListing:
        """The resolved ones."""
        return DeskListing(incidents=tuple(i for i in self._all() if i.status == "Resuelta"))

    async def read(self, code: str) -> Incident:
        """As it is now."""
        with closing(self._connect()) as db:
            return self._found(db, code)

    async def change(self, incident: Incident, change: DeskChange, key: str) -> None:
        """Apply it, whatever was sent before."""
        with closing(self._connect()) as db, db:
            db.execute("BEGIN IMMEDIATE")
            now = self._found(db, incident.code).model_dump(by_alias=True, mode="json")
            now["estado"] = _AFTER[change.verb]
            now["buzon"] = change.mailbox or now["buzon"]
            now["historial"].append({"Autor": "SPAI", "NotasResolucion": change.notes, "estado": now["estado"]})
            db.execute("UPDATE incidencias SET documento = ? WHERE cod = ?", (json.dumps(now), incident.code))
            db.execute("INSERT INTO efectos VALUES (?, ?, ?)", (incident.code, key, change.model_dump_json()))

    async def note(self, incident: Incident, text: str, key: str) -> bool:
        """It has no notes."""
        return False

    async def attachment(self, name: str, limit: int) -> bytes:
        """It has none."""
        raise Terminal(Reason.ATTACHMENT_UNREADABLE)

    def _all(self) -> list[Incident]:
        with closing(self._connect()) as db:
            documents = db.execute("SELECT documento FROM incidencias ORDER BY orden").fetchall()
        return [Incident.model_validate_json(document) for (document,) in documents]

    def _found(self, db: sqlite3.Connection, code: str) -> Incident:
        row = db.execute("SELECT documento FROM incidencias WHERE cod = ?", (code,)).fetchone()
        if row is None:
            raise Terminal(Reason.DESK_REFUSED)
        return Incident.model_validate_json(row[0])

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._path, timeout=30, isolation_level=None)
        db.execute("PRAGMA synchronous=OFF")
        return db
