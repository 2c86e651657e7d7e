"""A call in words, as it is embedded: what kind, whose, which way it went, where it ended."""

import hashlib
import uuid
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from core.calls.group import Group
from core.errors import DependencyError
from core.knowledge import Point

_NAMESPACE = uuid.UUID("6f1d0a54-53b5-4f2a-9f0e-7d1f6b7a2c11")
_TOLD = 25
"""Steps that are told; of a longer history, the last ones."""


def narrate(
    steps: Iterable[str], *, segment: str = "", kind: str = "", code: str = "", note: str = "", failed: bool = True
) -> str:
    """The call in Spanish. What matters stands first: embedders read the beginning best."""
    way = list(steps)
    told = way[-_TOLD:]
    what = f"Llamada de {kind}" if kind else "Llamada"
    who = f" de un cliente {segment}" if segment else ""
    end = f" que falla en «{told[-1]}»" if failed and told else " que termina bien"
    why = f" con el error {code}" if code and failed else ""
    before = "… " if len(way) > len(told) else ""
    noted = f" Nota: {note}" if note else ""
    return f"{what}{who}{end}{why}. Pasos: {before}{', '.join(told)}.{noted}"


class Narrative(BaseModel):
    """Calls that read the same, as they are stored: without anything that tells one customer from another."""

    model_config = ConfigDict(frozen=True)

    point_id: str
    embed_text: str
    content_hash: str
    embedder: str
    steps: tuple[str, ...]
    segment: str = ""
    kind: str = ""
    code: str = ""
    note: str = ""
    failed: bool = True

    @property
    def id(self) -> str:
        return self.point_id

    @property
    def examples(self) -> tuple[str, ...]:
        return ()

    def payload(self) -> dict[str, Any]:
        """What is stored with the vectors."""
        return self.model_dump(mode="json", exclude={"point_id"})


def narrative(group: Group, embedder_version: str) -> Narrative:
    """One for each different text: its id is the text's own."""
    text = narrate(
        group.steps, segment=group.segment, kind=group.kind, code=group.code, note=group.note, failed=group.failed
    )
    return Narrative(
        point_id=str(uuid.uuid5(_NAMESPACE, text)),
        embed_text=text,
        content_hash=hashlib.sha256(text.encode()).hexdigest(),
        embedder=embedder_version,
        steps=group.steps,
        segment=group.segment,
        kind=group.kind,
        code=group.code,
        note=group.note,
        failed=group.failed,
    )


def from_point(point: Point) -> Narrative:
    """Raises `DependencyError` when the payload is not one of ours."""
    try:
        return Narrative.model_validate(point.payload | {"point_id": point.id})
    except ValidationError as error:
        raise DependencyError(
            f"La colección de llamadas tiene un punto ilegible ({point.id}). Ejecute otra vez "
            "`python batch.py --llamadas FICHERO --completo`."
        ) from error
