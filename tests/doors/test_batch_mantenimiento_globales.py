"""batch_mantenimiento_globales.py over doubles: what it writes, what it says, the exit codes."""

import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

import batch_mantenimiento_globales as door
from api.memory import MemoryDesk
from core.batch import CATALOGUE
from core.catalogue import CatalogueEntry, Resolution, read_catalogue, write_catalogue
from core.errors import Retryable, StageError
from core.incident import Incident
from core.judgement import Calibration, versions
from core.knowledge import KnowledgeBase, open_client
from core.ports import Capabilities, Suggestion
from core.reason import Reason
from tests.core.hash_embedder import HashEmbedder

ROOT = Path(__file__).parents[2]
ROWS = [
    CatalogueEntry(component="Correo", description=text, solution="vacíelo", resolution=Resolution.CLOSE)
    for text in ("el buzón del correo está lleno", "el correo no llega a la bandeja", "la firma sale sin logotipo")
]
PASS = Calibration(
    embeddings="e5+use+minilm",
    judge="doble",
    prompt="",
    intercept=-6.0,
    logit=1.0,
    logit_range=(-8, 8),
    scores={"bm25": 1.0},
)


class Tasks:
    """Judges by shared words; suggests one row."""

    capabilities = Capabilities()
    concurrency = 1
    model_name = "double"

    def __init__(self) -> None:
        self.error: StageError | None = None

    async def judge(self, incident: str, candidates: Sequence[str]) -> list[float]:
        words = set(incident.casefold().split())
        return [8.0 if len(words & set(text.casefold().split())) > 3 else -8.0 for text in candidates]

    async def suggest(self, incident: str, resolution: str, components: Sequence[str]) -> Suggestion:
        if self.error:
            raise self.error
        return Suggestion(
            component="Fichaje",
            description="El fichaje marca otra hora",
            incident_type="Error",
            solution="Ajuste la zona horaria",
            resolution="cierre",
        )


def _closed(code: str, description: str, resolution: str = "Se ajusta la zona horaria") -> Incident:
    date = f"{datetime.now().astimezone() - timedelta(days=9):%d/%m/%Y %H:%M}"
    note = {"Fecha": date, "Autor": "Soporte", "NotasResolucion": resolution}
    return Incident.model_validate(
        {"codIncidencia": code, "estado": "Cerrada", "descripcion": description, "historial": [note]}
    )


@dataclass
class Setup:
    resources: Path
    state: Path
    desk: MemoryDesk
    tasks: Tasks = field(default_factory=Tasks)

    def build(self, rows: Sequence[CatalogueEntry] = ROWS) -> None:
        with open_client(self.state / "qdrant", None) as client:
            KnowledgeBase(client, _embedder()).build(rows)

    def stored(self) -> Mapping[str, CatalogueEntry]:
        with open_client(self.state / "qdrant", None) as client:
            return KnowledgeBase(client, _embedder()).entries()


def _embedder() -> HashEmbedder:
    return HashEmbedder({"e5": 16, "use": 24})


@pytest.fixture
def setup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Setup:
    """`core.build` without models or servers, everything under `tmp_path`."""
    desk = MemoryDesk(
        [
            _closed("INC-1", "el buzón del correo está lleno", "Se vacía el buzón"),
            _closed("INC-2", "la máquina de fichar marca otra hora"),
        ]
    )
    made = Setup(tmp_path / "r", tmp_path / "e", desk)

    @contextmanager
    def open_knowledge(settings: object, embedder: object = None) -> Iterator[KnowledgeBase]:
        with open_client(made.state / "qdrant", None) as client:
            yield KnowledgeBase(client, _embedder())

    @asynccontextmanager
    async def open_tasks(settings: object) -> AsyncIterator[Tasks]:
        yield made.tasks

    @asynccontextmanager
    async def open_desk(settings: object) -> AsyncIterator[SimpleNamespace]:
        yield SimpleNamespace(desk=desk)

    module = ModuleType("core.build")
    module.__dict__.update(
        open_knowledge=open_knowledge, open_tasks=open_tasks, open_desk=open_desk, open_embedder=lambda s: _embedder()
    )
    monkeypatch.setitem(sys.modules, "core.build", module)
    monkeypatch.setattr(versions, "load_calibration", lambda embeddings: PASS)
    monkeypatch.setenv("DIRECTORIO_RECURSOS", str(made.resources))
    monkeypatch.setenv("DIRECTORIO_ESTADO", str(made.state))
    write_catalogue(made.resources / CATALOGUE, ROWS)
    return made


def test_mined_reviewed_and_applied(setup: Setup, capsys: pytest.CaptureFixture[str]) -> None:
    setup.build()
    catalogue = (setup.resources / CATALOGUE).read_bytes()
    assert door.main([]) == 0
    told = capsys.readouterr().out
    assert "1 de problemas conocidos, 0 dudosas, 1 de problemas nuevos" in told
    assert "Incidencias (1): INC-2" in told
    [proposals] = setup.resources.glob("PROBLEMAS_GLOBALES_????????.csv")
    [report] = (setup.resources / "reportes").glob("reporte_mantenimiento_globales_????????.json")
    content = json.loads(report.read_text("utf-8"))
    assert content["conocidas"][0]["codIncidencia"] == "INC-1"
    assert content["fichero_propuestas"] == str(proposals)
    assert (setup.resources / CATALOGUE).read_bytes() == catalogue
    assert len(setup.stored()) == 3

    assert door.main(["--aplicar", str(proposals)]) == 0
    told = capsys.readouterr().out
    assert "1 filas nuevas, 0 cambiadas" in told
    assert len(read_catalogue(setup.resources / CATALOGUE).entries) == 4
    assert {entry.description for entry in setup.stored().values()} > {"El fichaje marca otra hora"}
    [copy] = (setup.state / "copias").iterdir()
    assert copy.read_bytes() == catalogue


@pytest.mark.faults
def test_a_model_that_fails_is_exit_1(setup: Setup, capsys: pytest.CaptureFixture[str]) -> None:
    setup.build()
    setup.tasks.error = Retryable(Reason.MODEL_TIMEOUT)
    assert door.main(["--meses", "1"]) == 1
    assert "Con error (INC-2): el modelo ha tardado demasiado" in capsys.readouterr().out
    assert list(setup.resources.glob("PROBLEMAS_GLOBALES_*.csv")) == []


@pytest.mark.faults
def test_without_a_knowledge_base_nothing_is_proposed(setup: Setup, capsys: pytest.CaptureFixture[str]) -> None:
    assert door.main([]) == 3
    assert "python batch.py" in capsys.readouterr().err
    assert [path.name for path in setup.resources.rglob("*")] == [CATALOGUE]


@pytest.mark.faults
def test_a_desk_that_is_down_is_exit_3(setup: Setup, capsys: pytest.CaptureFixture[str]) -> None:
    setup.build()
    setup.desk.fail_next("list_closed", Retryable(Reason.DESK_UNAVAILABLE))
    assert door.main([]) == 3
    assert "mesa" in capsys.readouterr().err
    assert [path.name for path in setup.resources.rglob("*")] == [CATALOGUE]


def test_a_bad_reviewed_row_is_exit_2(setup: Setup, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (setup.resources / CATALOGUE).read_text("utf-8")
    (tmp_path / "mal.csv").write_text(text + "a,,,,,cierre,\r\nb,c,,,,borrar,\r\n", "utf-8")
    assert door.main(["--aplicar", str(tmp_path / "mal.csv")]) == 2
    told = capsys.readouterr().err
    assert "mal.csv:5: DESCRIPCION" in told
    assert "mal.csv:6: RESOLUCION" in told
    assert "No se ha cambiado nada" in told
    assert door.main(["--aplicar", str(tmp_path / "no.csv")]) == 2


@pytest.mark.faults
def test_ctrl_c(setup: Setup, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(door, "_run", interrupted)
    assert door.main([]) == 130
    assert "Interrumpido" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [["--meses", "0"], ["--meses", "121"], ["--meses", "tres"], ["--meses", "2", "--aplicar", "x.csv"], ["--nada"]],
    ids=" ".join,
)
def test_wrong_arguments_are_exit_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        door.main(arguments)


def test_help_teaches_and_loads_nothing_heavy() -> None:
    code = "import sys, batch_mantenimiento_globales as d\ntry: d.main(['--help'])\nexcept SystemExit: pass\n"
    code += "print(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    for words in ("--aplicar", "ejemplos:", "cómo se usa:", "códigos de salida:"):
        assert words in done.stdout
    for heavy in ("numpy", "pydantic", "qdrant_client", "rich", "asyncio"):
        assert f"'{heavy}'" not in done.stdout
