import json
import struct
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.attachments import NO_TEXT, AttachmentReader, Limits, Pixels, decode, place_texts
from core.errors import Terminal
from core.incident import Incident
from core.privacy import scrub
from core.reason import Reason


def image_bytes(kind: str = "PNG", size: tuple[int, int] = (40, 20), mode: str = "RGB") -> bytes:
    out = BytesIO()
    Image.effect_noise(size, 50).convert(mode).save(out, kind)
    return out.getvalue()


def png(width: int, height: int, body: bytes = b"") -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(body)) + chunk(b"IEND", b"")


class FakeOcr:
    version = "fake/1"

    def __init__(self, text: str = "error 1042") -> None:
        self.text = text
        self.shapes: list[tuple[int, ...]] = []

    def read(self, image: Pixels) -> str:
        assert image.dtype == np.uint8
        self.shapes.append(image.shape)
        return self.text


class Desk:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.asked: list[tuple[str, int]] = []

    async def attachment(self, name: str, limit: int) -> bytes:
        self.asked.append((name, limit))
        return self.data


def reader(tmp_path: Path, ocr: FakeOcr, data: bytes | None = None, limits: Limits | None = None) -> AttachmentReader:
    desk = Desk(image_bytes() if data is None else data)
    return AttachmentReader(desk.attachment, ocr, tmp_path / "cache", scrub, limits=limits)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"])
def test_decode_takes(kind: str) -> None:
    image = decode(image_bytes(kind), 1000)
    assert (image.mode, image.size) == ("RGB", (40, 20))


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGBA", "I;16"])
def test_decode_takes_modes(mode: str) -> None:
    out = BytesIO()
    Image.new(mode, (4, 4)).save(out, "PNG")
    assert decode(out.getvalue(), 100).mode == "RGB"


def test_transparent_is_shown_on_white() -> None:
    out = BytesIO()
    Image.new("RGBA", (4, 4), (0, 0, 0, 0)).save(out, "PNG")
    assert decode(out.getvalue(), 100).getpixel((0, 0)) == (255, 255, 255)


def test_first_frame_only() -> None:
    out = BytesIO()
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:])
    assert decode(out.getvalue(), 100).getpixel((0, 0)) == (255, 0, 0)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="zero bytes"),
        pytest.param(b"%PDF-1.7 ...", id="PDF"),
        pytest.param(b"PK\x03\x04" + b"\0" * 100, id="zip"),
        pytest.param(b"<svg xmlns='http://www.w3.org/2000/svg'/>", id="SVG"),
        pytest.param(image_bytes()[:8], id="only the magic"),
        pytest.param(image_bytes()[:60], id="truncated PNG"),
        pytest.param(image_bytes("JPEG", (200, 200))[:900], id="truncated JPEG"),
        pytest.param(image_bytes("TIFF")[:30], id="truncated TIFF"),
        pytest.param(image_bytes("WEBP")[:30], id="truncated WEBP"),
        pytest.param(png(60000, 60000), id="huge declared size"),
        pytest.param(png(9000, 9000, b"\0" * 1000), id="above the limit"),
        pytest.param(png(2_000_000_000, 1), id="absurd width"),
        pytest.param(png(0, 0), id="no pixels"),
        pytest.param(png(100, 100, b"\0" * 10), id="too little data"),
        pytest.param(b"BM" + b"\xff" * 60, id="rubbish BMP"),
        pytest.param(b"GIF89a" + b"\xff" * 20, id="rubbish GIF"),
    ],
)
def test_decode_refuses(data: bytes) -> None:
    with pytest.raises(Terminal) as caught:
        decode(data, 40_000_000)
    assert caught.value.reason is Reason.ATTACHMENT_UNREADABLE


def test_a_stream_longer_than_the_image_is_not_inflated() -> None:
    bomb = png(10, 10, b"\0" * 50_000_000)
    assert decode(bomb, 1000).size == (10, 10)


async def test_wrong_extension_is_read_by_its_bytes(tmp_path: Path) -> None:
    assert await reader(tmp_path, FakeOcr(), image_bytes("JPEG")).read("informe.exe") == "error 1042"


async def test_too_many_bytes(tmp_path: Path) -> None:
    with pytest.raises(Terminal, match="bytes"):
        await reader(tmp_path, FakeOcr(), limits=Limits(bytes=10)).read("a.png")


async def test_read_is_cached_by_content_and_version(tmp_path: Path) -> None:
    ocr = FakeOcr()
    assert [await reader(tmp_path, ocr).read(n) for n in ("a.png", "b.png")] == ["error 1042"] * 2
    other = FakeOcr("otro")
    other.version = "fake/2"
    data = image_bytes("BMP")
    assert await reader(tmp_path, ocr, data).read("a") == "error 1042"
    assert await reader(tmp_path, other, data).read("a") == "otro"


@pytest.mark.parametrize(
    "damage",
    ["", "{", "[]", '{"text": 5}', '{"text": "falso", "sha256": "0"}', "\udcff"],
    ids=["empty", "cut", "list", "number", "changed", "encoding"],
)
async def test_damaged_cache_is_ignored(tmp_path: Path, damage: str) -> None:
    data, ocr = image_bytes(), FakeOcr()
    assert await reader(tmp_path, ocr, data).read("a") == "error 1042"
    [file] = (tmp_path / "cache").iterdir()
    file.write_bytes(damage.encode(errors="surrogateescape"))
    assert await reader(tmp_path, ocr, data).read("a") == "error 1042"
    assert len(ocr.shapes) == 2
    assert json.loads(file.read_text(encoding="utf-8"))["text"] == "error 1042"
    assert await reader(tmp_path, ocr, data).read("a") == "error 1042"
    assert len(ocr.shapes) == 2


async def test_personal_data_is_never_on_disk_nor_shown_to_the_vision_model(tmp_path: Path) -> None:
    async def vision(image: bytes, media_type: str) -> str:
        raise AssertionError

    desk = Desk(image_bytes())
    made = AttachmentReader(desk.attachment, FakeOcr("NIF 12345678Z"), tmp_path / "cache", scrub, vision=vision)
    assert await made.read("a.png") == "NIF 12345678Z"
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    "text",
    ["Contrato 654321 Ramo HOGAR", "Ref AB-654321 pendiente", "Titular: ANA RUIZ LÓPEZ"],
    ids=["six digits", "letters", "name"],
)
async def test_what_the_incident_may_make_personal_is_not_on_disk_either(tmp_path: Path, text: str) -> None:
    async def vision(image: bytes, media_type: str) -> str:
        raise AssertionError

    desk = Desk(image_bytes())
    made = AttachmentReader(desk.attachment, FakeOcr(text), tmp_path / "cache", scrub, vision=vision)
    found = incident({"adjuntos": ["a.png"]}).model_copy(update={"requester": "Ana Ruiz"})
    assert await made.read_all(found) == {"a.png": text}
    assert not (tmp_path / "cache").exists()


async def test_vision_sees_a_clean_copy_and_adds_its_words(tmp_path: Path) -> None:
    seen: list[tuple[bytes, str]] = []

    async def vision(image: bytes, media_type: str) -> str:
        seen.append((image[:4], media_type))
        return "Una pantalla de error"

    desk = Desk(image_bytes("JPEG"))
    made = AttachmentReader(desk.attachment, FakeOcr(), tmp_path, scrub, vision=vision, vision_version="v")
    assert await made.read("a.jpg") == "error 1042\nUna pantalla de error"
    assert seen == [(b"\x89PNG", "image/png")]


async def test_unwritable_cache_loses_nothing(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    assert await reader(tmp_path, FakeOcr()).read("a.png") == "error 1042"


async def test_failed_rename_leaves_no_temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr("core.attachments.os.replace", full)
    assert await reader(tmp_path, FakeOcr()).read("a.png") == "error 1042"
    assert list((tmp_path / "cache").iterdir()) == []


def incident(*entries: dict[str, object]) -> Incident:
    return Incident.model_validate({"codIncidencia": "I1", "historial": list(entries)})


async def test_read_all_asks_once_per_name_with_the_limit(tmp_path: Path) -> None:
    desk = Desk(image_bytes())
    made = AttachmentReader(desk.attachment, FakeOcr(), tmp_path, scrub, limits=Limits(bytes=5000))
    texts = await made.read_all(incident({"adjuntos": ["a.png", "b.png"]}, {"adjuntos": ["a.png"]}))
    assert texts == {"a.png": "error 1042", "b.png": "error 1042"}
    assert desk.asked == [("a.png", 5000), ("b.png", 5000)]


async def test_too_many_attachments(tmp_path: Path) -> None:
    with pytest.raises(Terminal, match="11 adjuntos"):
        await reader(tmp_path, FakeOcr()).read_all(incident({"adjuntos": [f"{i}.png" for i in range(11)]}))


def test_texts_stand_where_the_attachment_stands() -> None:
    given = incident(
        {"detalle": "Adjunto a.png con el fallo", "adjuntos": ["a.png"]},
        {"NotasResolucion": "véase b.png", "adjuntos": ["b.png"]},
        {"detalle": "Otra", "adjuntos": ["c.png", "sin.png"]},
        {"adjuntos": ["d.png"]},
        {"detalle": "nada"},
    )
    placed = place_texts(given, {"a.png": "A\nB", "b.png": "error 7", "c.png": "", "d.png": "x"}).history
    assert placed[0].detail == "Adjunto [Imagen a.png: A\nB] con el fallo"
    assert placed[1].notes == "véase [Imagen b.png: error 7]"
    assert placed[2].detail == f"Otra\n[Imagen c.png: {NO_TEXT}]"
    assert placed[3].detail == "[Imagen d.png: x]"
    assert placed[4] == given.history[4]
    assert given.history[0].detail == "Adjunto a.png con el fallo"
