"""HTML, Markdown and Word to blocks: the last two become HTML first, by markdown-it and mammoth."""

import zipfile
import zlib
from collections.abc import Iterator
from io import BytesIO
from xml.parsers.expat import ExpatError

from bs4 import BeautifulSoup
from bs4.element import NavigableString, PreformattedString, Tag

from core.documents.document import Block, ReadingLimits, Unreadable
from core.documents.folder import check_unpacked
from llm.documents.plain import decoded

_DROPPED = ("script", "style", "noscript", "template", "svg", "nav", "form", "iframe", "object")
_HEADINGS = {f"h{n}": n for n in range(1, 7)}
_TEXTUAL = "p li tr dt dd pre blockquote div section article main header footer aside td th caption body figcaption"
_BLOCKS = frozenset(_TEXTUAL.split()) | _HEADINGS.keys()
_PRESSED = (b"\xd0\xcf\x11\xe0", "es un documento de Word antiguo o protegido con contraseña: guárdelo como .docx sin "
            "contraseña")  # fmt: skip
_BROKEN = (
    *(zipfile.BadZipFile, zlib.error, ExpatError, RuntimeError, NotImplementedError, OSError),
    *(AttributeError, IndexError, KeyError, TypeError, ValueError),
)
"""The XML parser and mammoth tell of a damaged file in as many ways as there are to damage it."""
_STYLES = """
p[style-name='Title'] => h1:fresh
p[style-name='Subtitle'] => p:fresh
"""


def html_blocks(data: bytes) -> list[Block]:
    """Raises `Unreadable` when it is no text."""
    return _blocks(BeautifulSoup(decoded(data), "html.parser"))


def markdown_blocks(data: bytes) -> list[Block]:
    """CommonMark with tables; a front matter is left out. Raises `Unreadable` when it is no text."""
    from markdown_it import MarkdownIt

    text = decoded(data).replace("\r\n", "\n")
    if text.startswith("---\n") and "\n---\n" in text[3:]:
        text = text[3:].partition("\n---\n")[2]
    return _blocks(BeautifulSoup(MarkdownIt("commonmark").enable("table").render(text), "html.parser"))


def word_blocks(data: bytes, limits: ReadingLimits) -> list[Block]:
    """A .docx. Raises `Unreadable`."""
    import mammoth

    if data.startswith(_PRESSED[0]):
        raise Unreadable(_PRESSED[1])
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            check_unpacked(archive, limits)
            if "word/document.xml" not in archive.namelist():
                raise Unreadable("no es un documento de Word: le falta el texto")
        found = mammoth.convert_to_html(
            BytesIO(data), style_map=_STYLES, convert_image=mammoth.images.img_element(lambda image: {"src": ""})
        )
    except _BROKEN as error:
        raise Unreadable("el documento de Word está dañado o incompleto") from error
    return _blocks(BeautifulSoup(found.value, "html.parser"))


def _blocks(soup: BeautifulSoup) -> list[Block]:
    title = soup.title.get_text(" ", strip=True) if soup.title else ""
    for tag in soup.find_all(["title", *_DROPPED]):
        tag.decompose()
    blocks = list(_grouped(soup))
    if title and not any(block.level == 1 for block in blocks):
        blocks.insert(0, Block(title, 1))
    return blocks


def _grouped(soup: BeautifulSoup) -> Iterator[Block]:
    """Each stretch of text that stands in the same paragraph, list item or table row."""
    owner: Tag | None = None
    cell: Tag | None = None
    texts: list[str] = []
    for string in soup.descendants:
        if isinstance(string, Tag) and string.name == "br":
            texts.append("\n")
        if not isinstance(string, NavigableString) or isinstance(string, PreformattedString):
            continue
        mine, mine_cell = _owner(string)
        if mine is not owner:
            yield from _block(owner, texts)
            owner, cell, texts = mine, mine_cell, []
        if mine_cell is not cell:
            cell = mine_cell
            texts.append(" · ")
        texts.append(str(string))
    yield from _block(owner, texts)


def _owner(string: NavigableString) -> tuple[Tag | None, Tag | None]:
    """The nearest block around it, or the table row where it stands in one; and then the cell."""
    nearest: Tag | None = None
    cell: Tag | None = None
    for parent in string.parents:
        if parent.name in _BLOCKS and nearest is None:
            nearest = parent
        if parent.name in ("td", "th") and cell is None:
            cell = parent
        if parent.name == "tr":
            return parent, cell
    return nearest, None


def _block(owner: Tag | None, texts: list[str]) -> Iterator[Block]:
    lines = (" ".join(line.split()) for line in "".join(texts).split("\n" if owner and owner.name == "pre" else "\0"))
    text = "\n".join(line for line in lines if line).removeprefix("· ").strip()
    if not text:
        return
    name = owner.name if owner else ""
    if name == "li":
        text = f"{_number(owner)} {text}"
    yield Block(text, _HEADINGS.get(name, 0))


def _number(item: Tag | None) -> str:
    if item is None or item.parent is None or item.parent.name != "ol":
        return "-"
    return f"{1 + sum(1 for other in item.previous_siblings if isinstance(other, Tag) and other.name == 'li')}."
