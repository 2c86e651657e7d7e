"""core/story: everything known of an incident is told, in order, and nothing that it says itself."""

import csv
import json
import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from config import Settings, load_settings
from core.database import Database
from core.errors import DependencyError, UsageError
from core.ledger import Label, Phase, Record, open_ledger
from core.past_work import PastStep, PastWork, past_work
from core.reason import Reason
from core.rejected import COLUMNS
from core.report import IncidentResult, Result
from core.story import Source, Story
from core.story.sources import ledger_events, queue_events
from core.story.telling import gather, tell
from llm.history import Call, History
from llm.history.reading import calls_of

CODE = "INC-7"
ROW = "PORTAL"


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    return load_settings(directorio_estado=tmp_path / "estado", directorio_recursos=tmp_path / "recursos")


def _log(settings: Settings, *lines: dict[str, Any]) -> None:
    folder = settings.directorio_estado / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps({"incident": CODE, "run": "r1", **line}) + "\n" for line in lines)
    (folder / "spai.jsonl").write_text(text, encoding="utf-8")


def _at(second: float) -> str:
    return datetime.fromtimestamp(1_700_000_000 + second, UTC).isoformat(timespec="milliseconds")


def _decide(settings: Settings, *labels: Label, phase: Phase = Phase.CONFIRMED, **fields: Any) -> None:
    seconds = datetime.fromtimestamp(1_700_000_003, UTC).isoformat(timespec="seconds")
    record = Record(
        id="d-1", incident=CODE, kind="cierre", phase=phase, run="r1", created=seconds, approval=80, entry="f-1",
        evidence='{"logit": 1.5, "otras": ["f-2"]}', autonomy="automatica", **fields,
    )  # fmt: skip
    with open_ledger(Database(settings.directorio_estado)) as ledger:
        ledger.intend(record, again=(), caps={})
        ledger.move("d-1", (Phase.INTENDED,), phase, sent_at=seconds, closed_at=seconds)
        for label in labels:
            ledger.label(record, label, "ana.perez", "no era esa")


def _call(settings: Settings, second: float, **fields: Any) -> None:
    known = {"module": "relevance", "provider": "embedded", "model": "m", "prompt": "texto del prompt"}
    with History(settings.directorio_historico) as history:
        history.record(
            Call(**known, input="pregunta secreta", output="Sí", time=_at(second), incident=CODE, run="r1", **fields)
        )


def _reject(settings: Settings, second: int, code: str = CODE, name: str = "rejected20270115.csv") -> None:
    folder = settings.directorio_recursos / "rejected"
    folder.mkdir(parents=True, exist_ok=True)
    row = dict.fromkeys(COLUMNS, "") | {
        "FECHA": datetime.fromtimestamp(1_700_000_000 + second, UTC).isoformat(timespec="seconds"),
        "EJECUCION": "r1", "INCIDENCIA": code, "INTENTO": "1", "DESCRIPCION": ROW, "APROBACION": "40",
        "UMBRAL": "65", "MOTIVO": "BELOW_THRESHOLD", "CRITICA": "casi ninguna palabra en común",
    }  # fmt: skip
    with (folder / name).open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS)
        writer.writeheader()
        writer.writerow(row)


def _heads(story: Story) -> list[str]:
    return [event.que for event in story.eventos]


def test_all_sources_are_told_in_order(settings: Settings) -> None:
    _log(
        settings,
        {"time": _at(1), "action": "stage_done", "stage": "search", "ms": 80},
        {"time": _at(1.2), "action": "stage_done", "stage": "choose", "ms": 0.1},
        {"time": _at(1.5), "action": "model_called", "task": "relevance", "ms": 900},
        {"time": _at(2), "action": "judged", "row": "f-1", "approval": 80, "logit": 1.5, "bm25": 0.2, "attempt": 1},
        {"time": _at(3.2), "action": "change_confirmed", "decision": "d-1"},
        {"time": _at(3.3), "action": "incident_done", "result": "automatica", "reason": "APPROVED", "approval": 80,
         "search_ms": 80, "act_ms": 0, "confirmed": True, "problem": ROW},
    )  # fmt: skip
    _decide(settings, Label.REOPENED)
    _call(settings, 1.1, milliseconds=900.4, input_tokens=200, output_tokens=1, logit=1.51234)
    _reject(settings, 2)
    story = gather(settings, CODE)
    assert _heads(story)[:-1] == [
        "Etapa terminada",
        "Llamada al modelo: relevance",
        "Candidato juzgado",
        "Lo que dice el crítico",
        "Decisión: cierre",
        "Se envía el cambio a la mesa",
        "Cierre confirmado",
        "La mesa confirma el cambio",
        "Terminada",
    ]
    facts = {event.que: event.datos for event in story.eventos}
    assert facts["Etapa terminada"] == {"etapa": "búsqueda", "ms": 80}
    assert facts["Candidato juzgado"].items() >= {"fila": "f-1", "aprobación": 80, "juicio": 1.5, "BM25": 0.2}.items()
    assert facts["Llamada al modelo: relevance"].items() >= {"tokens": "200 + 1", "juicio": 1.512, "ms": 900}.items()
    assert len(str(facts["Llamada al modelo: relevance"]["prompt"])) == 12
    assert facts["Decisión: cierre"]["señales"] == "logit 1.5"
    assert facts["Decisión: cierre"]["otras"] == "f-2"
    assert facts["Terminada"]["etapas"] == "búsqueda 80 ms"
    assert facts["Terminada"]["fila"] == ROW
    assert facts["Lo que dice el crítico"]["aprobación"] == "40 de 65"
    assert story.situacion == (
        "Resultado: automatica (aprobada por el crítico, aprobación 80)",
        "Última decisión: cierre (d-1), confirmada por la mesa",
        "Desenlace: reabierta",
    )
    assert story.avisos == ()


def test_neither_texts_nor_names_are_told(settings: Settings) -> None:
    _decide(settings, Label.REVERTED)
    _call(settings, 1)
    told = gather(settings, CODE).model_dump_json()
    assert not [word for word in ("ana.perez", "pregunta secreta", "texto del prompt", "Sí") if word in told]
    assert "según una persona" in told


def test_another_incident_is_another_story(settings: Settings) -> None:
    _decide(settings)
    _reject(settings, 1, code="INC-70")
    for other in ("INC", "INC-70x", "INC-7 "):
        with pytest.raises(UsageError, match="No se sabe nada"):
            gather(settings, other)
    assert "Lo que dice el crítico" not in _heads(gather(settings, CODE))


def test_an_unknown_code_makes_nothing(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Compruebe el código"):
        gather(settings, CODE)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("phase", "words"),
    [(Phase.PROPOSED, "espera a que una persona"), (Phase.UNKNOWN, "no se sabe"), (Phase.UNDONE, "deshecha después")],
)
def test_how_it_stands(settings: Settings, phase: Phase, words: str) -> None:
    _decide(settings, phase=phase)
    assert words in gather(settings, CODE).situacion[0]


def test_a_lost_log_is_said(settings: Settings) -> None:
    _decide(settings)
    assert "no tiene líneas suyas" in gather(settings, CODE).avisos[0]


def test_a_line_of_a_kind_it_does_not_know_is_told_in_its_own_words(settings: Settings) -> None:
    _log(settings, {"time": _at(1), "action": "novedad", "message": "pasa algo", "extraño": 3, "nested": {"no": 1}})
    [event] = gather(settings, CODE).eventos
    assert (event.que, event.datos, event.ejecucion) == ("pasa algo", {"extraño": 3}, "r1")


def test_what_cannot_be_read_does_not_hide_the_rest(settings: Settings) -> None:
    _decide(settings)
    settings.directorio_historico.mkdir(parents=True)
    (settings.directorio_historico / "historico.db").write_bytes(b"no es SQLite" * 500)
    folder = settings.directorio_recursos / "rejected"
    folder.mkdir(parents=True)
    (folder / "rejected20270101.csv").write_bytes(b"INCIDENCIA\n\xff\xfe\n")
    story = gather(settings, CODE)
    assert "Decisión: cierre" in _heads(story)
    assert [warning.partition(":")[0] for warning in story.avisos[:2]] == ["El histórico", "Los rechazos"]


def test_reading_the_history_changes_nothing_and_needs_none(settings: Settings) -> None:
    assert calls_of(settings.directorio_historico, CODE) == []
    assert not settings.directorio_historico.exists()
    _call(settings, 1, ok=False, error="MODEL_TIMEOUT", repair=True)
    [call] = calls_of(settings.directorio_historico, CODE)
    assert (call.ok, call.error, call.repair, call.logit) == (False, "MODEL_TIMEOUT", True, None)
    (event,) = [event for event in gather(settings, CODE).eventos if event.fuente is Source.MODEL]
    assert event.datos["error"] == "el modelo ha tardado demasiado"


def test_a_history_being_written_can_be_read(settings: Settings) -> None:
    _call(settings, 1)
    writing = sqlite3.connect(settings.directorio_historico / "historico.db", isolation_level=None)
    try:
        writing.execute("BEGIN IMMEDIATE")
        assert len(calls_of(settings.directorio_historico, CODE)) == 1
    finally:
        writing.close()


def test_a_damaged_history_is_named(tmp_path: Path) -> None:
    (tmp_path / "historico.db").write_bytes(b"rubbish" * 1000)
    with pytest.raises(DependencyError, match=r"historico\.db"):
        calls_of(tmp_path, CODE)


class TestScreen:
    """What is printed."""

    @pytest.fixture(autouse=True)
    def _known(self, settings: Settings) -> None:
        _log(settings, {"time": _at(1), "action": "critic_rejected", "reason": "BELOW_THRESHOLD", "approval": 40})
        _decide(settings)

    def test_on_a_terminal(self, settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
        assert tell(settings, CODE, as_json=False) == 0
        shown = capsys.readouterr().out
        for words in (f"Incidencia {CODE}", "ejecución r1", "El crítico rechaza la propuesta", "aprobación 40"):
            assert words in shown
        assert shown.count("ejecución r1") == 1

    def test_as_json(self, settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
        assert tell(settings, CODE, as_json=True) == 0
        found = json.loads(capsys.readouterr().out)
        assert found["codIncidencia"] == CODE
        assert [event["fuente"] for event in found["eventos"]] == ["registro", *["decisiones"] * 3]

    def test_marks_of_the_screen_in_a_fact_are_text(
        self, settings: Settings, capsys: pytest.CaptureFixture[str]
    ) -> None:
        _log(settings, {"time": _at(1), "action": "x", "message": "[bold]uno[/x]", "extra": "[/red]"})
        assert tell(settings, CODE, as_json=False) == 0
        assert "[bold]uno[/x]" in capsys.readouterr().out


class _Client:
    """Two states of the incident, one of another whose code begins alike."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []

    def list_workflows(self, **which: Any) -> list[Any]:
        self.asked.append(which)
        return [_Workflow(f"{CODE}-{'a' * 16}"), _Workflow(f"{CODE}-2-{'b' * 16}"), _Workflow(f"{CODE}-{'z' * 16}")]

    def list_workflow_steps(self, workflow: str, **_: Any) -> list[Any]:
        return [
            {"function_name": "juzgar", "started_at_epoch_ms": 1000, "completed_at_epoch_ms": 2500},
            {"function_name": "actuar", "started_at_epoch_ms": 3000, "completed_at_epoch_ms": None},
            {"function_name": "nunca", "started_at_epoch_ms": None, "completed_at_epoch_ms": None},
        ]


class _Workflow:
    status, created_at, updated_at, output = "PENDING", 500, None, {"resultado": {}}

    def __init__(self, identity: str) -> None:
        self.workflow_id = identity


def test_the_queue_is_asked_for_this_incident_only() -> None:
    client = _Client()
    [work] = past_work(client, CODE)
    assert client.asked[0]["workflow_id_prefix"] == f"{CODE}-"
    assert work.id == f"{CODE}-{'a' * 16}"
    assert (work.output, work.updated) == (None, work.queued)
    assert [(step.name, step.seconds) for step in work.steps] == [("juzgar", 1.5), ("actuar", None)]


def _past(status: str, output: Any = None) -> PastWork:
    when = datetime.fromtimestamp(1_700_000_000, UTC)
    return PastWork("x", status, when, when, output, (PastStep("juzgar", when, 1.5), PastStep("actuar", when, None)))


def test_where_the_log_is_lost_the_queue_tells_the_end_and_the_steps() -> None:
    result = IncidentResult(
        codIncidencia=CODE, resultado=Result.HUMAN, tipo="manual", motivo=Reason.NO_CANDIDATE, segundos=2.5
    )
    output = {"resultado": result.model_dump(mode="json", exclude_defaults=True), "rechazos": []}
    events = queue_events([_past("SUCCESS", output)], with_ends=True, with_steps=True)
    assert [event.que for event in events] == ["Entra en la cola", "Paso: juzgar", "Paso: actuar", "Terminada"]
    assert events[1].datos == {"segundos": 1.5}
    assert events[-1].datos == {
        "resultado": "humano", "acción": "manual", "motivo": "ningún problema conocido se le parece", "segundos": 2.5
    }  # fmt: skip
    assert len(queue_events([_past("SUCCESS", output)], with_ends=False, with_steps=False)) == 1


@pytest.mark.parametrize(
    ("status", "words"), [("ENQUEUED", "espera su turno"), ("PENDING", "en curso"), ("ERROR", "interrumpida (ERROR)")]
)
def test_what_is_still_in_the_queue(status: str, words: str) -> None:
    [event] = queue_events([_past(status)], with_ends=True, with_steps=False)
    assert event.datos["estado"] == words


def test_evidence_that_cannot_be_read_costs_only_itself() -> None:
    record = Record(id="d-1", incident=CODE, kind="deshacer", phase=Phase.CONFIRMED, created=_at(1), evidence="{")
    [event] = ledger_events([record], [], str)
    assert (event.que, "señales" in event.datos) == ("Decisión: deshacer una decisión", False)
