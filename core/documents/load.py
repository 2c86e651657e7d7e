"""`batch.py --documentos DIR`: what changed in a folder goes into the collection, what is gone leaves it."""

import hashlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from core.documents.collection import DocumentBase, Held
from core.documents.document import Block, DocumentReader, ReadingLimits, Unreadable
from core.documents.folder import Found, LeftOut, documents_in
from core.documents.outcome import DocumentOutcome, State
from core.documents.pieces import CountTokens, Part, Piece, common_title, document_id, piece_id, split
from core.errors import UsageError
from core.privacy import PersonalData, PlaceholderMap

logger = logging.getLogger(__name__)

Classify = Callable[[Sequence[str]], list[str]]
"""Texts to the names of their intents; empty where none fits."""
Progress = Callable[[str, int, int], None]

_TOGETHER = 64
"""Pieces embedded and written at a time: what a kill costs at most, beside the document being read."""
CORRECTIONS = "valoraciones"
"""The source of pieces that people wrote: no folder has them."""


@dataclass
class _Read:
    """A document read and not yet stored."""

    outcome: DocumentOutcome
    pieces: list[Piece]
    before: Held | None


@dataclass
class Loader:
    """Puts documents into `base`. Nothing reaches it that did not go through `personal`."""

    base: DocumentBase
    reader: DocumentReader
    personal: PersonalData
    count: CountTokens
    limits: ReadingLimits
    classify: Classify | None = None
    progress: Progress | None = None
    _waiting: list[_Read] = field(default_factory=list)

    def load(self, folder: Path) -> list[DocumentOutcome]:
        """Make the collection hold exactly the documents of `folder`; an outcome for each, and for those that left.

        Raises `UsageError` when none can be read: that would empty it. What was stored before a kill stays.
        """
        found = list(documents_in(folder, self.limits))
        if not any(isinstance(item, Found) for item in found):
            raise UsageError(f"En {folder} no hay ningún documento que se pueda leer: lo cargado se queda como estaba.")
        held = self.base.held()
        outcomes: list[DocumentOutcome] = []
        seen: dict[str, str] = {}
        kept: set[str] = set()
        for number, item in enumerate(found):
            self._tell(number, len(found))
            outcome = self._one(item, held, seen)
            if outcome.state in (State.LOADED, State.SAME):
                kept.add(document_id(item.source))
            outcomes.append(outcome)
        self._store()
        self._tell(len(found), len(found))
        left = {
            document: old
            for document, old in held.items()
            if document not in kept and old.source.partition("/")[0] != CORRECTIONS
        }
        return outcomes + self._remove(left, outcomes)

    def _one(self, item: Found | LeftOut, held: Mapping[str, Held], seen: dict[str, str]) -> DocumentOutcome:
        source = self._hidden(item.source)
        if isinstance(item, LeftOut):
            return DocumentOutcome(source=source, state=State.LEFT_OUT, why=item.why)
        try:
            data = item.load()
            content = hashlib.sha256(data).hexdigest()
            if content in seen:
                return DocumentOutcome(source=source, state=State.LEFT_OUT, why=f"es igual que {seen[content]}")
            seen[content] = source
            document = document_id(item.source)
            version = hashlib.sha256(f"{content} {self.reader.version}".encode()).hexdigest()
            before = held.get(document)
            if before and before.whole(version):
                return DocumentOutcome(source=source, state=State.SAME, pieces=len(before.ids))
            blocks = self.reader.read(item.source, data)
        except Unreadable as error:
            return DocumentOutcome(source=source, state=State.LEFT_OUT, why=str(error))
        pieces = self._pieces(blocks, item.source, document, version)
        if not pieces:
            return DocumentOutcome(source=source, state=State.LEFT_OUT, why="no tiene texto")
        outcome = _loaded(source, blocks, pieces)
        self._waiting.append(_Read(outcome, pieces, before))
        if sum(len(read.pieces) for read in self._waiting) >= _TOGETHER:
            self._store()
        return outcome

    def _pieces(self, blocks: Sequence[Block], source: str, document: str, version: str) -> list[Piece]:
        """One placeholder per value all over the document, its name included."""
        values = PlaceholderMap()
        clean = [
            Block(self.personal.replace(block.text, values).text, block.level, block.page, block.scanned)
            for block in blocks
        ]
        stem = PurePosixPath(source).stem.replace("_", " ").replace("-", " ")
        name = self.personal.replace(stem, values).text.capitalize()
        made = split(clean, name, self.count)
        drafts = [
            Piece(
                id=piece_id(document, number),
                document=document,
                document_hash=version,
                number=number,
                of=len(made),
                source=self._hidden(source),
                title=common_title(parts),
                page=parts[0].page,
                parts=parts,
                tokens=tokens,
                embedder=self.base.embedder.version,
            )
            for number, (parts, tokens) in enumerate(made)
        ]
        return list(with_intents(drafts, self.classify))

    def _hidden(self, source: str) -> str:
        return self.personal.replace(source).text

    def _store(self) -> None:
        """Write what waits, then take away what its documents had more of before."""
        pieces = [piece for read in self._waiting for piece in read.pieces]
        if not pieces:
            return
        self.base.put(pieces)
        fresh = {piece.id for piece in pieces}
        gone = {i for read in self._waiting if read.before for i in read.before.ids} - fresh
        self.base.remove(gone)
        self._waiting.clear()

    def _remove(self, left: Mapping[str, Held], outcomes: Sequence[DocumentOutcome]) -> list[DocumentOutcome]:
        self.base.remove(i for old in left.values() for i in old.ids)
        named = {outcome.source for outcome in outcomes}
        logger.info("documentos retirados", extra={"action": "documents_removed", "documents": len(left)})
        return [
            DocumentOutcome(
                source=old.source,
                state=State.REMOVED,
                pieces=len(old.ids),
                why="ya no se puede leer" if old.source in named else "ya no está en la carpeta",
            )
            for old in left.values()
        ]

    def _tell(self, done: int, total: int) -> None:
        if self.progress:
            self.progress("Documentos", done, total)


def with_intents(pieces: Sequence[Piece], classify: Classify | None) -> Iterator[Piece]:
    """Each with its intent, by its headings and its beginning, and with its hash."""
    intents = classify([subject(piece) for piece in pieces]) if classify and pieces else [""] * len(pieces)
    for piece, intent in zip(pieces, intents, strict=True):
        yield piece.model_copy(update={"intent": intent}).hashed()


def subject(piece: Piece) -> str:
    """What a piece is about, in a line."""
    first: Part = piece.parts[0]
    return f"{' › '.join(first.title[1:] or first.title)}: {first.text}"[:300]


def _loaded(source: str, blocks: Sequence[Block], pieces: Sequence[Piece]) -> DocumentOutcome:
    return DocumentOutcome(
        source=source,
        state=State.LOADED,
        pieces=len(pieces),
        pages=max((block.page or 0 for block in blocks), default=0) or None,
        scanned_pages=len({block.page for block in blocks if block.scanned}),
    )
