import csv
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from llm.history import Call, History
from llm.history.__main__ import main
from llm.history.schema import FILE

ASKED = [{"role": "system", "content": "Elige."}, {"role": "user", "content": "No entra,\n«portal»"}]


def record(
    history: History, module: str, output: str | None, asked: list[dict[str, str]] = ASKED, **more: object
) -> None:
    fields: dict[str, object] = {"time": "2025-01-01T10:00:00+00:00", "provider": "p", "model": "m", "prompt": "t"}
    text = json.dumps(asked, ensure_ascii=False)
    history.record(Call(module=module, input=text, output=output, **{**fields, **more}))  # type: ignore[arg-type]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with History(tmp_path) as history:
        record(history, "choose", "uno", time="1")
        repaired = [*ASKED, {"role": "assistant", "content": "basura"}, {"role": "user", "content": "otra vez"}]
        record(history, "choose", "basura", ok=False, error="MODEL_UNPARSEABLE", time="2")
        record(history, "choose", "dos", repaired, repair=True, time="3")
        record(history, "choose", None, ok=False, error="MODEL_TIMEOUT", time="4")
        record(history, "relevance", "sí", logit=1.25, time="5")
    return tmp_path


def run(folder: Path, *arguments: str) -> int:
    return main([*arguments, "--directorio", str(folder)])


def test_jsonl_has_a_conversation_a_line_for_replies_that_were_used(folder: Path) -> None:
    assert run(folder, "export", "--formato", "jsonl", "--modulo", "choose") == 0
    (path,) = (folder / "export").iterdir()
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert path.name.startswith("choose_")
    assert [line["messages"] for line in lines] == [
        [*ASKED, {"role": "assistant", "content": "uno"}],
        [*ASKED, {"role": "assistant", "content": "dos"}],  # not its own mistake
    ]


def test_csv_has_a_row_per_call(folder: Path, tmp_path: Path) -> None:
    assert run(folder, "export", "--formato", "csv", "--salida", str(tmp_path / "csv")) == 0
    files = {path.name.split("_")[0]: path for path in (tmp_path / "csv").iterdir()}
    assert set(files) == {"choose", "relevance"}
    with files["relevance"].open(encoding="utf-8", newline="") as stream:
        (row,) = csv.DictReader(stream)
    assert (row["system"], row["user"], row["output"], row["logit"]) == ("Elige.", ASKED[1]["content"], "sí", "1.25")


def test_two_exports_are_two_files(folder: Path) -> None:
    for _ in range(2):
        run(folder, "export", "--modulo", "relevance")
    assert len(list((folder / "export").iterdir())) == 2


def test_an_unknown_task_is_wrong_usage(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder, "export", "--modulo", "nada") == 2
    assert "nada" in capsys.readouterr().err
    assert not (folder / "export").exists()


@pytest.mark.parametrize("command", ["export", "verify"])
def test_no_history_is_said(tmp_path: Path, command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, command) == 3
    assert FILE in capsys.readouterr().err
    assert not (tmp_path / FILE).exists()


def test_an_empty_history_exports_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    History(tmp_path).close()
    assert run(tmp_path, "export") == 0
    assert "vacío" in capsys.readouterr().out


def test_verify_passes_what_was_not_touched(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder, "verify") == 0
    assert "5 llamadas" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        pytest.param("UPDATE texts SET content = 'otro' WHERE content = 'uno'", "texts", id="altered text"),
        pytest.param("DELETE FROM texts WHERE content = 'uno'", "calls", id="text gone"),
    ],
)
def test_verify_names_the_damaged_rows(
    folder: Path, damage: str, named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with closing(sqlite3.connect(folder / FILE)) as connection:
        assert connection.execute(damage).rowcount == 1
        connection.commit()
    assert run(folder, "verify") == 1
    (fault,) = capsys.readouterr().err.splitlines()
    assert fault.startswith(f"{named} ")


def test_a_damaged_file_does_not_end_in_a_traceback(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / FILE).write_bytes(b"esto no es SQLite" * 100)
    assert run(tmp_path, "verify") == 3
    assert FILE in capsys.readouterr().err


def test_without_a_folder_it_is_the_one_of_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DIRECTORIO_ESTADO", str(tmp_path))
    with History(tmp_path / "historico") as history:
        record(history, "choose", "uno")
    assert main(["verify"]) == 0
    assert "1 llamadas" in capsys.readouterr().out


def test_help_is_in_spanish(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["export", "--help"])
    assert caught.value.code == 0
    assert "carpeta de los ficheros" in capsys.readouterr().out
