"""`python -m bench.retrieval --datos DIR…`: which retrievers, weights, texts and rewordings find the right row.

Every figure comes from the product's own knowledge base and search; variants weigh the evidence of its candidates
anew. What is fitted here is fitted on the other sets only. Vectors are kept, so a second run takes seconds.
"""

import asyncio
import random
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.calidad.models import open_judge
from bench.grid import Grid, show
from bench.retrieval.finding import EMBEDDINGS, Found, search, together
from bench.retrieval.rewording import Rewordings
from bench.retrieval.row_texts import NAME as DEMO
from bench.retrieval.row_texts import PRODUCT, ROW_TEXTS, demo_desk
from bench.retrieval.tables import Searches, of_rewordings, of_sets, of_texts
from bench.retrieval.vectors import KeptVectors, OneRole, VectorFolder
from config import Settings, load_settings
from core.batch import CATALOGUE
from core.command_line import Parser, exit_code
from core.terminal import Show, progress_bar
from finetune.judgements import model_name
from finetune.labelled import LabelledSet, labelled_folders, of_split, read_set, sample
from llm.embed import E5Use
from llm.prompt import Prompt
from llm.tasks import PROMPTS, ModelTasks

_WIDE = 220
_LIMITS = (5, 10, 40)
_EXAMPLES = """\
Compara, con la base de conocimiento y la búsqueda del producto: cada buscador, las fusiones, los prefijos de e5, con
ejemplos y sin ellos, cuántas candidatas bastan y qué se indexa de cada fila (esto, con el catálogo de demostración).

ejemplos:
  python -m bench.retrieval --datos DATOS finetune/data                 unos minutos la primera vez; después, segundos
  python -m bench.retrieval --datos DATOS --muestra 0                   todas las incidencias
  python -m bench.retrieval --datos DATOS --reformular 20               además, reformuladas por el modelo: 5 s cada una

códigos de salida: 0 medido; 2 uso, datos o configuración incorrectos; 3 falta una dependencia o falla el modelo
"""


def _parser() -> Parser:
    parser = Parser(
        prog="python -m bench.retrieval",
        description="Compara con datos etiquetados las maneras de buscar la fila correcta.",
        epilog=_EXAMPLES,
    )
    add = parser.add_argument
    add("--datos", type=Path, nargs="+", required=True, metavar="DIR", help="carpetas etiquetadas")
    add("--muestra", type=int, default=400, metavar="N", help="incidencias por conjunto (400); 0, todas")
    add("--reformular", type=int, default=0, metavar="N", help="incidencias con solución, por conjunto, que además "
        "reformula el modelo, y otra sin ella por cada cuatro (0)")  # fmt: skip
    add("--semilla", type=int, default=1, metavar="S", help="de la muestra (1)")
    add("--cache", type=Path, default=Path("var/bench/vectores"), metavar="DIR", help="vectores y reformulaciones ya "
        "hechos (var/bench/vectores)")  # fmt: skip
    return parser


@dataclass(frozen=True)
class Plan:
    """What to measure."""

    folders: Sequence[Path]
    count: int
    """Incidents per set; 0: all."""
    reworded: int
    """Of those with a right entry."""
    seed: int
    cache: Path

    def sets(self) -> dict[str, LabelledSet]:
        """Four fifths with a right entry. Raises `UsageError`."""
        share = self.count * 4 // 5
        found = (of_split(read_set(folder), "test") for folder in labelled_folders(self.folders))
        return {s.name: sample(s, self.seed, share, self.count - share, 0) if self.count else s for s in found}


def _searches(sets: Mapping[str, LabelledSet], kept: VectorFolder, seed: int, bar: Show | None) -> Searches:
    product: dict[str, Found] = {}
    plain: dict[str, Found] = {}
    one_role: dict[str, Found] = {}
    limits: dict[int, dict[str, Found]] = {limit: {} for limit in _LIMITS}
    new_rows: dict[str, tuple[Found, Found, Found]] = {}
    for number, (name, labelled) in enumerate(sets.items(), 1):
        vectors, examples = kept.of(name), labelled.examples
        product[name] = search(labelled, vectors, examples)
        plain[name] = search(labelled, vectors, {}) if examples else product[name]
        one_role[name] = search(labelled, OneRole(vectors), examples)
        for limit, found in limits.items():
            found[name] = search(labelled, vectors, examples, limit=limit)
        if examples:
            new_rows[name] = _new_rows(labelled, vectors, seed)
        if bar:
            bar("Búsquedas", number, len(sets))
    return Searches(product, plain, one_role, limits, new_rows)


def _new_rows(labelled: LabelledSet, vectors: KeptVectors, seed: int) -> tuple[Found, Found, Found]:
    """As if each quarter of the rows in turn had just been added: nobody has asked for them yet."""
    rows = sorted(labelled.entries)
    random.Random(f"{seed}/{labelled.name}/nuevas").shuffle(rows)  # noqa: S311 - a sample, not a secret
    parts: list[Found] = []
    for quarter in range(4):
        new = set(rows[quarter::4])
        asked = replace(labelled, incidents=tuple(i for i in labelled.incidents if i.relevant & new))
        known = {row: told for row, told in labelled.examples.items() if row not in new}
        parts.append(search(asked, vectors, known))
    asked = replace(labelled, incidents=tuple(i for i in labelled.incidents if i.relevant))
    return search(asked, vectors, {}), together(parts), search(asked, vectors, labelled.examples)


def _texts(resources: Path, kept: VectorFolder) -> Grid:
    desk = demo_desk(resources / CATALOGUE)
    vectors = kept.of(DEMO)
    found = {name: search(desk.as_set(text), vectors, {}) for name, text in ROW_TEXTS.items()}
    return of_texts(found | {"producto, con ejemplos": search(desk.as_set(ROW_TEXTS[PRODUCT]), vectors, desk.examples)})


async def _rewordings(
    sets: Mapping[str, LabelledSet], plan: Plan, settings: Settings, kept: VectorFolder, bar: Show | None
) -> Grid:
    prompt = Prompt.load(PROMPTS / "reformulate.md")
    known = Rewordings(plan.cache / "reformulaciones.jsonl", prompt.version, model_name(settings, prompt.task))
    few = {name: sample(labelled, plan.seed, plan.reworded, plan.reworded // 4, 0) for name, labelled in sets.items()}
    async with open_judge(settings) as provider:
        texts = [incident.text for labelled in few.values() for incident in labelled.incidents]
        await known.make(ModelTasks(provider), texts, bar)
    own, reworded = {}, {}
    for name, labelled in few.items():
        queries = {i.id: known.get(i.text) or "" for i in labelled.incidents}
        own[name] = search(labelled, kept.of(name), labelled.examples)
        reworded[name] = search(labelled, kept.of(name), labelled.examples, reworded=queries)
    return of_rewordings(own, reworded)


def _work(plan: Plan) -> None:
    settings = load_settings()
    sets, kept = plan.sets(), VectorFolder(E5Use(EMBEDDINGS), plan.cache)
    with progress_bar() as bar:
        try:
            grids = of_sets(_searches(sets, kept, plan.seed, bar))
            grids.append(_texts(settings.directorio_recursos, kept))
            if plan.reworded:
                grids.append(asyncio.run(_rewordings(sets, plan, settings, kept, bar)))
        finally:
            kept.save()
    show(grids, wide=_WIDE)


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when everything was measured, whatever came out."""
    options = _parser().parse_args(arguments)
    return exit_code(
        lambda: _work(Plan(options.datos, options.muestra, options.reformular, options.semilla, options.cache)),
        interrupted="Interrumpido: los vectores y reformulaciones hechos están guardados; repita la orden para seguir.",
    )


if __name__ == "__main__":
    sys.exit(main())
