import argparse
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from core.command_line import Parser, exit_code
from core.errors import DependencyError, Retryable, SpaiError, UsageError
from core.reason import Reason

ROOT = Path(__file__).parents[2]
ENGLISH = ("usage", "options", "positional", "show this", "argument ", "required", "invalid", "expected", "choose")


def parser() -> Parser:
    made = Parser(prog="orden", epilog="ejemplos:\n  orden uno")
    made.add_argument("FILE")
    made.add_argument("--limite", type=int)
    made.add_argument("--formato", choices=("csv", "jsonl"))
    made.add_argument("--dos", nargs=2)
    made.add_argument("--varios", nargs="+")
    made.add_argument("--formal", action="store_true")
    one = made.add_mutually_exclusive_group()
    one.add_argument("--a", action="store_true")
    one.add_argument("--b", action="store_true")
    return made


def test_help_is_spanish_and_keeps_the_lines_of_the_examples() -> None:
    told = parser().format_help()
    for words in ("uso: orden", "opciones:", "argumentos:", "muestra esta ayuda y termina", "ejemplos:\n  orden uno"):
        assert words in told
    assert not [word for word in ENGLISH if f"{word} " in told.lower() or f"{word}:" in told.lower()]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        pytest.param([], "falta indicar: FILE", id="missing"),
        pytest.param(["x", "--nada"], "no se reconoce: --nada", id="unknown"),
        pytest.param(["x", "--limite"], "--limite: falta su valor", id="no value"),
        pytest.param(["x", "--limite", "dos"], "--limite: valor no válido: 'dos'", id="wrong type"),
        pytest.param(["x", "--formato", "pdf"], "valor no válido: 'pdf' (elija entre", id="wrong choice"),
        pytest.param(["x", "--dos", "1"], "--dos: necesita 2 valores", id="too few"),
        pytest.param(["x", "--varios"], "--varios: necesita al menos un valor", id="none of several"),
        pytest.param(["x", "--form", "1"], "--form es ambigua; puede ser", id="ambiguous"),
        pytest.param(["x", "--a", "--b"], "--b: no se puede usar junto con --a", id="exclusive"),
        pytest.param(["x", "--formal=1"], "--formal: no lleva ningún valor", id="a value for a flag"),
    ],
)
def test_errors_are_spanish(arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        parser().parse_args(arguments)
    err = capsys.readouterr().err
    assert told in err
    assert not [word for word in ENGLISH if f"{word} " in err.replace(told, "").lower()]


def test_a_text_we_do_not_know_is_shown_as_it_is() -> None:
    with pytest.raises(argparse.ArgumentError, match="conflicting option string: --a"):
        parser().add_argument("--a")


@pytest.mark.parametrize(
    "command",
    [
        ["main.py"],
        ["batch.py"],
        ["batch_mantenimiento_globales.py"],
        ["backup.py"],
        ["backup.py", "restaurar"],
        ["-m", "llm.history"],
        ["-m", "llm.history", "export"],
        ["-m", "api.mocks"],
        ["-m", "config"],
        ["-m", "llm.weights"],
    ],
    ids=" ".join,
)
def test_the_help_of_every_command_is_spanish(command: list[str]) -> None:
    done = subprocess.run([sys.executable, *command, "--help"], capture_output=True, text=True, cwd=ROOT, check=True)
    assert "uso: python " in done.stdout
    for words in ("usage:", "options:", "positional", "show this help"):
        assert words not in done.stdout


@pytest.mark.parametrize(
    ("error", "code"),
    [
        pytest.param(UsageError("mal"), 2, id="usage"),
        pytest.param(DependencyError("mal"), 3, id="dependency"),
        pytest.param(Retryable(Reason.DESK_UNAVAILABLE, "mal"), 3, id="desk"),
        pytest.param(KeyboardInterrupt(), 130, id="ctrl-c"),
    ],
)
def test_exit_codes(error: BaseException, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> int:
        raise error

    assert exit_code(fail, interrupted="cortado") == code
    assert capsys.readouterr().err == ("cortado\n" if code == 130 else "Error: mal\n")


@pytest.mark.parametrize(("work", "code"), [(lambda: 1, 1), (lambda: None, 0)], ids=["its own", "none"])
def test_the_exit_code_of_what_ends_well(work: Callable[[], int | None], code: int) -> None:
    assert exit_code(work, interrupted="") == code


def test_what_nobody_expected_is_not_hidden() -> None:
    def fail() -> int:
        raise SpaiError

    with pytest.raises(SpaiError):
        exit_code(fail, interrupted="")
