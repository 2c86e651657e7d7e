"""How a log of calls is laid out: which column is which, and what its words mean: `llamadas.toml`, or defaults."""

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core.catalogue import normalised
from core.errors import UsageError

FILE_NAME = "llamadas.toml"
REQUIRED = ("call_id", "steps_history", "final_status")
COLUMNS = (*REQUIRED, "error_code", "user_segment", "call_type", "timestamp", "duration", "notes")

_ALSO_CALLED: Mapping[str, tuple[str, ...]] = {
    "call_id": ("id", "id_llamada", "llamada", "callid", "session_id"),
    "steps_history": ("steps", "pasos", "recorrido", "historial", "historial_pasos", "path", "flow"),
    "final_status": ("status", "estado", "estado_final", "resultado", "outcome"),
    "error_code": ("error", "codigo_error", "failure_reason", "motivo_fallo"),
    "user_segment": ("customer_segment", "segment", "segmento", "segmento_cliente"),
    "call_type": ("type", "tipo", "tipo_llamada"),
    "timestamp": ("date", "datetime", "fecha", "fecha_hora", "start_time", "inicio"),
    "duration": ("duracion", "segundos"),
    "notes": ("nota", "notas", "comentario", "comentarios", "observaciones"),
}
_FAILED = (
    "failed", "fail", "failure", "fallo", "fallida", "fallido", "fallada", "error", "errored", "ko", "nok", "timeout",
    "abandoned", "abandonada", "abandono", "dropped", "cortada", "colgada", "caida", "incompleta", "unsuccessful",
    "no resuelta", "rejected", "rechazada",
)  # fmt: skip
_FINE = (
    "success", "successful", "ok", "exito", "exitosa", "exitoso", "correcta", "correcto", "completed", "complete",
    "completada", "completado", "finalizada", "resuelta", "resuelto", "resolved", "done", "transferred", "transferida",
    "transfer", "contained",
)  # fmt: skip

Texts = tuple[Annotated[str, Field(min_length=1, max_length=200)], ...]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Format(_Section):
    """What is detected unless it is said here."""

    separador: Annotated[str, Field(min_length=1, max_length=1)] | None = None
    codificacion: str | None = None
    separador_pasos: Annotated[str, Field(min_length=1, max_length=5)] | None = None
    fecha: str | None = None
    """Of `strptime`."""


class States(_Section):
    """Further words of `final_status`."""

    fallo: Texts = ()
    exito: Texts = ()


class Steps(_Section):
    """Steps that are the failure itself, and steps that never are, where the program would take them otherwise."""

    desenlaces: Texts = ()
    causas: Texts = ()


class CallMap(_Section):
    """The content of `llamadas.toml`; every part is optional."""

    columnas: dict[str, str] = {}
    formato: Format = Format()
    estados: States = States()
    pasos: Steps = Steps()

    def failed(self, status: str) -> bool | None:
        """Whether a call with this final status failed; None where the word is not known."""
        word = normalised(status).replace("_", " ").replace("-", " ")
        if word in map(normalised, self.estados.fallo):
            return True
        if word in map(normalised, self.estados.exito):
            return False
        return True if word in _FAILED else False if word in _FINE else None

    def positions(self, header: Sequence[str]) -> dict[str, int]:
        """Column -> its place in `header`. Raises `UsageError` naming those that are not there but must."""
        names = [_folded(name) for name in header]
        found: dict[str, int] = {}
        for column in COLUMNS:
            asked = self.columnas.get(column)
            options = (asked,) if asked else (column, *_ALSO_CALLED[column])
            place = next((names.index(_folded(name)) for name in options if _folded(name) in names), None)
            if place is not None:
                found[column] = place
            elif asked:
                raise UsageError(f"no hay ninguna columna «{asked}» ({FILE_NAME} dice que es {column})")
        missing = [column for column in REQUIRED if column not in found]
        if missing:
            raise UsageError(
                f"falta {', '.join(missing)}. Las columnas son: {', '.join(header)[:300]}. Diga en {FILE_NAME} cuál "
                f'es, por ejemplo:\n[columnas]\n{missing[0]} = "{header[0][:60]}"'
            )
        return found


def _folded(name: str) -> str:
    return normalised(name).replace(" ", "_").replace("-", "_")


def read_map(path: Path | None, resources: Path) -> CallMap:
    """The map at `path`, or `llamadas.toml` among the resources, or the defaults. Raises `UsageError`."""
    chosen = path or resources / FILE_NAME
    if path is None and not chosen.exists():
        return CallMap()
    try:
        content = tomllib.loads(chosen.read_text("utf-8"))
        mapped = CallMap.model_validate(content)
    except OSError as error:
        raise UsageError(f"No se puede leer {chosen}: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{chosen}: no es TOML en UTF-8 ({error}).") from error
    except ValidationError as error:
        first = error.errors()[0]
        raise UsageError(f"{chosen}: {'.'.join(map(str, first['loc']))}: {first['msg']}.") from error
    unknown = sorted(mapped.columnas.keys() - set(COLUMNS) - {"customer_segment"})
    if unknown:
        raise UsageError(f"{chosen}: [columnas] no admite {', '.join(unknown)}. Admite: {', '.join(COLUMNS)}.")
    if "customer_segment" in mapped.columnas:
        columns = {"user_segment" if k == "customer_segment" else k: v for k, v in mapped.columnas.items()}
        mapped = mapped.model_copy(update={"columnas": columns})
    return mapped
