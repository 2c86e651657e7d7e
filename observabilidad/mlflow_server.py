"""MLflow where it is used: which backend, a client of it, and a limit to how long anybody waits for it.

Runs, models, prompts and traces all go through here. Nothing of MLflow is imported until a client is opened.
"""

import logging
import os
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final, TypeVar

from filelock import FileLock, Timeout

from config import Settings
from core.errors import DependencyError, UsageError

if TYPE_CHECKING:
    from mlflow import MlflowClient

logger = logging.getLogger(__name__)

T = TypeVar("T")

OFF: Final = "no"
"""`MLFLOW_TRACKING_URI` for whoever has MLflow installed and does not want it here."""
PATIENCE: Final = 60.0
"""Seconds that a command waits for MLflow, everything together."""
PACKAGES: Final = "mlflow-skinny==3.17.2 alembic==1.20.1"
"""The extra `mlflow` of pyproject.toml."""
_INSTALL: Final = f"Instálelo con `pip install {PACKAGES}`"


def in_use(settings: Settings) -> bool:
    """Whether runs are kept in MLflow: it is installed, or a backend was named. Costs no import.

    Raises `UsageError` when a backend was named and MLflow is not there.
    """
    if settings.mlflow_tracking_uri == OFF:
        return False
    spec = find_spec("mlflow")
    installed = spec is not None and spec.origin is not None
    if settings.mlflow_tracking_uri and not installed:
        raise UsageError(f"MLFLOW_TRACKING_URI está puesta, pero falta MLflow. {_INSTALL}, o deje el ajuste vacío.")
    return installed


def require(settings: Settings) -> None:
    """Raises `UsageError` unless MLflow can be used."""
    if settings.mlflow_tracking_uri == OFF:
        raise UsageError("MLFLOW_TRACKING_URI=no desactiva MLflow: quite ese valor para usarlo.")
    if not in_use(settings):
        raise UsageError(f"Falta MLflow. {_INSTALL}.")


def tracking_uri(settings: Settings) -> str:
    """The backend: the one named, or a SQLite file under `DIRECTORIO_ESTADO`."""
    folder = settings.directorio_estado.absolute() / "mlflow"
    return settings.mlflow_tracking_uri or f"sqlite:///{folder / 'mlflow.db'}"


def shown(settings: Settings) -> str:
    """The backend as a message may name it: without user and password."""
    return re.sub(r"//[^/\s]*@", "//***@", tracking_uri(settings))


def open_client(settings: Settings) -> "MlflowClient":
    """A client whose backend has answered. May wait long: call it `within` a limit.

    Raises `UsageError` as `require`, `DependencyError` when the backend cannot be used.
    """
    require(settings)
    _prepare_environment()
    uri = tracking_uri(settings)
    folder = settings.directorio_estado / "mlflow"
    with explained(settings):
        if not uri.startswith("http"):
            folder.mkdir(parents=True, exist_ok=True)
        try:
            from mlflow import MlflowClient

            # Two processes that create a database's tables at once would trip over each other.
            with FileLock(folder / "abrir.lock", timeout=PATIENCE) if uri.startswith("sqlite") else _nothing():
                client = MlflowClient(uri, uri)
                client.search_experiments(max_results=1)
        except ModuleNotFoundError as error:
            raise UsageError(f"A MLflow le falta el paquete {error.name}. {_INSTALL}.") from error
        except Timeout as error:
            raise DependencyError(f"Otro proceso tiene abierta {folder / 'abrir.lock'}: espere y repita.") from error
    return client


def experiment(client: "MlflowClient", settings: Settings, name: str) -> str:
    """The id of the experiment of that name, made or brought back where need be.

    Without a server its files lie under `DIRECTORIO_ESTADO`, not in whatever folder the command was started.
    """
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found is None:
        served = tracking_uri(settings).startswith("http")
        place = None if served else (settings.directorio_estado.absolute() / "mlflow" / "ficheros" / name).as_uri()
        try:
            return str(client.create_experiment(name, artifact_location=place))
        except MlflowException:  # somebody else was first
            found = client.get_experiment_by_name(name)
            if found is None:
                raise
    if found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
    return str(found.experiment_id)


def within(seconds: float, work: Callable[[], T]) -> T:
    """What `work` gives or raises, or `DependencyError` when that takes longer.

    It runs in a thread that nobody waits for any more then, not even the end of the process.
    """
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except Exception as error:  # noqa: BLE001 - handed over whole to whoever waits
            future.set_exception(error)

    threading.Thread(target=run, name="mlflow", daemon=True).start()
    try:
        return future.result(seconds)
    except TimeoutError as error:
        if future.done():  # the work's own
            raise
        raise DependencyError(
            f"MLflow no ha respondido en {seconds:g} s. Compruebe MLFLOW_TRACKING_URI y que no está atascado."
        ) from error


@contextmanager
def explained(settings: Settings) -> Iterator[None]:
    """What MLflow raises as a `DependencyError` that names the backend and says what to do."""
    from google.protobuf.json_format import ParseError
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError, OSError, ParseError, ValueError) as error:
        remedy = (
            "Compruebe MLFLOW_TRACKING_URI y que el servidor está en marcha (`mlflow server --port 5000`)."
            if tracking_uri(settings).startswith("http")
            else "Compruebe MLFLOW_TRACKING_URI, los permisos y el sitio en disco."
        )
        raise DependencyError(f"MLflow ({shown(settings)}) no se puede usar: {_why(error)}. {remedy}") from error


def _why(error: Exception) -> str:
    """The error's first words, without passwords; what every HTTP client says at length when nobody is there, short."""
    text = re.sub(r"//[^/\s]*@", "//***@", " ".join(str(error).split()))
    return "no responde" if "Max retries exceeded" in text or "timed out" in text else text[:200].rstrip(". ")


@contextmanager
def _nothing() -> Iterator[None]:
    yield


def _prepare_environment() -> None:
    """MLflow takes these from the environment only, when it is imported; what the operator set there comes first."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("DO_NOT_TRACK", "true")
    os.environ.setdefault("MLFLOW_CONFIGURE_LOGGING", "false")  # its messages go where ours go
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")  # instead of two minutes
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")  # instead of seven, each waiting longer
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")  # without git there is no commit, and no word about it
    for name in ("mlflow", "alembic", "urllib3.connectionpool"):
        logging.getLogger(name).setLevel(logging.ERROR)
