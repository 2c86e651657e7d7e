"""A document in pieces of 200 to 600 tokens, cut at headings and sentences; without personal data."""

import hashlib
import json
import re
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from core.documents.document import Block
from core.errors import DependencyError
from core.knowledge import Point

LEAST, ENOUGH, MOST = 200, 300, 600
"""Tokens. A piece ends at a heading once it has LEAST, anywhere between sentences once more would pass ENOUGH (what the
embedder reads to its end, see `llm.embed`), and never passes MOST. Only a document shorter than LEAST gives less."""
OVERLAP = 60
"""Tokens, at most, of whole sentences that a piece repeats of the one before where a section was cut."""
_UNIT = 150
"""Tokens of the largest stretch that is kept together."""
_NAMESPACE = uuid.UUID("5a1c1e0e-6f3e-4f0e-9a55-d0c0d0c0d0c0")

CountTokens = Callable[[str], int]
_SENTENCE = re.compile(r"(?<=[.!?…])[\"»)\]]?\s+(?=[\"«(¿¡\[]?[A-ZÁÉÍÓÚÑ0-9<])|\n+")
_BLANK = re.compile(r"[^\S\n]+")


class Part(BaseModel):
    """A paragraph of a piece, with where it stands."""

    model_config = ConfigDict(frozen=True)

    text: str
    title: tuple[str, ...] = ()
    """Headings over it, the document's title first."""
    page: int | None = None


class Piece(BaseModel):
    """What is stored under one id: its payload has no personal data, its source and titles neither."""

    model_config = ConfigDict(frozen=True)

    id: str
    document: str
    """Of its file, by the path; the same while the file keeps its name."""
    document_hash: str
    """Of the file's bytes and of the reader's version."""
    number: int
    of: int
    """How many pieces its document has: with fewer of this hash it was cut short."""
    source: str
    title: tuple[str, ...]
    """Headings that all its parts share."""
    page: int | None
    """Where it begins."""
    intent: str = ""
    parts: tuple[Part, ...]
    tokens: int
    embedder: str
    content_hash: str = ""
    examples: tuple[str, ...] = ()
    """Questions that people said it answers well."""
    refused: tuple[str, ...] = ()
    """Questions that people said it answers badly."""

    @property
    def text(self) -> str:
        """All of it, headings between its parts."""
        lines, title = list[str](), self.title
        for part in self.parts:
            if part.title != title and part.title[len(self.title) :]:
                lines.append(" › ".join(part.title[len(self.title) :]))
            title = part.title
            lines.append(part.text)
        return "\n".join(lines)

    @property
    def embed_text(self) -> str:
        """What is embedded: where it stands, then what it says."""
        return f"{' › '.join(self.title)}: {self.text}" if self.title else self.text

    @property
    def search_text(self) -> str:
        """What words are looked for in."""
        return "\n".join([self.embed_text, *self.examples])

    def payload(self) -> dict[str, Any]:
        """What is stored with the vectors."""
        return self.model_dump(mode="json", exclude={"id"})

    def hashed(self) -> "Piece":
        """The same with the hash over everything that is stored."""
        content = json.dumps(self.model_dump(mode="json", exclude={"content_hash"}), sort_keys=True)
        return self.model_copy(update={"content_hash": hashlib.sha256(content.encode()).hexdigest()})


def from_point(point: Point) -> Piece:
    """Raises `DependencyError` when the payload is not one of ours."""
    try:
        return Piece.model_validate(point.payload | {"id": point.id})
    except ValidationError as error:
        raise DependencyError(
            f"En los documentos guardados hay una pieza ilegible ({point.id}). Borre la colección «documentos» y "
            "ejecute `python batch.py --documentos DIR`."
        ) from error


def document_id(source: str) -> str:
    """Of the file at this path."""
    return str(uuid.uuid5(_NAMESPACE, source))


def piece_id(document: str, number: int) -> str:
    """Of the piece with this number, from 0."""
    return str(uuid.uuid5(uuid.UUID(document), str(number)))


class _Unit(NamedTuple):
    text: str
    title: tuple[str, ...]
    page: int | None
    tokens: int


def split(blocks: Sequence[Block], name: str, count: CountTokens) -> list[tuple[tuple[Part, ...], int]]:
    """The pieces of a document in reading order: their parts and how many tokens they have.

    `name` is its title where it has no heading of the first level.
    """
    pieces: list[list[_Unit]] = []
    current: list[_Unit] = []
    for unit in _units(blocks, name, count):
        size = sum(u.tokens for u in current)
        heading = bool(current) and current[-1].title != unit.title
        if current and size >= LEAST and (heading or size + unit.tokens > ENOUGH):
            pieces.append(current)
            current = [] if heading else _overlap(current)
        current.append(unit)
    if current:
        pieces.append(current)
    if len(pieces) > 1 and sum(u.tokens for u in pieces[-1]) < LEAST:
        last = pieces.pop()
        pieces[-1] += last[_shared(pieces[-1], last) :]
    return [(_parts(piece), sum(u.tokens for u in piece)) for piece in pieces]


def _overlap(units: Sequence[_Unit]) -> list[_Unit]:
    """The last sentences, of OVERLAP tokens at most: none where a single one is longer."""
    kept: list[_Unit] = []
    for unit in reversed(units):
        if sum(u.tokens for u in kept) + unit.tokens > OVERLAP:
            break
        kept.insert(0, unit)
    return kept


def _shared(before: Sequence[_Unit], after: Sequence[_Unit]) -> int:
    """How many units `after` begins with that `before` ends with."""
    return next((n for n in range(min(len(before), len(after)), 0, -1) if list(before[-n:]) == list(after[:n])), 0)


def _parts(units: Sequence[_Unit]) -> tuple[Part, ...]:
    return tuple(Part(text=u.text, title=u.title, page=u.page) for u in units)


def common_title(parts: Sequence[Part]) -> tuple[str, ...]:
    """The headings that all of them share."""
    shared: list[str] = []
    for levels in zip(*(part.title for part in parts), strict=False):
        if len(set(levels)) > 1:
            break
        shared.append(levels[0])
    return tuple(shared)


def _units(blocks: Sequence[Block], name: str, count: CountTokens) -> Iterator[_Unit]:
    """Paragraphs under their headings; long ones by sentence, so that none has more than about _UNIT tokens."""
    levels: list[tuple[int, str]] = []
    titled = any(block.level == 1 for block in blocks)
    for block in blocks:
        text = _BLANK.sub(" ", block.text).strip()
        if not text:
            continue
        if block.level:
            levels = [(level, title) for level, title in levels if level < block.level]
            levels.append((block.level, text[:200]))
            continue
        title = tuple(title for _, title in levels)
        title = title if titled and levels and levels[0][0] == 1 else (name, *title)
        tokens = count(text)
        if tokens <= OVERLAP:
            yield _Unit(text, title, block.page, tokens)
            continue
        for sentence in _sentences(text, count):
            yield _Unit(sentence, title, block.page, count(sentence))


def _sentences(text: str, count: CountTokens) -> Iterator[str]:
    for sentence in _SENTENCE.split(text):
        words = sentence.split(" ")
        if len(sentence) < 4 * _UNIT or count(sentence) <= _UNIT:
            if sentence.strip():
                yield sentence.strip()
            continue
        yield from _chunks(words)


def _chunks(words: Sequence[str]) -> Iterator[str]:
    """What has no sentences: by words, and a word without end by characters; about three characters are a token."""
    room, line = 3 * _UNIT, ""
    for word in words:
        for start in range(0, max(len(word), 1), room):
            part = word[start : start + room]
            if line and len(line) + len(part) > room:
                yield line
                line = ""
            line = f"{line} {part}".strip()
    if line:
        yield line
