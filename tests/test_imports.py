"""Importing any module of ours does nothing but define things, and imports never run in a circle."""

import ast
import graphlib
import subprocess
import sys
from pathlib import Path

import pytest

from config import ROOT

PACKAGES = ("core", "llm", "api", "observabilidad", "bench", "finetune")


def _name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _modules() -> dict[str, Path]:
    paths = [*ROOT.glob("*.py"), *(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))]
    return {_name(path): path for path in sorted(paths)}


MODULES = _modules()
# `python -m package` runs these; nobody imports them.
IMPORTABLE = [name for name in MODULES if not name.endswith("__main__")]

# Runs in a process of its own: whatever a module opens, starts or writes while it is imported is told on stderr.
_WATCH = """
import sys, threading, os
def watch(event, args):
    writes = event == "open" and (args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
    if writes and "__pycache__" not in str(args[0]) and str(args[0]) != os.devnull:
        told.append(f"writes {args[0]}")
    elif event == "socket.bind" and args[1] == ("::1", 0):
        pass  # urllib3 asks the system whether it has IPv6; the socket is closed at once
    elif event == "subprocess.Popen" and args[0] == "file":
        pass  # croniter, which DBOS brings, asks it for the interpreter's word size
    elif event in ("socket.connect", "socket.bind", "subprocess.Popen", "os.system", "os.mkdir", "sqlite3.connect"):
        told.append(f"{event} {args[:2]}")
told, before = [], threading.active_count()
handlers = len(__import__("logging").getLogger().handlers)
environment = dict(os.environ)
sys.addaudithook(watch)
for name in sys.argv[1:]:
    __import__(name)
    ours = [f"{name}: {what}" for what in told]
    told.clear()
    if threading.active_count() != before:
        ours.append(f"{name}: starts a thread")
        before = threading.active_count()
    if len(__import__("logging").getLogger().handlers) != handlers:
        ours.append(f"{name}: sets up logging")
    for line in ours:
        os.write(3, (line + chr(10)).encode())
"""


def _import_all(names: list[str], folder: Path) -> tuple[subprocess.CompletedProcess[bytes], str]:
    """In an empty folder, so that a file written by name shows; the findings come on descriptor 3."""
    findings = folder.parent / "findings.txt"
    wrapped = f"import os, sys\nos.dup2(os.open({str(findings)!r}, os.O_CREAT | os.O_WRONLY), 3)\n{_WATCH}"
    done = subprocess.run(
        [sys.executable, "-B", "-X", f"pycache_prefix={folder.parent}", "-c", wrapped, *names],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PATH": "", "HOME": str(folder)},
        capture_output=True,
        timeout=100,
    )
    return done, findings.read_text(encoding="utf-8") if findings.exists() else ""


def test_importing_everything_has_no_side_effects(tmp_path: Path) -> None:
    folder = tmp_path / "vacía"
    folder.mkdir()
    done, findings = _import_all(IMPORTABLE, folder)
    assert done.returncode == 0, done.stderr.decode()
    assert findings == ""
    assert done.stdout == b""
    assert done.stderr == b""
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("source", "finding"),
    [
        ("open('fichero.txt', 'w')", "writes fichero.txt"),
        ("import threading; threading.Thread(target=threading.Event().wait, daemon=True).start()", "starts a thread"),
        ("import socket; socket.socket().bind(('127.0.0.1', 0))", "socket.bind"),
        ("import logging; logging.basicConfig()", "sets up logging"),
    ],
    ids=["file", "thread", "socket", "logging"],
)
def test_the_watch_would_find_it(tmp_path: Path, source: str, finding: str) -> None:
    folder = tmp_path / "vacía"
    folder.mkdir()
    (folder / "culpable.py").write_text(source, encoding="utf-8")
    _, findings = _import_all(["culpable"], folder)
    assert finding in findings


def _imported(name: str, path: Path) -> set[str]:
    """The modules of ours that this one names, inside functions too: an import put off is a circle all the same."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            members = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {member if member in MODULES else node.module for member in members}
    return {other for other in found if other in MODULES and other != name}


def test_imports_run_in_no_circle() -> None:
    graph = {name: _imported(name, path) for name, path in MODULES.items()}
    assert any(graph.values())
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def _reads_environment(tree: ast.AST) -> list[int]:
    """The lines that read it. `environ.setdefault` as a statement only writes: that is how OpenMP is told to sleep."""
    written = {
        id(node.value.func.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
        if isinstance(node.value.func, ast.Attribute) and node.value.func.attr == "setdefault"
    }
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and node.attr in ("environ", "environb", "getenv")
        and id(node) not in written
    ]


def test_only_the_configuration_reads_the_environment() -> None:
    lines = {path.name: _reads_environment(ast.parse(path.read_text(encoding="utf-8"))) for path in MODULES.values()}
    assert {name: found for name, found in lines.items() if found} == {}


@pytest.mark.parametrize("source", ["os.environ['A']", "x = os.environ.setdefault('A', '1')", "os.getenv('A')"])
def test_reading_the_environment_would_be_found(source: str) -> None:
    assert _reads_environment(ast.parse(source)) == [1]


@pytest.mark.parametrize("name", ["utils", "helpers", "common", "manager"])
def test_no_room_without_a_name(name: str) -> None:
    assert name not in {path.stem for path in MODULES.values()}
