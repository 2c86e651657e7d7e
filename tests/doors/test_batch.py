"""batch.py and core/batch.py: the files into the knowledge base, the report, the exit codes."""

import errno
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from types import ModuleType

import pytest
from qdrant_client import QdrantClient

import batch
import core.build
import core.example_source
from api.memory import MemoryDesk, MemorySystem
from config import Settings
from core import terminal
from core.batch import read_inputs, run_batch
from core.build import Outside
from core.catalogue import COLUMNS, CatalogueEntry, Resolution
from core.database import Database
from core.errors import DependencyError, Retryable, Terminal, UsageError
from core.examples import Examples
from core.incident import Incident
from core.knowledge import KnowledgeBase, open_client
from core.ledger import Label, Phase, Record, open_ledger
from core.marks import write_mark
from core.reason import Reason
from core.summaries import FILE_NAME, Wording, read_wordings
from tests.core.hash_embedder import HashEmbedder

ROOT = Path(__file__).parents[2]
ROWS = [f"Pólizas,problema número{i},Error,solución {i},2025-01-02,cierre," for i in range(30)]
FIRST_ROW = CatalogueEntry(component="Pólizas", description="problema número0", resolution=Resolution.CLOSE).id
BAD = "Pólizas,,,,,cierre,"


def _resources(folder: Path, *rows: str, fixes: str | None = None) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "PROBLEMAS_GLOBALES.csv").write_text("\n".join([",".join(COLUMNS), *rows, ""]), "utf-8")
    if fixes is not None:
        header = "ID INCIDENCIA,DESCRIPCION,FECHA PREVISTA,RESOLUCION AUTOMÁTICA\n"
        (folder / "CORRECTIVOS_ABIERTOS.csv").write_text(header + fixes, "utf-8")
    return folder


@pytest.fixture
def knowledge() -> Iterator[KnowledgeBase]:
    client = QdrantClient(":memory:")
    yield KnowledgeBase(client, HashEmbedder(), scrub=lambda text: text.replace("ana@x.es", "<EMAIL_1>"))
    client.close()


# The door


@pytest.fixture
def composed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`core.build` without models, everything under `tmp_path`; returns the resources folder."""

    @contextmanager
    def open_knowledge(settings: object) -> Iterator[KnowledgeBase]:
        with open_client(tmp_path / "vectores", None) as client:
            yield KnowledgeBase(client, HashEmbedder())

    @contextmanager
    def open_summariser(settings: object) -> Iterator[object]:
        yield str.upper

    module = ModuleType("core.build")
    module.__dict__.update(
        open_knowledge=open_knowledge, open_summariser=open_summariser, open_database=core.build.open_database
    )
    monkeypatch.setitem(sys.modules, "core.build", module)
    monkeypatch.setenv("DIRECTORIO_RECURSOS", str(tmp_path / "r"))
    monkeypatch.setenv("DIRECTORIO_ESTADO", str(tmp_path / "e"))
    return tmp_path / "r"


def test_it_builds_reports_and_skips_what_is_bad(composed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _resources(composed, *ROWS, BAD, fixes="INC-1,se cae,2025-09-01,\n")
    assert batch.main([]) == 0
    told = capsys.readouterr().out
    assert "31 filas (31 nuevas, 0 cambiadas, 0 iguales, 0 eliminadas)" in told
    assert "PROBLEMAS_GLOBALES.csv:32: DESCRIPCION" in told
    [report] = (composed / "reportes").glob("reporte_batch_????????_????.json")
    content = json.loads(report.read_text("utf-8"))
    assert content["resumen"]["nuevas"] == 31
    assert content["resumen"]["descartadas"] == 1
    assert content["descartadas"][0]["linea"] == 32
    assert content["modo"] == "completo"
    assert str(report) in told

    assert batch.main([]) == 0
    assert "31 iguales" in capsys.readouterr().out
    assert batch.main(["--completo", "--resumir"]) == 0
    told = capsys.readouterr().out
    assert "rehecha" in told
    assert "no se resume" in told
    assert len(list((composed / "reportes").iterdir())) == 3


def test_other_files(composed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = _resources(tmp_path / "otra", *ROWS[:2], fixes="I,x,,\n")
    files = [
        "--catalogo",
        str(other / "PROBLEMAS_GLOBALES.csv"),
        "--correctivos",
        str(other / "CORRECTIVOS_ABIERTOS.csv"),
    ]
    assert batch.main(files) == 0
    assert "3 nuevas" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "rows", "code", "words"),
    [
        pytest.param([], None, 2, "No existe el fichero", id="no catalogue"),
        pytest.param([], [], 2, "ninguna fila", id="empty catalogue"),
        pytest.param(["--estricto"], [*ROWS, BAD], 2, ":32: DESCRIPCION", id="strict"),
        pytest.param(["--correctivos", "no.csv"], ROWS, 2, "no.csv", id="no such fixes"),
    ],
)
def test_wrong_input_is_exit_2(
    composed: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    rows: list[str] | None,
    code: int,
    words: str,
) -> None:
    if rows is not None:
        _resources(composed, *rows)
    assert batch.main(arguments) == code
    assert words in capsys.readouterr().err


def _closed_by_us(decision: str) -> Incident:
    note = write_mark("[SPAI] ", decision, FIRST_ROW, "cierre", "solución 0")
    history = [{"Fecha": "2025-01-01", "Autor": "Eva"}, {"Fecha": "2025-01-02", "NotasResolucion": note}]
    given = {
        "codIncidencia": "I-1",
        "solicitante": "Eva",
        "estado": "Resuelta",
        "descripcion": "no puedo ver mi póliza",
    }
    return Incident.model_validate(given | {"apertura": "2025-01-01", "historial": history})


def _desk(memory: MemoryDesk) -> Callable[[Settings], AbstractAsyncContextManager[Outside]]:
    @asynccontextmanager
    async def open_desk(settings: Settings) -> AsyncIterator[Outside]:
        yield Outside(memory, MemorySystem(), {})

    return open_desk


def test_closed_incidents_become_examples_and_stay_so_while_the_desk_is_away(
    composed: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    memory = MemoryDesk([_closed_by_us("d-01")])
    monkeypatch.setattr(core.example_source, "open_desk", _desk(memory))
    _resources(composed, *ROWS)
    assert batch.main([]) == 0
    assert "Ejemplos" not in capsys.readouterr().out

    closing = Record(id="d-01", incident="I-1", kind="cierre", phase=Phase.PROPOSED, entry=FIRST_ROW)
    with open_ledger(Database(composed.parent / "e")) as ledger:
        ledger.propose(closing)
        ledger.move("d-01", (Phase.PROPOSED,), Phase.CONFIRMED, closed_at="2025-01-02T00:00:00+00:00")
    assert batch.main([]) == 0
    told = capsys.readouterr().out
    assert "30 cambiadas" in told, "the first example moves the rows without any, too"
    assert "Ejemplos: 1 en 1 filas (0 de incidencias cuya fila dijo una persona, 1 de cierres" in told
    last = max((composed / "reportes").iterdir(), key=lambda path: path.stat().st_mtime_ns)
    assert json.loads(last.read_text("utf-8"))["ejemplos"] == {
        "filas": 1,
        "textos": 1,
        "de_personas": 0,
        "de_cierres": 1,
    }

    memory.fail_next("list_closed", Retryable(Reason.DESK_UNAVAILABLE))
    assert batch.main([]) == 0
    told = capsys.readouterr().out
    assert "30 iguales" in told
    assert "se quedan los ejemplos que había" in told

    assert batch.main(["--sin-ejemplos"]) == 0
    assert "30 cambiadas" in capsys.readouterr().out
    assert batch.main([]) == 0
    assert "30 cambiadas" in capsys.readouterr().out

    with open_ledger(Database(composed.parent / "e")) as ledger:
        ledger.label(closing, Label.REOPENED, "mesa")
    assert batch.main([]) == 0
    told = capsys.readouterr().out
    assert "30 cambiadas" in told
    assert "Ejemplos" not in told


@pytest.mark.faults
def test_a_folder_in_use_is_exit_3(composed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _resources(composed, *ROWS)
    with open_client(tmp_path / "vectores", None):
        assert batch.main([]) == 3
    assert "Otro proceso" in capsys.readouterr().err


@pytest.mark.faults
def test_ctrl_c(composed: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(*args: object) -> None:
        raise KeyboardInterrupt

    _resources(composed, *ROWS)
    monkeypatch.setattr(HashEmbedder, "passages", interrupted)
    assert batch.main([]) == 130
    assert "Interrumpido" in capsys.readouterr().err


def test_wrong_arguments_are_exit_2() -> None:
    with pytest.raises(SystemExit, match="2"):
        batch.main(["--nada"])


def test_help_loads_nothing_heavy() -> None:
    code = "import sys, batch\ntry: batch.main(['--help'])\nexcept SystemExit: pass\nprint(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert "--completo" in done.stdout
    assert "ejemplos:" in done.stdout
    for heavy in ("numpy", "pydantic", "qdrant_client", "rich"):
        assert f"'{heavy}'" not in done.stdout


# The work


def test_a_fix_that_is_in_the_catalogue_too(tmp_path: Path) -> None:
    folder = _resources(tmp_path / "r", "CORRECTIVO,se cae,,,,manual,", fixes="I,Se  cae,,\n")
    with pytest.raises(UsageError, match="está también en"):
        read_inputs(folder / "PROBLEMAS_GLOBALES.csv", folder / "CORRECTIVOS_ABIERTOS.csv")


def test_personal_data_in_a_solution_is_told(tmp_path: Path, knowledge: KnowledgeBase) -> None:
    folder = _resources(tmp_path / "r", "a,d,,escriba a ana@x.es,,cierre,", "a,e,,escriba a ana@x.es,,manual,")
    outcome = run_batch(read_inputs(folder / "PROBLEMAS_GLOBALES.csv", None), knowledge, tmp_path)
    [notice] = outcome.notices
    assert "«a: d»" in notice
    assert "ana@x.es" not in outcome.report.read_text("utf-8") + outcome.summary()
    assert f"Aviso: {notice}" in outcome.summary()


@pytest.mark.faults
def test_a_full_disk_while_the_report_is_written(
    tmp_path: Path, knowledge: KnowledgeBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = read_inputs(_resources(tmp_path / "r", *ROWS) / "PROBLEMAS_GLOBALES.csv", None)

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DependencyError, match=r"reporte_batch_.*no queda espacio"):
        run_batch(inputs, knowledge, tmp_path / "reportes")
    assert list((tmp_path / "reportes").iterdir()) == []
    assert len(knowledge.entries()) == 30


def test_rows_keep_their_examples_where_nothing_is_said_of_them(tmp_path: Path, knowledge: KnowledgeBase) -> None:
    """Reviewed rows are taken in without the desk."""
    inputs = read_inputs(_resources(tmp_path / "r", *ROWS) / "PROBLEMAS_GLOBALES.csv", None)
    run_batch(inputs, knowledge, tmp_path, examples=Examples({FIRST_ROW: ("no veo mi póliza",)}, said=1))
    assert run_batch(inputs, knowledge, tmp_path).build.unchanged == 30
    assert knowledge.entries()[FIRST_ROW].examples == ("no veo mi póliza",)
    assert run_batch(inputs, knowledge, tmp_path, full=True, examples=Examples()).build.changed == 30
    assert knowledge.entries()[FIRST_ROW].examples == ()


# Summaries


IDS = [
    CatalogueEntry(component="Pólizas", description=f"problema número{i}", resolution=Resolution.CLOSE).id
    for i in range(30)
]


def _wordings(text: str, count: int = 30) -> list[Wording]:
    return [Wording(text=text.format(i=i), entry_id=IDS[i]) for i in range(count)]


class _Model:
    """Summarises into other words; counts how often it was asked."""

    def __init__(self, failing: Exception | None = None) -> None:
        self.asked = 0
        self.failing = failing

    def __call__(self, text: str) -> str:
        self.asked += 1
        if self.failing:
            raise self.failing
        return "coloquial" + text.split("número")[1]


@pytest.mark.parametrize(
    ("said", "kept"), [("no va coloquial{i}", True), ("problema número{i}", False)], ids=["better", "not better"]
)
def test_summaries_are_kept_only_when_better(tmp_path: Path, knowledge: KnowledgeBase, said: str, kept: bool) -> None:
    inputs = read_inputs(_resources(tmp_path / "r", *ROWS) / "PROBLEMAS_GLOBALES.csv", None)
    model, seen = _Model(), []
    outcome = run_batch(
        inputs, knowledge, tmp_path, summarise=model, wordings=_wordings(said), progress=lambda *step: seen.append(step)
    )
    assert outcome.trial is not None
    assert outcome.trial.kept is kept
    assert all(bool(entry.summary) is kept for entry in knowledge.entries().values())
    assert ("Resumiendo", 30, 30) in seen
    assert ("Guardando", 30, 30) in seen
    assert "MRR" in outcome.summary()
    assert json.loads(outcome.report.read_text("utf-8"))["resumenes"]["conservados"] is kept
    assert model.asked == 30

    again = run_batch(inputs, knowledge, tmp_path, summarise=model, wordings=_wordings(said))
    assert again.build.unchanged == 30
    assert model.asked == (30 if kept else 60)


def test_without_enough_wordings_the_model_is_not_asked(tmp_path: Path, knowledge: KnowledgeBase) -> None:
    inputs = read_inputs(_resources(tmp_path / "r", *ROWS) / "PROBLEMAS_GLOBALES.csv", None)
    model = _Model()
    strangers = [Wording(text="x", entry_id="otra")] * 30
    outcome = run_batch(inputs, knowledge, tmp_path, summarise=model, wordings=[*_wordings("{i}", 19), *strangers])
    assert outcome.trial is not None
    assert "hay 19" in outcome.trial.why
    assert model.asked == 0


@pytest.mark.faults
def test_a_model_that_fails_on_rows_or_altogether(tmp_path: Path, knowledge: KnowledgeBase) -> None:
    inputs = read_inputs(_resources(tmp_path / "r", *ROWS) / "PROBLEMAS_GLOBALES.csv", None)
    wordings = _wordings("x{i}")
    unreadable = _Model(Terminal(Reason.MODEL_UNPARSEABLE))
    outcome = run_batch(inputs, knowledge, tmp_path, summarise=unreadable, wordings=wordings)
    assert outcome.trial is not None
    assert outcome.trial.failed == 30
    assert not outcome.trial.kept
    down = _Model(Retryable(Reason.MODEL_UNAVAILABLE))
    with pytest.raises(DependencyError, match="sin --resumir"):
        run_batch(inputs, knowledge, tmp_path, summarise=down, wordings=wordings)


def test_wordings_are_read_from_their_file(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    assert read_wordings(path) == []
    path.write_text("TEXTO;COMPONENTE;DESCRIPCION\nno va;Pólizas;problema número3\n;a;b\n", "utf-8")
    assert read_wordings(path) == [Wording(text="no va", entry_id=IDS[3])]


# The bar


def test_a_bar_only_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    with terminal.progress_bar() as show:
        assert show is None
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with terminal.progress_bar() as show:
        assert show is not None
        show("Guardando", 1, 2)
        show("Guardando", 2, 2)
