"""`python -m bench.figuras`: the pictures and tables of docs/calidad.md, from the quality bench's JSON."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.calidad.tables import grids, legend
from config import ROOT
from core.command_line import Parser, exit_code
from core.errors import UsageError
from core.files import atomic_writer, write_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BEGIN, END = "<!-- generado por python -m bench.figuras: no editar -->", "<!-- fin de lo generado -->"
_LINES = {"producto": "-", "nota escrita": "-."}
_EXAMPLES = """\
ejemplos:
  python -m bench.calidad --datos DATOS finetune/data    primero, medir
  python -m bench.figuras                                después, con el resultado de siempre
  python -m bench.figuras otro.json --salida /tmp/docs   con otro, en otra carpeta

códigos de salida: 0 hecho; 2 el fichero no es un resultado del banco de calidad; 3 no se puede escribir
"""


def _risk_coverage(axes: "Axes", result: dict[str, Any]) -> None:
    """Share wrong among the automatic over share solved, a line per method, all sets together: the larger sample."""
    for name, curve in (result.get("certificacion") or result["total"])["curva"].items():
        points = sorted((p["cobertura"], p["riesgo"]) for p in curve)
        axes.plot([x for x, _ in points], [y for _, y in points], _LINES.get(name, "--"), marker=".", label=name)
    axes.axhline(0.05, color="grey", linewidth=0.8)
    axes.set(title="Riesgo y cobertura", xlabel="cobertura (resueltas solas, de las que tienen solución)",
             ylabel="equivocadas entre las automáticas", xlim=(0, 1), ylim=(0, 1))  # fmt: skip
    axes.legend()


def _reliability(axes: "Axes", result: dict[str, Any]) -> None:
    """Share right over approval, a line per set; on the diagonal the approval means what it says."""
    axes.plot([0, 1], [0, 1], color="grey", linewidth=0.8)
    for name, figures in result["conjuntos"].items():
        bins = figures["juicio"]["fiabilidad"]
        sizes = [5 + b["n"] for b in bins]
        xs, ys = [b["aprobacion"] for b in bins], [b["acierto"] for b in bins]
        [line] = axes.plot(xs, ys, linewidth=0.8, label=name)
        axes.scatter(xs, ys, s=sizes, color=line.get_color())
    axes.set(title="Fiabilidad de la aprobación (el punto, más grande cuantos más candidatos)",
             xlabel="aprobación / 100", ylabel="proporción correcta", xlim=(0, 1), ylim=(0, 1))  # fmt: skip
    axes.legend(fontsize="small")


def _errors(axes: "Axes", result: dict[str, Any]) -> None:
    """Right and wrong actions per set and kind of incident."""
    bars = [
        (f"{name} · {kind}", f["automaticas"] - f["equivocadas"], f["equivocadas"])
        for name, figures in reversed(result["conjuntos"].items())
        for kind, f in figures.get("decision", {}).get("por_tipo", {}).items()
    ]
    names, right, wrong = [b[0] for b in bars], [b[1] for b in bars], [b[2] for b in bars]
    axes.barh(names, right, label="bien")
    axes.barh(names, wrong, left=right, color="firebrick", label="equivocadas")
    axes.set(title=f"Lo que se haría solo con el umbral vigente ({result['umbral']})", xlabel="incidencias")
    axes.legend()


_DRAWN = {"riesgo_cobertura": _risk_coverage, "fiabilidad": _reliability, "errores": _errors}
_ALT = {"riesgo_cobertura": "Riesgo y cobertura", "fiabilidad": "Fiabilidad de la aprobación", "errores": "Errores"}


def draw(result: dict[str, Any], folder: Path) -> list[Path]:
    """`calidad_<name>.png` for each picture, in `folder`."""
    from matplotlib.figure import Figure

    return [_draw(Figure(figsize=(8, 6), layout="constrained"), name, result, folder) for name in _DRAWN]


def _draw(figure: "Figure", name: str, result: dict[str, Any], folder: Path) -> Path:
    _DRAWN[name](figure.subplots(), result)
    target = folder / f"calidad_{name}.png"
    with atomic_writer(target) as stream:
        # Neither date nor version inside: the same figures give the same bytes.
        figure.savefig(stream, format="png", dpi=110, metadata={"Software": None})
    return target


def generated(result: dict[str, Any]) -> str:
    """The part of the document that is made here."""
    commit = result["commit"] or "sin git"
    commit = commit[:12] + commit[40:]  # «+» where files differed from it
    lines = [BEGIN, "", f"Medido el {result['fecha'][:10]} (commit `{commit}`). " + " ".join(legend(result)), ""]
    lines += [f"![{_ALT[name]}](calidad_{name}.png)\n" for name in _DRAWN]
    return "\n".join([*lines, *(grid.markdown() for grid in grids(result)), END])


def update(document: Path, result: dict[str, Any]) -> None:
    """Put the generated part in place of the one there. Raises `UsageError` when its marks are not there."""
    text = document.read_text("utf-8") if document.exists() else f"# Calidad medida\n\n{BEGIN}\n{END}\n"
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise UsageError(f"{document}: faltan las marcas «{BEGIN}» y «{END}» entre las que se escribe.")
    write_whole(document, before + generated(result) + after)


def _read(path: Path) -> dict[str, Any]:
    try:
        result = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: no se puede leer ({error}). Ejecute antes `python -m bench.calidad`.") from error
    if not isinstance(result, dict) or not {"conjuntos", "total", "umbral"} <= result.keys() or not result["total"]:
        raise UsageError(f"{path}: no es un resultado de `python -m bench.calidad`, o no decidió ninguna incidencia.")
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when all is written."""
    parser = Parser(
        prog="python -m bench.figuras",
        description="Dibuja las figuras y escribe las tablas de docs/calidad.md.",
        epilog=_EXAMPLES,
    )
    default = Path("var/bench/calidad.json")
    parser.add_argument("resultado", type=Path, nargs="?", default=default, metavar="FILE", help=f"({default})")
    parser.add_argument("--salida", type=Path, default=ROOT / "docs", metavar="DIR", help="carpeta (docs/)")
    options = parser.parse_args(arguments)

    def work() -> None:
        result = _read(options.resultado)
        update(options.salida / "calidad.md", result)
        for path in draw(result, options.salida):
            print(path)

    return exit_code(work, interrupted="Interrumpido: lo ya escrito está entero.")


if __name__ == "__main__":
    sys.exit(main())
