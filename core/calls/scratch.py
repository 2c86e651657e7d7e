"""Arrays on disk while the patterns are looked for, so that memory does not grow with the calls."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryFile
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from core.errors import DependencyError
from core.files import NO_ROOM

Arrays = tuple[NDArray[Any], ...]


class Scratch:
    """Groups of arrays, read back in the order in which they were written, as often as wanted.

    They lie in a file without a name in `folder` (the system's for temporary files where None) that is gone when this
    is closed, whatever becomes of the process. Read whole, not mapped: mapped pages would count as memory.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._file = TemporaryFile(dir=folder)  # noqa: SIM115 - closed by `__exit__`
        self._sizes: list[int] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()

    def write(self, arrays: Sequence[NDArray[Any]]) -> None:
        """Keep a group behind those before it. Raises `DependencyError` when the disk is full."""
        try:
            self._file.seek(0, 2)
            for array in arrays:
                np.save(self._file, array, allow_pickle=False)
            self._file.flush()
        except OSError as error:
            where = self._folder or "la carpeta de ficheros temporales"
            what = "no queda sitio en el disco" if error.errno in NO_ROOM else error.strerror
            raise DependencyError(
                f"No se puede escribir en {where} mientras se buscan patrones: {what}. Haga sitio y repita la orden."
            ) from error
        self._sizes.append(len(arrays))

    def __iter__(self) -> Iterator[Arrays]:
        at = 0
        for size in self._sizes:
            self._file.seek(at)
            group = tuple(np.load(self._file, allow_pickle=False) for _ in range(size))
            at = self._file.tell()
            yield group
