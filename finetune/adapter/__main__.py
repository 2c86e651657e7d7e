"""`python -m finetune.adapter`: fit the adapter of the judge of incidents."""

import hashlib
import json
import sys
from datetime import datetime
from pathlib import Path

from config import ROOT, load_settings
from core.command_line import Parser, exit_code
from core.files import write_whole
from core.terminal import progress_bar
from finetune.adapter.pairs import examples
from finetune.adapter.training import Recipe
from finetune.labelled import labelled_folders
from finetune.runs import Point, Record, told
from llm.adapter import FOLDER
from llm.native import threads
from llm.prompt import Prompt
from llm.tasks import PROMPTS
from llm.weights import SHA256, ready_model
from observabilidad.mlflow_server import in_use

TASK = "relevance"
_EXPERIMENT = "spai-juez"


def main(arguments: list[str] | None = None) -> int:
    """0, or 2 for data or packages that are missing."""
    parser = Parser(
        prog="python -m finetune.adapter",
        description="Enseña al juez de incidencias con pares propios y escribe su adaptador (LoRA). Con dos núcleos "
        "tarda unos cincuenta minutos y pide 9 GB de memoria. Necesita requirements/ajuste.txt. Después hay que "
        "volver a ajustar la aprobación: python -m finetune.calibration.",
    )
    parser.add_argument("--datos", type=Path, default=ROOT / "finetune" / "pairs", help="carpeta con una por mesa")
    parser.add_argument("--salida", type=Path, default=FOLDER / f"{TASK}.gguf", help="el adaptador")
    parser.add_argument("--vueltas", type=int, default=Recipe.epochs, help="sobre los datos (por defecto, 2)")
    parser.add_argument("--semilla", type=int, default=Recipe.seed)
    options = parser.parse_args(arguments)
    recipe = Recipe(epochs=options.vueltas, seed=options.semilla)
    return exit_code(
        lambda: _work(options.datos, options.salida, recipe),
        interrupted="Interrumpido: el adaptador sigue como estaba.",
    )


def _work(data: Path, output: Path, recipe: Recipe) -> None:
    settings = load_settings()
    prompt = Prompt.load(PROMPTS / f"{TASK}.md")
    folders = labelled_folders([data])
    given = [example for folder in folders for example in examples(folder, prompt, recipe.seed)]
    from finetune.adapter.base import load
    from finetune.adapter.lora import write as write_adapter
    from finetune.adapter.training import fit, prepare

    base = load(ready_model(settings.directorio_estado / "models"))
    import torch

    torch.set_num_threads(threads())
    with progress_bar() as bar:
        prepared = prepare(base, given, recipe.first_layer, bar)
        adapters, losses = fit(base, prepared, recipe, bar)
    output.parent.mkdir(parents=True, exist_ok=True)
    temporary = output.with_suffix(".parcial")
    write_adapter(adapters, temporary)
    digest = hashlib.sha256(temporary.read_bytes()).hexdigest()
    how = {
        "sha256": digest,
        "base_sha256": SHA256,
        "command": f"python -m finetune.adapter --vueltas {recipe.epochs} --semilla {recipe.seed}",
        "date": f"{datetime.now().astimezone():%Y-%m-%d}",
        "prompt": prompt.version,
        "sets": [folder.name for folder in folders],
        "pairs": len(given),
        "loss": [round(loss, 4) for loss in losses],
        "recipe": recipe.facts(),
    }
    text = json.dumps(how, ensure_ascii=False, indent=1) + "\n"
    temporary.replace(output)
    write_whole(output.with_suffix(".json"), text)
    print(f"{output}: {len(given)} pares, error por vuelta {', '.join(f'{loss:.3f}' for loss in losses)}.")
    if in_use(settings):
        points = [Point("loss", loss, step) for step, loss in enumerate(losses, 1)]
        record = Record(_EXPERIMENT, digest[:8], recipe.facts(), points, texts={f"{TASK}.json": text}, files=[output])
        print(told(settings, record, output))


if __name__ == "__main__":
    sys.exit(main())
