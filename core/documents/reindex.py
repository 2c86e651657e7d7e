"""The next index: every piece embedded anew, with what people said of the answers it gave."""

import uuid
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from core.documents.collection import DocumentBase
from core.documents.load import CORRECTIONS, Classify, with_intents
from core.documents.pieces import CountTokens, Part, Piece, document_id, piece_id
from core.feedback import Answer, Label
from core.knowledge.build import Progress
from core.knowledge.entry import EXAMPLES

ANSWER = "respuesta"
"""The kind of answers that documents give."""


def reindex(
    base: DocumentBase,
    rated: Sequence[Answer],
    count: CountTokens,
    classify: Classify | None = None,
    progress: Progress | None = None,
) -> tuple[int, int]:
    """Embed everything anew beside what serves, then put it in its place; (pieces, ratings used).

    A question whose answer was good is an example of the piece that was quoted; one whose answer was bad is never
    answered with that piece again; what people wrote instead becomes a piece of its own.
    """
    said = [answer for answer in rated if answer.kind == ANSWER and answer.rating]
    good, bad = defaultdict[str, list[str]](list), defaultdict[str, list[str]](list)
    for answer in said:
        assert answer.rating is not None
        into = good if answer.rating.label is Label.GOOD else bad
        for piece in quoted(answer.retrieved):
            into[piece].append(answer.question)
    version = base.embedder.version
    kept = [piece for piece in base.stored().values() if not is_correction(piece)]
    kept = [
        piece.model_copy(
            update={
                "embedder": version,
                "examples": tuple(dict.fromkeys(good.get(piece.id, ())))[:EXAMPLES],
                "refused": tuple(dict.fromkeys(bad.get(piece.id, ()))),
            }
        )
        for piece in kept
    ]
    kept += [_correction(answer, answer.rating.correction, count, version) for answer in said
             if answer.rating and answer.rating.correction.strip()]  # fmt: skip
    base.replace_all(list(with_intents(kept, classify)), progress)
    return len(kept), len(said)


def quoted(retrieved: Sequence[dict[str, Any]]) -> list[str]:
    """The ids of the pieces that an answer quoted."""
    return [str(item["pieza"]) for item in retrieved if item.get("citada") and "pieza" in item]


def is_correction(piece: Piece) -> bool:
    """Whether a person wrote it, as an answer."""
    return piece.source.partition("/")[0] == CORRECTIONS


def _correction(answer: Answer, text: str, count: CountTokens, version: str) -> Piece:
    source = f"{CORRECTIONS}/{answer.id}"
    document = document_id(source)
    title = ("Correcciones de personas", answer.question[:200])
    return Piece(
        id=piece_id(document, 0),
        document=document,
        document_hash=uuid.uuid5(uuid.UUID(document), text).hex,
        number=0,
        of=1,
        source=source,
        title=title,
        page=None,
        parts=(Part(text=text, title=title),),
        tokens=count(text),
        embedder=version,
        examples=(answer.question,),
    )
