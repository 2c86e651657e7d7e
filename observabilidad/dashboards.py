"""Grafana's dashboards, written as JSON from code: `python -m observabilidad.dashboards --escribir`.

Grafana reads `grafana/dashboards/*.json`; nobody edits them by hand.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from core.command_line import Parser, exit_code
from core.files import write_whole

FOLDER = Path(__file__).parent / "grafana" / "dashboards"


def generated() -> dict[str, str]:
    """File name -> what it should hold."""
    from grafana_foundation_sdk.cog.encoder import JSONEncoder

    from observabilidad.boards import calidad, incidencia, llm, operacion

    boards = {"operacion": operacion, "calidad": calidad, "llm": llm, "incidencia": incidencia}
    encoder, texts = JSONEncoder(sort_keys=True, indent=1, ensure_ascii=False), {}
    for name, module in boards.items():
        built = module.dashboard().build()
        for number, panel in enumerate(built.panels or (), start=1):  # alert rules name panels by number
            panel.id_val = number
        texts[f"{name}.json"] = encoder.encode(built) + "\n"
    return texts


def queries(dashboard: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """(panel's title, LogQL) of each query of a dashboard as JSON, variables still in it."""
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"]


def out_of_date(folder: Path = FOLDER) -> list[Path]:
    """The files that do not hold what they should, or should not be there."""
    wanted = generated()
    found = {path.name: path for path in folder.glob("*.json")}
    stale = [name for name, text in wanted.items() if name not in found or found[name].read_text("utf-8") != text]
    return [folder / name for name in sorted({*stale, *(found.keys() - wanted.keys())})]


def write(folder: Path = FOLDER) -> list[Path]:
    """Bring them up to date; returns those that changed. Raises `DependencyError`."""
    changed, wanted = out_of_date(folder), generated()
    for path in changed:
        if path.name in wanted:
            write_whole(path, wanted[path.name])
        else:
            path.unlink()
    return changed


def _parser() -> Parser:
    parser = Parser(
        prog="python -m observabilidad.dashboards",
        description="Los paneles de Grafana, generados: Operación, Calidad, LLM e Incidencia.",
        epilog="ejemplo: python -m observabilidad.dashboards --escribir, y después git diff",
    )
    choice = parser.add_mutually_exclusive_group(required=True)
    choice.add_argument("--escribir", action="store_true", help="escribe los ficheros de observabilidad/grafana")
    choice.add_argument("--comprobar", action="store_true", help="sale con 1 si alguno no está al día")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """0 current or written, 1 out of date."""
    options = _parser().parse_args(arguments)
    return exit_code(lambda: _run(options), interrupted="Interrumpido: vuelva a escribirlos.")


def _run(options: argparse.Namespace) -> int:
    paths = write() if options.escribir else out_of_date()
    for path in paths:
        sys.stdout.write(f"{path.name}: {'escrito' if options.escribir else 'no está al día'}\n")
    if paths and options.comprobar:
        sys.stderr.write("Ejecute: python -m observabilidad.dashboards --escribir\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
