"""What a desk sends: an incident with its history. JSON names are the contract's; unknown fields are kept."""

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field


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


def _printable(code: str) -> str:
    """Codes reach terminal and log as they are: no escape sequences, line ends or reordering characters in them."""
    if any(unicodedata.category(char) in ("Cc", "Cf", "Zl", "Zp") for char in code):
        raise ValueError("el código tiene caracteres de control")
    return code


Text = Annotated[str, BeforeValidator(_text)]

_WRAPPING = r"(?i:(?:<(?:p|div|span)\b[^<>]*>\s*)*(?:(?:notas?|comentarios?|detalle|resoluci[oó]n|soluci[oó]n):\s*)?)"
"""What a desk may put before a note of ours: markup, the field's name. Not what a reply puts before a quotation."""


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

    def after_tag(self, tag: str) -> str | None:
        """What we wrote, after the tag; None where a person wrote it, even if it quotes or mentions a note of ours.

        A note of ours begins with the tag; where a desk wraps it («Nota: [SPAI] (decisión d-…»), the mark is whole.
        """
        texts = [self.notes, self.detail]
        if not self.notes.strip():  # a field of the desk's own holds the note; beside somebody's notes, a quotation
            texts += [value for value in (self.model_extra or {}).values() if isinstance(value, str)]
        ours = re.escape(tag)
        begins = re.compile(rf"\s*(?:{_WRAPPING}(?={ours}\s*\(decisi[oó]n d-))?{ours}")
        return next((text[found.end() :].rstrip() for text in texts if (found := begins.match(text))), None)


class Incident(BaseModel):
    """An incident as the desk has it now."""

    model_config = ConfigDict(frozen=True, extra="allow", populate_by_name=True)

    code: Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_printable)] = Field(alias="codIncidencia")
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

        `without` leaves out the notes of ours that begin with this tag, so that they do not count as a change.
        """
        content = self.model_dump(by_alias=True, mode="json")
        if without:
            entries = zip(self.history, content["historial"], strict=True)
            content["historial"] = [sent for entry, sent in entries if entry.after_tag(without) is None]
        return hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
