"""Pieces have 200 to 600 tokens, end at headings where they can, lose nothing and repeat little."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.documents.document import Block
from core.documents.pieces import (
    LEAST,
    MOST,
    OVERLAP,
    Part,
    Piece,
    common_title,
    document_id,
    from_point,
    piece_id,
    split,
)
from core.errors import DependencyError
from core.knowledge import Point
from tests.core.documents.words import count

_SENTENCE = "El recibo domiciliado se carga el primer día hábil del mes de vencimiento."


def _document(sections: int, sentences: int) -> list[Block]:
    blocks = [Block("Manual", 1)]
    for section in range(sections):
        blocks.append(Block(f"Apartado {section}", 2))
        blocks += [Block(f"{section}.{n} {_SENTENCE}", 0, section + 1) for n in range(sentences)]
    return blocks


@pytest.mark.parametrize(("sections", "sentences"), [(1, 100), (40, 3), (6, 20), (2, 18)])
def test_sizes(sections: int, sentences: int) -> None:
    pieces = split(_document(sections, sentences), "manual", count)
    assert len(pieces) > 1 or sections * sentences < 60
    for parts, tokens in pieces:
        assert LEAST <= tokens <= MOST
        assert tokens == sum(count(part.text) for part in parts)


def test_a_short_document_is_one_piece() -> None:
    [(parts, tokens)] = split([Block("Uno.", page=3)], "nota breve", count)
    assert tokens == 1
    assert parts == (Part(text="Uno.", title=("nota breve",), page=3),)


def test_a_section_that_is_cut_repeats_its_last_sentences() -> None:
    first, second, *_ = (parts for parts, _ in split(_document(1, 100), "manual", count))
    shared = [part for part in first if part in second]
    assert shared
    assert shared == list(first[-len(shared) :]) == list(second[: len(shared)])
    assert sum(count(part.text) for part in shared) <= OVERLAP


def test_pieces_end_at_headings_where_they_can() -> None:
    pieces = split(_document(6, 18), "manual", count)
    assert len(pieces) == 6
    assert [parts[0].title for parts, _ in pieces] == [("Manual", f"Apartado {n}") for n in range(6)]
    assert all(common_title(parts) == parts[0].title for parts, _ in pieces)


def test_headings_nest() -> None:
    blocks = [Block("A", 1), Block("B", 2), Block("C", 4), Block("uno"), Block("D", 2), Block("dos")]
    [(parts, _)] = split(blocks, "x", count)
    assert [part.title for part in parts] == [("A", "B", "C"), ("A", "D")]
    assert common_title(parts) == ("A",)


def test_what_stands_before_the_first_heading_is_under_the_name() -> None:
    [(parts, _)] = split([Block("Antes."), Block("B", 2), Block("Dentro.")], "guía", count)
    assert [part.title for part in parts] == [("guía",), ("guía", "B")]


@given(st.lists(st.text(alphabet="abc .\n¿?Áé", max_size=200), max_size=12))
def test_nothing_is_lost(texts: list[str]) -> None:
    pieces = split([Block(text) for text in texts], "x", count)
    said = [word for parts, _ in pieces for part in parts for word in part.text.split()]
    assert set(said) == {word for text in texts for word in text.split()}
    assert all(tokens <= MOST for _, tokens in pieces)


@pytest.mark.parametrize("text", ["a" * 20_000, "palabra " * 5_000, "x\n" * 5_000], ids=["a-word", "no-stops", "lines"])
def test_what_has_no_sentences_is_cut_all_the_same(text: str) -> None:
    def letters(said: str) -> int:
        return max(1, len(said) // 3)

    for _, tokens in split([Block(text)], "x", letters):
        assert tokens <= MOST


def _piece() -> Piece:
    document = document_id("a.md")
    parts = (Part(text="Uno.", title=("A", "B")), Part(text="Dos.", title=("A", "C")))
    return Piece(
        id=piece_id(document, 0), document=document, document_hash="h", number=0, of=1, source="a.md", title=("A",),
        page=None, parts=parts, tokens=2, embedder="e", examples=("¿Uno?",),
    ).hashed()  # fmt: skip


def test_a_piece_comes_back_as_it_was_stored() -> None:
    piece = _piece()
    assert from_point(Point(piece.id, piece.payload())) == piece
    assert piece.text == "B\nUno.\nC\nDos."
    assert piece.embed_text == "A: B\nUno.\nC\nDos."
    assert piece.search_text.endswith("¿Uno?")
    assert piece.model_copy(update={"intent": "otra"}).hashed().content_hash != piece.content_hash


def test_a_point_that_is_none_of_ours() -> None:
    with pytest.raises(DependencyError, match="ilegible"):
        from_point(Point("x", {"otra": "cosa"}))
