"""`python -m tests.live.build`: builds Loki and Ollama from their Go modules, once, for the live tests."""

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TextIO

from filelock import FileLock

from core.command_line import Parser, exit_code
from core.errors import DependencyError
from core.terminal import progress_bar
from tests.live.places import cache_folder, named
from tests.live.recipe import RECIPES, Recipe

_EXAMPLES = """\
ejemplos:
  python -m tests.live.build                     construye lo que falte (make servers)
  python -m tests.live.build --estado            dice qué hay, sin construir nada
  python -m tests.live.build loki --procesos 1   solo Loki, en un solo núcleo
  make live                                      construye lo que falte y prueba con los servidores reales

Hace falta Go; para Ollama, además, gcc, g++ y nlohmann-json (en Debian: apt-get install nlohmann-json3-dev).
La primera vez se descargan los módulos y cada servidor lleva unos 10 minutos de CPU; con las cachés de Go, 5 GB.
Las versiones y sus hashes están en tests/live/*/go.mod y go.sum. Lo cortado sigue donde estaba al repetir la orden.

códigos de salida: 0 hecho; 2 uso incorrecto; 3 falta algo, o no se ha podido compilar (dice qué)
"""
_TAIL = 12
"""Lines of the compiler's output shown when it fails."""


def _parser() -> Parser:
    parser = Parser(
        prog="python -m tests.live.build",
        description="Compila Loki y Ollama desde sus módulos de Go y los guarda en una caché para las pruebas live.",
        epilog=_EXAMPLES,
    )
    parser.add_argument("servidores", nargs="*", metavar="SERVIDOR", help=f"cuáles: {', '.join(RECIPES)} (todos)")
    parser.add_argument("--cache", type=Path, metavar="DIR", help=f"dónde se guardan ({cache_folder()})")
    parser.add_argument("--procesos", type=int, default=os.cpu_count() or 1, metavar="N", help="compiladores a la vez")
    parser.add_argument("--estado", action="store_true", help="dice qué hay construido y no construye nada")
    parser.add_argument("--si-se-puede", action="store_true", help="lo que no se pueda construir se dice y no es error")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when every server asked for is there."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if unknown := set(options.servidores) - RECIPES.keys():
        parser.error(f"no se sabe construir {', '.join(sorted(unknown))} (hay: {', '.join(RECIPES)})")
    if options.procesos < 1:
        parser.error("--procesos debe ser 1 o más")
    return exit_code(
        lambda: _run(options), interrupted="Cortado: lo ya compilado queda en la caché de Go; repita la orden."
    )


def _run(options: argparse.Namespace) -> int:
    cache = options.cache or cache_folder()
    for name in options.servidores or RECIPES:
        recipe = RECIPES[name]
        there = recipe.program(cache)
        if options.estado or there:
            _tell(f"{name} {recipe.version}: {there or 'sin construir'}")
        elif url := named(recipe.setting):
            _tell(f"{name}: no se construye; se usa el de {recipe.setting}={url}")
        else:
            try:
                _check_tools(recipe)
                _tell(f"Construyo {name} {recipe.version}: unos 10 minutos de CPU; Go lo cuenta en {cache / name}.log")
                _tell(f"{name} {recipe.version}: {build(recipe, cache, options.procesos)}")
            except DependencyError as error:
                if not options.si_se_puede:
                    raise
                _tell(f"aviso: {error}")
    return 0


def _tell(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def build(recipe: Recipe, cache: Path, processes: int) -> Path:
    """Builds the server into `cache`, whole or not at all; what is there already stays as it is.

    Raises `DependencyError`: no compiler, a missing header, or the compiler's own last words.
    """
    target = cache / recipe.file_name
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with FileLock(cache / f".{recipe.name}.lock"):  # a second build of the same waits and finds it done
            if not target.is_file():
                _check_tools(recipe)
                _compile(recipe, target, cache / f"{recipe.name}.log", processes)
                for old in set(cache.glob(f"{recipe.name}-v*")) - {target}:
                    old.unlink()
    except OSError as error:
        raise DependencyError(
            f"No se puede escribir en {cache}: {error.strerror or error}. Elija otra: --cache."
        ) from error
    return target


def _check_tools(recipe: Recipe) -> None:
    needed = ("go", "gcc", "g++") if recipe.cpp_header else ("go",)
    if missing := [name for name in needed if not shutil.which(name)]:
        raise DependencyError(
            f"Para construir {recipe.name} falta {', '.join(missing)}. Instálelo, o indique en {recipe.setting} un "
            "servidor en marcha."
        )
    if recipe.cpp_header:
        command = ["g++", "-E", "-x", "c++", "-"]
        source = f"#include <{recipe.cpp_header}>\n"
        if subprocess.run(command, input=source, capture_output=True, text=True, check=False).returncode:
            raise DependencyError(
                f"Para construir {recipe.name} falta {recipe.cpp_header}: en Debian o Ubuntu, apt-get install "
                "nlohmann-json3-dev."
            )


def _compile(recipe: Recipe, target: Path, log: Path, processes: int) -> None:
    partial = target.with_name(f".{target.name}.parcial")
    stale = ["go", "list", "-deps", "-f", "{{if .Stale}}{{.ImportPath}}{{end}}", recipe.package]
    command = ["go", "build", "-v", "-p", str(processes), "-ldflags=-s -w", "-o", str(partial), recipe.package]
    packages: list[str] = []
    built = 0
    try:
        with log.open("w", encoding="utf-8") as told, progress_bar() as show:

            def count(line: str) -> None:
                nonlocal built
                built += ":" not in line and " " not in line
                if show:
                    show(recipe.name, min(built, len(packages)), len(packages))

            # The first downloads the modules, too; Go checks each against go.sum.
            status = _go(recipe, stale, told, packages.append) or _go(recipe, command, told, count)
        if status:
            tail = "\n".join(log.read_text(encoding="utf-8").splitlines()[-_TAIL:])
            raise DependencyError(f"No se ha podido construir {recipe.name}:\n{tail}\nEntero, en {log}")
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def _go(recipe: Recipe, command: Sequence[str], log: TextIO, on_line: Callable[[str], object]) -> int:
    """Exit status; each line it says goes to the log and to `on_line`."""
    variables = os.environ | recipe.variables | {"GOFLAGS": "-mod=readonly -buildvcs=false", "GOWORK": "off"}
    with subprocess.Popen(
        command, cwd=recipe.folder, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            assert process.stdout is not None
            for line in process.stdout:
                log.write(line)
                if line.strip() and not re.match("go: downloading ", line):
                    on_line(line.strip())
        except BaseException:
            process.terminate()
            raise
    return process.returncode


if __name__ == "__main__":
    sys.exit(main())
