"""`intents.json`: each intent with examples and the parameters that seeing to it takes."""

import json
import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError, field_validator

from core.errors import UsageError
from core.identifiers import Kind

FILE_NAME = "intents.json"
LEAST_EXAMPLES = 3
"""Each is put to the test with the others: with fewer there is nothing to measure by."""


def _hidden(*kinds: Kind) -> str:
    """The placeholders of these kinds: parameters are looked for where personal data is hidden already."""
    return rf"[<\[](?:{'|'.join(kinds)})(?:_\d+)?[>\]]"


KNOWN: dict[str, tuple[str, str]] = {
    "poliza": ("el número de póliza", _hidden(Kind.POLICY, Kind.NUMBER)),
    "nif": ("el NIF o NIE del titular", _hidden(Kind.NIF, Kind.NIE)),
    "iban": ("la cuenta (IBAN)", _hidden(Kind.IBAN)),
    "telefono": ("un teléfono de contacto", _hidden(Kind.PHONE)),
    "email": ("una dirección de correo", _hidden(Kind.EMAIL)),
    "fecha": (
        "la fecha",
        r"\b\d{1,2}[/.\-]\d{1,2}(?:[/.\-]\d{2,4})?\b|\b\d{1,2} de (?:enero|febrero|marzo|abril|mayo|junio|julio|agosto"
        r"|septiembre|octubre|noviembre|diciembre)\b|\b(?:hoy|ayer|anteayer)\b",
    ),
    "importe": ("el importe", r"\b\d+(?:[.,]\d+)*\s?(?:€|euros?\b)"),
    "siniestro": (
        "el número de siniestro",
        r"\b(?:siniestro|expediente)s?\b[^.?!\n]{0,20}\d{3,}|" + _hidden(Kind.NUMBER),
    ),
    "matricula": ("la matrícula", r"\b\d{4}[ -]?[B-DF-HJ-NP-TV-Z]{3}\b"),
    "incidencia": ("el código de la incidencia", r"\b(?:INC|REQ|RITM)[-_ ]?\d{3,}\b"),
}
"""Name -> (how it is asked for, what it looks like in a text without personal data)."""


class Parameter(BaseModel):
    """Something that the question must say. Names of `KNOWN` need no more; others bring their pattern."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    name: Annotated[str, Field(alias="nombre", min_length=1)]
    asked: Annotated[str, Field(alias="pregunta", min_length=1)]
    pattern: Annotated[str, Field(alias="patron", min_length=1)]

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, value: str) -> str:
        try:
            re.compile(value)
        except re.error as error:
            raise ValueError(f"«{value}» no es una expresión regular: {error}") from error
        return value

    def given(self, text: str) -> bool:
        """Whether `text` (without personal data) says it."""
        return re.search(self.pattern, text, re.IGNORECASE) is not None


def _parameter(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if value not in KNOWN:
        raise ValueError(
            f"parámetro desconocido «{value}»: use uno de {', '.join(KNOWN)}, o indique nombre, pregunta y patron"
        )
    asked, pattern = KNOWN[value]
    return {"nombre": value, "pregunta": asked, "patron": pattern}


class Intent(BaseModel):
    """One intent of the file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    examples: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=LEAST_EXAMPLES)]
    parameters: tuple[Annotated[Parameter, BeforeValidator(_parameter)], ...] = ()

    def missing(self, text: str) -> tuple[str, ...]:
        """How to ask for each parameter that `text` does not say."""
        return tuple(parameter.asked for parameter in self.parameters if not parameter.given(text))


_FILE: TypeAdapter[dict[str, Intent]] = TypeAdapter(Annotated[dict[str, Intent], Field(min_length=2)])


def read_intents(path: Path) -> dict[str, Intent]:
    """The intents of a file, by name. Raises `UsageError` naming what is wrong and where."""
    try:
        return _FILE.validate_python(json.loads(path.read_text("utf-8")))
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        where = " › ".join(str(step) for step in fault["loc"])
        raise UsageError(f"{path}: {where}: {fault['msg'].removeprefix('Value error, ')}") from error
    except (OSError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise UsageError(f"{path} no se puede leer: {error}") from error
