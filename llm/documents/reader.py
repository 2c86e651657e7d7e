"""The converters behind `core.documents.DocumentReader`, in a process of their own.

A damaged PDF may take the process down with it, and a crafted one may never come to an end: the process is given a
time and a size, ended when it passes them, and the next document gets another.
"""

import logging
import multiprocessing
import resource
from collections.abc import Sequence
from concurrent.futures import TimeoutError as FutureTimeout
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import PurePosixPath
from types import TracebackType
from typing import TYPE_CHECKING, Self

from core.documents.document import Block, ReadingLimits, Unreadable
from core.errors import UsageError
from llm.ocr import RapidOcr

if TYPE_CHECKING:
    from pebble import ProcessPool

_PACKAGES = ("beautifulsoup4", "mammoth", "markdown-it-py", "pypdfium2", "Pebble")
_READER = "1"
"""Changes when our own part reads otherwise."""
_MEMORY = 6_000_000_000
"""Bytes of address space of the process, libraries included."""


class IsolatedReader:
    """A `DocumentReader`. Its process starts with the first document and ends with `close`."""

    def __init__(self, limits: ReadingLimits, threads: int) -> None:
        """Raises `UsageError` when the packages of the extra `documentos` are missing."""
        self._limits, self._threads = limits, threads
        self._pool: ProcessPool | None = None
        self.version = "+".join([_READER, *(f"{name}/{_installed(name)}" for name in _PACKAGES)])

    def read(self, name: str, data: bytes) -> Sequence[Block]:
        from pebble import ProcessExpired, ProcessPool

        if self._pool is None:
            self._pool = ProcessPool(
                max_workers=1, context=multiprocessing.get_context("spawn"), initializer=_prepare, initargs=[_MEMORY]
            )
        asked = self._pool.schedule(
            convert, args=[name, data, self._limits, self._threads], timeout=self._limits.seconds
        )
        try:
            blocks: Sequence[Block] = asked.result()
        except FutureTimeout as error:
            raise Unreadable(f"no se ha terminado de leer en {self._limits.seconds:g} s") from error
        except ProcessExpired as error:
            raise Unreadable("está dañado: el conversor no lo resiste") from error
        except MemoryError as error:
            raise Unreadable("no cabe en memoria al leerlo") from error
        return blocks

    def close(self) -> None:
        """End the process."""
        if self._pool is not None:
            self._pool.stop()
            self._pool.join()
            self._pool = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError as error:
        raise UsageError(
            f"Para leer documentos falta el paquete {name}. Instálelo con: pip install 'spai[documentos]' (o `make "
            "setup`, que instala todo)."
        ) from error


def _prepare(memory: int) -> None:
    """In the new process: a bound on its memory, and nothing of its libraries on the terminal."""
    resource.setrlimit(resource.RLIMIT_AS, (memory, resource.getrlimit(resource.RLIMIT_AS)[1]))
    logging.disable(logging.CRITICAL)


def convert(name: str, data: bytes, limits: ReadingLimits, threads: int) -> list[Block]:
    """The blocks of a document, in this process. Raises `Unreadable`, also where it has no text."""
    blocks = _converted(name, data, limits, threads)
    characters = sum(len(block.text) for block in blocks)
    if characters > limits.characters:
        raise Unreadable(f"tiene más de {limits.characters:,} caracteres".replace(",", "."))
    if not any(block.text.strip() for block in blocks):
        raise Unreadable("no tiene texto")
    return blocks


def _converted(name: str, data: bytes, limits: ReadingLimits, threads: int) -> list[Block]:
    suffix = PurePosixPath(name).suffix.lower()
    match suffix:
        case ".txt":
            from llm.documents.plain import text_blocks

            return text_blocks(data)
        case ".pdf":
            from llm.documents.pdf import pdf_blocks

            return pdf_blocks(data, limits, cache(lambda: RapidOcr(threads=threads)))
        case ".html" | ".htm":
            from llm.documents.markup import html_blocks

            return html_blocks(data)
        case ".md" | ".markdown":
            from llm.documents.markup import markdown_blocks

            return markdown_blocks(data)
        case ".docx":
            from llm.documents.markup import word_blocks

            return word_blocks(data, limits)
        case _:
            raise Unreadable(f"no se leen documentos {suffix or 'sin extensión'}")
