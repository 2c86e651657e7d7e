"""A result of the quality bench as an MLflow run."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bench import figuras
from finetune.runs import Point, Record, leaves, parameters

EXPERIMENT = "spai-calidad"
_PARAMETERS = ("proveedor", "modelo", "vectores", "umbral", "semilla", "reintentos", "muestra", "sin_retirar",
               "particion", "commit", "procesadores", "fecha")  # fmt: skip
_OF_A_SET = ("juicio", "pares", "pares_documentos", "sin_decidir", "coste")
_PRODUCT = "producto"


def is_result(result: object) -> bool:
    """Whether it is what `python -m bench.calidad` writes."""
    return isinstance(result, Mapping) and {"conjuntos", "total", "umbral", "modelo"} <= result.keys()


@contextmanager
def as_run(result: Mapping[str, Any], path: Path) -> Iterator[Record]:
    """The record of the result that stands in `path`; its pictures last as long as the block."""
    with tempfile.TemporaryDirectory() as folder:
        drawn = bool(result["total"]) and find_spec("matplotlib") is not None
        pictures = figuras.draw(dict(result), Path(folder)) if drawn else []
        prompts = {f"prompt_{task}": version for task, version in result.get("prompts", {}).items()}
        known = {"prompt_relevance": result.get("prompt"), "conjuntos": ", ".join(result["conjuntos"])} | prompts
        yield Record(
            EXPERIMENT,
            f"{result.get('fecha', '')[:16]} {result['modelo']}".strip(),
            parameters(result, _PARAMETERS) | known,
            [*_metrics(result), *_curves(result)],
            {"commit": str(result.get("commit") or "sin git")},
            files=[path, *pictures],
        )


def _metrics(result: Mapping[str, Any]) -> Iterator[Point]:
    """What was measured of the product, set by set and all together; the other methods are in the JSON."""
    for name, figures in result["conjuntos"].items():
        yield from leaves({key: figures.get(key) for key in _OF_A_SET}, name)
        for key in ("orden", "hay_solucion"):
            yield from leaves(figures.get(key, {}).get(_PRODUCT), f"{name}/{key}")
        decision = figures.get("decision", {})
        yield from leaves(decision.get("metodos", {}).get(_PRODUCT, {}).get("umbral"), f"{name}/decision")
        yield from leaves(decision.get("por_tipo"), f"{name}/decision/por_tipo")
    total = result["total"]
    yield from leaves(total.get("umbral"), "total")
    yield from leaves(total.get("juicio"), "total/juicio")
    yield from leaves(total.get("por_tipo"), "total/por_tipo")
    yield from leaves(total.get("divisiones", {}).get(_PRODUCT), "total/divisiones")


def _curves(result: Mapping[str, Any]) -> Iterator[Point]:
    """Risk and coverage over the threshold, and how often each approval was right: step = threshold, approval."""
    for point in result["total"].get("curva", {}).get(_PRODUCT, ()):
        for key in ("riesgo", "cobertura"):
            if point.get(key) is not None:
                yield Point(f"curva/{key}", point[key], round(point["umbral"]))
    for name, figures in result["conjuntos"].items():
        for row in figures.get("juicio", {}).get("fiabilidad", ()):
            yield Point(f"curva/fiabilidad/{name}", row["acierto"], round(100 * row["aprobacion"]))
