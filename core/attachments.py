"""Attachments: the text of an incident's images, put where they stand in its history.

What comes from outside is decoded once, here, under limits; the readers are handed pixels.
"""

import asyncio
import hashlib
import json
import logging
import os
import re
import struct
import tempfile
import zlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.characters import clean
from core.errors import Terminal
from core.incident import HistoryEntry, Incident
from core.people import find_people, name_patterns
from core.policy_number import POLICY_LIKE
from core.reason import Reason

logger = logging.getLogger(__name__)

Pixels = NDArray[np.uint8]
Fetch = Callable[[str, int], Awaitable[bytes]]
Vision = Callable[[bytes, str], Awaitable[str]]

NO_TEXT = "sin texto legible"
_VERSION = "1"
_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"BM", "BMP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
)
_DECODING_ERRORS = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    KeyError,
    IndexError,
    TypeError,
    OverflowError,
    MemoryError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
    Warning,
)
"""All that Pillow's decoders are known to raise on a damaged file, its warnings too where they are errors."""


class Ocr(Protocol):
    """Reads the text in an image."""

    version: str
    """Changes when the same image would read differently: cached texts of another version are not used."""

    def read(self, image: Pixels) -> str:
        """RGB pixels, height × width × 3, to text: one line per line, empty where there is none. Blocking."""
        ...


@dataclass(frozen=True)
class Limits:
    """What is still read; anything above goes to a person."""

    bytes: int = 8_000_000
    pixels: int = 40_000_000
    per_incident: int = 10


def decode(data: bytes, max_pixels: int) -> Image.Image:
    """The first frame of an image, as RGB; `Terminal(ATTACHMENT_UNREADABLE)` for anything else.

    Type by the first bytes, never by name; size by the header, before any pixel is decoded.
    """
    kind = next((name for magic, name in _MAGIC if data.startswith(magic)), None)
    if kind is None and data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        kind = "WEBP"
    if kind is None:
        raise _unreadable("no es una imagen PNG, JPEG, GIF, BMP, WEBP ni TIFF")
    try:
        with Image.open(BytesIO(data), formats=[kind]) as image:
            if image.width * image.height > max_pixels:
                raise _unreadable(f"la imagen es demasiado grande: {image.width} × {image.height} píxeles")
            image.load()
            if image.has_transparency_data:
                shown = image.convert("RGBA")
                paper = Image.new("RGBA", shown.size, "white")
                return Image.alpha_composite(paper, shown).convert("RGB")
            return image.convert("RGB")
    except _DECODING_ERRORS as error:
        raise _unreadable("la imagen está dañada o incompleta") from error


def _unreadable(why: str) -> Terminal:
    return Terminal(Reason.ATTACHMENT_UNREADABLE, f"{Reason.ATTACHMENT_UNREADABLE.text}: {why}")


class AttachmentReader:
    """Fetches, checks and reads an incident's images.

    `scrub` says what a text looks like without personal data. A text is kept on disk only where `scrub` leaves it as
    it is and nothing in it can become personal by what the incident says, a policy number or somebody's name: with
    values it would put personal data on disk, without them a second run would miss the policy number that the first
    one saw. For the same reason `vision` is shown only images in whose text nothing personal was found.
    """

    def __init__(
        self,
        fetch: Fetch,
        ocr: Ocr,
        cache_dir: Path,
        scrub: Callable[[str], str],
        *,
        vision: Vision | None = None,
        vision_version: str = "",
        limits: Limits | None = None,
    ) -> None:
        self._fetch, self._ocr, self._vision, self._scrub = fetch, ocr, vision, scrub
        self._limits = limits or Limits()
        self._cache = cache_dir
        self._version = f"{_VERSION} {ocr.version} {vision_version if vision else ''}"

    async def read_all(self, incident: Incident) -> dict[str, str]:
        """Name -> text of every attachment in the history; one that cannot be read raises `Terminal`."""
        names = list(dict.fromkeys(name for entry in incident.history for name in entry.attachments))
        if len(names) > self._limits.per_incident:
            raise _unreadable(f"hay {len(names)} adjuntos y se leen {self._limits.per_incident} como mucho")
        people = name_patterns(incident.requester, (entry.author for entry in incident.history))
        return {name: await self.read(name, people) for name in names}

    async def read(self, name: str, people: Sequence[re.Pattern[str]] = ()) -> str:
        """The text of one image, in clear: to be redacted with the incident. Empty where it shows none.

        `people`: how the names of the incident's people are written (`core.people.name_patterns`).
        """
        data = await self._fetch(name, self._limits.bytes)
        if len(data) > self._limits.bytes:
            raise _unreadable(f"ocupa más de {self._limits.bytes} bytes")
        key = hashlib.sha256(data + b"\0" + self._version.encode()).hexdigest()
        cached = await asyncio.to_thread(self._load, key)
        if cached is not None:
            return cached
        image = await asyncio.to_thread(decode, data, self._limits.pixels)
        text = await asyncio.to_thread(self._ocr.read, np.asarray(image))
        personal = self._is_personal(text, people)
        if self._vision and not personal:
            text = "\n".join(part for part in (text, await self._vision(_png(image), "image/png")) if part)
            personal = self._is_personal(text, people)
        if not personal:
            await asyncio.to_thread(self._store, key, text)
        return text

    def _is_personal(self, text: str, people: Sequence[re.Pattern[str]]) -> bool:
        if self._scrub(text) != text or POLICY_LIKE.search(cleaned := clean(text)):
            return True
        return any(find_people(cleaned, people))

    def _load(self, key: str) -> str | None:
        try:
            stored = json.loads((self._cache / f"{key}.json").read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return None  # absent or damaged: read the image again
        if not isinstance(stored, dict) or not isinstance(text := stored.get("text"), str):
            return None
        return text if stored.get("sha256") == _digest(text) else None

    def _store(self, key: str, text: str) -> None:
        content = json.dumps({"text": text, "sha256": _digest(text)}, ensure_ascii=False)
        temporary = ""
        try:
            self._cache.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=self._cache, delete=False) as file:
                temporary = file.name
                file.write(content)
            os.replace(temporary, self._cache / f"{key}.json")
        except (OSError, UnicodeError) as error:  # only a cache: a full disk must not lose the incident
            logger.warning(
                "no se ha podido guardar el texto de un adjunto", extra={"action": "cache_failed", "error": str(error)}
            )
            if temporary:
                Path(temporary).unlink(missing_ok=True)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def _png(image: Image.Image) -> bytes:
    """Encoded anew from the pixels: no metadata of the original goes along."""
    out = BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def place_texts(incident: Incident, texts: Mapping[str, str]) -> Incident:
    """The incident as it reads with its images' texts (`read_all`), for redaction and judgement only.

    Where an entry's text names the file its image is put there, else at the end of the entry's detail. The result's
    fingerprint is another: whoever compares states keeps the original.
    """
    history = tuple(_placed(entry, texts) for entry in incident.history)
    return incident.model_copy(update={"history": history})


def _placed(entry: HistoryEntry, texts: Mapping[str, str]) -> HistoryEntry:
    notes, detail = entry.notes, entry.detail
    for name in dict.fromkeys(entry.attachments):
        if name not in texts:
            continue
        shown = f"[Imagen {name}: {texts[name].strip() or NO_TEXT}]"
        if name in detail:
            detail = detail.replace(name, shown, 1)
        elif name in notes:
            notes = notes.replace(name, shown, 1)
        else:
            detail = f"{detail}\n{shown}" if detail.strip() else shown
    return entry.model_copy(update={"notes": notes, "detail": detail})
