"""core/search.py: several retrievers, one order, the evidence always of the incident's own words."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import astuple
from typing import ClassVar

import numpy as np
import pytest
from qdrant_client import QdrantClient

from core.catalogue import CatalogueEntry, Resolution
from core.errors import Retryable
from core.evidence import WEIGHTS, Evidence
from core.knowledge import KnowledgeBase, KnowledgeMissing, KnowledgeUnavailable
from core.ports import Vectors
from core.reason import Reason
from core.search import NEIGHBOURS, OTHERS, Candidate, Searcher, cosines
from tests.core.hash_embedder import HashEmbedder

WIDTHS = {"e5": 32, "use": 48}


def _row(description: str, mailbox: str = "") -> CatalogueEntry:
    kind = Resolution.REASSIGN if mailbox else Resolution.CLOSE
    return CatalogueEntry(component="", description=description, solution="s", resolution=kind, mailbox=mailbox)


ROWS = [
    _row("buzón lleno"),
    _row("contraseña caducada"),
    _row("impresora atascada", "TALLER"),
    _row("recibo duplicado", "COBROS"),
    _row("pantalla negra"),
]


@pytest.fixture
def knowledge() -> Iterator[KnowledgeBase]:
    client = QdrantClient(":memory:")
    base = KnowledgeBase(client, HashEmbedder(WIDTHS))
    base.build(ROWS)
    yield base
    client.close()


def _searcher(knowledge: KnowledgeBase, limit: int = 5) -> Searcher:
    return Searcher(knowledge, knowledge.embedder, limit)


def _names(candidates: Sequence[Candidate]) -> list[str]:
    return [candidate.entry.description for candidate in candidates]


def test_the_best_is_first_and_stands_out(knowledge: KnowledgeBase) -> None:
    found = _searcher(knowledge).search(["contraseña caducada"])
    assert found[0].entry.description == "contraseña caducada"
    assert len(found) == len(ROWS)
    evidence = found[0].evidence
    assert evidence.e5 == pytest.approx(1, abs=1e-4)
    assert evidence.use == pytest.approx(1, abs=1e-4)
    assert evidence.bm25 > 0.4
    assert evidence.ngrams > 0.4
    assert [c.order for c in found] == sorted((c.order for c in found), reverse=True)
    for candidate in found:
        assert candidate.order == pytest.approx(candidate.evidence.score)
    assert evidence.margin == pytest.approx(found[0].order - found[1].order)
    assert evidence.lift == pytest.approx(found[0].order - sum(c.order for c in found[1:]) / 4)
    assert all(c.evidence.margin < 0 for c in found[1:])


def test_the_score_is_the_weighted_sum() -> None:
    assert Evidence(e5=1, margin=9, lift=9).score == WEIGHTS["e5"]
    assert Evidence(1, 1, 1, 1, minilm=1).score == sum(WEIGHTS.values())
    assert Evidence().score == 0


def test_each_retriever_names_its_own(knowledge: KnowledgeBase) -> None:
    """With one name each, what only the n-grams see is still among the candidates, with all its raw scores."""
    [*found] = _searcher(knowledge, limit=1).search(["impresoras atascadas"])
    [seen] = [c for c in found if c.entry.description == "impresora atascada"]
    assert seen.evidence.ngrams > 0.3
    assert seen.evidence.e5 != 0
    assert seen.evidence.use != 0
    assert len(found) <= 3


def _built(rows: Sequence[CatalogueEntry], embedder: HashEmbedder) -> Iterator[KnowledgeBase]:
    client = QdrantClient(":memory:")
    base = KnowledgeBase(client, embedder)
    base.build(rows)
    yield base
    client.close()


@pytest.mark.parametrize(
    ("rows", "text", "used"),
    [
        pytest.param(["the printer has no paper", "the password does not work"], "my password", True, id="english"),
        pytest.param(["la impresora no tiene papel", "la clave no va"], "my password", False, id="spanish catalogue"),
        pytest.param(["impresora papel", "clave caducada"], "clave", False, id="no telling words"),
    ],
)
def test_an_english_embedding_counts_where_the_catalogue_is_english(rows: list[str], text: str, used: bool) -> None:
    for base in _built([_row(row) for row in rows], HashEmbedder(WIDTHS | {"minilm": 16})):
        found = _searcher(base).search([text])
        assert any(c.evidence.minilm != 0 for c in found) is used


def test_a_spanish_catalogue_has_no_english_embedding_made() -> None:
    class Telling(HashEmbedder):
        left: ClassVar[list[Collection[str]]] = []

        def queries(self, texts: Sequence[str], *, without: Collection[str] = ()) -> dict[str, Vectors]:
            self.left.append(without)
            return super().queries(texts, without=without)

    for base in _built(ROWS, Telling(WIDTHS | {"minilm": 16})):
        _searcher(base).search(["the printer has no paper"])
    assert Telling.left
    assert all(set(names) == {"minilm"} for names in Telling.left)


def test_a_text_that_an_embedding_does_not_read_is_searched_by_the_others() -> None:
    class Blind(HashEmbedder):
        def queries(self, texts: Sequence[str], *, without: Collection[str] = ()) -> dict[str, Vectors]:
            return self.passages(texts) | {"minilm": np.zeros((len(texts), 16), np.float32)}

    for base in _built([_row("the printer has no paper"), _row("my password")], Blind(WIDTHS | {"minilm": 16})):
        found = _searcher(base).search(["my password"])
        assert _names(found)[0] == "my password"
        assert all(c.evidence.minilm == 0 for c in found)


def test_a_row_is_found_by_the_incidents_it_solved() -> None:
    told = ["no puedo mandar cartas", "me devuelven los mensajes"]
    rows = [_row("buzón lleno").model_copy(update={"examples": tuple(told)}), *ROWS[1:]]
    [before] = [_searcher(base).search([told[0]]) for base in _built(ROWS, HashEmbedder(WIDTHS))]
    [after] = [_searcher(base).search([told[0]]) for base in _built(rows, HashEmbedder(WIDTHS))]
    assert _names(after)[0] == "buzón lleno"
    [was] = [c.evidence for c in before if c.entry.id == ROWS[0].id]
    assert after[0].evidence.e5 > was.e5 + 0.3
    assert after[0].evidence.bm25 > was.bm25
    assert after[0].entry.embed_text == "buzón lleno"


def test_nothing_to_search_with(knowledge: KnowledgeBase) -> None:
    assert _searcher(knowledge).search([]) == []


def test_without_leaves_out(knowledge: KnowledgeBase) -> None:
    searcher = _searcher(knowledge)
    out = ROWS[1].id
    assert "contraseña caducada" not in _names(searcher.search(["contraseña caducada"], without={out}))
    assert "contraseña caducada" not in _names(
        searcher.search(["algo raro", "contraseña caducada"], without=frozenset([out]))
    )
    assert searcher.search(["contraseña"], without=searcher.entries.keys()) == []


def test_a_rewording_moves_up_but_is_no_evidence(knowledge: KnowledgeBase) -> None:
    searcher = _searcher(knowledge)
    own = {c.entry.id: c.evidence for c in searcher.search(["contraseña caducada"])}
    found = searcher.search(["contraseña caducada", "pantalla negra"])
    assert set(_names(found[:2])) == {"contraseña caducada", "pantalla negra"}
    [moved] = [c for c in found if c.entry.description == "pantalla negra"]
    assert moved.order > moved.evidence.score + 1
    for candidate in found:
        assert astuple(candidate.evidence) == pytest.approx(astuple(own[candidate.entry.id]), abs=1e-6)


def test_what_only_a_rewording_finds_has_the_evidence_of_the_own_words(knowledge: KnowledgeBase) -> None:
    searcher = _searcher(knowledge, limit=1)
    assert "pantalla negra" not in _names(searcher.search(["contraseña caducada"]))
    found = {c.entry.description: c for c in searcher.search(["contraseña caducada", "pantalla negra"])}
    evidence = found["pantalla negra"].evidence
    assert evidence.bm25 == evidence.ngrams == 0
    assert evidence.e5 < 0.9
    assert evidence.margin < 0


def test_one_candidate_has_nothing_to_stand_out_from(knowledge: KnowledgeBase) -> None:
    searcher = _searcher(knowledge)
    [only] = searcher.search(["buzón lleno"], without={row.id for row in ROWS[1:]})
    assert only.evidence.margin == only.evidence.lift == 0


def test_a_row_in_a_crowd_must_be_closer_than_one_alone(knowledge: KnowledgeBase) -> None:
    searcher = _searcher(knowledge)
    first = searcher.search(["contraseña caducada"])[0]
    crowd = searcher.search(["contraseña caducada"], without={first.entry.id})
    assert len(crowd) < NEIGHBOURS
    expected = first.evidence.score - sum(c.evidence.score for c in crowd) / len(crowd)
    assert first.evidence.csls == pytest.approx(expected, abs=1e-4)


def test_what_is_taken_out_is_no_crowd(knowledge: KnowledgeBase) -> None:
    searcher = _searcher(knowledge)
    [alone] = searcher.search(["buzón lleno"], without={row.id for row in ROWS[1:]})
    assert alone.evidence.csls == 0
    crowd = searcher.search(["buzón lleno"])[1:]
    whole = searcher.search(["buzón lleno"])[0].evidence.csls
    fewer = searcher.search(["buzón lleno"], without={crowd[0].entry.id})[0].evidence.csls
    assert fewer > whole


def test_a_crowd_is_looked_up_once(knowledge: KnowledgeBase, monkeypatch: pytest.MonkeyPatch) -> None:
    searcher = _searcher(knowledge)
    before = searcher.search(["buzón lleno", "pantalla negra"])
    monkeypatch.setattr(knowledge, "nearest", lambda *_: pytest.fail("asked again"))
    assert searcher.search(["buzón lleno", "pantalla negra"]) == before


def test_without_crowds_nothing_but_the_text_is_embedded(
    knowledge: KnowledgeBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    searcher = Searcher(knowledge, knowledge.embedder, 5, crowds=False)
    asked: list[str] = []
    queries = knowledge.embedder.queries
    monkeypatch.setattr(knowledge.embedder, "queries", lambda texts, without: (asked.extend(texts), queries(texts))[1])
    assert {c.evidence.csls for c in searcher.search(["buzón lleno"])} == {0.0}
    assert asked == ["buzón lleno"]


def test_behind_the_ten_best_nothing_is_looked_up() -> None:
    client = QdrantClient(":memory:")
    base = KnowledgeBase(client, HashEmbedder(WIDTHS))
    base.build([_row(f"error número {n} al imprimir") for n in range(15)])
    found = _searcher(base, limit=15).search(["error número 3 al imprimir"])
    assert len(found) == 15
    assert all(c.evidence.csls == c.evidence.margin for c in found[OTHERS:])
    assert any(c.evidence.csls != c.evidence.margin for c in found[:OTHERS])
    client.close()


def test_a_row_written_afterwards_is_left_for_the_next_run(knowledge: KnowledgeBase) -> None:
    searcher = _searcher(knowledge)
    knowledge.build([*ROWS, _row("ratón perdido")])
    assert "ratón perdido" not in _names(searcher.search(["ratón perdido"]))
    assert "ratón perdido" in _names(_searcher(knowledge).search(["ratón perdido"]))


def test_each_vector_is_read_once_and_the_evidence_stays_the_same(
    knowledge: KnowledgeBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    vectors = knowledge.vectors

    def counted(ids: Sequence[str]) -> dict[str, dict[str, Vectors]]:
        read.extend(ids)
        return vectors(ids)

    monkeypatch.setattr(knowledge, "vectors", counted)
    searcher = _searcher(knowledge, limit=1)
    texts = ["contraseña caducada", "pantalla negra", "recibo y buzón"]
    first = searcher.search(texts)
    assert searcher.search(texts) == first
    assert len(set(read)) == len(read) > 0
    asked = {text: knowledge.embedder.queries([text]) for text in texts}
    rows = {row.id: knowledge.embedder.passages([row.description]) for row in ROWS}
    for candidate in first:
        for name in WIDTHS:
            expected = cosines(asked[texts[0]][name][0], rows[candidate.entry.id][name])
            assert getattr(candidate.evidence, name) == pytest.approx(expected[0], abs=1e-5)


def test_the_next_try_does_not_ask_again_for_a_text(knowledge: KnowledgeBase, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    queries = knowledge.embedder.queries

    def counted(texts: Sequence[str], *, without: Collection[str] = ()) -> dict[str, Vectors]:
        asked.extend(texts)
        return queries(texts)

    searcher = _searcher(knowledge)
    before = searcher.search(["contraseña caducada", "pantalla negra"], without={ROWS[1].id})
    monkeypatch.setattr(knowledge.embedder, "queries", counted)
    assert searcher.search(["contraseña caducada", "pantalla negra"], without={ROWS[1].id}) == before
    searcher.search(["contraseña caducada", "recibo"])
    assert asked == ["recibo", ROWS[1].description]  # the row that was left out before: its crowd is new
    fresh = _searcher(knowledge).search(["contraseña caducada", "pantalla negra"], without={ROWS[1].id})
    assert _names(fresh) == _names(before)
    for one, other in zip(fresh, before, strict=True):
        assert astuple(one.evidence) == pytest.approx(astuple(other.evidence), abs=1e-6)


def test_a_row_taken_away_afterwards_is_no_error(knowledge: KnowledgeBase) -> None:
    searcher = _searcher(knowledge)
    knowledge.build(ROWS[1:])
    [gone] = [c for c in searcher.search(["buzón lleno"]) if c.entry.id == ROWS[0].id]
    assert gone.evidence.e5 == 0
    assert gone.evidence.bm25 > 0


def test_cosines() -> None:
    rows = np.array([[1, 0], [0, 2], [3, 4], [0, 0]], np.float32)
    assert cosines(np.array([2, 0], np.float32), rows) == pytest.approx([1, 0, 0.6, 0])
    assert cosines(np.zeros(2, np.float32), rows) == [0, 0, 0, 0]


def test_mailboxes(knowledge: KnowledgeBase) -> None:
    assert _searcher(knowledge).mailboxes == {"TALLER", "COBROS"}


def test_before_the_first_build() -> None:
    client = QdrantClient(":memory:")
    with pytest.raises(KnowledgeMissing, match=r"python batch\.py"):
        _searcher(KnowledgeBase(client, HashEmbedder(WIDTHS)))
    client.close()


@pytest.mark.faults
def test_a_knowledge_base_that_goes_away(knowledge: KnowledgeBase, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: object) -> None:
        raise KnowledgeUnavailable

    searcher = _searcher(knowledge)
    monkeypatch.setattr(knowledge.shelf, "query", broken)
    with pytest.raises(Retryable) as caught:
        searcher.search(["buzón"])
    assert caught.value.reason is Reason.KNOWLEDGE_UNAVAILABLE
