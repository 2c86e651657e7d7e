"""core/knowledge: built beside, swapped, changed in place, asked; and what a kill at any moment leaves."""

import json
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from qdrant_client import QdrantClient

from core.catalogue import CatalogueEntry, Resolution
from core.errors import DependencyError, Retryable, UsageError
from core.knowledge import KnowledgeBase, KnowledgeMissing, KnowledgeUnavailable, Point, Shelf, open_client
from core.knowledge.client import LAST_GOOD_META, LOCK, META
from core.knowledge.entry import EXAMPLES
from core.knowledge.row_vectors import gap_of
from core.reason import Reason
from tests.core import knowledge_contract, qdrant_server
from tests.core.hash_embedder import HashEmbedder

ROOT = Path(__file__).parents[2]


def _entry(number: int, **fields: str | tuple[str, ...]) -> CatalogueEntry:
    given = {"component": "Pólizas", "description": f"problema {number}", "solution": f"solución {number}"} | fields
    return CatalogueEntry.model_validate({"resolution": "cierre"} | given)


def _entries(count: int) -> list[CatalogueEntry]:
    return [_entry(i) for i in range(count)]


@pytest.fixture
def client() -> Iterator[QdrantClient]:
    found = QdrantClient(":memory:")
    yield found
    found.close()


@pytest.fixture
def knowledge(client: QdrantClient) -> KnowledgeBase:
    return KnowledgeBase(client, HashEmbedder())


def _collections(client: QdrantClient) -> list[str]:
    return [found.name for found in client.get_collections().collections]


# Building


def test_first_build_then_only_what_changed(client: QdrantClient, knowledge: KnowledgeBase) -> None:
    embedder = knowledge.embedder
    assert isinstance(embedder, HashEmbedder)
    seen: list[tuple[int, int]] = []
    first = knowledge.build(_entries(70), progress=lambda done, total: seen.append((done, total)))
    assert (first.rebuilt, first.added, first.changed, first.unchanged, first.removed) == (True, 70, 0, 0, 0)
    assert seen[-1] == (70, 70)
    assert seen == sorted(seen)

    again = knowledge.build(_entries(70))
    assert (again.rebuilt, again.added, again.unchanged, again.embedded) == (False, 0, 70, 0)
    assert embedder.embedded == 70

    rows = [*_entries(69)[1:], _entry(0, solution="otra"), _entry(99)]
    third = knowledge.build(rows)
    assert (third.added, third.changed, third.unchanged, third.removed) == (1, 1, 68, 1)
    assert third.collection == first.collection
    assert embedder.embedded == 72
    assert set(knowledge.entries()) == {row.id for row in rows}
    stored = knowledge.get(_entry(0).id)
    assert stored is not None
    assert stored.solution == "otra"
    assert len(_collections(client)) == 1


def test_full_rebuilds_beside_and_leaves_one_collection(client: QdrantClient, knowledge: KnowledgeBase) -> None:
    first = knowledge.build(_entries(3))
    second = knowledge.build(_entries(3), full=True)
    assert second.rebuilt
    assert second.unchanged == second.embedded == 3
    assert _collections(client) == [second.collection] != [first.collection]


@pytest.mark.parametrize(
    "embedder",
    [HashEmbedder(version="hash-2"), HashEmbedder({"a": 8, "b": 24}), HashEmbedder({"a": 16})],
    ids=["version", "width", "names"],
)
def test_another_embedder_rebuilds(client: QdrantClient, knowledge: KnowledgeBase, embedder: HashEmbedder) -> None:
    first = knowledge.build(_entries(3))
    second = KnowledgeBase(client, embedder).build(_entries(3))
    assert second.rebuilt
    assert embedder.embedded == 3
    assert second.collection != first.collection


def test_no_entries_changes_nothing(knowledge: KnowledgeBase) -> None:
    knowledge.build(_entries(2))
    with pytest.raises(UsageError, match="ninguna fila"):
        knowledge.build([])
    assert len(knowledge.entries()) == 2


def test_leftovers_of_killed_builds_go_and_strangers_stay(client: QdrantClient, knowledge: KnowledgeBase) -> None:
    shelf = knowledge.shelf
    leftover = shelf.create({"a": 4})
    for stranger in ("problemas_globales_notas", "otra"):
        client.create_collection(stranger, vectors_config={})
    report = knowledge.build(_entries(2))
    assert leftover not in _collections(client)
    assert sorted(_collections(client)) == sorted(["problemas_globales_notas", "otra", report.collection])


def test_on_a_server_only_old_leftovers_go(
    client: QdrantClient, knowledge: KnowledgeBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(knowledge.shelf, "_embedded", False)
    fresh = knowledge.shelf.create({"a": 4})
    old = "problemas_globales_20200101000000_0123abcd"
    client.create_collection(old, vectors_config={})
    knowledge.build(_entries(2))
    assert fresh in _collections(client)
    assert old not in _collections(client)


@pytest.mark.faults
@pytest.mark.parametrize("full", [True, False], ids=["beside", "in place"])
def test_a_failing_embedder_leaves_what_served(client: QdrantClient, full: bool) -> None:
    KnowledgeBase(client, HashEmbedder()).build(_entries(2))
    before = _collections(client)

    class Failing(HashEmbedder):
        def passages(self, texts: Sequence[str]) -> dict[str, np.ndarray]:
            if self.embedded:
                raise DependencyError("sin modelo")
            return super().passages(texts)

    with pytest.raises(DependencyError, match="sin modelo"):
        KnowledgeBase(client, Failing()).build(_entries(80), full=full)
    assert _collections(client) == before
    assert {_entry(0).id, _entry(1).id} <= set(KnowledgeBase(client, HashEmbedder()).entries())


@pytest.mark.faults
@pytest.mark.parametrize("bad", [np.nan, None], ids=["not a number", "wrong shape"])
def test_vectors_that_are_not_as_promised(client: QdrantClient, bad: float | None) -> None:
    class Wrong(HashEmbedder):
        def passages(self, texts: Sequence[str]) -> dict[str, np.ndarray]:
            found = super().passages(texts)
            found["b"] = found["b"][:, :-1] if bad is None else found["b"] * np.float32(bad)
            return found

    with pytest.raises(DependencyError, match="«b»"):
        KnowledgeBase(client, Wrong()).build(_entries(2))
    assert _collections(client) == []


@pytest.mark.faults
def test_a_count_that_does_not_match_is_not_published(
    client: QdrantClient, knowledge: KnowledgeBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = knowledge.build(_entries(2))
    monkeypatch.setattr(Shelf, "count", lambda self, collection: 1)
    with pytest.raises(DependencyError, match="deberían ser 3"):
        knowledge.build(_entries(3), full=True)
    assert knowledge.shelf.current() == first.collection
    assert _collections(client) == [first.collection]


def test_a_collection_with_the_name_of_the_alias(client: QdrantClient, knowledge: KnowledgeBase) -> None:
    client.create_collection("problemas_globales", vectors_config={})
    with pytest.raises(DependencyError, match="no es de este programa"):
        knowledge.build(_entries(1))


def test_embedding_and_writing_overlap(knowledge: KnowledgeBase, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second batch is embedded while the first one is still being written."""
    second_embedded = threading.Event()
    overlapped: list[bool] = []
    put, passages = Shelf.put, HashEmbedder.passages

    def slow_put(self: Shelf, collection: str, points: Sequence[Point]) -> None:
        overlapped.append(second_embedded.wait(timeout=10))
        put(self, collection, points)

    def watched(self: HashEmbedder, texts: Sequence[str]) -> dict[str, np.ndarray]:
        if self.embedded:
            second_embedded.set()
        return passages(self, texts)

    monkeypatch.setattr(Shelf, "put", slow_put)
    monkeypatch.setattr(HashEmbedder, "passages", watched)
    knowledge.build(_entries(64))
    assert overlapped == [True, True]


# What is stored


def test_the_text_embedded() -> None:
    knowledge = KnowledgeBase(QdrantClient(":memory:"), HashEmbedder())
    texts = [
        knowledge.prepared(_entry(1)).embed_text,
        knowledge.prepared(_entry(1, summary="resumen")).embed_text,
        knowledge.prepared(_entry(1, component="")).embed_text,
    ]
    assert texts == ["Pólizas: problema 1", "Pólizas: resumen", "problema 1"]


@pytest.mark.parametrize(
    "change",
    [{"solution": "x"}, {"mailbox": "X"}, {"resolved_on": "x"}, {"summary": "x"}, {"resolution": "manual"}],
    ids=lambda change: next(iter(change)),
)
def test_every_field_counts_in_the_hash(knowledge: KnowledgeBase, change: dict[str, str]) -> None:
    assert knowledge.prepared(_entry(1)).content_hash != knowledge.prepared(_entry(1, **change)).content_hash


def test_personal_data_is_neither_embedded_nor_stored(client: QdrantClient) -> None:
    asked: list[str] = []

    class Watched(HashEmbedder):
        def passages(self, texts: Sequence[str]) -> dict[str, np.ndarray]:
            asked.extend(texts)
            return super().passages(texts)

    def scrub(text: str) -> str:
        return text.replace("12345678Z", "<NIF_1>")

    knowledge = KnowledgeBase(client, Watched(), scrub=scrub)
    secret = _entry(1, description="falla para 12345678Z", component="c 12345678Z")
    told = _entry(2, solution="llame a 12345678Z")
    report = knowledge.build([secret, told, _entry(3)])
    found = knowledge.entries()
    assert set(found) == {secret.id, told.id, _entry(3).id}
    assert found[secret.id].id == secret.id
    assert found[secret.id].resolution is Resolution.CLOSE
    assert report.withheld == (told.id,)
    assert (found[told.id].resolution, found[told.id].withheld) == (Resolution.CLOSE, True)
    stored = json.dumps([point.payload for point in knowledge.shelf.scroll(report.collection)])
    assert "12345678Z" not in stored + "".join(asked)
    assert knowledge.build([secret, told, _entry(3)]).unchanged == 3
    edited = told.model_copy(update={"solution": "llame a  12345678Z"})
    assert knowledge.build([secret, edited, _entry(3)]).changed == 1


# Asking


def test_a_row_lies_half_way_between_its_text_and_its_examples(knowledge: KnowledgeBase) -> None:
    rows = [_entry(1, examples=("no abre", "no arranca")), _entry(2)]
    knowledge.build(rows)
    stored = knowledge.vectors([row.id for row in rows])
    for name in knowledge.embedder.dimensions:
        texts = [knowledge.prepared(row).embed_text for row in rows]
        text, other = knowledge.embedder.passages(texts)[name]
        mean = knowledge.embedder.queries(["no abre", "no arranca"])[name].mean(axis=0)
        half_way = text + mean / np.linalg.norm(mean)
        assert stored[rows[0].id][name] == pytest.approx(half_way / np.linalg.norm(half_way), abs=1e-5)
        gap = gap_of(knowledge.embedder, [knowledge.prepared(rows[0])])[name]
        there = (other + gap) / np.linalg.norm(other + gap)
        expected = (other + there) / np.linalg.norm(other + there)
        assert stored[rows[1].id][name] == pytest.approx(expected, abs=1e-5)
    assert knowledge.entries()[rows[0].id].search_text.endswith("no abre\nno arranca")


def test_examples_without_personal_data_or_repetition_and_not_too_many(client: QdrantClient) -> None:
    base = KnowledgeBase(client, HashEmbedder(), scrub=lambda text: text.replace("Ana", "<NOMBRE_1>"))
    told = ("soy Ana", "soy <NOMBRE_1>", *(f"caso {number}" for number in range(50)))
    prepared = base.prepared(_entry(1, examples=told))
    assert prepared.examples[:2] == ("soy <NOMBRE_1>", "caso 0")
    assert len(prepared.examples) == EXAMPLES
    assert prepared.content_hash != base.prepared(_entry(1)).content_hash


def test_nearest_and_vectors_agree_with_numpy(knowledge: KnowledgeBase) -> None:
    entries = [_entry(i, description=f"palabra{i} palabra{i + 1} común") for i in range(300)]
    knowledge.build(entries)
    embedder = knowledge.embedder
    vectors = {name: m[0] for name, m in embedder.queries(["Pólizas: palabra7 palabra8 común"]).items()}
    nearest = knowledge.nearest(vectors, 5)
    assert set(nearest) == {"a", "b"}
    stored = embedder.passages([knowledge.prepared(entry).embed_text for entry in entries])
    for name, hits in nearest.items():
        assert len(hits) == 5
        assert hits[0][0] == entries[7].id
        expected = dict(zip((entry.id for entry in entries), (stored[name] @ vectors[name]).tolist(), strict=True))
        assert dict(hits) == pytest.approx({i: expected[i] for i, _ in hits}, abs=1e-5)
        assert [c for _, c in hits] == sorted((c for _, c in hits), reverse=True)
    found = knowledge.vectors([entries[3].id, entries[250].id, "00000000-0000-0000-0000-000000000000"])
    assert set(found) == {entries[3].id, entries[250].id}
    for i in (3, 250):
        for name in vectors:
            np.testing.assert_allclose(found[entries[i].id][name], stored[name][i], atol=1e-5)
    assert knowledge.vectors([]) == {}


def test_get_is_fresh_and_mailboxes_are_those_of_the_catalogue(knowledge: KnowledgeBase) -> None:
    knowledge.build([_entry(1, resolution="reasignacion", mailbox="BUZON_A"), _entry(2), _entry(3, mailbox="BUZON_B")])
    assert knowledge.mailboxes() == {"BUZON_A", "BUZON_B"}
    knowledge.build([_entry(2, solution="nueva")])
    assert knowledge.get(_entry(1).id) is None
    found = knowledge.get(_entry(2).id)
    assert found is not None
    assert (found.solution, found.id, found.kind) == ("nueva", _entry(2).id, "cierre")


def test_before_the_first_build(knowledge: KnowledgeBase) -> None:
    for ask in (knowledge.entries, knowledge.mailboxes):
        with pytest.raises(KnowledgeMissing, match=r"python batch\.py"):
            ask()
    with pytest.raises(KnowledgeMissing):
        knowledge.get(_entry(1).id)
    assert knowledge.stored() == {}


def test_built_with_another_embedder_is_refused(client: QdrantClient, knowledge: KnowledgeBase) -> None:
    knowledge.build(_entries(2))
    other = KnowledgeBase(client, HashEmbedder(version="hash-2"))
    vectors = {name: m[0] for name, m in other.embedder.queries(["x"]).items()}
    with pytest.raises(DependencyError, match="otro modelo de vectores"):
        other.entries()
    for ask in (lambda: other.nearest(vectors, 2), lambda: other.vectors([_entry(1).id])):
        with pytest.raises(Retryable) as caught:
            ask()
        assert caught.value.reason is Reason.KNOWLEDGE_UNAVAILABLE


def test_a_point_that_is_not_ours(knowledge: KnowledgeBase) -> None:
    report = knowledge.build(_entries(1))
    vectors = {name: m[0] for name, m in knowledge.embedder.passages(["x"]).items()}
    knowledge.shelf.put(report.collection, [Point("00000000-0000-0000-0000-000000000001", {"raro": 1}, vectors)])
    with pytest.raises(DependencyError, match="--completo"):
        knowledge.entries()


@pytest.mark.faults
def test_qdrant_failing_while_serving_is_retryable(client: QdrantClient, knowledge: KnowledgeBase) -> None:
    knowledge.build(_entries(2))
    vectors = {name: m[0] for name, m in knowledge.embedder.queries(["x"]).items()}
    client.close()
    for ask in (
        lambda: knowledge.get(_entry(1).id),
        lambda: knowledge.nearest(vectors, 2),
        lambda: knowledge.vectors([_entry(1).id]),
    ):
        with pytest.raises(Retryable) as caught:
            ask()
        assert caught.value.reason is Reason.KNOWLEDGE_UNAVAILABLE
    with pytest.raises(KnowledgeUnavailable):
        knowledge.entries()


def test_many_threads_ask_one_folder(tmp_path: Path) -> None:
    with open_client(tmp_path / "q", None) as client:
        knowledge = KnowledgeBase(client, HashEmbedder())
        knowledge.build(_entries(40))
        vectors = {name: m[0] for name, m in knowledge.embedder.queries(["problema 3"]).items()}
        with ThreadPoolExecutor(6) as pool:
            asked = [pool.submit(knowledge.nearest, vectors, 3) for _ in range(40)]
            pool.submit(knowledge.build, _entries(45)).result()
            answers = [task.result() for task in asked]
        assert len({json.dumps(answer) for answer in answers}) <= 2


# The folder and the server


def test_a_folder_keeps_what_was_built(tmp_path: Path) -> None:
    with open_client(tmp_path / "q", None) as client:
        report = KnowledgeBase(client, HashEmbedder()).build(_entries(5))
    storage = tmp_path / "q" / "collection" / report.collection / "storage.sqlite"
    connection = sqlite3.connect(storage)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()
    with open_client(tmp_path / "q", None) as client:
        knowledge = KnowledgeBase(client, HashEmbedder())
        assert len(knowledge.entries()) == 5
        assert knowledge.build(_entries(5)).unchanged == 5


def test_a_folder_in_use_says_so(tmp_path: Path) -> None:
    with open_client(tmp_path / "q", None), pytest.raises(DependencyError, match="Otro proceso"):
        open_client(tmp_path / "q", None).__enter__()
    with open_client(tmp_path / "q", None) as client:
        assert _collections(client) == []


# The library's refused client leaves its lock file open for the collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_folder_held_by_another_program(tmp_path: Path) -> None:
    other = QdrantClient(path=str(tmp_path / "q"))
    with pytest.raises(DependencyError, match="Otro proceso"):
        open_client(tmp_path / "q", None).__enter__()
    other.close()
    assert not FileLock(tmp_path / "q" / LOCK).is_locked


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x")
    with pytest.raises(DependencyError, match="f/q"):
        open_client(tmp_path / "f" / "q", None).__enter__()


def test_neither_folder_nor_server() -> None:
    with pytest.raises(ValueError, match="folder or a URL"):
        open_client(None, None).__enter__()


def test_a_server_is_driven_by_the_same_code(unused_tcp_port: int, tmp_path: Path) -> None:
    with qdrant_server.running(unused_tcp_port) as url, open_client(None, url) as client:
        knowledge = KnowledgeBase(client, HashEmbedder())
        knowledge_contract.holds(knowledge, client, tmp_path)
        knowledge_contract.a_refusal_is_retryable(knowledge)
    with pytest.raises(KnowledgeUnavailable):
        knowledge.entries()


def test_a_folder_is_driven_by_the_same_code(tmp_path: Path) -> None:
    with open_client(tmp_path / "q", None) as client:
        knowledge_contract.holds(KnowledgeBase(client, HashEmbedder()), client, tmp_path)


@pytest.mark.faults
def test_a_server_that_is_down(unused_tcp_port: int, tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{unused_tcp_port}"
    with pytest.raises(DependencyError, match=f"{url}.*docker compose up"):
        open_client(tmp_path, url).__enter__()


@pytest.mark.faults
@pytest.mark.parametrize("broken", ["", '{"collections": {"probl', "[]"], ids=["empty", "cut", "another"])
def test_a_broken_index_is_restored(tmp_path: Path, broken: str) -> None:
    folder = tmp_path / "q"
    with open_client(folder, None) as client:
        KnowledgeBase(client, HashEmbedder()).build(_entries(5))
        KnowledgeBase(client, HashEmbedder()).build(_entries(6), full=True)
    (folder / META).write_text(broken)
    with open_client(folder, None) as client:
        assert len(KnowledgeBase(client, HashEmbedder()).entries()) == 6


@pytest.mark.faults
def test_a_broken_index_without_copy(tmp_path: Path) -> None:
    folder = tmp_path / "q"
    folder.mkdir()
    (folder / META).write_text("")
    with open_client(folder, None) as client:
        KnowledgeBase(client, HashEmbedder()).build(_entries(1))
    (folder / META).write_text("")
    (folder / LAST_GOOD_META).unlink()
    with pytest.raises(DependencyError, match="no se puede leer"):
        open_client(folder, None).__enter__()


@pytest.mark.faults
def test_a_damaged_collection_says_how_to_go_on(tmp_path: Path) -> None:
    folder = tmp_path / "q"
    with open_client(folder, None) as client:
        report = KnowledgeBase(client, HashEmbedder()).build(_entries(3))
    (folder / "collection" / report.collection / "storage.sqlite").write_bytes(b"no es una base de datos" * 100)
    with pytest.raises(DependencyError, match=r"dañada.*backup\.py restaurar"):
        open_client(folder, None).__enter__()


# Killed

_CHILD = """
import sys
from pathlib import Path
from core.knowledge import KnowledgeBase, Shelf, open_client
from tests.core import knowledge_contract, qdrant_server
from tests.core.hash_embedder import HashEmbedder
from tests.core.test_knowledge import _entry

owner = {"Shelf": Shelf, "HashEmbedder": HashEmbedder}[sys.argv[2]]
method, calls, full = sys.argv[3], int(sys.argv[4]), sys.argv[5] == "full"
real, seen = getattr(owner, method), 0

def stop_here(*args, **kwargs):
    global seen
    seen += 1
    if seen == calls:
        print("aquí", flush=True)
        sys.stdin.read()
    return real(*args, **kwargs)

setattr(owner, method, stop_here)
with open_client(Path(sys.argv[1]), None) as client:
    rows = [_entry(i, solution="nueva") for i in range(1, 100)]
    KnowledgeBase(client, HashEmbedder()).build(rows, full=full)
"""


@pytest.mark.faults
@pytest.mark.parametrize(
    ("owner", "method", "calls", "mode", "swapped"),
    [
        pytest.param("HashEmbedder", "passages", 3, "full", False, id="while embedding"),
        pytest.param("Shelf", "put", 2, "full", False, id="while writing"),
        pytest.param("Shelf", "publish", 1, "full", False, id="before the swap"),
        pytest.param("Shelf", "discard", 1, "full", True, id="after the swap"),
        pytest.param("Shelf", "sweep", 1, "full", True, id="before clearing away"),
        pytest.param("Shelf", "put", 2, "changes", False, id="changing in place"),
        pytest.param("Shelf", "remove", 1, "changes", False, id="before removing rows"),
    ],
)
def test_a_kill_leaves_a_knowledge_base_that_serves(
    tmp_path: Path, owner: str, method: str, calls: int, mode: str, swapped: bool
) -> None:
    folder = tmp_path / "q"
    with open_client(folder, None) as client:
        KnowledgeBase(client, HashEmbedder()).build(_entries(99))
    with subprocess.Popen(
        [sys.executable, "-c", _CHILD, str(folder), owner, method, str(calls), mode],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "aquí\n"
        child.kill()
    with open_client(folder, None) as client:
        knowledge = KnowledgeBase(client, HashEmbedder())
        found = knowledge.entries()
        new = {entry_id for entry_id, entry in found.items() if entry.solution == "nueva"}
        if mode == "full":
            assert len(found) == 99
            assert len(new) == (99 if swapped else 0)
        else:
            assert {entry.id for entry in _entries(99)} <= set(found)
        vectors = {name: m[0] for name, m in knowledge.embedder.queries(["Pólizas: problema 7"]).items()}
        assert knowledge.nearest(vectors, 1)["a"][0][0] == _entry(7).id

        report = knowledge.build([_entry(i, solution="nueva") for i in range(1, 100)])
        assert {entry.solution for entry in knowledge.entries().values()} == {"nueva"}
        assert _collections(client) == [report.collection]
        assert [child.name for child in (folder / "collection").iterdir()] == [report.collection]
