"""Each kind of document gives its headings, paragraphs and pages; what is broken says why and takes nothing with it."""

import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest

from api.mocks.documents import TEXTS, WRITERS, as_pdf, paragraphs
from core.documents.document import Block, ReadingLimits, Unreadable
from core.errors import UsageError
from llm.documents import reader as reading
from llm.documents.plain import decoded, text_blocks
from llm.documents.reader import IsolatedReader, convert

_LIMITS = ReadingLimits(pages=20, scanned_pages=2, characters=20_000, unpacked=2_000_000, seconds=60)
_TEXT = (TEXTS / "recibos-y-cobros.md").read_text("utf-8")


def _convert(name: str, data: bytes, limits: ReadingLimits = _LIMITS) -> list[Block]:
    return convert(name, data, limits, 1)


def _words(text: str) -> list[str]:
    return text.split()


@pytest.mark.parametrize("kind", ["md", "txt", "html", "docx", "pdf"])
def test_headings_and_paragraphs_come_back(kind: str) -> None:
    blocks = _convert(f"a.{kind}", WRITERS[kind](_TEXT))
    wanted = paragraphs(_TEXT)
    assert [b.text for b in blocks if b.level] == [text for level, text in wanted if level]
    assert [b.level for b in blocks if b.level] == [level for level, _ in wanted if level]
    assert _words(" ".join(b.text for b in blocks)) == _words(" ".join(text for _, text in wanted))
    assert {b.page for b in blocks} == ({1, 2} if kind == "pdf" else {None})


@pytest.mark.slow
def test_a_scan_is_read_from_its_pictures() -> None:
    text = "# REEMBOLSOS\n\nSe reembolsa el 80 % de la factura en quince dias.\n\n## PLAZOS\n\nHay noventa dias."
    blocks = _convert("a.pdf", WRITERS["scan"](text))
    assert all(b.scanned and b.page == 1 for b in blocks)
    assert [b.text for b in blocks if b.level] == ["REEMBOLSOS", "PLAZOS"]
    assert "80" in " ".join(b.text for b in blocks)
    assert "noventa" in " ".join(b.text for b in blocks)


def _zip(files: dict[str, bytes]) -> bytes:
    out = BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


_BOMB = b"<?xml version='1.0'?><!DOCTYPE x [<!ENTITY a 'aaaaaaaaaa'>" + b"".join(
    b"<!ENTITY %c '%s'>" % (98 + i, b"&%c;" % (97 + i) * 10) for i in range(9)
) + b"]><x>&j;</x>"  # fmt: skip


@pytest.mark.parametrize(
    ("name", "make", "why"),
    [
        ("a.pdf", lambda: as_pdf(_TEXT)[:400], "dañado"),
        ("a.pdf", lambda: as_pdf(_TEXT, "clave"), "contraseña"),
        ("a.pdf", lambda: b"%PDF-1.7 nada", "dañado"),
        ("a.pdf", lambda: as_pdf("# Uno\n\n" + "Una frase que llena. \n\n" * 600), "páginas"),
        ("a.docx", lambda: WRITERS["docx"](_TEXT)[:3000], "dañado"),
        ("a.docx", lambda: b"\xd0\xcf\x11\xe0" + bytes(100), "contraseña"),
        ("a.docx", lambda: _zip({"otra.xml": b"<x/>"}), "no es un documento de Word"),
        ("a.docx", lambda: _zip({"word/document.xml": b"0" * 2_100_000}), "desempaquetado"),
        ("a.docx", lambda: _zip({"word/document.xml": b"<roto"}), "dañado"),
        ("a.docx", lambda: _zip({"word/document.xml": _BOMB}), "dañado"),
        ("a.html", lambda: b"<table><tr><td>" + b"celda " * 10_000 + b"</td></tr></table>", "caracteres"),
        ("a.html", lambda: b"<script>var x = 1</script><p> </p>", "no tiene texto"),
        ("a.txt", lambda: b"a\x00b", "no es un fichero de texto"),
        ("a.md", lambda: b"\xff\xfea", "UTF-16"),
        ("a.txt", lambda: b"\x81\x8d\x8f", "no es texto"),
        ("a.exe", lambda: b"x", "no se leen"),
    ],
    ids=[
        "cut-pdf", "password-pdf", "rubbish-pdf", "long-pdf", "cut-docx", "password-docx", "other-zip", "zip-bomb",
        "bad-xml", "entity-bomb", "huge-cell", "no-text", "binary", "half-utf16", "no-encoding", "other-kind",
    ],
)  # fmt: skip
def test_what_cannot_be_read_says_why(name: str, make: Callable[[], bytes], why: str) -> None:
    with pytest.raises(Unreadable, match=why):
        _convert(name, make())


def test_markup_around_the_text_is_left_out() -> None:
    page = """<html><head><title>Guía</title><style>p{}</style></head><body><nav>Menú</nav><!-- nota -->
      <div>Suelto <b>en</b> negrita<br>y otra línea</div><ol><li>Primero</li><li>Segundo</li></ol>
      <ul><li>Punto</li></ul><table><tr><th>A</th><td>1</td></tr></table><script>x()</script></body></html>"""
    assert [(b.level, b.text) for b in _convert("a.html", page.encode())] == [
        (1, "Guía"),
        (0, "Suelto en negrita y otra línea"),
        (0, "1. Primero"),
        (0, "2. Segundo"),
        (0, "- Punto"),
        (0, "A · 1"),
    ]


def test_front_matter_and_raw_html_of_markdown() -> None:
    text = "---\ntítulo: x\n---\n# Uno\n\nTexto <b>suyo</b>.\n\n<script>no()</script>\n"
    assert [b.text for b in _convert("a.md", text.encode())] == ["Uno", "Texto suyo."]


@pytest.mark.parametrize(
    "data", ["ñandú".encode(), "ñandú".encode("utf-8-sig"), "ñandú".encode("cp1252"), "ñandú".encode("utf-16")]
)
def test_encodings(data: bytes) -> None:
    assert decoded(data) == "ñandú"


def test_plain_text_headings_and_hyphens() -> None:
    text = "MANUAL DE COBROS\n\n1. PLAZOS\n" + "El plazo es de diez dí-\nas desde la fecha\nde recepción.\n- uno\n- dos"
    assert [(b.level, b.text) for b in text_blocks(text.encode())] == [
        (1, "MANUAL DE COBROS"),
        (1, "1. PLAZOS"),
        (0, "El plazo es de diez días desde la fecha de recepción."),
        (0, "- uno"),
        (0, "- dos"),
    ]


def test_headers_and_footers_are_left_out() -> None:
    said = [f"La frase {'abcdefghij'[n // 10]}{'abcdefghij'[n % 10]} es bastante larga para llenar." for n in range(60)]
    blocks = _convert("a.pdf", as_pdf("# Manual\n\n" + "\n\n".join(said)))
    assert max(b.page or 0 for b in blocks) >= 3
    assert not any("Página" in b.text for b in blocks)


def hang(name: str, data: bytes, limits: ReadingLimits, threads: int) -> list[Block]:
    """Stands in for a converter: never ends, dies, or fills the memory, by the document's name."""
    if name.startswith("muere"):
        import os

        os._exit(11)
    if name.startswith("llena"):
        raise MemoryError
    while name.startswith("eterno"):
        pass
    return [Block("bien")]


def test_a_converter_that_hangs_or_dies_takes_nothing_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "convert", hang)
    with IsolatedReader(ReadingLimits(seconds=3), 1) as reader:
        for name, why in (("muere.pdf", "conversor"), ("eterno.pdf", "3 s"), ("llena.pdf", "memoria")):
            with pytest.raises(Unreadable, match=why):
                reader.read(name, b"")
        assert reader.read("bien.pdf", b"") == [Block("bien")]


def test_errors_and_blocks_cross_the_process() -> None:
    with IsolatedReader(_LIMITS, 1) as reader:
        assert [b.text for b in reader.read("a.md", b"# Uno\n\nDos")] == ["Uno", "Dos"]
        with pytest.raises(Unreadable, match="no tiene texto"):
            reader.read("a.md", b"<!-- -->")


def test_a_missing_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_PACKAGES", ("no-existe-tal-paquete",))
    with pytest.raises(UsageError, match=r"spai\[documentos\]"):
        IsolatedReader(_LIMITS, 1)


def test_every_demo_text_has_a_kind(tmp_path: Path) -> None:
    from api.mocks.documents import KINDS

    assert {path.stem for path in TEXTS.glob("*.md")} == set(KINDS)
    assert set(KINDS.values()) == set(WRITERS)
