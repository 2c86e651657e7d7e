"""Catalogue rows and vectors made by rule: as many as wanted, the same each time."""

import itertools
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np

from core.catalogue import CatalogueEntry, Resolution
from core.ports import Vectors

_COMPONENTS = ("PÓLIZAS", "SINIESTROS", "RECIBOS", "TARIFICADOR", "PORTAL", "CORREO", "FIRMA", "IMPRESIÓN")
_OPERATIONS = (
    "al emitir un suplemento", "al anular un recibo", "al abrir un parte", "al calcular la prima",
    "al enviar la carta", "al consultar el histórico", "al firmar el contrato", "al cambiar de cuenta",
)  # fmt: skip
_FAILURES = (
    "la pantalla se queda en blanco", "aparece el mensaje de sesión caducada", "el importe sale a cero",
    "no se guarda el cambio", "el documento llega vacío", "tarda más de un minuto", "falta la provincia",
)  # fmt: skip
_PLACES = ("en la oficina", "en el centro de atención", "desde casa", "en el móvil", "en la delegación")


def rows(count: int) -> list[CatalogueEntry]:
    """`count` different rows, each closed by a solution of its own."""
    return [
        CatalogueEntry(
            component=component,
            description=f"{operation}, {failure} {place}; código de error {code}.".capitalize(),
            incident_type="Aplicación",
            solution=f"Se repite la operación tras el arreglo {code}.",
            resolution=Resolution.CLOSE,
        )
        for component, operation, failure, place, code in itertools.islice(_combinations(), count)
    ]


def queries(count: int) -> list[str]:
    """`count` texts as a user would write them, about the rows."""
    found = itertools.islice(_combinations(), 0, None, 7)
    return [
        f"Buenos días, {operation} de {component.lower()} {failure} desde ayer ({code})"
        for component, operation, failure, _, code in itertools.islice(found, count)
    ]


def _combinations() -> Iterator[tuple[str, str, str, str, str]]:
    for number in itertools.count(1):
        for words in itertools.product(_COMPONENTS, _OPERATIONS, _FAILURES, _PLACES):
            component, operation, failure, place = words
            yield component, operation, failure, place, f"E{number:03}"


class HashEmbedder:
    """`core.ports.Embedder` by feature hashing of words, with the widths of the real one: takes next to no time."""

    dimensions: Mapping[str, int] = {"e5": 384, "use": 512}
    version = "hash/1"

    def passages(self, texts: Sequence[str]) -> dict[str, Vectors]:
        """name -> (n, width) float32, rows of length 1."""
        return {name: np.stack([_hashed(text, width) for text in texts]) for name, width in self.dimensions.items()}

    def queries(self, texts: Sequence[str], *, without: Collection[str] = ()) -> dict[str, Vectors]:
        """As `passages`."""
        return {name: rows for name, rows in self.passages(texts).items() if name not in without}


def _hashed(text: str, width: int) -> Vectors:
    vector = np.full(width, 1e-3, np.float32)
    for word in text.lower().split():
        code = zlib.crc32(word.encode())
        vector[code % width] += 1.0 if code >> 31 else -1.0
    return np.asarray(vector / np.linalg.norm(vector), np.float32)
