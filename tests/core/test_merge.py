"""core/merge.py: reviewed rows into the catalogue, all or none."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from qdrant_client import QdrantClient

from core.batch import CATALOGUE
from core.catalogue import COLUMNS, CatalogueEntry, Resolution, read_catalogue, write_catalogue
from core.errors import DependencyError, UsageError
from core.knowledge import KnowledgeBase, KnowledgeUnavailable
from core.merge import apply_merge, plan_merge
from tests.core.hash_embedder import HashEmbedder

NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)
ROW = CatalogueEntry(component="Correo", description="buzón lleno", solution="vacíelo", resolution=Resolution.CLOSE)
PLACES = CatalogueEntry(component="Puesto", description="ratón roto", resolution=Resolution.REASSIGN, mailbox="TALLER")


@pytest.fixture
def knowledge() -> Iterator[KnowledgeBase]:
    client = QdrantClient(":memory:")
    yield KnowledgeBase(client, HashEmbedder())
    client.close()


@pytest.fixture
def catalogue(tmp_path: Path) -> Path:
    path = tmp_path / "r" / CATALOGUE
    write_catalogue(path, [ROW, PLACES])
    return path


NEW = CatalogueEntry(component="Fichaje", description="hora mala", solution="reinicie", resolution=Resolution.CLOSE)
CHANGED = ROW.model_copy(update={"description": "BUZÓN lleno", "resolution": Resolution.MANUAL})


def _reviewed(folder: Path, *entries: CatalogueEntry) -> Path:
    path = folder / "revisado.csv"
    write_catalogue(path, entries)
    return path


def _apply(tmp_path: Path, catalogue: Path, knowledge: KnowledgeBase, *entries: CatalogueEntry) -> Any:
    merge = plan_merge(_reviewed(tmp_path, *entries), catalogue, None)
    return apply_merge(merge, knowledge, copies=tmp_path / "copias", reports=tmp_path / "informes", now=NOW)


def test_reviewed_rows_are_merged(tmp_path: Path, catalogue: Path, knowledge: KnowledgeBase) -> None:
    before = catalogue.read_bytes()
    applied = _apply(tmp_path, catalogue, knowledge, CHANGED, NEW)
    assert list(read_catalogue(catalogue).entries) == [CHANGED, PLACES, NEW]
    assert applied.copy == tmp_path / "copias" / "PROBLEMAS_GLOBALES_20260331_120000.csv"
    assert applied.copy.read_bytes() == before
    assert {entry.description for entry in knowledge.entries().values()} == {"BUZÓN lleno", "ratón roto", "hora mala"}
    told = applied.summary()
    for words in (
        "1 filas nuevas, 1 cambiadas",
        "Fichaje: hora mala",
        "cierre -> manual",
        str(applied.copy),
        "Informe:",
    ):
        assert words in told

    again = _apply(tmp_path, catalogue, knowledge, CHANGED, NEW)
    assert again.copy is None
    assert "2 ya estaban igual" in again.summary()


@pytest.mark.parametrize(
    ("reviewed", "present", "words"),
    [
        pytest.param("Fichaje,,,,,cierre,", None, ":2: DESCRIPCION", id="bad reviewed row"),
        pytest.param("a,b,,,,reasignacion,\nc,d,,,,cierre,", None, "BUZON", id="one bad among good"),
        pytest.param(None, "", "no tiene ninguna fila", id="nothing reviewed"),
        pytest.param("a,b,,,,cierre,", "x,,,,,cierre,", "DESCRIPCION", id="bad row in the catalogue"),
    ],
)
def test_any_bad_row_changes_nothing(
    reviewed: str | None, present: str | None, words: str, tmp_path: Path, catalogue: Path
) -> None:
    path, header = tmp_path / "revisado.csv", ",".join(COLUMNS)
    path.write_text(f"{header}\n{reviewed or ''}\n", "utf-8")
    if present:
        catalogue.write_text(f"{header}\n{present}\nz,z,,,,cierre,\n", "utf-8")
    before = catalogue.read_bytes()
    with pytest.raises(UsageError, match=words) as caught:
        plan_merge(path, catalogue, None)
    assert "No se ha cambiado nada" in str(caught.value)
    assert catalogue.read_bytes() == before


@pytest.mark.parametrize("separator", [",", ";"])
def test_columns_that_would_be_lost(separator: str, tmp_path: Path, catalogue: Path) -> None:
    lines = [separator.join([*COLUMNS, "DUEÑO"]), separator.join(["a", "b", "", "s", "", "cierre", "", "Ana"])]
    catalogue.write_text("\n" + "\n".join(lines) + "\n", "utf-8")
    with pytest.raises(UsageError, match="'DUEÑO'"):
        plan_merge(_reviewed(tmp_path, NEW), catalogue, None)


def test_other_spellings_of_the_columns_are_no_others(tmp_path: Path, catalogue: Path) -> None:
    catalogue.write_text("\ufeff" + ";".join(COLUMNS).lower().replace(" ", "_") + "\na;b;;s;;cierre;\n", "utf-8")
    assert len(plan_merge(_reviewed(tmp_path, NEW), catalogue, None).entries) == 2


def test_a_row_that_is_a_fix_under_way_too(tmp_path: Path, catalogue: Path) -> None:
    fixes = tmp_path / "fixes.csv"
    fixes.write_text("ID INCIDENCIA,DESCRIPCION,FECHA PREVISTA,RESOLUCION AUTOMÁTICA\nP-1,se cae,,\n", "utf-8")
    row = NEW.model_copy(update={"component": "Correctivo", "description": "se cae"})
    with pytest.raises(UsageError, match="también en"):
        plan_merge(_reviewed(tmp_path, row), catalogue, fixes)
    assert plan_merge(_reviewed(tmp_path, NEW), catalogue, fixes).fixes == fixes


@pytest.mark.faults
def test_a_knowledge_base_that_cannot_be_asked(tmp_path: Path, catalogue: Path) -> None:
    client = QdrantClient(":memory:")
    client.close()
    before = catalogue.read_bytes()
    with pytest.raises(DependencyError):
        _apply(tmp_path, catalogue, KnowledgeBase(client, HashEmbedder()), NEW)
    assert catalogue.read_bytes() == before
    assert not (tmp_path / "copias").exists()


@pytest.mark.faults
def test_a_failed_update_says_where_things_stand(
    tmp_path: Path, catalogue: Path, knowledge: KnowledgeBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(texts: Sequence[str]) -> None:
        raise KnowledgeUnavailable

    monkeypatch.setattr(knowledge.embedder, "passages", broken, raising=False)
    with pytest.raises(DependencyError, match=r"python batch\.py") as caught:
        _apply(tmp_path, catalogue, knowledge, NEW)
    assert "ya tiene las filas aplicadas (el anterior está en" in str(caught.value)
    assert NEW in read_catalogue(catalogue).entries
    with pytest.raises(DependencyError, match="ya tiene las filas aplicadas, pero"):
        _apply(tmp_path, catalogue, knowledge, NEW)
    monkeypatch.undo()
    _apply(tmp_path, catalogue, knowledge, NEW)
    assert len(knowledge.entries()) == 3
