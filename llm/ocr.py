"""OCR in process: RapidOCR, its weights inside the wheel. It reads Spanish and drops some accents."""

import logging
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager
from importlib.metadata import version
from typing import Any

import numpy as np
from PIL import Image

from core.attachments import Pixels
from llm.native import give_back_memory

_SMALL_SIDE = 1000
"""Images up to this side are doubled: letters of 14 px lose the spaces between words otherwise."""
_BAND = 640
_BAND_OVERLAP = 160
"""A capture is read in bands of this many pixels: the detector takes memory by the area (0.6 GB for a whole screen, 0.4
in bands) and would shrink a tall one. What two bands share holds the tallest line."""

Line = tuple[float, float, float, str]
"""Left, top, height in pixels; text."""


class RapidOcr:
    """An `Ocr`. The model (about 50 MB) is loaded by the first image. One image at a time, under `lock`."""

    def __init__(self, lock: AbstractContextManager[object] | None = None, threads: int = 2) -> None:
        self._lock = lock if lock is not None else threading.Lock()
        self._threads = threads
        self._engine: Any = None  # the library has no types
        self.version = f"rapidocr {version('rapidocr-onnxruntime')}/2"

    def read(self, image: Pixels) -> str:
        """RGB pixels to text, lines from top to bottom and from left to right; empty where there is none."""
        if max(image.shape[:2]) <= _SMALL_SIDE:
            size = (image.shape[1] * 2, image.shape[0] * 2)
            image = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.LANCZOS))
        with self._lock:
            if self._engine is None:
                self._engine = self._load()
            lines = [line for top, band in _bands(image) for line in self._band(band, top, image.shape[0])]
        return "\n".join(reading_order(lines))

    def _band(self, band: Pixels, top: int, height: int) -> list[Line]:
        """The lines whose middle is this band's own: of what two bands share each has the half nearer to it."""
        first = top + _BAND_OVERLAP / 2 if top else 0.0
        last = top + _BAND - _BAND_OVERLAP / 2 if top + _BAND < height else float(height)
        found, _ = self._engine(np.ascontiguousarray(band[:, :, ::-1]))  # the library takes BGR
        give_back_memory()  # or two captures in a row cost half a gigabyte more than one
        return [line for line in _lines(found, top) if first <= line[1] + line[2] / 2 < last]

    def _load(self) -> Any:
        from rapidocr_onnxruntime import RapidOCR

        engine = RapidOCR(
            intra_op_num_threads=self._threads,
            inter_op_num_threads=1,
            use_cls=False,  # screenshots are upright
            max_side_len=4000,  # two screens side by side stay legible
            det_limit_type="max",  # never enlarge: the default takes six times as long on a small image
            det_limit_side_len=2560,
            det_unclip_ratio=2.0,  # wider boxes: words keep their spaces
        )
        for name in ("RapidOCR", "OrtInferSession"):
            logging.getLogger(name).handlers.clear()  # it adds its own to the standard error
        return engine


def _bands(image: Pixels) -> Iterator[tuple[int, Pixels]]:
    height = image.shape[0]
    for top in range(0, max(height - _BAND_OVERLAP, 1), _BAND - _BAND_OVERLAP):
        yield top, image[top : top + _BAND]


def _lines(found: list[Any] | None, offset: int) -> list[Line]:
    lines = []
    for box, text, _ in found or ():
        xs, ys = [p[0] for p in box], [p[1] for p in box]
        lines.append((float(min(xs)), float(min(ys)) + offset, float(max(ys) - min(ys)), str(text)))
    return lines


def reading_order(lines: list[Line]) -> list[str]:
    """Pieces whose middles are less than half a height apart are one line, joined from left to right."""
    rows: list[list[Line]] = []
    for line in sorted(lines, key=lambda piece: piece[1] + piece[2] / 2):
        if rows:
            first = rows[-1][0]
            if abs((line[1] + line[2] / 2) - (first[1] + first[2] / 2)) < min(line[2], first[2]) / 2:
                rows[-1].append(line)
                continue
        rows.append([line])
    return [" ".join(piece[3] for piece in sorted(row)) for row in rows]
