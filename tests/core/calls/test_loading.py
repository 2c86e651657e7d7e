"""A log comes in whole, whatever is in it."""

import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from config import ROOT
from core.calls import reading
from core.calls.loading import SETTLED, Loader, LoadReport
from core.calls.mapping import CallMap, read_map
from core.calls.narrative import narrative
from core.calls.store import CallStore, open_store
from core.errors import DependencyError, UsageError
from core.privacy import scrub

HEADER = "call_id,steps_history,final_status,error_code,user_segment,call_type,timestamp,notes\n"
ROW = "c1,Inicio -> Pagos -> ERROR_X,failed,ERROR_X,premium,pago,2026-01-05T10:30:00,\n"
Write = Callable[[str | bytes], Path]


def _load(path: Path, folder: Path, mapped: CallMap | None = None, *, strict: bool = False) -> LoadReport:
    with open_store(folder) as store:
        return Loader(store, mapped or CallMap(), scrub).load(path, strict=strict)


def test_a_second_load_touches_nothing(log: Path, tmp_path: Path) -> None:
    first, second = _load(log, tmp_path), _load(log, tmp_path)
    assert (first.added, first.skipped, second.added, second.changed, second.unchanged) == (2000, 0, 0, 0, 2000)


def test_only_what_changed_is_written(write: Write, tmp_path: Path) -> None:
    _load(write(HEADER + ROW), tmp_path)
    report = _load(write(HEADER + ROW.replace("premium", "pyme") + ROW.replace("c1", "c2")), tmp_path)
    assert (report.added, report.changed) == (1, 1)
    with open_store(tmp_path) as store:
        assert [(g.segment, g.calls) for g in store.groups()] == [("premium", 1), ("pyme", 1)]


def test_the_tally_has_what_the_rows_say(write: Write, tmp_path: Path) -> None:
    _load(write(HEADER + ROW + "c2,Inicio -> Pagos,success,,pyme,,05/01/2026 23:00,\n"), tmp_path)
    with open_store(tmp_path) as store, store.counted() as log:
        [tally] = log.parts()
    seen = {(tally.histories[h], tally.hour[i], tally.calls[i], tally.failed[i]) for i, h in enumerate(tally.history)}
    assert seen == {(("Inicio", "Pagos", "ERROR_X"), 10, 1, 1), (("Inicio", "Pagos"), 23, 1, 0)}
    assert tally.weeks == pytest.approx(1 / 7)
    assert list(tally.segments) == ["premium", "pyme"]


@pytest.mark.parametrize(
    "content",
    [
        (HEADER + ROW).replace(",", ";").encode("cp1252"),
        (HEADER + ROW.replace("Pagos", "Menú")).replace(",", "\t").encode("cp1252"),
        (HEADER + ROW.replace("Pagos", "Menú")).encode("utf-16"),
        b"\xef\xbb\xbf" + (HEADER + ROW).encode(),
        (HEADER + ROW).replace("\n", "\r\n").encode(),
        (HEADER + ROW).replace("->", "→").encode(),
        ("\n" + HEADER + ROW.rstrip("\n")).encode(),
    ],
    ids=["semicolon", "tab cp1252", "utf-16", "bom", "crlf", "arrow", "blank first line, no last end"],
)
def test_encodings_and_separators_are_found_out(content: bytes, write: Write, tmp_path: Path) -> None:
    report = _load(write(content), tmp_path)
    assert (report.added, report.skipped) == (1, 0)
    with open_store(tmp_path) as store:
        [group] = store.groups()
    assert group.steps in (("Inicio", "Pagos", "ERROR_X"), ("Inicio", "Menú", "ERROR_X"))


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("c9,A -> B,raro,,,,,\n", "estado desconocido «raro»"),
        ("c9,,failed,,,,,\n", "no tiene ningún paso"),
        (",A -> B,failed,,,,,\n", "no tiene call_id"),
        ("c9,A -> B,,,,,,\n", "no tiene final_status ni código de error"),
        ("c9,A -> B\n", "faltan campos"),
        ("c9,A -> B,failed,,,,,,de más\n", "sobran campos"),
        ('c9,"A -> B,failed,,,,,\n', "las comillas no cuadran"),
        ("c9," + "A -> B -> " * 300 + "A,failed,,,,,\n", "el máximo es 200"),
        ("c9,A,failed,,,,," + "x" * 10_000_000 + "\n", "el máximo es 20000"),
        ("c9,A," + "y" * 30_000 + ",,,,,\n", "una celda tiene 30000 caracteres"),
    ],
    ids=["status", "no steps", "no id", "no outcome", "short", "long", "quote", "circles", "10 MB", "30 kB"],
)
def test_a_bad_row_is_told_with_its_line_and_the_rest_is_loaded(
    row: str, why: str, write: Write, tmp_path: Path
) -> None:
    report = _load(write(HEADER + ROW + row + ROW.replace("c1", "c3")), tmp_path)
    assert (report.added, report.skipped) == (2, 1)
    [problem] = report.problems
    assert problem.line == 3
    assert why in problem.message
    assert "1 de ellas" in report.summary()
    with pytest.raises(UsageError, match="estricto"):
        _load(write(HEADER + ROW + row), tmp_path, strict=True)


def test_a_line_in_another_encoding_is_left_out(write: Write, tmp_path: Path) -> None:
    good = "".join(ROW.replace("c1", f"c{i}").replace("Pagos", "Menú") for i in range(200))
    report = _load(write((HEADER + good).encode() + ROW.replace("Pagos", "Menú").encode("cp1252")), tmp_path)
    assert (report.added, report.skipped, report.problems[0].line) == (200, 1, 202)


@pytest.mark.parametrize("bad", ["", "c9,A -> B,raro,,,,,\n"], ids=["fine", "bad rows"])
def test_long_rows_come_in_few_at_a_time(
    bad: str, write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "_CHUNK_TEXT", 400)
    rows = [ROW.replace("c1", f"c{i}") + (bad if i % 10 == 0 else "") for i in range(100)]
    report = _load(write(HEADER + "".join(rows)), tmp_path)
    assert (report.added, report.skipped) == (100, 10 if bad else 0)
    assert [problem.line for problem in report.problems] == ([3 + 11 * i for i in range(10)] if bad else [])


@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["lf", "crlf"])
def test_of_an_endless_line_only_the_beginning_is_read(
    end: str, write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "_LONGEST", 200)
    lines = [HEADER, ROW, "c2," + "A -> " * 1_000 + "B,failed,,,,,\n", ROW.replace("c1", "c3"), "x" * 200 + "\n",
             ROW.replace("c1", "c4")]  # fmt: skip
    report = _load(write("".join(lines).replace("\n", end)), tmp_path)
    assert (report.added, [problem.line for problem in report.problems]) == (3, [3, 5])


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "está vacío"),
        ("\n\n", "está vacío"),
        (HEADER, "solo la cabecera"),
        ("call_id,final_status\nc1,failed\n", "falta steps_history"),
        ("a,b\n1,2\n", "falta call_id"),
    ],
    ids=["empty", "blank", "header", "no steps column", "another file"],
)
def test_what_is_no_log_is_refused(content: str, why: str, write: Write, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=why):
        _load(write(content), tmp_path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no\.csv"):
        _load(tmp_path / "no.csv", tmp_path)


def test_personal_data_stays_out_of_the_store(write: Write, tmp_path: Path) -> None:
    row = ROW.rstrip("\n") + "Llamar al 612345678 o a ana@correo.es\n"
    _load(write(HEADER + row.replace("Pagos", "Pagos 12345678Z")), tmp_path)
    connection = sqlite3.connect(tmp_path / "llamadas.db")
    kept = "\n".join(connection.iterdump())
    connection.close()
    assert "Llamar al <" in kept
    assert not any(secret in kept for secret in ("612345678", "ana@correo.es", "12345678Z"))


def test_other_names_come_from_the_map(write: Write, tmp_path: Path) -> None:
    (tmp_path / "llamadas.toml").write_text(
        '[columnas]\ncall_id = "REF"\nsteps_history = "VIAJE"\ncustomer_segment = "Grupo"\n'
        '[estados]\nfallo = ["mal"]\nexito = ["bien"]\n[formato]\nfecha = "%d.%m.%y %H"\nseparador_pasos = "/"\n',
        "utf-8",
    )
    mapped = read_map(None, tmp_path)
    path = write("REF;VIAJE;final_status;Grupo;timestamp\n1;A/B;mal;oro;05.01.26 07\n2;A/B;bien;oro;x\n")
    report = _load(path, tmp_path, mapped)
    assert (report.added, report.undated) == (2, 1)
    assert "Sin fecha" in report.summary()
    with open_store(tmp_path) as store:
        assert {(g.steps, g.segment, g.failed) for g in store.groups()} == {
            (("A", "B"), "oro", True), (("A", "B"), "oro", False)
        }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[columnas", "no es TOML"),
        ("[columnas]\nraro = 'x'\n", "no admite raro"),
        ("[formato]\nseparador = ';;'\n", "separador"),
        ("otra = 1\n", "otra"),
    ],
    ids=["syntax", "column", "value", "section"],
)
def test_a_wrong_map_is_told(text: str, why: str, tmp_path: Path) -> None:
    path = tmp_path / "mapa.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(UsageError, match=why):
        read_map(path, tmp_path)
    with pytest.raises(UsageError, match="No se puede leer"):
        read_map(tmp_path / "no.toml", tmp_path)


def test_a_mapped_column_that_is_not_there_is_told(write: Write, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no hay ninguna columna «Nada»"):
        _load(write(HEADER + ROW), tmp_path, CallMap(columnas={"notes": "Nada"}))


def test_a_damaged_store_is_told(tmp_path: Path) -> None:
    (tmp_path / "llamadas.db").write_bytes(b"no es una base de datos" * 100)
    with pytest.raises(DependencyError, match="dañado"), open_store(tmp_path):
        pass


def test_clear_forgets_everything(log: Path, tmp_path: Path) -> None:
    _load(log, tmp_path)
    with open_store(tmp_path) as store:
        assert isinstance(store, CallStore)
        store.clear()
        assert store.count() == 0
        assert store.names(["Inicio"]).steps == {}


def test_a_load_that_is_killed_goes_on_where_it_was(write: Write, tmp_path: Path) -> None:
    path = write(HEADER + "".join(f"c{i},A -> B,ok,,,,,\n" for i in range(SETTLED + 10)) + "z,Fatal,ok,,,,,\n")
    killed = subprocess.run([sys.executable, "-c", _KILLED, str(path), str(tmp_path)], cwd=ROOT, check=False)
    assert killed.returncode == -signal.SIGKILL
    report = _load(path, tmp_path)
    assert (report.added, report.changed, report.unchanged) == (11, 0, SETTLED)


_KILLED = """
import os, signal, sys
from pathlib import Path
from core.calls.loading import Loader
from core.calls.mapping import CallMap
from core.calls.store import open_store

def scrub(text):
    if text == "Fatal":
        os.kill(os.getpid(), signal.SIGKILL)
    return text

with open_store(Path(sys.argv[2])) as store:
    Loader(store, CallMap(), scrub).load(Path(sys.argv[1]))
"""


def test_a_full_disk_is_told_and_what_was_loaded_stays(log: Path, write: Write, tmp_path: Path) -> None:
    _load(log, tmp_path)
    more = write(HEADER + "".join(f"n{i},A{i} -> B{i},ok,,,,,\n" for i in range(20_000)))
    with pytest.raises(DependencyError, match="No queda sitio"):
        _load_with_room(more, tmp_path, pages=20)
    with open_store(tmp_path) as store:
        assert store.count() == 2_000


def _load_with_room(path: Path, folder: Path, *, pages: int) -> None:
    with open_store(folder) as store:
        used = store._db.execute("PRAGMA page_count").fetchone()[0]
        store._db.execute(f"PRAGMA max_page_count = {used + pages}")
        Loader(store, CallMap(), scrub).load(path)


def test_calls_that_read_the_same_are_counted(write: Write, tmp_path: Path) -> None:
    _load(write(HEADER + ROW + ROW.replace("c1", "c2") + ROW.replace("Pagos", "Otro").replace("c1", "c3")), tmp_path)
    with open_store(tmp_path) as store:
        [group] = [group for group in store.groups() if "Pagos" in group.steps]
        assert store.alike(narrative(group, "v1")) == (2, ("c1", "c2"))
        assert store.alike(narrative(replace(group, segment="nadie"), "v1")) == (0, ())
        assert store.steps_of("c3") == ("Inicio", "Otro", "ERROR_X")
        assert store.steps_of("c9") is None
