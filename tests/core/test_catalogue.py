"""core/catalogue.py and core/table.py: what people send, read, checked and written."""

import errno
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.catalogue import (
    COLUMNS,
    CatalogueEntry,
    Resolution,
    read_catalogue,
    read_open_fixes,
    write_catalogue,
)
from core.errors import DependencyError, UsageError
from core.table import MAX_FIELD

HEADER = ",".join(COLUMNS)
GOOD = "Pólizas,No se imprime el duplicado,Error,Vacíe la caché,2025-01-02,cierre,"


def _file(tmp_path: Path, *lines: str, encoding: str = "utf-8", end: str = "\n") -> Path:
    path = tmp_path / "PROBLEMAS_GLOBALES.csv"
    path.write_bytes(end.join([*lines, ""]).encode(encoding))
    return path


@pytest.mark.parametrize(
    ("header", "separator"),
    [
        pytest.param(HEADER, ",", id="as designed"),
        pytest.param(HEADER.replace(",", ";"), ";", id="semicolons"),
        pytest.param("componente, Descripción ,tipo_incidencia,SOLUCION,Fecha  de Resolucion,resolucion automatica,"
                     "Buzón Reasignación", ",", id="other spellings"),
        pytest.param(HEADER + ",EXTRA", ",", id="one more column"),
    ],
)  # fmt: skip
def test_headers_and_separators(tmp_path: Path, header: str, separator: str) -> None:
    row = separator.join(["Pólizas", '"No se imprime, nunca; jamás"', "Error", "Vacíe", "hoy", "cierre", ""])
    extra = separator + "x" if "EXTRA" in header else ""
    reading = read_catalogue(_file(tmp_path, header, row + extra))
    assert reading.problems == ()
    [entry] = reading.entries
    assert (entry.component, entry.description) == ("Pólizas", "No se imprime, nunca; jamás")
    assert entry.resolution is Resolution.CLOSE


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["lf", "crlf"])
def test_utf8_with_and_without_mark(tmp_path: Path, encoding: str, end: str) -> None:
    reading = read_catalogue(_file(tmp_path, HEADER, GOOD, "", ",,,,,,", encoding=encoding, end=end))
    assert [entry.component for entry in reading.entries] == ["Pólizas"]
    assert reading.problems == ()


@pytest.mark.parametrize(
    ("encoding", "name"),
    [("cp1252", "WINDOWS-1252"), ("utf-16", "UTF-16")],
)
def test_a_wrong_encoding_says_how_to_convert(tmp_path: Path, encoding: str, name: str) -> None:
    with pytest.raises(UsageError, match=rf"PROBLEMAS_GLOBALES\.csv: no está en UTF-8.*{name}.*iconv"):
        read_catalogue(_file(tmp_path, HEADER, GOOD, encoding=encoding))


def test_bytes_that_no_windows_page_has(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    path.write_bytes(HEADER.encode() + b"\n\x81\xe9,x,,,,cierre,\n")
    with pytest.raises(UsageError, match=r"línea 2\); parece ISO-8859-1"):
        read_catalogue(path)


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        pytest.param([], "está vacío", id="no bytes"),
        pytest.param(["", "  "], "está vacío", id="only white space"),
        pytest.param([HEADER], "ninguna fila", id="header only"),
        pytest.param([HEADER, "a,,,,,cierre,"], r"ninguna fila.*\n.*:2: DESCRIPCION", id="only bad rows"),
        pytest.param([HEADER.replace(",SOLUCIÓN", ""), GOOD], "falta la columna SOLUCIÓN", id="column missing"),
        pytest.param(["a,b"], "faltan las columnas COMPONENTE, DESCRIPCION|falta las columnas", id="another file"),
        pytest.param([HEADER + ",Solucion", GOOD + ","], "columna repetida.*SOLUCIÓN", id="column twice"),
        pytest.param(['"' + "x" * 140_000, GOOD], ":1: la cabecera no se puede leer", id="header without end"),
    ],
)
def test_files_that_cannot_be_used(tmp_path: Path, lines: list[str], words: str) -> None:
    path = _file(tmp_path, *lines)
    with pytest.raises(UsageError, match=words) as caught:
        read_catalogue(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("make", [lambda p: None, lambda p: p.mkdir()], ids=["missing", "folder"])
def test_no_such_file(tmp_path: Path, make: object) -> None:
    path = tmp_path / "c.csv"
    make(path)  # type: ignore[operator]
    with pytest.raises(UsageError, match=r"c\.csv"):
        read_catalogue(path)


@pytest.mark.parametrize(
    ("row", "column", "words"),
    [
        pytest.param("a,,t,s,f,cierre,", "DESCRIPCION", "está vacía", id="no description"),
        pytest.param("a,d,t,s,f,borrar,", "RESOLUCION AUTOMÁTICA", "«borrar» no es", id="unknown kind"),
        pytest.param("a,d,t,s,f,,", "RESOLUCION AUTOMÁTICA", "«» no es", id="no kind"),
        pytest.param("a,d,t,s,f,cierre|x,", "RESOLUCION AUTOMÁTICA", "no es", id="system without api"),
        pytest.param("a,d,t,s,f,api| ,", "RESOLUCION AUTOMÁTICA", "nombre del sistema", id="api without system"),
        pytest.param("a,d,t,s,f,reasignacion,", "BUZON REASIGNACION", "está vacío", id="no mailbox"),
        pytest.param("POLIZAS,no se  imprime el DUPLICADO,,,,manual,", "DESCRIPCION", "línea 2", id="twice"),
        pytest.param("a,d,t,s,f,cierre", None, "6 campos y la cabecera 7: faltan", id="too few"),
        pytest.param("a,d, e,t,s,f,cierre,", None, "8 campos y la cabecera 7: sobran", id="too many"),
        pytest.param("a,d\0d,t,s,f,cierre,", "DESCRIPCION", "nulo", id="NUL"),
        pytest.param(f"a,{'d' * (MAX_FIELD + 1)},t,s,f,cierre,", "DESCRIPCION", "máximo", id="too long"),
        pytest.param('a,"d,t,s,f,cierre,', None, "comillas", id="quote left open"),
        pytest.param('a,"d"d,t,s,f,cierre,', None, "comillas", id="text after quote"),
    ],
)
def test_bad_rows_are_reported_and_skipped(tmp_path: Path, row: str, column: str | None, words: str) -> None:
    path = _file(tmp_path, HEADER, GOOD, row, "b,otra cosa,,,,manual,")
    reading = read_catalogue(path)
    assert [entry.component for entry in reading.entries] == ["Pólizas", "b"]
    [problem] = reading.problems
    assert (problem.file, problem.line, problem.column) == (str(path), 3, column)
    assert words in problem.message
    assert str(problem).startswith(f"{path}:3: ")
    with pytest.raises(UsageError, match=r"1 filas.*\n.*:3: "):
        read_catalogue(path, strict=True)


def test_lines_are_physical_and_problems_in_order(tmp_path: Path) -> None:
    path = _file(tmp_path, HEADER, 'a,"dos\nlíneas",,,,cierre,', "x,,,,,cierre,", "y,d", "z,,,,,cierre,")
    reading = read_catalogue(path)
    assert reading.entries[0].description == "dos\nlíneas"
    assert [problem.line for problem in reading.problems] == [4, 5, 6]


def test_a_long_list_of_problems_is_cut(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="… y 5 más"):
        read_catalogue(_file(tmp_path, HEADER, *["x,,,,,cierre,"] * 25))


@pytest.mark.parametrize(
    ("text", "resolution", "kind"),
    [
        ("Manual", Resolution.MANUAL, "manual"),
        ("CIERRE", Resolution.CLOSE, "cierre"),
        ("En  Espera", Resolution.WAIT, "en espera"),
        ("en_espera", Resolution.WAIT, "en espera"),
        ("REASIGNACIÓN", Resolution.REASSIGN, "reasignacion"),
        ("API | FxProvicion", Resolution.API, "api|fxprovicion"),
    ],
)
def test_kinds_in_any_spelling(tmp_path: Path, text: str, resolution: Resolution, kind: str) -> None:
    [entry] = read_catalogue(_file(tmp_path, HEADER, f"a,d,,,,{text},BUZON_X")).entries
    assert (entry.resolution, entry.kind) == (resolution, kind)


FIXES = "ID INCIDENCIA,DESCRIPCION,FECHA PREVISTA,RESOLUCION AUTOMÁTICA"


def test_open_fixes(tmp_path: Path) -> None:
    path = _file(
        tmp_path, FIXES, "INC-7,No carga,2025-03-01,en espera", ",Sale doble,,", "I,Otra,x,MANUAL", "J,Mal,x,cierre"
    )
    reading = read_open_fixes(path)
    first, second, third = reading.entries
    assert (first.component, first.resolution, first.expected_on) == ("CORRECTIVO", Resolution.WAIT, "2025-03-01")
    assert all(words in first.solution for words in ("INC-7", "2025-03-01", "en espera"))
    assert second.resolution is Resolution.WAIT
    assert "Aún no tiene fecha" in second.solution
    assert third.resolution is Resolution.MANUAL
    assert "en espera" not in third.solution
    assert [(p.line, p.column) for p in reading.problems] == [(5, "RESOLUCION AUTOMÁTICA")]


def test_open_fixes_without_rows_or_description(tmp_path: Path) -> None:
    assert read_open_fixes(_file(tmp_path, FIXES)).entries == ()
    assert [p.column for p in read_open_fixes(_file(tmp_path, FIXES, "I,,x,")).problems] == ["DESCRIPCION"]


_TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=30).map(str.strip)
_ENTRY = st.builds(
    CatalogueEntry,
    component=_TEXT,
    description=_TEXT.filter(bool),
    incident_type=_TEXT,
    solution=st.sampled_from(["=1+1", "una «cosa», \"otra\"\ny más\r\n;fin", "@x", ""]) | _TEXT,
    resolved_on=_TEXT,
    resolution=st.sampled_from([Resolution.MANUAL, Resolution.CLOSE, Resolution.WAIT, Resolution.REASSIGN]),
    mailbox=st.just("BUZON"),
)  # fmt: skip


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(entries=st.lists(_ENTRY, min_size=1, max_size=4, unique_by=lambda e: e.id))
def test_what_is_written_reads_the_same(tmp_path: Path, entries: list[CatalogueEntry]) -> None:
    path = tmp_path / "c.csv"
    write_catalogue(path, entries)
    reading = read_catalogue(path, strict=True)
    assert list(reading.entries) == entries


def test_api_rows_round_trip_and_a_full_disk_keeps_the_old_catalogue(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "c.csv"
    entry = CatalogueEntry(component="a", description="d", resolution=Resolution.API, system="fxprovicion")
    write_catalogue(path, [entry])

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DependencyError, match="espacio"):
        write_catalogue(path, [])
    assert read_catalogue(path).entries == (entry,)
