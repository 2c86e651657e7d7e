"""The calibrations fitted on a desk's own outcomes: kept, one in force per `EMBEDDING_MODEL`, and a way back."""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

from filelock import FileLock
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from core.errors import DependencyError, UsageError
from core.files import write_fresh, write_whole
from core.judgement.calibration import Calibration, load_calibration

FOLDER = "calibraciones"
"""Under `DIRECTORIO_ESTADO`."""
IN_FORCE = "en_vigor.json"
SHIPPED = "entregada"
"""The name of the calibration that comes with the program."""

_Name = Annotated[str, Field(pattern=r"^(entregada|v\d{4,})$")]
_POINTER = TypeAdapter(dict[str, _Name])


class Version(BaseModel):
    """`vNNNN.json`."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    version: _Name
    previa: _Name
    creada: str
    calibracion: Calibration
    comparacion: dict[str, Any] = {}


class Versions:
    """Those of one state folder. Reading raises `UsageError` when a file is broken: a run must not start on it."""

    def __init__(self, state: Path) -> None:
        self._folder = state / FOLDER

    def file(self, name: str) -> Path:
        """Where version `name` stands."""
        return self._folder / f"{name}.json"

    def name(self, embeddings: str) -> str:
        """The one in force."""
        return self._pointer().get(embeddings, SHIPPED)

    def in_force(self, embeddings: str) -> Calibration:
        """The calibration to judge with."""
        name = self.name(embeddings)
        return load_calibration(embeddings) if name == SHIPPED else self.read(name, embeddings).calibracion

    def read(self, name: str, embeddings: str) -> Version:
        """A version; raises `UsageError` when it is not there, broken, or of other embeddings."""
        path = self.file(name)
        try:
            version = Version.model_validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            raise UsageError(f"La calibración {path} no se puede leer: {_short(error)}. {self._way_out()}") from error
        if version.version != name or version.calibracion.embeddings != embeddings:
            raise UsageError(f"{path} no es la versión {name} de EMBEDDING_MODEL={embeddings}. {self._way_out()}")
        return version

    def all(self, embeddings: str) -> list[Version]:
        """Every readable version for these embeddings, the oldest first."""
        found = []
        for path in sorted(self._folder.glob("v*.json"), key=lambda path: (len(path.stem), path.stem)):
            try:
                version = Version.model_validate_json(path.read_bytes())
            except (OSError, ValidationError):
                continue  # only the one in force may stop a run
            if version.calibracion.embeddings == embeddings:
                found.append(version)
        return found

    def known(self, embeddings: str) -> dict[str, Calibration]:
        """Fingerprint -> calibration: the shipped one and every version."""
        calibrations = [load_calibration(embeddings), *(version.calibracion for version in self.all(embeddings))]
        return {calibration.fingerprint: calibration for calibration in calibrations}

    def take_over(self, calibration: Calibration, comparison: dict[str, Any]) -> Version:
        """Keep it as a new version and put that in force. Raises `DependencyError` when it cannot be written."""
        with self._alone():
            taken = [int(path.stem[1:]) for path in self._folder.glob("v*.json") if path.stem[1:].isdigit()]
            version = Version(
                version=f"v{max(taken, default=0) + 1:04}",
                previa=self.name(calibration.embeddings),
                creada=datetime.now().astimezone().isoformat(timespec="seconds"),
                calibracion=calibration,
                comparacion=comparison,
            )
            write_fresh(self.file(version.version), version.model_dump_json(indent=1) + "\n")
            self._point(calibration.embeddings, version.version)
        return version

    def back(self, embeddings: str) -> str:
        """Put the one before in force; its name. Raises `UsageError` when the shipped one is in force already."""
        with self._alone():
            name = self.name(embeddings)
            if name == SHIPPED:
                raise UsageError("Está en vigor la calibración entregada: no hay ninguna anterior.")
            try:
                before = self.read(name, embeddings).previa
                if before != SHIPPED:
                    self.read(before, embeddings)
            except UsageError:
                before = SHIPPED  # a broken file must not bar the way back
            self._point(embeddings, before)
        return before

    def _point(self, embeddings: str, name: str) -> None:
        pointer = self._pointer() | {embeddings: name}
        write_whole(self._folder / IN_FORCE, _POINTER.dump_json(pointer, indent=1) + b"\n")

    def _pointer(self) -> dict[str, str]:
        path = self._folder / IN_FORCE
        try:
            return _POINTER.validate_json(path.read_bytes())
        except FileNotFoundError:
            return {}
        except (OSError, ValidationError) as error:
            raise UsageError(
                f"{path} no se puede leer: {_short(error)}. Bórrelo para trabajar con la calibración entregada."
            ) from error

    def _alone(self) -> FileLock:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            why = error.strerror or error
            raise DependencyError(f"No se puede crear {self._folder}: {why}. Compruebe los permisos.") from error
        return FileLock(self._folder / ".cerrojo")

    def _way_out(self) -> str:
        return "Vuelva a la anterior con `python -m core.judgement volver`."


def _short(error: OSError | ValidationError) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}" if first["loc"] else first["msg"]
