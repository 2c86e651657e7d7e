"""`python -m bench.juez`: variants of the judge, and the second opinion, on labelled data."""

import asyncio
import hashlib
import json
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from bench.calidad.deciding import Rules
from bench.calidad.models import open_judge
from bench.grid import show
from bench.juez.comparing import JudgedSet, compare, judge, judged, mean_of_sets, prepare
from bench.juez.repeating import acted_on, near, repeat_check, scales
from bench.juez.tables import grids, legend
from bench.juez.variants import ORDER, PRODUCT, VARIANTS, Kept, PromptJudge, Variant
from bench.result import commit
from bench.retrieval.vectors import KeptVectors
from config import ROOT, Settings, load_settings
from core.build import open_embedder
from core.command_line import Parser, exit_code
from core.files import write_whole
from core.ports import Embedder
from core.terminal import Show, progress_bar
from finetune.judgements import model_name
from finetune.labelled import labelled_folders
from llm.native import threads

_EXAMPLES = """\
Cada variante es un prompt de bench/juez (o el del producto) con el juez del producto:
  producto     el de prompts/relevance.md        orden       el problema delante de la incidencia
  resuelve     «¿la resuelve?»                   ambos       la media de producto y orden
  condiciones  «¿cumple todas las condiciones?»  grados      de 0 a 3, valor esperado
  ejemplos     el del producto, con ejemplos     documentos  el de prompts/answers.md (solo pares)

Los candidatos son los de la búsqueda del producto sobre las incidencias con que se ajusta la calibración; de un
conjunto que solo tiene pairs.jsonl se juzgan sus pares. Además se mira si una segunda opinión en el otro orden, cerca
del umbral, frena más errores que subir el umbral hasta la misma cobertura.

Cada juicio se guarda en --juicios en cuanto está hecho: si se interrumpe, repita la orden y sigue por donde iba.

ejemplos:
  python -m bench.juez --datos DATOS finetune/data                 todo; con el modelo embebido, una media hora
  python -m bench.juez --datos finetune/data --variantes producto ejemplos --margen 0   solo dos, sin segunda opinión
  python -m bench.juez --datos DATOS finetune/data --solo-cache    con los juicios que haya; no carga el modelo

códigos de salida: 0 medido; 2 uso, datos o configuración incorrectos; 3 falta una dependencia o falla el modelo
"""


@dataclass(frozen=True)
class Plan:
    """What to measure. `margin`: points over the threshold that call for a second opinion; 0: none is asked."""

    folders: Sequence[Path]
    variants: Sequence[Variant] = tuple(VARIANTS.values())
    incidents: int = 6
    pairs: int = 16
    margin: int = 10
    seed: int = 1
    cache: Path = Path("var/calibracion/juicios.jsonl")
    cache_only: bool = False
    vectors: Path = Path("var/bench/vectores")


async def measure(plan: Plan, settings: Settings, embedder: Embedder, bar: Show | None) -> dict[str, Any]:
    """All figures, ready for JSON. Raises `UsageError`, `DependencyError`, and `StageError` of a failing model."""
    asked = {file: variant for variant in (*plan.variants, *((PRODUCT, ORDER) if plan.margin else ()))
             for file in variant.files}  # fmt: skip
    kept = Kept(plan.cache, partial(model_name, settings), asked)
    sets = []
    folders = labelled_folders(plan.folders)
    for number, folder in enumerate(folders, 1):
        await asyncio.sleep(0)  # Ctrl-C gets in here
        sets.append(prepare(folder, embedder, settings.query_limit_vectordb, plan.incidents, plan.pairs, plan.seed))
        if bar:
            bar("Búsqueda", number, len(folders))
    async with _judges(plan, settings, asked) as judges:
        unread = await judge(sets, plan.variants, kept, judges, bar) if judges else 0
        check = await _second_opinion(plan, settings, sets, kept, judges, bar) if plan.margin else None
    figures = compare(sets, plan.variants, kept)
    return {
        "modelo": model_name(settings),
        "vectores": settings.embedding_model,
        "semilla": plan.seed,
        "prompts": {variant.name: variant.version for variant in plan.variants},
        "conjuntos": figures,
        "medias": mean_of_sets(figures, plan.variants),
        "sin_leer": unread,
        "repeticion": check,
    }


@asynccontextmanager
async def _judges(plan: Plan, settings: Settings, asked: dict[Path, Variant]) -> AsyncIterator[dict[Path, PromptJudge]]:
    """A judge per prompt file; none when nothing is to be asked."""
    if plan.cache_only:
        yield {}
        return
    async with open_judge(settings) as provider:
        yield {file: PromptJudge(provider, file, variant) for file, variant in asked.items()}


async def _second_opinion(
    plan: Plan, settings: Settings, sets: Sequence[JudgedSet], kept: Kept, judges: dict[Path, PromptJudge],
    bar: Show | None,
) -> dict[str, Any]:  # fmt: skip
    threshold = settings.critic_approval_threshold
    rules = Rules(threshold, 0, settings.candidatos_juicio)
    acted = await acted_on(sets, kept, (settings.embedding_model, model_name(settings)), rules)
    second, [file] = kept.of(ORDER.files[0]), ORDER.files
    if judges:
        missing = second.missing((one.incident, one.entry) for one in near(acted, threshold, plan.margin))
        for number, (incident, entry) in enumerate(missing, 1):
            await judged(second, judges[file], incident, entry)
            if bar:
                bar("Segunda opinión", number, len(missing))
    return repeat_check(acted, second, scales(sets, acted, kept), threshold, plan.margin)


def _parser() -> Parser:
    parser = Parser(
        prog="python -m bench.juez",
        description="Compara redacciones, órdenes y escalas del juez con datos etiquetados, y mide la segunda opinión.",
        epilog=_EXAMPLES,
    )
    add, plan = parser.add_argument, Plan(())
    add("--datos", type=Path, nargs="+", required=True, metavar="DIR", help="conjuntos, o carpetas que los contienen")
    add("--variantes", nargs="+", choices=VARIANTS, default=list(VARIANTS), metavar="NOMBRE", help="cuáles (todas)")
    add("--muestra", type=_count, default=plan.incidents, metavar="N", help="incidencias por conjunto: la mitad con "
        f"solución, un cuarto sin ella y un cuarto con la suya retirada ({plan.incidents})")  # fmt: skip
    add("--pares", type=_count, default=plan.pairs, metavar="N", help=f"pares por conjunto de pares ({plan.pairs})")
    add("--margen", type=_count, default=plan.margin, metavar="PUNTOS", help="sobre el umbral, hasta donde se pide "
        f"segunda opinión; 0, no se mide ({plan.margin})")  # fmt: skip
    add("--semilla", type=int, default=plan.seed, metavar="S", help=f"de las muestras ({plan.seed})")
    add("--juicios", type=Path, default=plan.cache, metavar="FILE", help=f"juicios ya hechos ({plan.cache})")
    add("--cache", type=Path, default=plan.vectors, metavar="DIR", help=f"vectores ya calculados ({plan.vectors})")
    add("--solo-cache", action="store_true", help="no cargar el modelo: se compara lo que ya está juzgado")
    add("--json", type=Path, metavar="FILE", default=Path("var/bench/juez.json"), help="dónde se escribe todo "
        "(var/bench/juez.json)")  # fmt: skip
    return parser


def _count(text: str) -> int:
    number = int(text)
    if number < 0:
        raise ValueError
    return number


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when everything was measured, whatever came out."""
    options = _parser().parse_args(arguments)
    plan = Plan(
        options.datos, [VARIANTS[name] for name in dict.fromkeys(options.variantes)], options.muestra, options.pares,
        options.margen, options.semilla, options.juicios, options.solo_cache, options.cache,
    )  # fmt: skip
    return exit_code(
        lambda: _work(plan, options.json),
        interrupted="Interrumpido: los juicios hechos están guardados; repita la orden para seguir.",
    )


def _work(plan: Plan, target: Path) -> None:
    settings = load_settings()
    inner = open_embedder(settings)
    kept = KeptVectors(inner, plan.vectors / f"juez-{hashlib.sha256(inner.version.encode()).hexdigest()[:8]}.npz")
    with progress_bar() as bar:
        try:
            measured = asyncio.run(measure(plan, settings, kept, bar))
        finally:
            kept.save()
    result = {
        "fecha": datetime.now().astimezone().isoformat(timespec="seconds"),
        "commit": commit(ROOT),
        "procesadores": threads(),
        "proveedor": settings.provider,
        **measured,
    }
    write_whole(target, json.dumps(result, ensure_ascii=False, indent=1) + "\n")
    show(grids(result), legend(result))
    print(f"Resultado: {target}")


if __name__ == "__main__":
    sys.exit(main())
