"""A measurement or a fit as an MLflow run: parameters, metrics, curves, files.

MLflow is a second copy: the result is on disk before anything is told to it, and it may be away.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from config import Settings
from core.errors import DependencyError
from observabilidad.mlflow_server import PATIENCE, experiment, explained, open_client, within

if TYPE_CHECKING:
    from mlflow import MlflowClient

_BATCH: Final = 500
"""Metrics, and a fifth of it parameters, per request: a server takes 1000 and 100."""
_LONGEST: Final = 5000
"""Characters of a parameter."""


@dataclass(frozen=True)
class Point:
    """A metric's value; `step` is the place on the curve it belongs to."""

    name: str
    value: float
    step: int = 0


@dataclass(frozen=True)
class Record:
    """What is kept of one run."""

    experiment: str
    name: str
    parameters: Mapping[str, object]
    metrics: Sequence[Point]
    tags: Mapping[str, str] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    """Artifact path -> content."""
    files: Sequence[Path] = ()


def leaves(figures: object, name: str) -> Iterator[Point]:
    """Every number in nested dictionaries, by its path; lists, texts and what was not measured are left out."""
    if isinstance(figures, Mapping):
        for key, value in figures.items():
            yield from leaves(value, f"{name}/{key}" if name else str(key))
    elif isinstance(figures, int | float) and not isinstance(figures, bool):
        yield Point(name, float(figures))


def write(client: "MlflowClient", settings: Settings, record: Record) -> str:
    """Keep `record` as a finished run; its id. A run that breaks off is marked as failed."""
    from mlflow.entities import Metric, Param
    from mlflow.utils.mlflow_tags import MLFLOW_SOURCE_NAME

    run_id: str = client.create_run(
        experiment(client, settings, record.experiment),
        run_name=record.name,
        tags={MLFLOW_SOURCE_NAME: "spai", **record.tags},
    ).info.run_id
    status = "FAILED"
    try:
        now = int(time.time() * 1000)
        metrics = [Metric(_allowed(p.name), p.value, now, p.step) for p in record.metrics]
        params = [Param(_allowed(k), str(v)[:_LONGEST]) for k, v in record.parameters.items() if v is not None]
        for start in range(0, max(len(metrics), len(params) * 5), _BATCH):
            stop, first, last = start + _BATCH, start // 5, (start + _BATCH) // 5
            client.log_batch(run_id, metrics=metrics[start:stop], params=params[first:last])
        for path, text in record.texts.items():
            client.log_text(run_id, text, path)
        for file in record.files:
            client.log_artifact(run_id, str(file))
        status = "FINISHED"
    finally:
        client.set_terminated(run_id, status)
    return run_id


def _allowed(name: str) -> str:
    """MLflow's names have letters, digits and these signs."""
    return "".join(c if c.isalnum() or c in "_-. /:" else "_" for c in name)


def keep(settings: Settings, record: Record, patience: float = PATIENCE) -> str:
    """`write` with a client of its own, in `patience` seconds. Raises `UsageError` or `DependencyError`."""

    def work() -> str:
        client = open_client(settings)
        with explained(settings):
            return write(client, settings, record)

    return within(patience, work)


def told(settings: Settings, record: Record, result: Path, patience: float = PATIENCE) -> str:
    """Keep the run, or say how to do so later; never raises for an MLflow that is away. The line to show."""
    from observabilidad.mlflow_server import shown

    try:
        run_id = keep(settings, record, patience)
    except DependencyError as error:
        return (
            f"Aviso: el resultado está en {result}, pero no ha quedado en MLflow. {error}\n"
            f"Después: python -m finetune.registro anotar {result}"
        )
    return f"MLflow: ejecución {run_id} de «{record.experiment}» en {shown(settings)}"


def parameters(figures: Mapping[str, Any], names: Sequence[str]) -> dict[str, object]:
    """Those of `names` that are there; lists as text."""
    found = {name: figures[name] for name in names if figures.get(name) is not None}
    return {name: ", ".join(map(str, v)) if isinstance(v, list | tuple) else v for name, v in found.items()}
