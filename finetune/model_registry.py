"""Calibrations and language models in MLflow's registry: numbered versions, and an alias for the one in force.

A version is never trusted by its name: what is loaded must have the SHA-256 that was registered, and must hold.
"""

import hashlib
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from config import Settings
from core.errors import DependencyError, UsageError
from core.judgement import Calibration, Calibrations, load_calibration
from finetune.runs import Point, Record, leaves, parameters, write
from llm.prompt import Prompt
from llm.tasks import PROMPTS
from observabilidad.mlflow_server import PATIENCE, explained, open_client, shown, within

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

CALIBRATION: Final = "spai-calibracion"
LANGUAGE_MODEL: Final = "spai-modelo"
CHAMPION: Final = "champion"
_EXPERIMENTS: Final = {CALIBRATION: "spai-calibracion", LANGUAGE_MODEL: "spai-modelos"}
_FILE: Final = {CALIBRATION: "calibracion.json", LANGUAGE_MODEL: "modelo.json"}
_CHUNK: Final = 1 << 20


@dataclass(frozen=True)
class Registered:
    """A version of a model; `new` is False where the same content was there already."""

    model: str
    version: str
    new: bool


def register_calibration(settings: Settings, text: str, origin: str, patience: float = PATIENCE) -> Registered:
    """Keep a fit or recalibration as an MLflow run and as a version of `spai-calibracion`; no alias is moved.

    `text` is the file as `core.judgement` reads it, `origin` how it was made («ajuste», «recalibración»). Raises
    `UsageError` for a text that does not hold, `DependencyError` when MLflow does not answer.
    """
    fits = _checked(text).fits
    record = Record(
        _EXPERIMENTS[CALIBRATION],
        origin,
        {"origen": origin} | {k: v for fit in fits for k, v in _fit_parameters(fit).items()},
        [point for fit in fits for point in _fit_points(fit)],
        texts={_FILE[CALIBRATION]: text},
    )
    tags = {"embeddings": " ".join(fit.embeddings for fit in fits), "juez": fits[0].judge, "prompt": fits[0].prompt}
    return _register(settings, CALIBRATION, record, _digest(text), tags, patience)


def told(settings: Settings, text: str, origin: str, path: Path, patience: float = PATIENCE) -> str:
    """For whoever has fitted: `register_calibration` for the calibration that stands in `path`, as a line to show.

    An MLflow that is away loses nothing: the line then says how to register it later.
    """
    try:
        made = register_calibration(settings, text, origin, patience)
    except DependencyError as error:
        return (
            f"Aviso: la calibración está en {path}, pero no ha quedado en MLflow. {error}\n"
            f"Después: python -m finetune.registro anotar {path}"
        )
    return (
        f"MLflow: {made.model}, versión {made.version}. Para que la cargue CALIBRACION=mlflow:champion: "
        f"python -m finetune.registro campeon {made.version}"
    )


def file_of(*fits: Calibration) -> str:
    """The text of a calibration file with these fits, as `register_calibration` and `told` take it."""
    return Calibrations(fits=fits).model_dump_json(indent=1) + "\n"


def register_gguf(settings: Settings, path: Path, patience: float = PATIENCE) -> Registered:
    """Register a GGUF by name, size and SHA-256; the file itself stays where it is. Raises as `register_calibration`.

    Reading a file of 1 GB takes a second or two.
    """
    try:
        with path.open("rb") as file:
            if file.read(4) != b"GGUF":
                raise UsageError(f"{path}: no es un fichero GGUF.")
            file.seek(0)
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            size = path.stat().st_size
    except OSError as error:
        raise UsageError(f"{path} no se puede leer: {error.strerror}.") from error
    facts = {"nombre": path.stem, "bytes": size, "sha256": digest}
    text = json.dumps(facts, ensure_ascii=False, indent=1) + "\n"
    record = Record(_EXPERIMENTS[LANGUAGE_MODEL], path.stem, facts, [], texts={_FILE[LANGUAGE_MODEL]: text})
    return _register(settings, LANGUAGE_MODEL, record, digest, {"nombre": path.stem, "bytes": str(size)}, patience)


def set_alias(settings: Settings, model: str, version: str, alias: str = CHAMPION, patience: float = PATIENCE) -> None:
    """Give a version the alias, which leaves the version that had it.

    A calibration is fetched and checked first: one that would not load cannot become the champion. Raises
    `UsageError` or `DependencyError`.
    """

    def work() -> None:
        client = open_client(settings)
        with explained(settings):
            chosen = next((v for v in versions(client, model) if str(v.version) == version), None)
            if chosen is None:
                known = ", ".join(str(v.version) for v in versions(client, model)) or "ninguna"
                raise UsageError(f"{model} no tiene la versión {version}; tiene: {known}.")
            if model == CALIBRATION:
                _fetch(client, chosen)
            client.set_registered_model_alias(model, alias, version)

    within(patience, work)


def load_named(settings: Settings, patience: float = PATIENCE) -> Calibration:
    """The calibration that `CALIBRACION=mlflow:ALIAS` names, checked against its hash and the prompt in force.

    Raises `UsageError` where there is none or it does not hold, `DependencyError` when MLflow does not answer: the
    start is refused, no other calibration takes its place.
    """
    alias = (settings.calibracion or "").partition(":")[2]

    def work() -> Calibration:
        client = open_client(settings)
        with explained(settings):
            found = _by_alias(client, settings, alias)
            text = _fetch(client, found)
        return _fit_for(settings, text, f"la calibración mlflow:{alias} (versión {found.version})")

    try:
        return within(patience, work)
    except DependencyError as error:
        raise DependencyError(
            f"{error} Hace falta para CALIBRACION={settings.calibracion}; sin ese ajuste se usa la de este equipo."
        ) from error


def versions(client: "MlflowClient", model: str) -> list["ModelVersion"]:
    """All versions of a model, newest first; none where nothing was registered."""
    found = client.search_model_versions(f"name = '{model}'")
    return sorted(found, key=lambda version: int(version.version), reverse=True)


def aliases(client: "MlflowClient", model: str) -> dict[str, str]:
    """Alias -> version."""
    found = client.search_registered_models(f"name = '{model}'")
    return {alias: str(version) for one in found for alias, version in one.aliases.items()}


def _register(
    settings: Settings, model: str, record: Record, digest: str, tags: Mapping[str, str], patience: float
) -> Registered:
    def work() -> Registered:
        client = open_client(settings)
        with explained(settings):
            same = next((v for v in versions(client, model) if v.tags.get("sha256") == digest), None)
            if same is not None:
                return Registered(model, str(same.version), new=False)
            run_id = write(client, settings, record)
            _ensure_model(client, model)
            source = f"{client.get_run(run_id).info.artifact_uri}/{_FILE[model]}"
            made = client.create_model_version(model, source, run_id, tags={"sha256": digest, **tags})
            return Registered(model, str(made.version), new=True)

    return within(patience, work)


def _ensure_model(client: "MlflowClient", model: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(model)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _by_alias(client: "MlflowClient", settings: Settings, alias: str) -> "ModelVersion":
    known = aliases(client, CALIBRATION)
    if alias not in known:
        raise UsageError(
            f"MLflow ({shown(settings)}) no tiene ninguna calibración con el alias «{alias}». Vea las que hay con "
            "`python -m finetune.registro ver` y elija una con `python -m finetune.registro campeon VERSIÓN`."
        )
    return client.get_model_version(CALIBRATION, known[alias])


def _fetch(client: "MlflowClient", version: "ModelVersion") -> str:
    """The registered file's text. Raises `UsageError` when it is not what was registered, or does not hold."""
    which = f"{version.name}, versión {version.version}"
    if not version.run_id or not version.tags.get("sha256"):
        raise UsageError(f"{which}: no la registró SPAI, y no se puede comprobar. Registre otra y désele el alias.")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(client.download_artifacts(version.run_id, _FILE[CALIBRATION], folder))
        content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != version.tags["sha256"]:
        raise UsageError(f"{which}: el fichero no es el que se registró (otro SHA-256). No se usa; registre otra.")
    text = content.decode()
    _checked(text)
    return text


def _fit_for(settings: Settings, text: str, what: str) -> Calibration:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / _FILE[CALIBRATION]
        path.write_text(text, "utf-8")
        fit = load_calibration(settings.embedding_model, path)
    prompt = Prompt.load(PROMPTS / "relevance.md").version
    if fit.prompt != prompt:
        raise UsageError(
            f"{what} se ajustó con la versión {fit.prompt} del prompt relevance, y la vigente es {prompt}: sus "
            "aprobaciones no valdrían. Ajuste otra con `python -m finetune.calibration`."
        )
    return fit


def _checked(text: str) -> Calibrations:
    try:
        found = Calibrations.model_validate_json(text)
    except ValidationError as error:
        raise UsageError(f"No es una calibración: {error.errors()[0]['msg']}.") from error
    if not found.fits:
        raise UsageError("No es una calibración: no tiene ningún ajuste.")
    return found


def _fit_parameters(fit: Calibration) -> dict[str, object]:
    fitted: dict[str, Any] = dict(fit.fitted)
    known = {"juez": fit.judge, "prompt": fit.prompt, "logit_range": list(fit.logit_range)}
    found = parameters(fitted | known, ("juez", "prompt", "logit_range", "command", "date", "sets"))
    return {f"{fit.embeddings}/{name}": value for name, value in found.items()}


def _fit_points(fit: Calibration) -> list[Point]:
    """Weights and figures; those over a threshold as a curve with the threshold as its step."""
    fitted: dict[str, Any] = dict(fit.fitted)
    out = dict(fitted.pop("left_out", None) or {})
    curve = out.pop("umbral", None) or {}
    weights = {"intercept": fit.intercept, "logit": fit.logit, **fit.scores}
    return [
        *leaves(weights, f"{fit.embeddings}/pesos"),
        *leaves(fitted, fit.embeddings),
        *leaves(out, f"{fit.embeddings}/fuera"),
        *(
            Point(f"{fit.embeddings}/umbral/{name}", float(value), int(threshold))
            for threshold, figures in curve.items()
            for name, value in figures.items()
        ),
    ]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
