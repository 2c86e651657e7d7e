"""The door that builds the servers, with a double in place of Go: no compiler, no network."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from filelock import FileLock

from core.errors import DependencyError
from tests.live import build, recipe
from tests.live.recipe import LOKI, OLLAMA, RECIPES, Recipe

_GO = """#!/bin/sh
echo "$@" >> "{calls}"
if [ "$1" = list ]; then echo uno/a; echo uno/b; exit 0; fi
echo "go: downloading uno v1"; echo uno/a
{then}
while [ "$1" != -o ]; do shift; done
echo programa > "$2"
"""
Go = Callable[..., Path]


@pytest.fixture
def go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Go:
    """Puts a `go` of our own, and compilers with or without the header, alone on the path; gives its list of calls."""

    def install(then: str = "", *, header: bool = True) -> Path:
        folder = tmp_path / "bin"
        folder.mkdir()
        calls = tmp_path / "calls"
        calls.touch()
        for name, text in {
            "go": _GO.format(calls=calls, then=then),
            "gcc": "#!/bin/sh\n",
            "g++": f"#!/bin/sh\ncat >/dev/null\nexit {int(not header)}\n",
        }.items():
            (folder / name).write_text(text, encoding="utf-8")
            (folder / name).chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}/usr/bin{os.pathsep}/bin")
        return calls

    return install


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "c"))
    for found in RECIPES.values():
        monkeypatch.delenv(found.setting, raising=False)
    return tmp_path / "c" / "spai" / "servers"


each = pytest.mark.parametrize("server", RECIPES.values(), ids=RECIPES)


@each
def test_each_pin_has_its_hash(server: Recipe) -> None:
    sums = (server.folder / "go.sum").read_text(encoding="utf-8")
    assert f"{server.module} {server.version} h1:" in sums
    assert server.file_name.startswith(f"{server.name}-{server.version}-")


def test_another_pin_is_another_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "loki"
    folder.mkdir()
    (folder / "go.mod").write_text(f"require {LOKI.module} v3.0.0\n", encoding="utf-8")
    (folder / "go.sum").write_text("a\n", encoding="utf-8")
    monkeypatch.setattr(recipe, "HERE", tmp_path)
    first = LOKI.file_name
    (folder / "loki.yaml").write_text("", encoding="utf-8")
    assert LOKI.file_name == first
    (folder / "go.sum").write_text("b\n", encoding="utf-8")
    assert LOKI.file_name != first
    (folder / "go.mod").write_text("module x\n", encoding="utf-8")
    with pytest.raises(ValueError, match="does not require"):
        _ = LOKI.version


@each
def test_it_is_built_once_and_older_ones_go(server: Recipe, go: Go, cache: Path) -> None:
    calls = go()
    cache.mkdir(parents=True)
    (cache / f"{server.name}-v0.0.1-0000").touch()
    built = build.build(server, cache, 3)
    assert built == server.program(cache)
    assert built.read_text(encoding="utf-8") == "programa\n"
    assert "-p 3" in calls.read_text(encoding="utf-8")
    assert build.build(server, cache, 3) == built
    assert len(calls.read_text(encoding="utf-8").splitlines()) == 2
    assert {path.name for path in cache.iterdir()} <= {built.name, f"{server.name}.log", f".{server.name}.lock"}


def test_the_second_of_two_at_once_finds_it_done(go: Go, cache: Path) -> None:
    calls = go()
    cache.mkdir(parents=True)
    with ThreadPoolExecutor(1) as pool:
        with FileLock(cache / ".loki.lock"):
            second = pool.submit(build.build, LOKI, cache, 1)
            (cache / LOKI.file_name).write_text("del primero", encoding="utf-8")
        assert second.result().read_text(encoding="utf-8") == "del primero"
    assert not calls.read_text(encoding="utf-8")


@pytest.mark.faults
def test_what_the_compiler_says_is_shown_and_nothing_stays(go: Go, cache: Path) -> None:
    go("echo 'a.go:3: no compila' >&2; exit 1")
    with pytest.raises(DependencyError, match=r"a\.go:3: no compila"):
        build.build(LOKI, cache, 1)
    assert LOKI.program(cache) is None
    assert not list(cache.glob("*.parcial")) + list(cache.glob(".*.parcial"))


@pytest.mark.faults
def test_a_missing_library_says_what_to_install(go: Go, cache: Path) -> None:
    go(header=False)
    with pytest.raises(DependencyError, match="nlohmann-json3-dev"):
        build.build(OLLAMA, cache, 1)


@pytest.mark.faults
def test_without_go(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DependencyError, match="falta go"):
        build.build(LOKI, cache, 1)
    assert build.main(["loki"]) == 3


@pytest.mark.faults
def test_a_cache_that_cannot_be_written(go: Go, tmp_path: Path) -> None:
    go()
    (tmp_path / "f").touch()
    with pytest.raises(DependencyError, match="--cache"):
        build.build(LOKI, tmp_path / "f" / "c", 1)


@pytest.mark.usefixtures("cache")
def test_what_cannot_be_built_is_no_error_when_it_need_not_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert build.main(["--si-se-puede"]) == 0
    told = capsys.readouterr().err
    assert told.count("aviso: Para construir") == 2


def test_a_server_that_is_named_is_not_built(
    go: Go, cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls = go()
    monkeypatch.setenv("LOKI_URL", "http://127.0.0.1:3100/")
    assert build.main(["loki"]) == 0
    assert "LOKI_URL=http://127.0.0.1:3100" in capsys.readouterr().err
    assert not calls.read_text(encoding="utf-8")
    assert LOKI.program(cache) is None


@pytest.mark.usefixtures("cache")
def test_the_state_is_told_and_nothing_built(go: Go, capsys: pytest.CaptureFixture[str]) -> None:
    calls = go()
    assert build.main(["--estado"]) == 0
    assert capsys.readouterr().err.count("sin construir") == len(RECIPES)
    assert not calls.read_text(encoding="utf-8")


@pytest.mark.parametrize("arguments", [["grafana"], ["--procesos", "0"]], ids=["unknown", "no process"])
def test_wrong_usage_is_exit_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        build.main(arguments)
    assert caught.value.code == 2
