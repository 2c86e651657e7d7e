"""`python -m finetune.registro`: what MLflow holds of runs, prompts and models, and which calibration is champion."""

import argparse
import json
import re
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from config import ALIAS, ROOT, Settings, load_settings
from core.command_line import Parser, exit_code
from core.errors import UsageError
from finetune.model_registry import (
    CALIBRATION,
    CHAMPION,
    LANGUAGE_MODEL,
    Registered,
    aliases,
    register_calibration,
    register_gguf,
    set_alias,
    versions,
)
from finetune.prompt_registry import IN_FORCE, register_prompts, state
from finetune.runs import keep
from llm.weights import model_path
from observabilidad.mlflow_server import PATIENCE, explained, open_client, shown, within

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from rich.table import Table

_RUNS = 10
_STATUS = {"FINISHED": "terminada", "FAILED": "fallida", "RUNNING": "en curso", "KILLED": "cortada"}
_EXAMPLES = """\
ejemplos:
  python -m finetune.registro ver                        ejecuciones, prompts y modelos que hay en MLflow
  python -m finetune.registro registrar-prompts          los de prompts/, con su hash; el alias vigente, a los de ahora
  python -m finetune.registro registrar-calibracion      core/calibration.json, u otro fichero, como versión nueva
  python -m finetune.registro registrar-modelo           el GGUF en uso: nombre, tamaño y SHA-256, no el fichero
  python -m finetune.registro campeon 3                  la versión 3 es la que carga CALIBRACION=mlflow:champion
  python -m finetune.registro anotar var/bench/calidad.json   un resultado que no llegó a MLflow

Sin MLFLOW_TRACKING_URI todo queda en un fichero SQLite bajo DIRECTORIO_ESTADO. Para verlo en el navegador hace falta
el paquete mlflow completo:  mlflow ui --backend-store-uri sqlite:///var/mlflow/mlflow.db

códigos de salida: 0 hecho; 2 uso o configuración incorrectos, o falta MLflow; 3 MLflow no responde
"""


def _parser() -> Parser:
    parser = Parser(
        prog="python -m finetune.registro",
        description="Muestra y gobierna lo que MLflow guarda: ejecuciones, prompts y modelos.",
        epilog=_EXAMPLES,
    )
    orders = parser.add_subparsers(dest="orden", required=True, metavar="ORDEN")
    orders.add_parser("ver", help="qué ejecuciones, prompts y modelos hay")
    orders.add_parser("registrar-prompts", help=f"registra los ficheros de prompts/ y les da el alias «{IN_FORCE}»")
    calibration = orders.add_parser("registrar-calibracion", help="registra una calibración como versión nueva")
    calibration.add_argument(
        "fichero", type=Path, nargs="?", default=ROOT / "core" / "calibration.json", help="(core/calibration.json)"
    )
    model = orders.add_parser("registrar-modelo", help="registra el nombre y el SHA-256 de un GGUF")
    model.add_argument("fichero", type=Path, nargs="?", help="(el GGUF en uso)")
    champion = orders.add_parser("campeon", help="elige la calibración que carga CALIBRACION=mlflow:champion")
    champion.add_argument("version", metavar="VERSIÓN", help="número de versión, como lo da «ver»")
    champion.add_argument("--alias", default=CHAMPION, help=f"otro alias ({CHAMPION})")
    late = orders.add_parser("anotar", help="anota un resultado que no llegó a MLflow")
    late.add_argument("fichero", type=Path, help="JSON de bench.calidad, o una calibración")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """0 done, 2 wrong usage or no MLflow, 3 MLflow away."""
    options = _parser().parse_args(arguments)
    return exit_code(lambda: _work(load_settings(), options), interrupted="Interrumpido: repita la orden.")


def _work(settings: Settings, options: argparse.Namespace) -> None:
    match options.orden:
        case "ver":
            _show(settings)
        case "registrar-prompts":
            for one in register_prompts(settings):
                print(f"{one.task}: versión {one.version}, hash {one.hash}, {IN_FORCE}")
        case "registrar-calibracion":
            _tell(register_calibration(settings, _text(options.fichero), f"registro de {options.fichero.name}"))
        case "registrar-modelo":
            in_use = settings.llm_gguf or model_path(settings.directorio_estado / "models")
            _tell(register_gguf(settings, options.fichero or in_use))
        case "campeon":
            if not re.fullmatch(ALIAS, options.alias):
                raise UsageError(f"«{options.alias}» no vale como alias: letras, cifras, _ y -, y empieza por letra.")
            set_alias(settings, CALIBRATION, options.version, options.alias)
            print(
                f"{CALIBRATION}: la versión {options.version} es ahora «{options.alias}». La carga el próximo arranque "
                f"con CALIBRACION=mlflow:{options.alias}."
            )
        case "anotar":
            _note(settings, options.fichero)


def _tell(made: Registered) -> None:
    print(f"{made.model}: versión {made.version}" + ("" if made.new else ", que ya estaba registrada"))


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: no se puede leer ({error}).") from error


def _note(settings: Settings, path: Path) -> None:
    """A result of the bench as a run, a calibration as a version."""
    from bench.calidad.tracked import as_run, is_result

    text = _text(path)
    try:
        content: Any = json.loads(text)
    except ValueError as error:
        raise UsageError(f"{path}: no es JSON ({error}).") from error
    if is_result(content):
        with as_run(content, path) as record:
            print(f"{record.experiment}: ejecución {keep(settings, record)}")
    elif isinstance(content, dict) and "fits" in content:
        _tell(register_calibration(settings, text, f"anotada desde {path.name}"))
    elif isinstance(content, dict) and "calibracion" in content:  # a version fitted on a desk's own outcomes
        text = json.dumps({"fits": [content["calibracion"]]}, ensure_ascii=False, indent=1) + "\n"
        _tell(register_calibration(settings, text, f"recalibración {path.stem}"))
    else:
        raise UsageError(f"{path}: no es un resultado de `python -m bench.calidad` ni una calibración.")


def _show(settings: Settings) -> None:
    from rich.console import Console

    def work() -> "list[Table]":
        client = open_client(settings)
        with explained(settings):
            return [_runs(client), _prompts(client), *(_models(client, name) for name in (CALIBRATION, LANGUAGE_MODEL))]

    tables = within(PATIENCE, work)
    console = Console()
    if not console.is_terminal:
        console = Console(width=160)
    console.print(f"MLflow: {shown(settings)}", highlight=False, soft_wrap=True)
    for table in tables:
        console.print(table)


def _runs(client: "MlflowClient") -> "Table":
    from rich.table import Table

    table = Table("cuándo", "experimento", "nombre", "estado", "id", title=f"Últimas {_RUNS} ejecuciones")
    names = {e.experiment_id: e.name for e in client.search_experiments(filter_string="name LIKE 'spai-%'")}
    found = client.search_runs(list(names), max_results=_RUNS, order_by=["attributes.start_time DESC"]) if names else []
    for run in found:
        info = run.info
        table.add_row(
            _when(info.start_time),
            names[info.experiment_id],
            info.run_name,
            _STATUS.get(info.status, info.status),
            info.run_id,
        )
    return table


def _prompts(client: "MlflowClient") -> "Table":
    from rich.table import Table

    table = Table("tarea", "hash del fichero", "versión en MLflow", "", title="Prompts")
    for one in state(client):
        word = IN_FORCE if one.in_force else "[yellow]sin registrar o sin alias: registrar-prompts"
        table.add_row(one.task, one.hash, str(one.version or "—"), word)
    return table


def _models(client: "MlflowClient", model: str) -> "Table":
    from rich.table import Table

    table = Table("versión", "cuándo", "alias", "qué", "SHA-256", title=model)
    known = aliases(client, model)
    for version in versions(client, model):
        names = ", ".join(alias for alias, number in known.items() if number == str(version.version))
        facts = [f"{k} {v}" for k, v in version.tags.items() if k != "sha256"]
        digest = version.tags.get("sha256", "")[:12]
        table.add_row(str(version.version), _when(version.creation_timestamp), names, ", ".join(facts), digest)
    return table


def _when(milliseconds: int) -> str:
    return f"{datetime.fromtimestamp(milliseconds / 1000).astimezone():%Y-%m-%d %H:%M}"


if __name__ == "__main__":
    sys.exit(main())
