"""What a desk sends: an incident with its history. JSON names are the contract's; unknown fields are kept."""

import hashlib
import json
from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


def _text(value: Any) -> Any:
    """Missing and null are the empty text; a number is its digits; anything else must be text already."""
    if value is None:
        return ""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return value


def _attachment_names(value: Any) -> Any:
    """Names as text, or as objects with a `nombre`."""
    if value is None:
        return ()
    if isinstance(value, Iterable) and not isinstance(value, str | dict):
        return tuple(item.get("nombre") or item.get("name") if isinstance(item, dict) else item for item in value)
    return value


Text = Annotated[str, BeforeValidator(_text)]


class HistoryEntry(BaseModel):
    """One entry of an incident's history, oldest first."""

    model_config = ConfigDict(frozen=True, extra="allow", populate_by_name=True)

    date: Text = Field(default="", alias="Fecha")
    author: Text = Field(default="", alias="Autor")
    resolution_code: Text = Field(default="", alias="CodigoResolucion")
    notes: Text = Field(default="", alias="NotasResolucion")
    comment_mailbox: Text = Field(default="", alias="buzonComentario")
    assigned_mailbox: Text = Field(default="", alias="buzonAsignado")
    status: Text = Field(default="", alias="estado")
    detail: Text = Field(default="", alias="detalle")
    attachments: Annotated[tuple[str, ...], BeforeValidator(_attachment_names)] = Field(default=(), alias="adjuntos")


class Incident(BaseModel):
    """An incident as the desk has it now."""

    model_config = ConfigDict(frozen=True, extra="allow", populate_by_name=True)

    code: Annotated[str, Field(min_length=1, max_length=200)] = Field(alias="codIncidencia")
    mailbox: Text = Field(default="", alias="buzon")
    title: Text = Field(default="", alias="titulo")
    requester: Text = Field(default="", alias="solicitante")
    status: Text = Field(default="", alias="estado")
    opened: Text = Field(default="", alias="apertura")
    priority: Text = Field(default="", alias="prioridad")
    description: Text = Field(default="", alias="descripcion")
    history: Annotated[tuple[HistoryEntry, ...], BeforeValidator(lambda v: () if v is None else v)] = Field(
        default=(), alias="historial"
    )
    etag: str | None = Field(default=None, exclude=True)
    """The desk's version of this state, where it has one; never part of the JSON."""

    def fingerprint(self, *, without: str | None = None) -> str:
        """SHA-256 over all that the desk sent: changes when anybody touches the incident.

        `without` leaves out the history entries that hold this text, so that our own notes do not count as a change.
        """
        content = self.model_dump(by_alias=True, mode="json")
        if without:
            entries = content["historial"]
            content["historial"] = [e for e in entries if without not in json.dumps(e, ensure_ascii=False)]
        return hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
