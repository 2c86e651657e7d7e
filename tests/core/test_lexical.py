"""core/lexical.py: shares of the best possible score, whatever the case, accents, endings and typing errors."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.lexical import LexicalIndex, RowIndex, grams, language, stems

ROWS = [
    "Correo: el buzón está lleno y no recibe mensajes",
    "Impresión: la carta sale sin el logotipo",
    "Acceso: la contraseña ha caducado",
    "Acceso: el usuario está bloqueado",
]


@pytest.mark.parametrize("tokenise", [pytest.param(stems(), id="stems"), pytest.param(grams, id="ngrams")])
@pytest.mark.parametrize(
    ("text", "row"),
    [
        pytest.param("mi BUZON esta llenísimo, no llegan los mensajes", 0, id="case and accents"),
        pytest.param("las cartas salen sin logotipos", 1, id="plurals"),
        pytest.param("contraseñas caducadas", 2, id="inflected"),
    ],
)
def test_the_row_with_the_words_is_first(tokenise: Callable[[str], list[str]], text: str, row: int) -> None:
    scores = LexicalIndex(ROWS, tokenise).scores(text)
    assert scores.shape == (len(ROWS),)
    assert scores.dtype == np.float32
    assert int(scores.argmax()) == row


def test_ngrams_survive_a_typing_error() -> None:
    text = "contrasenña cadukada"
    assert LexicalIndex(ROWS, stems()).scores(text).max() == 0
    assert int(LexicalIndex(ROWS, grams).scores(text).argmax()) == 2


def test_words_that_no_row_has_lower_the_share() -> None:
    index = LexicalIndex(ROWS, stems())
    alone = index.scores("logotipo")[1]
    assert 0 < index.scores("logotipo tejado gotera chimenea")[1] < alone / 2


def test_a_word_counts_once_however_often_it_is_said() -> None:
    index = LexicalIndex(ROWS, stems())
    assert (index.scores("logotipo " * 50) == index.scores("logotipo")).all()


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("hola, buenos días, gracias", id="filler only"),
        pytest.param("¿¡…!? 漢字", id="no word"),
        pytest.param("∅", id="the mark of an empty row"),
        pytest.param("tejado gotera", id="unknown words"),
    ],
)
def test_a_text_with_nothing_to_search_scores_nothing(text: str) -> None:
    assert (LexicalIndex([*ROWS, ""], stems()).scores(text) == np.zeros(5)).all()


def test_rows_without_words() -> None:
    assert LexicalIndex([], stems()).scores("buzón").shape == (0,)
    assert LexicalIndex(["", "…"], grams).scores("buzón").tolist() == [0, 0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("La impresora no tiene papel y no sé por qué", "spanish", id="spanish"),
        pytest.param("My printer has no paper and I don't know why", "english", id="english"),
        pytest.param("VPN error 404", None, id="no filler"),
        pytest.param("", None, id="empty"),
    ],
)
def test_language(text: str, expected: str | None) -> None:
    assert language(text) == expected


def test_tokens() -> None:
    assert stems()("El error-500 de la aplicación v2.1") == ["error-500", "aplic", "v2.1"]
    assert stems("english")("the printers are printing") == stems("english")("printer are print")
    assert grams("de PDF") == ["_pdf", "pdf_"]
    assert grams("a x 9") == ["_x_", "_9_"]


@given(st.lists(st.text(alphabet="abñ -1.", max_size=12), max_size=5), st.text(alphabet="abcñ -1.", max_size=20))
def test_scores_are_shares(rows: list[str], text: str) -> None:
    for tokenise in (str.split, grams):
        scores = LexicalIndex(rows, tokenise).scores(text)
        assert scores.shape == (len(rows),)
        assert ((scores >= 0) & (scores <= 1 + 1e-6)).all()


def test_rows_without_examples_are_given_what_examples_add_elsewhere() -> None:
    plain = ["avería impresora", "avería pantalla", "avería ratón", "avería teclado"]
    told = [f"{text}\nmi equipo falla mucho" for text in plain[:2]]
    texts, lifted = [*told, *plain[2:]], [False, False, True, True]
    index = RowIndex(texts, plain, lifted, stems())
    asked = "mi equipo falla mucho, el ratón"
    alone, raised = LexicalIndex(texts, stems()).scores(asked), index.scores(asked)
    assert alone[2] < alone[0], "as it stands it would have lost"
    assert raised[2] > raised[0]
    assert raised[3] == alone[3] == 0, "a row that shares no word is given nothing"
    assert raised[:2].tolist() == alone[:2].tolist()
    assert RowIndex(texts, plain, [False] * 4, stems()).scores(asked).tolist() == alone.tolist()
    assert RowIndex(plain, plain, [True] * 4, stems()).scores(asked).max() <= 1


@given(st.lists(st.sampled_from(["a1", "b2", "c3", "d4"]), min_size=1, max_size=6))
def test_row_scores_stay_shares(words: list[str]) -> None:
    texts = ["a1 b2 c3", "a1", "d4"]
    scores = RowIndex(texts, ["a1", "a1", "d4"], [False, True, True], stems()).scores(" ".join(words))
    assert ((scores >= 0) & (scores <= 1)).all()
