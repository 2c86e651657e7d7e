"""A citation that is not among the passages, or does not bear the words out, voids the answer."""

import pytest

from core.documents.citations import Citation, Sentence, faults
from core.lexical import stems

_PASSAGES = [
    "Recibos: El recibo se carga el primer día hábil del mes. El recargo mensual es del 5 %.",
    "Bajas: El aviso se da con un mes de antelación.",
]
_CITATIONS = [Citation(n, f"p{n}", "a.md", ("A", "B"), n) for n in (1, 2)]


@pytest.mark.parametrize(
    ("sentences", "wrong"),
    [
        ([Sentence("El recibo se carga el primer día hábil del mes.", (1,), verbatim=True)], ""),
        ([Sentence("El recargo mensual es del 5 %", (1,)), Sentence("Se avisa con un mes de antelación", (2,))], ""),
        ([Sentence("El recargo del recibo mensual y el aviso con antelación de un mes", (1, 2))], ""),
        ([], "no dice nada"),
        ([Sentence("El recibo se carga el primer día hábil", ())], "sin fuente"),
        ([Sentence("El recibo se carga el primer día hábil", (3,))], "no está entre las encontradas"),
        ([Sentence("El recibo se carga el primer día hábil", (1, 7))], "no está entre las encontradas"),
        ([Sentence("El recibo se carga el último día.", (1,), verbatim=True)], "no es literal"),
        ([Sentence("El aviso se da con un mes de antelación.", (1,), verbatim=True)], "no es literal"),
        ([Sentence("El recargo mensual es del 7 %", (1,))], "número"),
        ([Sentence("La grúa tarda una hora en llegar a la ciudad", (1,))], "algo que no está"),
        ([Sentence("¿?", (1,))], "algo que no está"),
        ([Sentence("El recargo mensual es del 5 %", (1,)), Sentence("Y hay café gratis en recepción", (2,))], "algo"),
    ],
    ids=[
        "quoted", "written", "two-sources", "nothing", "no-citation", "unknown", "one-unknown", "changed-quote",
        "quote-of-another", "other-number", "other-subject", "no-words", "one-bad-of-two",
    ],
)  # fmt: skip
def test_faults(sentences: list[Sentence], wrong: str) -> None:
    found = faults(sentences, _CITATIONS, _PASSAGES, stems())
    assert wrong in found
    assert bool(found) is bool(wrong)


def test_how_they_are_shown() -> None:
    assert str(Sentence("Uno.", (1, 2))) == "Uno. [1][2]"
    assert str(Sentence("Uno.", (1,), verbatim=True)) == "«Uno.» [1]"
    assert str(_CITATIONS[1]) == "[2] a.md, página 2: A › B"
