"""`python -m bench.calidad`: retrieval, judge and decision on labelled data."""

import asyncio
import json
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from api.mocks.documents import QUESTIONS, write_all
from bench.calidad.asking import measure_questions, question_grids
from bench.calidad.baselines import Encode
from bench.calidad.run import Plan, measure
from bench.calidad.tables import grids, legend
from bench.calidad.tracked import as_run
from bench.grid import show
from bench.result import commit
from config import ROOT, load_settings
from core.build import open_embedder
from core.command_line import Parser, exit_code
from core.files import write_whole
from core.intents.catalogue import FILE_NAME as INTENTS
from core.ports import Vectors
from core.terminal import progress_bar
from finetune.runs import told
from llm.native import LOCK, threads
from llm.prompt import versions
from llm.tasks import PROMPTS
from observabilidad.mlflow_server import in_use

_EXAMPLES = """\
Lee carpetas con corpus.jsonl y queries.jsonl, y pairs.jsonl si lo hay (o solo), busca con la búsqueda del producto,
pregunta a su juez y decide con su bucle de crítica. De cada conjunto que la calibración ya ha visto se decide con un
ajuste hecho con los demás; de los otros, con la calibración que se entrega.

Cada juicio se guarda en --juicios en cuanto está hecho: si se interrumpe, repita la orden y sigue por donde iba.

ejemplos:
  python -m bench.calidad --datos DATOS finetune/data                 todo; con el modelo embebido, cerca de una hora
  python -m bench.calidad --datos DATOS/es_glpi --muestra 20 --pares 0   un conjunto, en unos minutos
  python -m bench.calidad --datos DATOS --solo-cache                  con los juicios que haya; no carga el modelo
  python -m bench.calidad --datos DATOS --proveedor openai            lo mismo con otro modelo
  python -m bench.calidad --datos DATOS --muestra 200 --sin-retirar   las incidencias tal como vienen
  python -m bench.calidad --datos DATOS --sin-retirar --certificar 1500  y además, si puede certificarse un riesgo
                                                                      del 5 %: unas horas con el modelo embebido
  python -m bench.figuras var/bench/calidad.json                      después: figuras y tablas de docs/calidad.md
  python -m bench.calidad --preguntas                                 preguntas sobre los documentos de demostración
                                                                      e intenciones; unos diez minutos

códigos de salida: 0 medido; 2 uso, datos o configuración incorrectos; 3 falta una dependencia o falla el modelo
"""


def _parser() -> Parser:
    parser = Parser(
        prog="python -m bench.calidad",
        description="Mide con datos etiquetados la búsqueda, el juez y lo que se haría solo.",
        epilog=_EXAMPLES,
    )
    add, plan = parser.add_argument, Plan(())
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--datos", type=Path, nargs="+", metavar="DIR", help="conjuntos, o carpetas que los contienen")
    what.add_argument("--preguntas", action="store_true", help="mide las respuestas con documentos y las intenciones")
    add("--documentos", type=Path, metavar="DIR", help="con --preguntas: los documentos (los de demostración)")
    add("--fichero", type=Path, default=QUESTIONS, metavar="FILE", help="con --preguntas: las preguntas, una por línea")
    add("--muestra", type=int, default=plan.judged, metavar="N", help=f"incidencias que se deciden por conjunto: la "
        f"mitad con solución, un cuarto sin ella y un cuarto con la suya retirada ({plan.judged})")  # fmt: skip
    add(
        "--sin-retirar", action="store_true", help="no retirar ninguna: con y sin solución como vengan en cada conjunto"
    )
    add("--certificar", type=int, default=plan.certified, metavar="N", help="incidencias por conjunto que además se "
        "deciden, para probar si un 5 %% se certifica; se juzga solo lo que preguntaría el bucle (0)")  # fmt: skip
    add("--busqueda", type=int, default=plan.searched, metavar="N", help="incidencias con solución que solo se buscan, "
        f"por conjunto ({plan.searched})")  # fmt: skip
    add("--pares", type=int, default=plan.pairs, metavar="N", help=f"pares etiquetados por conjunto ({plan.pairs})")
    add("--escrita", type=int, default=plan.written, metavar="N", help="incidencias por conjunto a las que el modelo "
        "pone además una nota escrita, para comparar: cuesta generación (0)")  # fmt: skip
    add("--semilla", type=int, default=plan.seed, metavar="S", help=f"de las muestras ({plan.seed})")
    add("--particion", default=plan.split, metavar="NOMBRE", help="«split» que se mide donde lo haya (test)")
    add("--reintentos", type=int, default=plan.retries, metavar="N", help="reformulaciones tras un rechazo, como "
        "MAX_RETRIES_CRITIC; cuestan generación (0)")  # fmt: skip
    add("--proveedor", choices=("embedded", "ollama", "openai"), help="del juez (por defecto, el de la configuración)")
    add("--juicios", type=Path, default=plan.cache, metavar="FILE", help=f"juicios ya hechos ({plan.cache})")
    add("--solo-cache", action="store_true", help="no cargar ningún modelo: lo que no está juzgado queda sin decidir")
    add("--json", type=Path, metavar="FILE", default=Path("var/bench/calidad.json"), help="dónde se escribe todo "
        "(var/bench/calidad.json)")  # fmt: skip
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when everything was measured, whatever came out."""
    options = _parser().parse_args(arguments)
    if options.preguntas:
        return exit_code(lambda: _questions(options.documentos, options.fichero, options.json),
                         interrupted="Interrumpido: no se ha escrito nada.")  # fmt: skip
    return exit_code(
        lambda: _work(Plan(
            options.datos, options.muestra, options.sin_retirar, options.certificar, options.busqueda, options.pares,
            options.escrita, options.semilla, options.particion, options.reintentos, options.juicios,
            options.solo_cache,
        ), options.proveedor, options.json),
        interrupted="Interrumpido: los juicios hechos están guardados; repita la orden para seguir.",
    )  # fmt: skip


def _questions(documents: Path | None, questions: Path, target: Path) -> None:
    settings = load_settings()
    with TemporaryDirectory(prefix="spai-bench-") as made, progress_bar() as bar:
        if documents is None:
            documents = Path(made)
            write_all(documents)
        intents = settings.directorio_recursos / INTENTS
        measured = measure_questions(documents, questions, intents, settings, open_embedder(settings), bar)
    result = {"fecha": f"{datetime.now().astimezone():%Y-%m-%d}", "commit": commit(ROOT), **measured}
    path = target.with_name(f"{target.stem}_preguntas.json")
    write_whole(path, json.dumps(result, ensure_ascii=False, indent=1) + "\n")
    show(question_grids(result))
    print(f"Resultado: {path}")


def _work(plan: Plan, provider: str | None, target: Path) -> None:
    settings = load_settings(llm_provider=provider) if provider else load_settings()
    tracked = in_use(settings)  # a wrong setting stops it before the hour of work, not after
    now = datetime.now().astimezone()
    with progress_bar() as bar:
        measured = asyncio.run(measure(plan, settings, open_embedder(settings), bar, open_minilm()))
    result = {
        "fecha": now.isoformat(timespec="seconds"),
        "commit": commit(ROOT),
        "procesadores": threads(),
        "proveedor": settings.provider,
        "muestra": plan.judged,
        "particion": plan.split,
        "prompts": versions(PROMPTS),
        **measured,
    }
    write_whole(target, json.dumps(result, ensure_ascii=False, indent=1) + "\n")
    show(grids(result), legend(result))
    print(f"Resultado: {target}")
    if tracked:
        with as_run(result, target) as record:
            print(told(settings, record, target))


def open_minilm() -> Encode:
    """The seed's embedding, as it comes. Raises `DependencyError` when its packages are missing."""
    from llm.minilm import MiniLM

    model = MiniLM(threads())

    def encode(texts: Sequence[str]) -> Vectors:
        with LOCK:
            return model.encode(texts)

    return encode


if __name__ == "__main__":
    sys.exit(main())
