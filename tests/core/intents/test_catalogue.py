"""`intents.json` is checked on reading; what a question does not say is asked for."""

import json
from pathlib import Path

import pytest

from core.errors import UsageError
from core.intents import read_intents
from core.intents.catalogue import KNOWN

_THREE = ["uno", "dos", "tres"]
_OK = {"alta": {"examples": _THREE, "parameters": ["poliza", "fecha"]}, "baja": {"examples": _THREE}}


def _written(path: Path, content: object) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def test_the_shipped_file_reads() -> None:
    intents = read_intents(Path("resources/intents.json"))
    assert len(intents) >= 10
    assert all(len(intent.examples) >= 6 for intent in intents.values())


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("{", "no se puede leer"),
        ({}, "at least 2"),
        ({"alta": {"examples": _THREE}}, "at least 2"),
        (_OK | {"alta": {"examples": ["uno"]}}, "alta › examples"),
        (_OK | {"alta": {"examples": _THREE, "parameters": ["talla"]}}, "parámetro desconocido «talla»"),
        (_OK | {"alta": {"examples": _THREE, "ejemplos": []}}, "ejemplos"),
        (
            _OK | {"alta": {"examples": _THREE, "parameters": [{"nombre": "x", "pregunta": "x", "patron": "("}]}},
            "expresión regular",
        ),
        ("[" * 100_000, "no se puede leer"),
    ],
    ids=["cut", "empty", "one", "few-examples", "unknown-parameter", "unknown-field", "bad-pattern", "deep"],
)
def test_a_file_that_does_not_hold(tmp_path: Path, content: object, told: str) -> None:
    with pytest.raises(UsageError, match=r"intents\.json") as raised:
        read_intents(_written(tmp_path / "intents.json", content))
    assert told in str(raised.value)


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no se puede leer"):
        read_intents(tmp_path / "nada.json")


@pytest.mark.parametrize(
    ("name", "given", "absent"),
    [
        ("poliza", "mi póliza <POLIZA_1>", "mi póliza"),
        ("nif", "soy <NIE_1>", "soy yo"),
        ("iban", "la cuenta <IBAN_2>", "la cuenta"),
        ("telefono", "<TELEFONO_1>", "el teléfono"),
        ("email", "[EMAIL_1]", "mi correo"),
        ("fecha", "fue el 3 de mayo", "fue en mayo"),
        ("fecha", "el 03/05", "el tercero"),
        ("importe", "me cobraron 120,50 €", "me cobraron 120"),
        ("siniestro", "el siniestro 2024001 sigue abierto", "mi siniestro sigue abierto"),
        ("matricula", "coche 1234 BCD", "mi coche"),
        ("incidencia", "la INC-104556", "la incidencia"),
    ],
)
def test_what_counts_as_said(tmp_path: Path, name: str, given: str, absent: str) -> None:
    content = _OK | {"alta": {"examples": _THREE, "parameters": [name]}}
    intent = read_intents(_written(tmp_path / "i.json", content))["alta"]
    assert intent.missing(given) == ()
    assert intent.missing(absent) == (KNOWN[name][0],)


def test_a_parameter_of_ones_own(tmp_path: Path) -> None:
    own = {"nombre": "oficina", "pregunta": "el código de oficina", "patron": r"\bOF-\d{4}\b"}
    intents = read_intents(_written(tmp_path / "i.json", _OK | {"alta": {"examples": _THREE, "parameters": [own]}}))
    assert intents["alta"].missing("desde la of-0012") == ()
    assert intents["alta"].missing("desde la oficina") == ("el código de oficina",)
