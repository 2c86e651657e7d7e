"""Plain text, and the lines that PDF and OCR give: which are headings, which belong to one paragraph."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from core.documents.document import Block, Unreadable

_UNDERLINE = re.compile(r"[=\-]{3,}")
_NUMBERED = re.compile(r"(\d{1,2}(?:\.\d{1,2}){0,4})[.)]?\s+[A-ZÁÉÍÓÚÑ¿]")
_ITEM = re.compile(r"(?:[-•–—*·▪◦]|\(?[a-z0-9]{1,2}[.)])\s")
_ENDS = (".", ":", ";", "!", "?", "…")
_LONGEST_HEADING = 90


class Line(NamedTuple):
    """A line as it is set. `size`: of its letters, 0 where unknown; `page` from 1."""

    text: str
    page: int | None = None
    size: float = 0.0
    scanned: bool = False


def decoded(data: bytes) -> str:
    """A text file's text: UTF-8, UTF-16 with its mark, or Windows-1252. Raises `Unreadable` when it is none."""
    for mark, name in ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if data.startswith(mark):
            try:
                return data.decode(name)
            except UnicodeDecodeError as error:
                raise Unreadable("no es texto que se pueda leer (UTF-16 incompleto)") from error
    if b"\0" in data:
        raise Unreadable("no es un fichero de texto")
    for name in ("utf-8-sig", "cp1252"):
        try:
            return data.decode(name)
        except UnicodeDecodeError:
            continue
    raise Unreadable("no es texto en UTF-8 ni en Windows-1252")


def text_blocks(data: bytes) -> list[Block]:
    """A .txt: underlined, numbered and all-capitals lines are headings, empty lines part paragraphs."""
    lines = [Line(line.strip()) for line in decoded(data).splitlines()]
    return list(paragraphs(lines))


def paragraphs(lines: Sequence[Line], sizes: Sequence[float] = ()) -> Iterator[Block]:
    """Lines joined to paragraphs. `sizes`: those of headings, the largest first; none: by how the line reads."""
    open_lines: list[Line] = []
    widest = max((len(line.text) for line in lines), default=0)
    for number, line in enumerate(lines):
        following = lines[number + 1].text if number + 1 < len(lines) else ""
        if open_lines and _UNDERLINE.fullmatch(line.text) and len(open_lines) == 1:
            yield Block(open_lines[0].text, 1 if line.text[0] == "=" else 2, line.page, line.scanned)
            open_lines = []
            continue
        level = _level(line, following, sizes, first=not open_lines)
        if not line.text or level or _ITEM.match(line.text) or (open_lines and _closed(open_lines[-1].text, widest)):
            yield from _joined(open_lines)
            open_lines = []
        if level:
            yield Block(line.text, level, line.page, line.scanned)
        elif line.text and not _UNDERLINE.fullmatch(line.text):
            open_lines.append(line)
    yield from _joined(open_lines)


def _level(line: Line, following: str, sizes: Sequence[float], *, first: bool) -> int:
    text = line.text
    if not text or len(text) > _LONGEST_HEADING:
        return 0
    if sizes:
        return next((n for n, size in enumerate(sizes, 1) if line.size >= size - 0.2), 0)
    if text.endswith((".", ":", ";", ",")) or sum(c.isalpha() for c in text) < 4:
        return 0
    numbered = _NUMBERED.match(text)
    if numbered and text.upper() == text:
        return min(6, 1 + numbered[1].count("."))
    if text.upper() == text and any(c.isalpha() for c in text):
        return 1 if first and not numbered else 2
    if text.startswith("¿") and text.endswith("?") and following:
        return 3
    return 0


def _closed(text: str, widest: int) -> bool:
    """Whether a paragraph ends with this line: a full stop well before the margin."""
    return text.endswith(_ENDS) and len(text) < 0.85 * widest


def _joined(lines: Iterable[Line]) -> Iterator[Block]:
    kept = list(lines)
    if not kept:
        return
    text = kept[0].text
    for line in kept[1:]:
        if text.endswith("-") and len(text) > 1 and text[-2].isalpha() and line.text[:1].islower():
            text = text[:-1] + line.text
        else:
            text = f"{text} {line.text}"
    yield Block(text, 0, kept[0].page, kept[0].scanned)
