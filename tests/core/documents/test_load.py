"""A folder goes in once, its changes later, and nothing of anybody's with it."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from qdrant_client import QdrantClient

from core.documents.collection import DocumentBase
from core.documents.document import ReadingLimits
from core.documents.load import Loader
from core.documents.outcome import DocumentOutcome, State, write_report
from core.documents.reindex import reindex
from core.errors import DependencyError, UsageError
from core.feedback import Answer, Label, Rating
from core.knowledge import KnowledgeMissing
from core.privacy import PersonalData
from tests import privacy_samples as samples
from tests.core.documents.words import LineReader, count, folder_with, manual
from tests.core.hash_embedder import HashEmbedder


class World:
    def __init__(self, personal: PersonalData) -> None:
        self.client = QdrantClient(location=":memory:")
        self.embedder = HashEmbedder()
        self.base = DocumentBase(self.client, self.embedder)
        self.reader = LineReader()
        self.personal = personal

    def load(self, folder: Path, **more: object) -> dict[str, DocumentOutcome]:
        loader = Loader(self.base, self.reader, self.personal, count, ReadingLimits(), **more)  # type: ignore[arg-type]
        return {outcome.source: outcome for outcome in loader.load(folder)}


@pytest.fixture
def world(personal: PersonalData) -> World:
    return World(personal)


def test_a_second_load_touches_nothing(world: World, tmp_path: Path) -> None:
    folder = folder_with(tmp_path / "d", {f"{n}.txt": manual(f"tema {n}") for n in range(5)})
    first = world.load(folder)
    assert {o.state for o in first.values()} == {State.LOADED}
    before, embedded = world.base.stored(), world.embedder.embedded
    world.reader.read_names.clear()
    second = world.load(folder)
    assert {o.state for o in second.values()} == {State.SAME}
    assert [o.pieces for o in second.values()] == [o.pieces for o in first.values()]
    assert (world.base.stored(), world.embedder.embedded, world.reader.read_names) == (before, embedded, [])


def test_only_what_changed_is_read_and_what_is_gone_leaves(world: World, tmp_path: Path) -> None:
    texts = {"a.txt": manual("recibos", 9), "b.txt": manual("bajas"), "c.txt": manual("peritos")}
    world.load(folder_with(tmp_path / "d", texts))
    world.reader.read_names.clear()
    outcomes = world.load(folder_with(tmp_path / "d", {"a.txt": manual("recibos", 3), "c.txt": texts["c.txt"]}))
    assert world.reader.read_names == ["a.txt"]
    assert {s: o.state for s, o in outcomes.items()} == {
        "a.txt": State.LOADED,
        "c.txt": State.SAME,
        "b.txt": State.REMOVED,
    }
    stored = world.base.stored().values()
    assert {piece.source for piece in stored} == {"a.txt", "c.txt"}
    assert len(stored) == outcomes["a.txt"].pieces + outcomes["c.txt"].pieces
    assert not any("Apartado 7" in piece.text for piece in stored)


def test_broken_ones_are_told_and_what_was_of_them_leaves(world: World, tmp_path: Path) -> None:
    world.load(folder_with(tmp_path / "d", {"a.txt": manual("recibos"), "b.txt": manual("bajas")}))
    outcomes = world.load(
        folder_with(tmp_path / "d", {"a.txt": "ROTO", "b.txt": manual("bajas"), "c.txt": manual("bajas")})
    )
    assert outcomes["a.txt"].state is State.REMOVED
    assert outcomes["c.txt"].why == "es igual que b.txt"
    assert {piece.source for piece in world.base.stored().values()} == {"b.txt"}


def test_a_folder_without_documents_empties_nothing(world: World, tmp_path: Path) -> None:
    world.load(folder_with(tmp_path / "d", {"a.txt": manual("recibos")}))
    with pytest.raises(UsageError, match="como estaba"):
        world.load(folder_with(tmp_path / "d", {}))
    assert world.base.exists()


def test_a_load_that_was_cut_short_goes_on(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = folder_with(tmp_path / "d", {f"{n}.txt": manual(f"tema {n}", 30) for n in range(6)})
    put, written = world.base.shelf.put, []

    def fails_later(collection: str, points: list[object]) -> None:
        if len(written) == 2:
            raise DependencyError("disco lleno")
        written.append(points)
        put(collection, points)  # type: ignore[arg-type]

    monkeypatch.setattr(world.base.shelf, "put", fails_later)
    with pytest.raises(DependencyError):
        world.load(folder)
    monkeypatch.undo()
    world.reader.read_names.clear()
    outcomes = world.load(folder)
    states = [outcome.state for outcome in outcomes.values()]
    assert State.SAME in states
    assert State.LOADED in states
    assert len(world.reader.read_names) < 6
    assert all(held.whole(next(iter(held.hashes))) for held in world.base.held().values())
    assert sum(outcome.pieces for outcome in outcomes.values()) == len(world.base.stored())


def test_a_reader_of_another_version_reads_again(world: World, tmp_path: Path) -> None:
    folder = folder_with(tmp_path / "d", {"a.txt": manual("recibos")})
    world.load(folder)
    world.reader.version = "lineas/2"
    assert world.load(folder)["a.txt"].state is State.LOADED


def test_intents_progress_and_report(world: World, tmp_path: Path) -> None:
    folder = folder_with(tmp_path / "d", {"a.txt": manual("recibos"), "b.txt": "ROTO"})
    told: list[tuple[str, int, int]] = []
    asked: list[str] = []

    def classify(texts: list[str]) -> list[str]:
        asked.extend(texts)
        return ["recibos"] * len(texts)

    outcomes = world.load(folder, classify=classify, progress=lambda *step: told.append(step))
    assert {piece.intent for piece in world.base.stored().values()} == {"recibos"}
    assert asked[0].startswith("Apartado 0 de recibos: La frase 0")
    assert told[-1] == ("Documentos", 2, 2)
    when = datetime(2026, 1, 1, tzinfo=UTC)
    written = write_report(folder, list(outcomes.values()), tmp_path / "r", when, 1.0)
    assert "1 cargados" in written.summary()
    assert "b.txt: está dañado" in written.summary()
    assert '"motivo": "está dañado"' in written.report.read_text("utf-8")


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(samples.personal_values(), samples.contexts()), min_size=1, max_size=4), st.booleans())
def test_no_personal_data_in_any_payload(
    personal: PersonalData,
    tmp_path_factory: pytest.TempPathFactory,
    planted: list[tuple[tuple[str, str], tuple[str, str]]],
    in_heading: bool,
) -> None:
    world = World(personal)
    lines = [f"{before}{written}{behind}" for (written, _), (before, behind) in planted]
    lines[0] = f"## {lines[0].strip()}" if in_heading else lines[0]
    text = "\n".join([*lines, manual("recibos")])
    outcomes = world.load(folder_with(tmp_path_factory.mktemp("d"), {"nota 12345678Z.txt": text}))
    stored = "\n".join(str(piece.payload()) for piece in world.base.stored().values())
    for secret in ["12345678Z", *(secret for (_, secret), _ in planted)]:
        assert secret not in stored
    assert not any("12345678Z" in source for source in outcomes)


def _rated(world: World, label: Label, correction: str = "") -> Answer:
    piece = next(iter(world.base.stored().values()))
    rating = Rating(answer="f-1", label=label, correction=correction, who="ana", said="2026-01-01T00:00:00+00:00")
    return Answer(
        id="f-1", kind="respuesta", asked="2026-01-01T00:00:00+00:00", question="¿Y los recibos?",
        retrieved=({"pieza": piece.id, "citada": True}, {"pieza": "otra", "citada": False}), answer="x", rating=rating,
    )  # fmt: skip


@pytest.mark.parametrize(("label", "field"), [(Label.GOOD, "examples"), (Label.BAD, "refused")], ids=["good", "bad"])
def test_ratings_reach_the_next_index(world: World, tmp_path: Path, label: Label, field: str) -> None:
    world.load(folder_with(tmp_path / "d", {"a.txt": manual("recibos")}))
    before = world.base.stored()
    answer = _rated(world, label)
    assert reindex(world.base, [answer], count) == (len(before), 1)
    after = world.base.stored()
    assert after.keys() == before.keys()
    assert [getattr(piece, field) for piece in after.values() if getattr(piece, field)] == [("¿Y los recibos?",)]
    assert world.load(tmp_path / "d")["a.txt"].state is State.SAME


def test_corrections_become_pieces_and_outlive_the_folder(world: World, tmp_path: Path) -> None:
    world.load(folder_with(tmp_path / "d", {"a.txt": manual("recibos")}))
    reindex(world.base, [_rated(world, Label.BAD, "Se cargan el día cinco.")], count)
    reindex(world.base, [_rated(world, Label.BAD, "Se cargan el día cinco.")], count)
    said = [piece for piece in world.base.stored().values() if piece.source == "valoraciones/f-1"]
    assert [(piece.text, piece.examples) for piece in said] == [("Se cargan el día cinco.", ("¿Y los recibos?",))]
    world.load(folder_with(tmp_path / "d", {"b.txt": manual("bajas")}))
    assert {piece.source for piece in world.base.stored().values()} == {"b.txt", "valoraciones/f-1"}
    reindex(world.base, [], count)
    assert {piece.source for piece in world.base.stored().values()} == {"b.txt"}


def test_another_embedder_is_seen(world: World, tmp_path: Path) -> None:
    world.load(folder_with(tmp_path / "d", {"a.txt": manual("recibos")}))
    other = DocumentBase(world.client, HashEmbedder(version="hash-2"))
    assert other.outdated_vectors()
    with pytest.raises(DependencyError, match="--reindexar"):
        other.entries()
    reindex(other, [], count)
    assert not other.outdated_vectors()
    assert other.entries()


def test_before_anything_is_loaded(world: World) -> None:
    assert not world.base.exists()
    assert not world.base.outdated_vectors()
    with pytest.raises(KnowledgeMissing, match="--documentos"):
        world.base.entries()
