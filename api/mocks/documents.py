"""Makes the demo documents of every kind from the texts in `data/textos`: `python -m api.mocks.documents DIR`.

The bench and the tests make theirs with the same writers. Word and PDF need the packages of the dev group.
"""

import html
import re
import sys
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path

from markdown_it import MarkdownIt
from PIL import Image, ImageDraw, ImageFont

from core.command_line import Parser, exit_code
from core.errors import UsageError
from core.files import write_whole

TEXTS = Path(__file__).with_name("data") / "textos"
QUESTIONS = Path(__file__).with_name("data") / "preguntas.jsonl"

KINDS = {
    "recibos-y-cobros": "md",
    "suplementos": "docx",
    "apertura-de-siniestros": "pdf",
    "peritaciones-de-hogar": "html",
    "portal-de-mediadores": "md",
    "contrasenas-y-doble-factor": "txt",
    "vpn-y-teletrabajo": "html",
    "comisiones-de-mediadores": "docx",
    "reclamaciones": "pdf",
    "anulaciones-y-desistimiento": "txt",
    "reembolsos-de-salud": "scan",
    "impresoras-y-equipos": "docx",
    "certificados-y-duplicados": "html",
    "asistencia-en-carretera": "md",
    "proteccion-de-datos": "pdf",
}
"""Text -> the kind of document it becomes; `scan` is a PDF whose pages are pictures."""

Paragraph = tuple[int, str]
"""Level of a heading, or 0; its text."""

_PAGE = (1240, 1754)
"""A4 at 150 dots per inch."""
_TABLE_RULE = re.compile(r"\|(?:\s*-+\s*\|)+")


def paragraphs(text: str) -> list[Paragraph]:
    """The headings and paragraphs of our texts; a table's rows are paragraphs."""
    found: list[Paragraph] = []
    for line in text.splitlines():
        line = line.strip()
        if not line or _TABLE_RULE.fullmatch(line):
            continue
        hashes = len(line) - len(line.lstrip("#"))
        found.append((hashes, line.lstrip("# ").strip("| ").replace(" | ", ": ")))
    return found


def as_text(text: str) -> bytes:
    """Underlined headings, empty lines between paragraphs."""
    lines = []
    for level, words in paragraphs(text):
        lines += [words, *(["=" * len(words)] if level == 1 else ["-" * len(words)] if level else []), ""]
    return "\n".join(lines).encode()


def as_html(text: str) -> bytes:
    """A page with what pages have around their text."""
    title = html.escape(next((words for level, words in paragraphs(text) if level == 1), ""))
    body = MarkdownIt("commonmark").enable("table").render(text)
    return (
        f"<!doctype html><html lang=es><head><meta charset=utf-8><title>{title}</title><style>p{{margin:0}}</style>"
        f"</head><body><nav>Inicio</nav><main>{body}</main><script>var x = 1;</script></body></html>"
    ).encode()


def as_word(text: str) -> bytes:
    """A .docx with Word's own headings."""
    from docx import Document

    document = Document()
    for level, words in paragraphs(text):
        if level:
            document.add_heading(words, level)
        else:
            document.add_paragraph(words)
    out = BytesIO()
    document.save(out)
    return out.getvalue()


def as_pdf(text: str, password: str = "") -> bytes:
    """Larger letters for headings, page numbers at the foot; `password`: it cannot be opened without."""
    from fpdf import FPDF

    class Numbered(FPDF):
        def footer(self) -> None:
            self.set_y(-15)
            self.set_font("Helvetica", size=8)
            self.cell(0, 10, f"Página {self.page_no()}", align="C")

    pdf = Numbered(format=(148, 210))
    if password:
        pdf.set_encryption(owner_password=password, user_password=password)
    pdf.add_page()
    for level, words in paragraphs(text):
        pdf.set_font("Helvetica", style="B" if level else "", size={0: 11, 1: 18}.get(level, 14))
        pdf.multi_cell(0, 6 if not level else 10, words, new_x="LMARGIN", new_y="NEXT")
        pdf.ln(2)
    return bytes(pdf.output())


def as_scan(text: str) -> bytes:
    """A PDF of pictures, as a scanner makes them. Needs the DejaVu fonts."""
    pages, page, y = [], _blank(), 100
    for level, words in paragraphs(text):
        font = ImageFont.truetype("DejaVuSans-Bold.ttf" if level else "DejaVuSans.ttf", 34 if level else 28)
        for line in _wrapped(words, font, _PAGE[0] - 200):
            if y > _PAGE[1] - 150:
                pages.append(page)
                page, y = _blank(), 100
            ImageDraw.Draw(page).text((100, y), line, font=font, fill=20)
            y += 48
        y += 24
    out = BytesIO()
    [first, *rest] = [*pages, page]
    first.save(out, "PDF", resolution=150, save_all=True, append_images=rest)
    return out.getvalue()


def _blank() -> Image.Image:
    return Image.new("L", _PAGE, 250)


def _wrapped(words: str, font: "ImageFont.FreeTypeFont", width: int) -> Sequence[str]:
    lines = [""]
    for word in words.split():
        tried = f"{lines[-1]} {word}".strip()
        if font.getlength(tried) > width and lines[-1]:
            lines.append(word)
        else:
            lines[-1] = tried
    return lines


WRITERS: dict[str, Callable[[str], bytes]] = {
    "md": str.encode,
    "txt": as_text,
    "html": as_html,
    "docx": as_word,
    "pdf": as_pdf,
    "scan": as_scan,
}


def file_name(name: str, kind: str) -> str:
    """`reembolsos-de-salud.pdf`."""
    return f"{name}.{'pdf' if kind == 'scan' else kind}"


def write_all(folder: Path) -> list[Path]:
    """Every demo document into `folder`. Raises `UsageError` without the packages that write them."""
    paths = []
    for name, kind in KINDS.items():
        path = folder / file_name(name, kind)
        try:
            write_whole(path, WRITERS[kind]((TEXTS / f"{name}.md").read_text("utf-8")))
        except ModuleNotFoundError as error:
            raise UsageError(f"Falta el paquete {error.name}: ejecute `make setup`.") from error
        paths.append(path)
    return paths


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code of design §3."""
    parser = Parser(
        prog="python -m api.mocks.documents",
        description="Escribe los documentos de demostración: manuales de una aseguradora inventada.",
        epilog="ejemplo:\n  python -m api.mocks.documents var/manuales\n  python batch.py --documentos var/manuales",
    )
    parser.add_argument("carpeta", type=Path, metavar="DIR", help="dónde se escriben; lo que haya con esos nombres se "
                        "sustituye")  # fmt: skip
    options = parser.parse_args(arguments)
    return exit_code(
        lambda: sys.stdout.write(f"{len(write_all(options.carpeta))} documentos en {options.carpeta}\n") and None,
        interrupted="Interrumpido: los documentos ya escritos están enteros.",
    )


if __name__ == "__main__":
    sys.exit(main())
