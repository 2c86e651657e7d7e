"""main.py and core/session.py: the exit codes, what is shown where, one run at a time, and stopping."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from langchain_core.messages import BaseMessage

import core.build
import core.session
import main
from api.memory import MemoryDesk, MemorySystem
from config import Settings
from core.build import Outside, open_database, open_knowledge
from core.catalogue import CatalogueEntry, Resolution
from core.decision import Decision
from core.errors import Retryable
from core.evidence import Evidence
from core.incident import Incident
from core.judgement import load_calibration
from core.judgement.cases import judged_of
from core.ledger import JUDGED_WITH, Hindsight, Label, Phase, Record, open_ledger
from core.pipeline import Pipeline
from core.ports import Capabilities, DeskListing, Embedder
from core.reason import Reason
from core.report import IncidentResult
from llm.scripted import Said, Script, scripted_provider
from llm.tasks import ModelTasks
from tests.core.hash_embedder import HashEmbedder

ROOT = Path(__file__).parents[2]
ROWS = [
    CatalogueEntry(component="Correo", description="buzón lleno", solution="Vacíelo.", resolution=Resolution.CLOSE),
    *[
        CatalogueEntry(component="Otros", description=f"cosa{n} rara{n}", solution=f"s{n}", resolution=Resolution.CLOSE)
        for n in range(9)
    ],
]


def _incident(code: str, text: str) -> Incident:
    return Incident(code=code, title=text, description=text, status="Abierta")


# Without any part


def _python(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if name.lower() not in Settings.model_fields}
    command = [sys.executable, str(ROOT / "main.py"), *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, env=clean | environment, cwd=ROOT
    )


@pytest.mark.slow
def test_help_is_quick() -> None:
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        told = _python("--help")
        seconds.append(time.perf_counter() - start)
        assert told.returncode == 0
        assert "--simular" in told.stdout
        assert "códigos de salida" in told.stdout
    assert min(seconds) < 0.5


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["--nada"], id="unknown"),
        pytest.param(["--limite", "0"], id="limit of none"),
        pytest.param(["--limite", "dos"], id="limit in words"),
        pytest.param(["--concurrencia", "-1"], id="negative hands"),
        pytest.param(["--incidencia"], id="code missing"),
        pytest.param(["--historico"], id="replay in earnest"),
        pytest.param(["--historico", "--trabajador"], id="replay by a worker"),
        pytest.param(["--simular", "--meses", "3"], id="months of nothing"),
        pytest.param(["--simular", "--historico", "--meses", "0"], id="no months"),
    ],
)
def test_wrong_arguments_are_exit_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main.main(arguments)
    assert caught.value.code == 2
    assert "error" in capsys.readouterr().err


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Everything under `tmp_path`, no model anywhere."""
    monkeypatch.setenv("DIRECTORIO_ESTADO", str(tmp_path / "e"))
    monkeypatch.setenv("DIRECTORIO_RECURSOS", str(tmp_path / "r"))
    monkeypatch.setattr(core.build, "open_embedder", _embedder)
    return tmp_path


def _embedder(settings: Settings) -> Embedder:
    return HashEmbedder({"e5": 32, "use": 48})


@pytest.fixture
def knowledge(folders: Path) -> None:
    settings = Settings()
    with open_knowledge(settings, _embedder(settings)) as base:
        base.build(ROWS)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param("CRITIC_APPROVAL_THRESHOLD", "101", id="out of range"),
        pytest.param("MOCK_GESTOR_URL", "gestor:80", id="no URL"),
        pytest.param("ENTORNO", "CASA", id="unknown word"),
    ],
)
def test_wrong_settings_are_exit_2(
    name: str, value: str, folders: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(name, value)
    assert main.main([]) == 2
    assert name in capsys.readouterr().err


def test_no_knowledge_base_is_exit_3(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main([]) == 3
    told = capsys.readouterr()
    assert "`python batch.py`" in told.err
    assert told.out == ""


@pytest.mark.usefixtures("knowledge")
def test_two_at_once(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with FileLock(folders / "e" / "main.lock"):
        assert main.main([]) == 3
    told = capsys.readouterr().err
    assert "Otra ejecución" in told
    assert str(folders / "e") in told


# With a scripted model


def _script(messages: Sequence[BaseMessage]) -> Said:
    """Sure that it is the same problem when incident and row both speak of a mailbox that is full."""
    if "¿Es el mismo problema?" not in messages[-1].text:
        return Said('{"consulta": "otras palabras"}')
    same = messages[-1].text.count("buzón lleno") >= 2
    return Said("sí" if same else "no", logprobs={"sí": -0.01, "no": -5.0} if same else {"sí": -5.0, "no": -0.01})


@pytest.fixture
def scripted(knowledge: None, monkeypatch: pytest.MonkeyPatch) -> Script:
    """The run's own parts, but for the model."""
    script = Script(_script)

    @asynccontextmanager
    async def open_tasks(settings: Settings) -> AsyncIterator[ModelTasks]:
        yield ModelTasks(scripted_provider(script, capabilities=Capabilities(logprobs=True)))

    monkeypatch.setattr(core.build, "open_tasks", open_tasks)
    return script


@pytest.fixture
def desk(scripted: Script, monkeypatch: pytest.MonkeyPatch) -> MemoryDesk:
    """A desk in memory in the place of the demo one."""
    memory = MemoryDesk([_incident("INC-1", "buzón lleno"), _incident("INC-2", "nada que ver con esto")])

    @asynccontextmanager
    async def open_desk(settings: Settings) -> AsyncIterator[Outside]:
        yield Outside(memory, MemorySystem(), {})

    monkeypatch.setattr(core.build, "open_desk", open_desk)
    return memory


@pytest.mark.faults
@pytest.mark.usefixtures("scripted")
def test_a_desk_that_is_down_is_exit_3(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    for name, value in (("MOCK_GESTOR_URL", url), ("MOCK_SISTEMA_URL", url), ("HTTP_REINTENTOS", "1")):
        monkeypatch.setenv(name, value)
    assert main.main([]) == 3
    assert url in capsys.readouterr().err


def test_it_works_the_queue_shows_and_reports(
    desk: MemoryDesk, folders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main([]) == 0
    told = capsys.readouterr().out
    assert "1 resueltas automáticamente, 1 para una persona" in told
    [(code, change, _)] = desk.changes
    assert code == "INC-1"
    assert "Vacíelo." in (change.notes or "")
    [report] = (folders / "r" / "reportes").iterdir()
    content = json.loads(report.read_text("utf-8"))
    assert content["resumen"]["modelo"] == "scripted"
    assert content["resumen"]["umbral"] == 75
    assert {r["codIncidencia"]: r["resultado"] for r in content["incidencias"]} == {
        "INC-1": "automatica",
        "INC-2": "humano",
    }
    assert report.name in told.replace("\n", "")


def _outcomes(settings: Settings, count: int, approval: int, judge: str = "scripted", **fields: Any) -> None:
    """Right outcomes of earlier decisions, by the calibration in force."""
    fit = load_calibration(settings.embedding_model)
    made = {"tipo": "cierre", "calibracion": fit.fingerprint, "juez": judge}
    evidence = json.dumps({"logit": 1.0, **asdict(Evidence()), JUDGED_WITH: made})
    given = {"kind": "cierre", "phase": Phase.INTENDED, "entry": "e1", "evidence": evidence, "approval": approval}
    with open_ledger(open_database(settings)) as ledger:
        for number in range(count):
            record = Record.model_validate({"id": f"d-{approval}-{number}", "incident": f"V-{number}"} | given | fields)
            ledger.intend(record, again=(), caps={})
            ledger.label(record, Label.RIGHT, "ana")


@pytest.mark.usefixtures("desk")
@pytest.mark.parametrize(
    ("judge", "threshold", "told"),
    [
        pytest.param("scripted", 100, "certificado: 0 equivocadas en 60; riesgo de 4.9 % como mucho", id="certified"),
        pytest.param("otro", 75, "sin certificar: no hay resultados etiquetados que valgan", id="nothing usable"),
    ],
)
def test_the_allowed_risk_sets_the_threshold_of_the_run(
    judge: str,
    threshold: int,
    told: str,
    folders: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("RIESGO_MAXIMO", "0.05")
    _outcomes(Settings(), 60, 100, judge)
    assert main.main([]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert f"Umbral: {threshold}, {told}" in shown
    assert ("RIESGO_MAXIMO=0.05 no está garantizado" in shown) is (threshold == 75)
    [report] = (folders / "r" / "reportes").iterdir()
    summary = json.loads(report.read_text("utf-8"))["resumen"]
    assert summary["umbral"] == threshold
    assert summary["riesgo"]["maximo"] == 0.05
    assert summary["riesgo"]["umbrales"][0]["umbral"] == threshold


@pytest.mark.usefixtures("desk")
def test_what_a_run_found_is_kept_for_labels(folders: Path) -> None:
    assert main.main([]) == 0
    with open_ledger(open_database(Settings())) as ledger:
        found = {one.incident: judged_of(one) for one in Hindsight(ledger).recent(9)}
    acted, left = found["INC-1"], found["INC-2"]
    assert (acted.acted, acted.kind, acted.judge) == (True, "cierre", "scripted")
    assert left.acted is False
    fit = load_calibration("e5+use+minilm")
    assert acted.evidence is not None
    assert fit.approval(acted.evidence, acted.logit) == acted.approval
    assert acted.calibration == fit.fingerprint


def test_a_broken_calibration_stops_the_start(
    desk: MemoryDesk, folders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folders / "e" / "calibraciones").mkdir()
    (folders / "e" / "calibraciones" / "en_vigor.json").write_text('{"e5+use+minilm": "v0007"}', "utf-8")
    assert main.main([]) == 2
    told = capsys.readouterr().err
    assert "v0007.json no se puede leer" in told
    assert "python -m core.judgement volver" in told
    assert desk.changes == []


def test_json_is_all_there_is_on_the_output(desk: MemoryDesk, capfd: pytest.CaptureFixture[str]) -> None:
    assert main.main(["--json", "--incidencia", "INC-1"]) == 0
    told = capfd.readouterr()
    assert [r["codIncidencia"] for r in json.loads(told.out)["incidencias"]] == ["INC-1"]
    assert "Hecho por el sistema" in told.err


def test_a_simulation_changes_nothing(desk: MemoryDesk, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["--simular", "--limite", "1"]) == 0
    assert desk.changes == []
    assert "Se habría hecho" in capsys.readouterr().out


# Closed incidents decided again


def _solved(code: str, text: str, **last: str) -> Incident:
    """Closed by a person an hour after it was opened, this very day."""
    now = datetime.now().astimezone()
    asked = {"Fecha": now.isoformat(), "Autor": "Eva Mora", "buzonAsignado": "CAU", "estado": "Abierta"}
    done = {"Autor": "Luis", "NotasResolucion": "Borrado lo de Eva Mora", "estado": "Cerrada", "buzonAsignado": "CAU"}
    return Incident.model_validate(
        {
            "codIncidencia": code,
            "buzon": last.get("buzonAsignado", "CAU"),
            "titulo": text,
            "solicitante": "Eva Mora",
            "estado": "Cerrada",
            "apertura": now.isoformat(),
            "descripcion": text,
            "historial": [asked, done | {"Fecha": (now + timedelta(hours=1)).isoformat()} | last],
        }
    )


@pytest.fixture
def past(scripted: Script, monkeypatch: pytest.MonkeyPatch) -> MemoryDesk:
    """A desk with nothing open: one closed, one sent elsewhere, one of no known problem, one nobody touched."""
    untouched = _solved("INC-4", "buzón lleno").model_copy(update={"history": ()})
    memory = MemoryDesk(
        [
            _solved("INC-1", "buzón lleno"),
            _solved("INC-2", "buzón lleno otra vez", buzonAsignado="WEB"),
            _solved("INC-3", "nada que ver con esto"),
            untouched,
        ]
    )

    @asynccontextmanager
    async def open_desk(settings: Settings) -> AsyncIterator[Outside]:
        yield Outside(memory, MemorySystem(), {}, closed_rows={"INC-1": "buzón lleno"})

    monkeypatch.setattr(core.build, "open_desk", open_desk)
    return memory


def test_closed_incidents_are_decided_again_and_nothing_is_changed(
    past: MemoryDesk, folders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = past._incidents.copy()
    assert main.main(["--simular", "--historico"]) == 0
    told = capsys.readouterr().out
    assert "Se habrían hecho solas: 2 de 3" in told
    assert "1 correctas, 0 equivocadas" in told
    assert "Mire primero (1 discrepancias)" in told
    [path] = (folders / "r" / "reportes").iterdir()
    content = json.loads(path.read_text("utf-8"))
    assert path.name.startswith("reporte_historico_")
    assert [item["codIncidencia"] for item in content["discrepancias"]] == ["INC-2"]
    assert content["discrepancias"][0]["hicieron"]["buzon"] == "WEB"
    assert content["discrepancias"][0]["hicieron"]["nota"] == "Borrado lo de <PERSONA_1>"
    assert "Eva" not in path.read_text("utf-8")
    assert content["historico"]["omitidas"] == {"SIN_HUELLA": 1}
    assert (past.changes, past._incidents) == ([], before)
    left = {entry.name for entry in (folders / "e").iterdir()}
    assert "historico_a_medias.jsonl" not in left
    assert not (folders / "r" / "rejected").exists()
    with open_ledger(open_database(Settings())) as ledger:
        assert all(ledger.of_incident(f"INC-{n}") == [] for n in range(1, 5))
    assert not {"cola.db", "cola.sqlite3"} & left


def test_what_people_did_is_not_seen(past: MemoryDesk, scripted: Script, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["--simular", "--historico", "--json"]) == 0
    told = capsys.readouterr()
    assert json.loads(told.out)["historico"]["decididas"] == 3
    assert "Mire primero" in told.err
    assert scripted.asked
    assert "Borrado" not in "".join(message.text for messages in scripted.asked for message in messages)


@pytest.mark.parametrize(
    ("arguments", "decided"),
    [
        pytest.param(["--limite", "1"], 1, id="limit"),
        pytest.param(["--incidencia", "INC-3"], 1, id="one"),
        pytest.param(["--buzon", "OTRO"], 0, id="mailbox"),
        pytest.param(["--meses", "1", "--buzon", "CAU"], 3, id="months"),
    ],
)
@pytest.mark.usefixtures("past")
def test_some_of_them(arguments: list[str], decided: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["--simular", "--historico", "--json", *arguments]) == 0
    assert json.loads(capsys.readouterr().out)["historico"]["decididas"] == decided


@pytest.mark.parametrize(("code", "why"), [("INC-4", "no dice qué hizo nadie"), ("INC-404", "¿está cerrada?")])
@pytest.mark.usefixtures("past")
def test_one_that_cannot_be_compared_is_exit_2(code: str, why: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["--simular", "--historico", "--incidencia", code]) == 2
    assert why in capsys.readouterr().err


def test_a_replay_cut_short_is_taken_up(
    past: MemoryDesk, folders: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    worked, work = list[str](), Pipeline.work

    async def work_then_stop(self: Pipeline, incident: Incident) -> tuple[IncidentResult, Decision]:
        worked.append(incident.code)
        if len(worked) == 1:
            os.kill(os.getpid(), signal.SIGINT)
            for _ in range(9):  # the loop takes a few turns to hear of a signal
                await asyncio.sleep(0)
        return await work(self, incident)

    monkeypatch.setattr(Pipeline, "work", work_then_stop)
    assert main.main(["--simular", "--historico", "--concurrencia", "1"]) == 0
    assert "Sin empezar: 2" in capsys.readouterr().out
    assert len(worked) == 1
    assert main.main(["--simular", "--historico", "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["resumen"]["retomadas"] == 1
    assert content["historico"]["decididas"] == 3
    assert len(worked) == len(set(worked)) == 3
    assert not (folders / "e" / "historico_a_medias.jsonl").exists()


@pytest.mark.usefixtures("past")
def test_a_replay_and_a_run_exclude_each_other(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with FileLock(folders / "e" / "main.lock"):
        assert main.main(["--simular", "--historico"]) == 3
    assert "Otra ejecución" in capsys.readouterr().err


def test_an_incident_that_failed_is_exit_1(desk: MemoryDesk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.fail_next("read", Retryable(Reason.DESK_UNAVAILABLE), times=9)
    assert main.main(["--limite", "1"]) == 1
    assert "1 con error" in capsys.readouterr().out


def test_an_unknown_incident_is_exit_2(desk: MemoryDesk, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["--incidencia", "INC-404"]) == 2
    assert "INC-404" in capsys.readouterr().err


@pytest.mark.usefixtures("desk")
def test_a_run_leaves_the_folder_to_the_next(folders: Path) -> None:
    assert main.main(["--simular"]) == 0
    assert main.main(["--simular"]) == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_a_stop_counts_what_is_left(
    number: signal.Signals, desk: MemoryDesk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    read, sent = desk.read, list[int]()

    async def read_then_stop(code: str) -> Incident:
        if not sent:
            sent.append(number)
            os.kill(os.getpid(), number)
            for _ in range(9):  # the loop takes a few turns to hear of a signal
                await asyncio.sleep(0)
        return await read(code)

    monkeypatch.setattr(desk, "read", read_then_stop)
    assert main.main(["--concurrencia", "1"]) == 0
    told = capsys.readouterr()
    assert "Termino lo que está en curso" in told.err
    assert "Sin empezar: 1" in told.out
    assert [code for code, *_ in desk.changes] == ["INC-1"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_worker_works_until_told_to_stop(
    desk: MemoryDesk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It looks at the desk again and again; what is there already is not worked again."""
    listing, looks = desk.list_open, list[int]()

    async def listed(mailbox: str | None = None) -> DeskListing:
        looks.append(1)
        if len(looks) == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        return await listing(mailbox)

    monkeypatch.setattr(desk, "list_open", listed)
    monkeypatch.setenv("INTERVALO_MESA", "1")
    assert main.main(["--trabajador"]) == 0
    assert "1 resueltas automáticamente, 1 para una persona" in capsys.readouterr().out
    assert [code for code, *_ in desk.changes] == ["INC-1"]


def test_a_second_run_has_nothing_left_to_do(desk: MemoryDesk, folders: Path) -> None:
    assert main.main([]) == 0
    assert main.main([]) == 0
    last = sorted((folders / "r" / "reportes").iterdir(), key=lambda path: path.stat().st_mtime_ns)[-1]
    assert json.loads(last.read_text("utf-8"))["incidencias"] == []
    assert len(desk.changes) == 1


@pytest.mark.usefixtures("folders")
def test_a_second_ctrl_c_cuts(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    async def interrupted(*parts: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(core.session, "work_desk", interrupted)
    assert main.main([]) == 130
    assert "repita la orden" in capsys.readouterr().err
