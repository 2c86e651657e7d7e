"""PDF to blocks by PDFium: headings by the size of their letters; pages that are pictures through OCR."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from statistics import median

import numpy as np
import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_raw

from core.attachments import Ocr
from core.documents.document import Block, ReadingLimits, Unreadable
from llm.documents.plain import Line, paragraphs

_FEW_LETTERS = 20
"""A page with fewer has no text worth the name: what it shows is in its pictures."""
_DOTS_PER_INCH = 200
_LARGEST_SIDE = 4000
"""Pixels; larger pages are drawn smaller."""
_HEADING = 1.12
"""Times the size of the body text."""
_REPEATED = 0.6
"""Share of the pages on which a first or last line stands for it to be a header or footer."""
_DIGITS = re.compile(r"\d+")


def pdf_blocks(data: bytes, limits: ReadingLimits, ocr: Callable[[], Ocr]) -> list[Block]:
    """`ocr` is only asked for when a page needs it. Raises `Unreadable`."""
    try:
        document = pdfium.PdfDocument(data)
    except pdfium.PdfiumError as error:
        if pdfium_raw.FPDF_GetLastError() == pdfium_raw.FPDF_ERR_PASSWORD or "password" in str(error).lower():
            raise Unreadable("está protegido con contraseña: guárdelo sin ella") from error
        raise Unreadable("el PDF está dañado o incompleto") from error
    try:
        return _read(document, limits, ocr)
    except pdfium.PdfiumError as error:
        raise Unreadable("el PDF está dañado: alguna de sus páginas no se puede leer") from error
    finally:
        document.close()


def _read(document: pdfium.PdfDocument, limits: ReadingLimits, ocr: Callable[[], Ocr]) -> list[Block]:
    if len(document) > limits.pages:
        raise Unreadable(f"tiene {len(document)} páginas y se leen {limits.pages} como mucho")
    pages: list[list[Line]] = []
    pictures, characters = 0, 0
    for index in range(len(document)):
        page = document[index]
        lines = _lines(page, index + 1)
        if sum(c.isalpha() for line in lines for c in line.text) < _FEW_LETTERS and _has_picture(page):
            pictures += 1
            if pictures > limits.scanned_pages:
                raise Unreadable(f"tiene más de {limits.scanned_pages} páginas escaneadas; divídalo")
            lines = [Line(text, index + 1, scanned=True) for text in ocr().read(_pixels(page)).splitlines()]
        page.close()
        pages.append(lines)
        characters += sum(len(line.text) for line in lines)
        if characters > limits.characters:
            raise Unreadable(f"tiene más de {limits.characters:,} caracteres".replace(",", "."))
    return _blocks(_without_repeated(pages))


def _blocks(pages: Sequence[Sequence[Line]]) -> list[Block]:
    """Each page by itself where it was scanned; the others together, so that a paragraph may cross a page's end."""
    set_lines = [line for lines in pages for line in lines if not line.scanned]
    sizes = _heading_sizes(set_lines)
    blocks: list[Block] = []
    run: list[Line] = []
    for lines in pages:
        if lines and lines[0].scanned:
            blocks += [*paragraphs(run, sizes or (1e9,)), *paragraphs(lines)]
            run = []
        else:
            run += lines
    return [*blocks, *paragraphs(run, sizes or (1e9,))]


def _heading_sizes(lines: Sequence[Line]) -> list[float]:
    """Sizes clearly above the body's, the largest first, six at most."""
    letters: Counter[float] = Counter()
    for line in lines:
        letters[round(line.size, 1)] += len(line.text)
    if not letters:
        return []
    body = letters.most_common(1)[0][0]
    return sorted((size for size in letters if size >= body * _HEADING), reverse=True)[:6]


def _lines(page: pdfium.PdfPage, number: int) -> list[Line]:
    text_page = page.get_textpage()
    lines: list[Line] = []
    text, sizes = "", list[float]()
    for index in range(text_page.count_chars()):
        code = pdfium_raw.FPDFText_GetUnicode(text_page, index)
        char = chr(code) if 0 < code < 0x110000 and not 0xD800 <= code < 0xE000 else ""
        if char in ("\n", "\r"):
            lines += [Line(text.strip(), number, median(sizes) if sizes else 0.0)] if text.strip() else []
            text, sizes = "", []
        elif char == "\x02" or char == "\ufffe":  # how PDFium marks a hyphen at a line's end
            text += "-"
        else:
            text += char
            if not char.isspace():
                sizes.append(pdfium_raw.FPDFText_GetFontSize(text_page, index))
    if text.strip():
        lines.append(Line(text.strip(), number, median(sizes) if sizes else 0.0))
    text_page.close()
    return lines


def _has_picture(page: pdfium.PdfPage) -> bool:
    return any(True for _ in page.get_objects(filter=[pdfium_raw.FPDF_PAGEOBJ_IMAGE], max_depth=5))


def _pixels(page: pdfium.PdfPage) -> "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]":
    """RGB, height × width × 3."""
    width, height = page.get_size()
    scale = min(_DOTS_PER_INCH / 72, _LARGEST_SIDE / max(width, height, 1))
    bitmap = page.render(scale=scale, rev_byteorder=True, prefer_bgrx=False, no_smoothtext=False)
    pixels = np.array(bitmap.to_numpy()[..., :3], dtype=np.uint8)
    bitmap.close()
    return pixels if pixels.shape[-1] == 3 else np.repeat(pixels, 3, axis=-1)


def _without_repeated(pages: Sequence[Sequence[Line]]) -> list[list[Line]]:
    """Without the headers and footers, page numbers in them aside."""
    if len(pages) < 3:
        return [list(lines) for lines in pages]
    edges = Counter(key for lines in pages for key in {_key(line) for line in (*lines[:1], *lines[-1:])})
    repeated = {key for key, times in edges.items() if times >= _REPEATED * len(pages)}
    kept = []
    for lines in pages:
        trimmed = list(lines)
        while trimmed and _key(trimmed[0]) in repeated:
            trimmed.pop(0)
        while trimmed and _key(trimmed[-1]) in repeated:
            trimmed.pop()
        kept.append(trimmed)
    return kept


def _key(line: Line) -> str:
    return _DIGITS.sub("#", line.text.casefold())
