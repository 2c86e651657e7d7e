"""MLflow on SQLite for a test: tables made once, copied for each; whoever lacks the extra skips with a line."""

import shutil
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from tempfile import mkdtemp

import pytest

from config import Settings, load_settings
from observabilidad.mlflow_server import PACKAGES, open_client

NEEDED = pytest.mark.skipif(
    find_spec("mlflow") is None or find_spec("alembic") is None,
    reason=f"falta el extra mlflow: pip install {PACKAGES}",
)
QUIET = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")
"""MLflow 3.17 on SQLAlchemy 2.1."""


@cache
def _template() -> Path:
    folder = Path(mkdtemp(prefix="spai-mlflow-"))
    open_client(load_settings(directorio_estado=folder, mlflow_tracking_uri=None))
    return folder / "mlflow" / "mlflow.db"


def backend(folder: Path, **changes: object) -> Settings:
    """Settings with state in `folder` and a database with empty tables there."""
    (folder / "mlflow").mkdir(parents=True)
    shutil.copyfile(_template(), folder / "mlflow" / "mlflow.db")
    return load_settings(directorio_estado=folder, mlflow_tracking_uri=None, **changes)
