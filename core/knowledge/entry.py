"""A catalogue row as the knowledge base keeps it: without personal data, with the text that was embedded."""

import hashlib
import json
from collections.abc import Callable
from typing import Any

from pydantic import ValidationError

from core.catalogue import CatalogueEntry, Resolution
from core.errors import DependencyError
from core.knowledge.shelf import Point

Scrub = Callable[[str], str]

_SCRUBBED = ("component", "description", "incident_type", "solution", "summary")
"""Free text. Mailbox, system and dates are addresses of the desk and stay as they are."""

EXAMPLES = 20
"""Of a row at most: their mean hardly moves after that, and each costs an embedding."""


class KnownEntry(CatalogueEntry):
    """An entry read from the knowledge base. Its id is the row's own, whatever was scrubbed from the text."""

    point_id: str
    embed_text: str
    embedder: str
    """Version of the embedder whose vectors are stored."""
    content_hash: str = ""
    lifted: bool = False
    """It has no examples and others have: its vectors stand where its examples would be expected."""
    withheld: bool = False
    """The solution had personal data: sent without them it would mislead, so it is never sent as it stands here."""
    solution_check: str = ""
    """Of a withheld solution: enough of its hash to tell another text by, too little to give a number back."""

    @property
    def id(self) -> str:
        return self.point_id

    @property
    def search_text(self) -> str:
        """What words are looked for in: the embedded text and the examples that it does not have already."""
        return "\n".join([self.embed_text, *(text for text in self.examples if text not in self.embed_text)])

    def payload(self) -> dict[str, Any]:
        """What is stored with the vectors."""
        return self.model_dump(mode="json", exclude={"point_id"})


def embed_text(entry: CatalogueEntry) -> str:
    """`COMPONENTE: DESCRIPCION`, with the summary in place of the description where there is one."""
    text = entry.summary or entry.description
    return f"{entry.component}: {text}" if entry.component else text


def prepare(entry: CatalogueEntry, scrub: Scrub, embedder_version: str, *, among_told: bool = False) -> KnownEntry:
    """`entry` ready to be embedded and stored, its hash over everything that decides what is stored.

    `among_told`: some row of the catalogue has examples.
    """
    fields = {name: value for name, value in dict(entry).items() if name in CatalogueEntry.model_fields}
    fields |= {name: scrub(fields[name]) for name in _SCRUBBED if fields[name]}
    fields["examples"] = tuple(dict.fromkeys(map(scrub, entry.examples)))[:EXAMPLES]
    withheld = fields["solution"] != entry.solution and entry.resolution is not Resolution.MANUAL
    clean = CatalogueEntry.model_validate(fields)
    known = KnownEntry(
        **fields,
        point_id=entry.id,
        embed_text=embed_text(clean),
        embedder=embedder_version,
        lifted=among_told and not fields["examples"],
        withheld=withheld,
        solution_check=hashlib.sha256(entry.solution.encode()).hexdigest()[:4] if withheld else "",
    )
    apart = {"content_hash"} if known.lifted else {"content_hash", "lifted"}  # rows stored before it was known stay
    content = json.dumps(known.model_dump(mode="json", exclude=apart), sort_keys=True, ensure_ascii=False)
    return known.model_copy(update={"content_hash": hashlib.sha256(content.encode()).hexdigest()})


def restored(known: KnownEntry, row: CatalogueEntry, scrub: Scrub) -> KnownEntry | None:
    """`known` with the solution as `row` has it; None where `row` is not what `known` was prepared from."""
    embedded = {name: getattr(known, name) for name in ("summary", "examples", "embed_text", "content_hash", "lifted")}
    if prepare(row, scrub, known.embedder).model_copy(update=embedded) != known:
        return None
    return known.model_copy(update={"solution": row.solution, "withheld": False})


def from_point(point: Point) -> KnownEntry:
    """Raises `DependencyError` when the payload is not one of ours."""
    try:
        return KnownEntry.model_validate(point.payload | {"point_id": point.id})
    except ValidationError as error:
        raise DependencyError(
            f"La base de conocimiento tiene un punto ilegible ({point.id}). Ejecute `python batch.py --completo`."
        ) from error
