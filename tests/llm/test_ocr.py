import logging
import resource
import sys
import threading
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from core.attachments import Pixels
from llm.ocr import RapidOcr, reading_order


def drawn(lines: list[str], size: tuple[int, int], font_size: int) -> Pixels:
    image = Image.new("RGB", size, "white")
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(size=font_size)
    for i, line in enumerate(lines):
        draw.text((20, 20 + i * font_size * 2), line, fill="black", font=font)
    return np.asarray(image)


def plain(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKD", text.lower()) if not unicodedata.combining(c))


@pytest.fixture(scope="module")
def ocr() -> RapidOcr:
    return RapidOcr()


@pytest.mark.parametrize(("size", "font_size"), [((700, 160), 14), ((700, 160), 24), ((1400, 300), 18)])
def test_reads_a_spanish_screenshot(ocr: RapidOcr, size: tuple[int, int], font_size: int) -> None:
    lines = ["No se puede emitir la póliza: error de tarifa 1042", "Contacte con el administrador"]
    first, second = plain(ocr.read(drawn(lines, size, font_size))).splitlines()
    assert {"puede", "emitir", "error", "tarifa", "1042"} <= set(first.replace(":", " ").split())
    assert "administrador" in second


def test_tall_captures_are_read_to_the_end(ocr: RapidOcr) -> None:
    image = np.full((3000, 500, 3), 255, np.uint8)
    piece = drawn(["codigo 503"], (500, 80), 24)
    for top in (100, 1900, 1990, 2800):
        image[top : top + 80] = piece
    assert [line.split()[-1] for line in ocr.read(image).splitlines()] == ["503"] * 4


@pytest.mark.parametrize("size", [24, 60], ids=["text", "heading"])
@pytest.mark.parametrize("top", range(470, 650, 45))
def test_a_line_where_two_bands_meet_is_read_once(ocr: RapidOcr, top: int, size: int) -> None:
    image = np.full((1300, 700, 3), 255, np.uint8)
    image[top : top + size * 3] = drawn(["codigo 503"], (700, size * 3), size)
    assert [line.split()[-1] for line in ocr.read(image).splitlines()] == ["503"]


def test_no_text_is_empty(ocr: RapidOcr) -> None:
    assert ocr.read(np.full((100, 200, 3), 255, np.uint8)) == ""


def test_the_engine_is_loaded_once_and_adds_no_log_handlers(ocr: RapidOcr) -> None:
    ocr.read(np.full((40, 40, 3), 255, np.uint8))
    engine = ocr._engine
    ocr.read(np.full((40, 40, 3), 255, np.uint8))
    assert ocr._engine is engine
    assert logging.getLogger("RapidOCR").handlers == []
    assert ocr.version.startswith("rapidocr 1.")


def test_reading_order() -> None:
    lines = [(200.0, 12.0, 20.0, "b"), (10.0, 60.0, 20.0, "c"), (10.0, 10.0, 20.0, "a")]
    assert reading_order(lines) == ["a b", "c"]
    assert reading_order([]) == []


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc and glibc")
def test_a_capture_read_leaves_no_memory_behind(ocr: RapidOcr) -> None:
    def resident() -> int:
        """In MiB."""
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() // 2**20

    capture = drawn(["No se puede emitir la póliza: error de tarifa 1042"] * 8, (1000, 560), 20)
    ocr.read(capture)
    before = resident()
    for _ in range(3):  # each in a thread, as they are read in a run
        thread = threading.Thread(target=ocr.read, args=(capture,))
        thread.start()
        thread.join()
    assert resident() - before < 60
