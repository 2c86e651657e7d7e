"""A call that a person asks about: read without personal data, all the way to the prompt and its history."""

import argparse
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

import config
from config import Settings, load_settings
from core.calls import analizar_fallo_rapido, session
from core.calls.call import Call, read_call
from llm.history import History
from llm.history.export import export
from llm.history.schema import open_existing
from llm.scripted import Script, scripted_provider
from llm.tasks import ModelTasks

SECRETS = ("12345678Z", "87654321", "612345678", "ana@correo.es", "600111222", "X1234567L")
WAY = "Inicio -> NIF 12345678Z -> Póliza 87654321 -> Llama el 612345678, ana@correo.es -> Error 503"


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("Inicio -> Póliza 87654321", ("Inicio", "Póliza <POLIZA>")),
        ("Inicio > NIF 12345678Z>Fin", ("Inicio", "NIF <NIF>", "Fin")),
        ("Póliza <POLIZA>", ("Póliza <POLIZA>",)),
        ("Inicio > Póliza <POLIZA> > Fin", ("Inicio", "Póliza <POLIZA>", "Fin")),
        ("Inicio | Menú  pagos | ", ("Inicio", "Menú pagos")),
    ],
    ids=["policy", "bare arrow", "copied from the screen", "copied, bare arrow", "bars"],
)
def test_steps_are_read_as_calls_are_loaded(text: str, steps: tuple[str, ...]) -> None:
    assert read_call(text).steps == steps


def test_what_else_is_said_of_a_call_is_scrubbed_too() -> None:
    call = read_call("A", code="E 12345678Z", segment="de 612345678 ", kind=" ana@correo.es")
    assert call == Call(("A",), "E <NIF>", "de <TELEFONO>", "<EMAIL>")


@pytest.fixture
def settings(tmp_path: Path, write: Callable[[str | bytes], Path]) -> Settings:
    """Where 400 calls are loaded, of which those that ask for a policy fail."""
    settings = load_settings(directorio_estado=tmp_path / "var", directorio_recursos=tmp_path / "res")
    lines = ["call_id,steps_history,final_status,error_code"]
    for i in range(400):
        step, end = (f"Póliza {20_000_000 + i}", "failed,ERROR_503") if i % 4 == 0 else ("Saldo", "ok,")
        lines.append(f"c{i},Inicio -> {step} -> Fin,{end}")
    session.load_calls(settings, session.LoadOptions(write("\n".join(lines) + "\n"), vectors=False))
    return settings


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Iterator[Script]:
    """What the model is asked, in place of a model; its history is the real one."""
    script = Script(lambda messages: '{"causas": []}')

    @asynccontextmanager
    async def open_tasks(settings: Settings) -> AsyncIterator[ModelTasks]:
        with History(settings.directorio_historico) as history:
            yield ModelTasks(scripted_provider(script), history)

    monkeypatch.setattr(session, "open_tasks", open_tasks)
    yield script
    assert script.asked


def _written(folder: Path) -> str:
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert any(path.suffix == ".db" for path in files)
    return "\n".join(path.read_bytes().decode("utf-8", "replace") for path in files)


async def test_what_the_operator_pastes_is_kept_nowhere_in_clear(
    settings: Settings, script: Script, capsys: pytest.CaptureFixture[str]
) -> None:
    options = argparse.Namespace(llamada=WAY, error="X1234567L", segmento="600111222", tipo="ana@correo.es", json=True)
    assert await session.explain_call(settings, options) == 0
    told = capsys.readouterr().out
    assert "Póliza <POLIZA>" in " ".join(json.loads(told)["patrones"][0]["pasos"])
    with closing(open_existing(settings.directorio_historico)) as connection:
        exported = [path for path, _ in export(connection, "jsonl", [], settings.directorio_estado / "entrenar")]
    everything = told + _written(settings.directorio_estado)
    assert exported
    assert "Llama el <TELEFONO>" in everything
    assert [secret for secret in SECRETS if secret in everything] == []


def test_neither_is_what_a_notebook_passes(settings: Settings, script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "load_settings", lambda: settings)
    answer = analizar_fallo_rapido(
        failure_step=WAY, failure_reason="X1234567L", customer_segment="600111222", call_type="ana@correo.es"
    )
    everything = json.dumps(answer, ensure_ascii=False) + _written(settings.directorio_estado)
    assert answer["patrones"]
    assert [secret for secret in SECRETS if secret in everything] == []
