"""core/originals.py: a solution with a phone is sent as the catalogue has it, or not at all."""

import logging
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from core.catalogue import CatalogueEntry, Resolution, read_open_fixes, write_catalogue
from core.identifiers import scrub
from core.knowledge import KnownEntry
from core.knowledge.entry import prepare
from core.originals import Originals

PHONE = "Llame al 912 345 678 o entre en https://ayuda.example.es"
TOLD = CatalogueEntry(component="Correo", description="buzón lleno", solution=PHONE, resolution=Resolution.CLOSE)
PLAIN = CatalogueEntry(component="Correo", description="sin firma", solution="Añádala", resolution=Resolution.CLOSE)


@pytest.fixture
def files(tmp_path: Path) -> Originals:
    write_catalogue(tmp_path / "c.csv", [PLAIN, TOLD])
    return Originals(tmp_path / "c.csv", tmp_path / "f.csv", scrub)


def _stored(row: CatalogueEntry = TOLD) -> KnownEntry:
    return prepare(row, scrub, "v1")


def _rewrite(path: Path, rows: list[CatalogueEntry]) -> None:
    """With a later time: two writes within one tick of the clock are not told apart where the size is the same."""
    before = path.stat()
    write_catalogue(path, rows)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1_000_000))


def test_nothing_personal_is_stored() -> None:
    stored = _stored()
    assert stored.withheld
    assert stored.resolution is Resolution.CLOSE
    assert "912 345 678" not in stored.model_dump_json()
    assert "ayuda.example" not in stored.model_dump_json()
    assert len(stored.solution_check) == 4


def test_the_solution_comes_from_the_file(files: Originals) -> None:
    whole = files.whole(_stored())
    assert (whole.solution, whole.withheld, whole.id) == (PHONE, False, TOLD.id)


def test_a_summary_of_the_row_does_not_matter(files: Originals) -> None:
    stored = prepare(TOLD.model_copy(update={"summary": "lleno <NIF>"}), scrub, "v1")
    assert files.whole(stored).solution == PHONE


def test_other_rows_stay_as_they_are(files: Originals) -> None:
    assert files.whole(_stored(PLAIN)) == _stored(PLAIN)


def test_of_a_fix_under_way(files: Originals, tmp_path: Path) -> None:
    header = "ID INCIDENCIA,DESCRIPCION,FECHA PREVISTA,RESOLUCION AUTOMÁTICA\n"
    (tmp_path / "f.csv").write_text(f"{header}INC-12345678,se cae,2026-05-01,\n", "utf-8")
    [fix] = read_open_fixes(tmp_path / "f.csv").entries
    assert _stored(fix).withheld
    assert "INC-12345678" in files.whole(_stored(fix)).solution


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda path: path.unlink(), id="no file"),
        pytest.param(lambda path: path.write_bytes(b"\xff\xfe nada"), id="unreadable"),
        pytest.param(lambda path: _rewrite(path, [PLAIN]), id="row gone"),
        pytest.param(
            lambda path: _rewrite(path, [TOLD.model_copy(update={"solution": PHONE.replace("912", "913")})]),
            id="another phone",
        ),
        pytest.param(
            lambda path: _rewrite(path, [TOLD.model_copy(update={"solution": f"{PHONE}."})]), id="other words"
        ),
        pytest.param(
            lambda path: _rewrite(path, [TOLD.model_copy(update={"resolution": Resolution.WAIT})]), id="other kind"
        ),
    ],
)
def test_what_is_not_as_it_was_stays_withheld(
    files: Originals, tmp_path: Path, change: Callable[[Path], object], caplog: pytest.LogCaptureFixture
) -> None:
    assert not files.whole(_stored()).withheld
    with caplog.at_level(logging.WARNING):
        change(tmp_path / "c.csv")
        assert files.whole(_stored()) == _stored()
    _rewrite_back(tmp_path / "c.csv")
    assert not files.whole(_stored()).withheld


def _rewrite_back(path: Path) -> None:
    path.unlink(missing_ok=True)
    write_catalogue(path, [PLAIN, TOLD, PLAIN.model_copy(update={"description": "otra"})])
