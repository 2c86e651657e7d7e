"""main.py's orders: pause, resume, undo, and the word on proposals; what is shown and the exit codes."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

import core.orders
import main
from api.memory import MemoryDesk, MemorySystem
from config import Settings
from core.build import Outside, forget_old, open_database
from core.catalogue import CatalogueEntry, Resolution, write_catalogue
from core.control import KillSwitch
from core.decision import Decision, action_for, decision_id
from core.execute import Executor, Guard
from core.incident import Incident
from core.ledger import Label, Ledger, open_ledger
from core.outcome import Outcome
from core.policy import Policy
from core.reason import Reason
from llm.history import Call, History

ROW = CatalogueEntry(component="Correo", description="buzón lleno", solution="Vacíelo.", resolution=Resolution.WAIT)
CLOSING = ROW.model_copy(update={"description": "no envía", "resolution": Resolution.CLOSE})


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("DIRECTORIO_ESTADO", str(tmp_path / "e"))
    monkeypatch.setenv("DIRECTORIO_RECURSOS", str(tmp_path / "r"))
    monkeypatch.setenv("COLUMNS", "160")
    (tmp_path / "r").mkdir()
    write_catalogue(tmp_path / "r" / "PROBLEMAS_GLOBALES.csv", [ROW, CLOSING])
    return Settings()


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> MemoryDesk:
    memory = MemoryDesk(
        [Incident(code=code, title="[bold]lleno", status="Abierta", mailbox="Soporte") for code in ("INC-1", "INC-2")]
    )

    @asynccontextmanager
    async def open_desk(settings: Settings) -> AsyncIterator[Outside]:
        yield Outside(memory, MemorySystem(), {})

    monkeypatch.setattr(core.orders, "open_desk", open_desk)
    return memory


def _decided(
    settings: Settings, desk: MemoryDesk, autonomy: str, row: CatalogueEntry = ROW, code: str = "INC-1"
) -> str:
    """A decision of a run before; its id."""
    policy = Policy.model_validate({"autonomia": {"defecto": autonomy}})

    async def decide(ledger: Ledger) -> str:
        found = await desk.read(code)
        action = action_for(row, (), asked_before=False)
        decision = Decision(decision_id(found, settings.etiqueta, row.id), action, None, Reason.APPROVED, row)
        guard = Guard(ledger, KillSwitch(ledger), policy)
        await Executor(desk, MemorySystem(), frozenset(), settings.etiqueta, guard).carry_out(found, decision)
        return decision.id

    with open_ledger(open_database(settings)) as ledger:
        return asyncio.run(decide(ledger))


def test_pause_and_resume(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    told = []
    for order in ("--pausar", "--pausar", "--reanudar", "--reanudar"):
        assert main.main([order]) == 0
        told.append(capsys.readouterr().out)
    assert "deja de actuar en 2 segundos" in told[0]
    assert "En pausa desde" in told[1]
    assert told[2:] == ["Se vuelve a actuar.\n", "No estaba en pausa.\n"]


def test_a_paused_run_says_so_and_does_nothing(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    main.main(["--pausar"])
    capsys.readouterr()
    assert main.main([]) == 0
    told = capsys.readouterr()
    assert "--reanudar" in told.err
    assert told.out == ""


def test_proposals_are_listed(settings: Settings, desk: MemoryDesk, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["--pendientes"]) == 0
    assert "No hay propuestas" in capsys.readouterr().out
    decision = _decided(settings, desk, "propuesta")
    assert main.main(["--pendientes"]) == 0
    told = capsys.readouterr().out
    for word in (decision, "INC-1", "en espera", "buzón lleno", "Vacíelo.", "[bold]lleno", Reason.NEEDS_APPROVAL.text):
        assert word in told
    assert main.main(["--pendientes", "--json"]) == 0
    [item] = json.loads(capsys.readouterr().out)
    assert (item["decision"], item["codIncidencia"], item["vigente"]) == (decision, "INC-1", True)
    desk.touch("INC-1")
    (settings.directorio_recursos / "PROBLEMAS_GLOBALES.csv").unlink()
    assert main.main(["--pendientes"]) == 0
    told = capsys.readouterr().out
    assert "Atención: la incidencia ha cambiado" in told
    assert "Fila: ya no está" in told


def test_approved_and_undone(settings: Settings, desk: MemoryDesk, capsys: pytest.CaptureFixture[str]) -> None:
    decision = _decided(settings, desk, "propuesta")
    assert main.main(["--aprobar", decision]) == 0
    assert f"--deshacer {decision}" in capsys.readouterr().out
    assert asyncio.run(desk.read("INC-1")).status == "En espera"
    assert main.main(["--aprobar", decision]) == 2
    assert "no espera aprobación" in capsys.readouterr().err
    assert main.main(["--deshacer", decision]) == 0
    assert "vuelve a estar abierta en «Soporte»" in capsys.readouterr().out
    assert asyncio.run(desk.read("INC-1")).status == "Abierta"


def test_a_closing_that_the_desk_does_not_undo_is_exit_1(
    settings: Settings, desk: MemoryDesk, capsys: pytest.CaptureFixture[str]
) -> None:
    decision = _decided(settings, desk, "automatica", CLOSING)
    desk.reopens = False
    assert main.main(["--deshacer", decision]) == 1
    told = capsys.readouterr().out
    assert "no deja reabrir INC-1" in told
    assert "queda una nota" in told


def test_rejected(settings: Settings, desk: MemoryDesk, capsys: pytest.CaptureFixture[str]) -> None:
    decision = _decided(settings, desk, "propuesta")
    assert main.main(["--rechazar", decision, "no era eso"]) == 0
    assert "queda para una persona" in capsys.readouterr().out
    assert main.main(["--rechazar", decision, "otra vez"]) == 2
    assert main.main(["--reanudar"]) == 0


def test_approved_but_not_done_is_exit_1(
    settings: Settings, desk: MemoryDesk, capsys: pytest.CaptureFixture[str]
) -> None:
    decision = _decided(settings, desk, "propuesta", CLOSING)
    with open_ledger(open_database(settings)) as ledger:
        [record] = ledger.proposals()
        ledger.label(record.model_copy(update={"id": "d-antes"}), Label.REOPENED, "mesa")
    assert main.main(["--aprobar", decision]) == 1
    assert Reason.REOPENED.text in capsys.readouterr().out
    assert desk.changes == []


def test_what_a_system_says_is_shown_without_personal_data_or_control_characters(
    settings: Settings, desk: MemoryDesk, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def carry_out(*given: object, **options: object) -> Outcome:
        return Outcome(None, Reason.MANUAL_ENTRY, "Asegurado 12345678Z \x1b[2J llamar al 612345678")

    decision = _decided(settings, desk, "propuesta")
    monkeypatch.setattr(Executor, "carry_out", carry_out)
    assert main.main(["--aprobar", decision]) == 1
    assert capsys.readouterr().out.endswith("Asegurado <NIF> [2J llamar al <TELEFONO>\n")


def test_waiting_proposals_are_told_on_resuming(
    settings: Settings, desk: MemoryDesk, capsys: pytest.CaptureFixture[str]
) -> None:
    main.main(["--pausar"])
    _decided(settings, desk, "automatica")
    capsys.readouterr()
    assert main.main(["--reanudar"]) == 0
    assert "Propuestas que esperan: 1" in capsys.readouterr().out


def test_one_order_at_a_time(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main.main(["--pausar", "--reanudar"])
    assert caught.value.code == 2


def test_what_is_old_is_forgotten(settings: Settings, desk: MemoryDesk, caplog: pytest.LogCaptureFixture) -> None:
    _decided(settings, desk, "automatica")
    facts = {"provider": "p", "model": "m", "prompt": "q", "output": "s", "run": "", "incident": "", "stage": ""}
    with History(settings.directorio_historico) as history:
        for when in ("2020-01-01T00:00:00+00:00", "2999-01-01T00:00:00+00:00"):
            history.record(_call(when, facts))
    with caplog.at_level("INFO"):
        forget_old(settings)
    [record] = [r for r in caplog.records if getattr(r, "action", "") == "forgotten"]
    assert (getattr(record, "calls", None), getattr(record, "decisions", None)) == (1, 0)


def _call(when: str, facts: dict[str, str]) -> Call:
    return Call(
        time=when,
        module="choose",
        input=f"[{when!r}]",
        input_tokens=1,
        output_tokens=1,
        milliseconds=1.0,
        ok=True,
        **facts,
    )


def test_the_story_of_an_incident_that_nobody_knows(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["--historia", "INC-NADA"]) == 2
    assert "No se sabe nada de la incidencia «INC-NADA»" in capsys.readouterr().err
