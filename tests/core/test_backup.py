"""core/backup.py: what is saved comes back the same; what was cut or altered is refused."""

import errno
import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import zstandard
from qdrant_client import QdrantClient

from core import archive, backup_file
from core.archive import ArchiveDamaged, read_members, write_members
from core.backup import BESIDE, create_backup, described, restore_backup, verify_backup
from core.calls.collection import NarrativeBase
from core.calls.group import Group
from core.catalogue import CatalogueEntry, Resolution
from core.errors import DependencyError, UsageError
from core.knowledge import KnowledgeBase, KnowledgeMissing, Point, Shelf, open_client
from tests.core.hash_embedder import HashEmbedder

ROOT = Path(__file__).parents[2]
NOW = datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC)


def _entries(count: int) -> list[CatalogueEntry]:
    return [
        CatalogueEntry(component="c", description=f"día {i}", solution="ñ", resolution=Resolution.CLOSE)
        for i in range(count)
    ]


@pytest.fixture
def knowledge() -> Iterator[KnowledgeBase]:
    client = QdrantClient(":memory:")
    yield KnowledgeBase(client, HashEmbedder())
    client.close()


@pytest.fixture
def catalogue(tmp_path: Path) -> list[Path]:
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "PROBLEMAS_GLOBALES.csv").write_text("catálogo", "utf-8")
    return [tmp_path / "r" / "PROBLEMAS_GLOBALES.csv", tmp_path / "r" / "CORRECTIVOS_ABIERTOS.csv"]


@pytest.fixture
def saved(tmp_path: Path, knowledge: KnowledgeBase, catalogue: list[Path]) -> Path:
    knowledge.build(_entries(450))
    path = tmp_path / "copias" / "c.tar.zst"
    create_backup(knowledge.shelf, catalogue, path, now=NOW)
    return path


def _points(shelf: Shelf) -> dict[str, Point]:
    collection = shelf.current()
    assert collection is not None
    return {point.id: point for point in shelf.scroll(collection, vectors=True)}


def _collections(knowledge: KnowledgeBase) -> set[str]:
    return {c.name for c in knowledge.shelf._client.get_collections().collections}


def test_everything_comes_back_on_another_qdrant(
    tmp_path: Path, saved: Path, knowledge: KnowledgeBase, catalogue: list[Path]
) -> None:
    manifest = verify_backup(saved)
    assert (manifest.puntos, manifest.vectores, manifest.version_vectores) == (450, {"a": 16, "b": 24}, ("hash-1",))
    assert [m.nombre for m in manifest.miembros if m.nombre.startswith("catalogo/")] == [
        "catalogo/PROBLEMAS_GLOBALES.csv"
    ]
    assert "450 puntos" in described(manifest)
    before = _points(knowledge.shelf)
    with open_client(tmp_path / "q", None) as client:
        other = KnowledgeBase(client, HashEmbedder())
        other.build(_entries(3))
        seen: list[tuple[int, int]] = []
        done = restore_backup(other.shelf, saved, now=NOW, progress=lambda *step: seen.append(step))
        assert seen[-1] == (450, 450)
        assert done.manifest == manifest
        after = _points(other.shelf)
        assert after.keys() == before.keys()
        for point_id, point in before.items():
            assert after[point_id].payload == point.payload
            for name, vector in point.vectors.items():
                np.testing.assert_allclose(after[point_id].vectors[name], vector, atol=1e-6)
        assert _collections(other) == {done.collection}
        assert other.build(_entries(450)).unchanged == 450
    assert catalogue[0].read_text("utf-8") == "catálogo"


def test_the_catalogue_is_put_back_only_when_asked(
    saved: Path, knowledge: KnowledgeBase, catalogue: list[Path]
) -> None:
    catalogue[0].write_text("nuevo", "utf-8")
    assert restore_backup(knowledge.shelf, saved, now=NOW).saved == ()
    assert catalogue[0].read_text("utf-8") == "nuevo"
    done = restore_backup(knowledge.shelf, saved, files=catalogue, now=NOW)
    assert catalogue[0].read_text("utf-8") == "catálogo"
    assert [(p.name, p.read_text("utf-8")) for p in done.saved] == [
        ("PROBLEMAS_GLOBALES.antes_20250102_0304.csv", "nuevo")
    ]
    assert not catalogue[1].exists()


def test_nothing_to_save(tmp_path: Path, knowledge: KnowledgeBase) -> None:
    with pytest.raises(KnowledgeMissing):
        create_backup(knowledge.shelf, [], tmp_path / "c", now=NOW)


def test_a_backup_is_never_written_over_another(saved: Path, knowledge: KnowledgeBase) -> None:
    with pytest.raises(UsageError, match="ya existe"):
        create_backup(knowledge.shelf, [], saved, now=NOW)


@pytest.mark.faults
def test_a_full_disk_leaves_no_half_backup(
    tmp_path: Path, knowledge: KnowledgeBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    knowledge.build(_entries(2))

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DependencyError, match="espacio"):
        create_backup(knowledge.shelf, [], tmp_path / "b" / "c", now=NOW)
    assert list((tmp_path / "b").iterdir()) == []


@pytest.mark.faults
def test_a_change_while_saving_is_noticed(
    tmp_path: Path, knowledge: KnowledgeBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    knowledge.build(_entries(2))
    monkeypatch.setattr(Shelf, "count", lambda self, collection: 3)
    with pytest.raises(DependencyError, match="ha cambiado mientras"):
        create_backup(knowledge.shelf, [], tmp_path / "c", now=NOW)
    assert not (tmp_path / "c").exists()


# Damaged


def _refused(knowledge: KnowledgeBase, path: Path, words: str = "") -> None:
    before, collections = _points(knowledge.shelf), _collections(knowledge)
    for use in (verify_backup, lambda p: restore_backup(knowledge.shelf, p, now=NOW)):
        with pytest.raises(ArchiveDamaged, match=words) as caught:
            use(path)
        assert str(path) in str(caught.value)
    assert _points(knowledge.shelf).keys() == before.keys()
    assert _collections(knowledge) == collections


@pytest.mark.faults
def test_cut_anywhere(saved: Path, knowledge: KnowledgeBase, tmp_path: Path) -> None:
    whole = saved.read_bytes()
    cut = tmp_path / "cortada"
    for size in (0, 3, 100, len(whole) // 2, len(whole) - 5, len(whole) - 4, len(whole) - 1):
        cut.write_bytes(whole[:size])
        _refused(knowledge, cut, "dañada")


@pytest.mark.faults
def test_altered_anywhere(saved: Path, knowledge: KnowledgeBase, tmp_path: Path) -> None:
    whole = saved.read_bytes()
    altered = tmp_path / "alterada"
    for place in np.linspace(0, len(whole) - 1, 40, dtype=int):
        altered.write_bytes(whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :])
        with pytest.raises(ArchiveDamaged):
            verify_backup(altered)
    for more in (b"\0", b"x" * 5000, whole):
        altered.write_bytes(whole + more)
        _refused(knowledge, altered, "después del final")


Members = list[tuple[str, bytes]]


def _rewritten(saved: Path, path: Path, change: Callable[[Members], Members]) -> Path:
    with path.open("wb") as stream:
        write_members(stream, change(list(read_members(saved))))
    return path


def _manifest_with(members: Members, sealed: bool, **changes: object) -> Members:
    """The manifest changed by hand, with a new seal or the old one; sums of members brought up to date."""
    content = json.loads(members[-1][1]) | changes
    content["miembros"] = [
        {"nombre": name, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in members[:-1]
    ]
    manifest = json.dumps(content)
    if sealed:
        manifest = backup_file.Manifest.model_validate_json(manifest).sealed().model_dump_json()
    return [*members[:-1], ("manifiesto.json", manifest.encode())]


def _first_point(members: Members, change: Callable[[dict[str, object]], None]) -> Members:
    lines = members[0][1].splitlines()
    point = json.loads(lines[0])
    change(point)
    return [(members[0][0], b"\n".join([json.dumps(point).encode(), *lines[1:]])), *members[1:]]


@pytest.mark.faults
@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param(lambda m: m[1:], "SHA-256", id="member gone"),
        pytest.param(lambda m: m[:-1], "no tiene manifiesto", id="no manifest"),
        pytest.param(lambda m: [], "no tiene manifiesto", id="nothing"),
        pytest.param(lambda m: [*m, ("catalogo/otro.csv", b"")], "después del manifiesto", id="more after"),
        pytest.param(lambda m: [("../fuera", b""), *m], "desconocido", id="path outside"),
        pytest.param(lambda m: [*m[:-1], ("manifiesto.json", b"{}")], "no se puede leer", id="manifest empty"),
        pytest.param(lambda m: _manifest_with(m, False, formato=3),
                     "otra versión", id="other format"),
        pytest.param(lambda m: _manifest_with(m, False, fecha="ayer"), "SHA-256", id="manifest altered"),
        pytest.param(lambda m: _manifest_with(m, True, puntos=449), "no son los que dice", id="another count"),
        pytest.param(lambda m: _manifest_with(m, True, vectores={"a": 16}), "no miden", id="another width"),
        pytest.param(lambda m: [(m[0][0], m[0][1].replace(b'"c"', b'"d"', 1)), *m[1:]], "SHA-256", id="payload"),
        pytest.param(lambda m: _manifest_with([(m[0][0], m[0][1].replace(b'"c"', b'"d"', 1)), *m[1:]], True),
                     "no son los que dice", id="payload and sums"),
        pytest.param(lambda m: [(m[0][0], b"{no\n" + m[0][1]), *m[1:]], "punto ilegible", id="not a point"),
        pytest.param(lambda m: _first_point(m, lambda p: p.update(vectors={"a": "AAAA"})), "ilegible|no son como",
                     id="vector cut"),
        pytest.param(lambda m: [m[0], (m[1][0], _first_point(m[1:], lambda p: p.update(vectors={}))[0][1]), *m[2:]],
                     "no son como los demás", id="vector gone"),
    ],
)  # fmt: skip
def test_rewritten_with_changes(
    saved: Path, knowledge: KnowledgeBase, tmp_path: Path, change: Callable[[Members], Members], words: str
) -> None:
    _refused(knowledge, _rewritten(saved, tmp_path / "otra", change), words)


def _tar(path: Path, *members: tarfile.TarInfo) -> Path:
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as tar:
        for member in members:
            tar.addfile(member, io.BytesIO(b"\0" * member.size))
    path.write_bytes(zstandard.compress(plain.getvalue()))
    return path


def _member(name: str, kind: bytes = tarfile.REGTYPE, size: int = 0) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname, member.size = kind, "/etc/passwd", size
    return member


@pytest.mark.faults
@pytest.mark.parametrize(
    "members",
    [
        pytest.param([_member("puntos/1", tarfile.SYMTYPE)], id="link"),
        pytest.param([_member("puntos", tarfile.DIRTYPE)], id="folder"),
        pytest.param([_member("catalogo/a"), _member("catalogo/a")], id="repeated"),
        pytest.param([_member("catalogo/a", size=2048)], id="too large"),
    ],
)
def test_members_that_are_not_admitted(
    tmp_path: Path, members: list[tarfile.TarInfo], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "MAX_MEMBER", 1024)
    with pytest.raises(ArchiveDamaged, match="no admitido"):
        verify_backup(_tar(tmp_path / "t", *members))


@pytest.mark.faults
def test_more_than_fits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _tar(tmp_path / "t", _member("catalogo/a", size=2**20))
    monkeypatch.setattr(archive, "MAX_TOTAL", 2**18)
    with pytest.raises(ArchiveDamaged, match="demasiado grande"):
        verify_backup(path)
    monkeypatch.setattr(archive, "MAX_MEMBER", 10)
    with pytest.raises(UsageError, match="caben 10"):
        write_members(io.BytesIO(), [("a", b"x" * 11)])


@pytest.mark.faults
def test_data_hidden_after_the_tar(tmp_path: Path, saved: Path) -> None:
    plain = zstandard.ZstdDecompressor().decompressobj().decompress(saved.read_bytes())
    path = tmp_path / "t"
    path.write_bytes(zstandard.compress(plain + b"\0" * 2**20 + b"oculto" * 5000))
    with pytest.raises(ArchiveDamaged, match="después del final"):
        verify_backup(path)


def test_no_such_backup(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no-hay"):
        verify_backup(tmp_path / "no-hay")


# Restoring goes wrong


@pytest.mark.faults
@pytest.mark.parametrize("vectors", [True, False], ids=["vectors", "points"])
def test_what_was_not_stored_well_is_not_served(
    saved: Path, knowledge: KnowledgeBase, monkeypatch: pytest.MonkeyPatch, vectors: bool
) -> None:
    before, put = _collections(knowledge), Shelf.put

    def badly(self: Shelf, collection: str, points: list[Point]) -> None:
        other = (
            [Point(p.id, p.payload, {n: -v for n, v in p.vectors.items()}) for p in points] if vectors else points[1:]
        )
        put(self, collection, other)

    monkeypatch.setattr(Shelf, "put", badly)
    with pytest.raises(DependencyError, match="no ha guardado bien"):
        restore_backup(knowledge.shelf, saved, now=NOW)
    assert _collections(knowledge) == before


@pytest.mark.faults
def test_payloads_are_compared_as_read_back(
    saved: Path, knowledge: KnowledgeBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, put = _collections(knowledge), Shelf.put

    def without_payload(self: Shelf, collection: str, points: list[Point]) -> None:
        put(self, collection, [Point(p.id, {}, p.vectors) for p in points])

    monkeypatch.setattr(Shelf, "put", without_payload)
    with pytest.raises(DependencyError, match="no coincide con la copia"):
        restore_backup(knowledge.shelf, saved, now=NOW)
    assert _collections(knowledge) == before


_CHILD = """
import sys
from pathlib import Path
from core.backup import restore_backup
from core.knowledge import Shelf, open_client
from tests.core.test_backup import NOW

real, seen, calls = getattr(Shelf, sys.argv[3]), 0, int(sys.argv[4])

def stop_here(*args, **kwargs):
    global seen
    seen += 1
    if seen == calls:
        print("aquí", flush=True)
        sys.stdin.read()
    return real(*args, **kwargs)

setattr(Shelf, sys.argv[3], stop_here)
with open_client(Path(sys.argv[1]), None) as client:
    restore_backup(Shelf(client, "problemas_globales"), Path(sys.argv[2]), now=NOW)
"""


@pytest.mark.faults
@pytest.mark.parametrize(
    ("method", "calls", "served"),
    [
        pytest.param("put", 2, 3, id="while writing"),
        pytest.param("publish", 1, 3, id="before the swap"),
        pytest.param("discard", 1, 201, id="after the swap"),
    ],
)
def test_a_kill_while_restoring(tmp_path: Path, knowledge: KnowledgeBase, method: str, calls: int, served: int) -> None:
    folder, saved = tmp_path / "q", tmp_path / "c"
    knowledge.build(_entries(201))
    create_backup(knowledge.shelf, [], saved, now=NOW)
    with open_client(folder, None) as client:
        KnowledgeBase(client, HashEmbedder()).build(_entries(3))
    with subprocess.Popen(
        [sys.executable, "-c", _CHILD, str(folder), str(saved), method, str(calls)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "aquí\n"
        child.kill()
    with open_client(folder, None) as client:
        restored = KnowledgeBase(client, HashEmbedder())
        assert len(restored.entries()) == served
        done = restore_backup(restored.shelf, saved, now=NOW)
        assert len(restored.entries()) == 201
        assert _collections(restored) == {done.collection}


# Documents and calls beside the knowledge base


def _group(number: int) -> Group:
    return Group(("Inicio", f"Paso {number}"), "premium", "pago", "E1", "", True, 1)


def _others(knowledge: KnowledgeBase) -> list[Shelf]:
    return [knowledge.shelf.beside(name) for name in BESIDE]


@pytest.fixture
def all_saved(tmp_path: Path, knowledge: KnowledgeBase) -> Path:
    knowledge.build(_entries(3))
    NarrativeBase(knowledge.shelf._client, HashEmbedder()).bring_up_to_date(map(_group, range(210)), 1_000)
    path = tmp_path / "todo.tar.zst"
    create_backup(knowledge.shelf, [], path, now=NOW, others=_others(knowledge))
    return path


def test_what_was_loaded_beside_comes_back_too(all_saved: Path, tmp_path: Path) -> None:
    manifest = verify_backup(all_saved)
    assert manifest.formato == 2
    assert [(one.nombre, one.puntos) for one in manifest.colecciones] == [("llamadas", 210)]
    assert "3 puntos y 210 de llamadas" in described(manifest)
    with open_client(tmp_path / "q", None) as client:
        other = KnowledgeBase(client, HashEmbedder())
        documents = other.shelf.beside("documentos")
        documents.publish(documents.create({"a": 16}))
        seen: list[tuple[int, int]] = []
        restore_backup(other.shelf, all_saved, now=NOW, others=_others(other), progress=lambda *step: seen.append(step))
        assert seen[-1] == (213, 213)
        calls = NarrativeBase(client, HashEmbedder()).bring_up_to_date(map(_group, range(210)), 1_000)
        assert (calls.embedded, calls.kept, calls.removed) == (0, 210, 0)
        assert documents.current() is not None  # not in the backup: stays as it was
        assert len(_collections(other)) == 3


def test_a_backup_of_the_knowledge_base_alone_is_as_it_always_was(saved: Path, tmp_path: Path) -> None:
    *_, (name, content) = read_members(saved)
    manifest = json.loads(content)
    assert (name, manifest["formato"], "colecciones" in manifest) == ("manifiesto.json", 1, False)
    seal = manifest.pop("sello")
    plain = json.dumps(manifest, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    assert hashlib.sha256(plain.encode()).hexdigest() == seal


def test_an_unknown_collection_is_told_before_anything_changes(all_saved: Path, knowledge: KnowledgeBase) -> None:
    before = _collections(knowledge)
    with pytest.raises(UsageError, match="no se conocen: llamadas"):
        restore_backup(knowledge.shelf, all_saved, now=NOW)
    assert _collections(knowledge) == before


@pytest.mark.faults
@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param(lambda m: _manifest_with(m[:1] + m[2:], True), "no son los que dice", id="points gone"),
        pytest.param(lambda m: _manifest_with(m, True, colecciones=[]), "no están en el manifiesto", id="not told"),
        pytest.param(lambda m: _manifest_with(m, False, formato=1), "otra versión", id="another format"),
        pytest.param(lambda m: _manifest_with(
            m, False, colecciones=[json.loads(m[-1][1])["colecciones"][0] | {"nombre": "../x"}]), "otra versión",
            id="name outside"),
        pytest.param(lambda m: [m[0], (m[1][0], m[1][1].replace(b"premium", b"pyme", 1)), *m[2:]], "SHA-256",
                     id="payload"),
    ],
)  # fmt: skip
def test_what_is_beside_is_checked_as_well(
    all_saved: Path, knowledge: KnowledgeBase, tmp_path: Path, change: Callable[[Members], Members], words: str
) -> None:
    _refused(knowledge, _rewritten(all_saved, tmp_path / "otra", change), words)


@pytest.mark.faults
def test_a_restore_that_fails_beside_changes_nothing(
    all_saved: Path, knowledge: KnowledgeBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, put = _collections(knowledge), Shelf.put

    def badly(self: Shelf, collection: str, points: list[Point]) -> None:
        put(self, collection, points[1:] if self.name == "llamadas" else points)

    monkeypatch.setattr(Shelf, "put", badly)
    with pytest.raises(DependencyError, match="no ha guardado bien"):
        restore_backup(knowledge.shelf, all_saved, now=NOW, others=_others(knowledge))
    assert _collections(knowledge) == before
