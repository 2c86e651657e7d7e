"""`batch.py --documentos`, `--reindexar` and `main.py --pregunta`, `--valorar`, `--valoraciones`, end to end."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import batch
import core.build
import core.document_session
import core.question_session
import main
from core.documents.answerability import Answerability
from tests.core.documents.words import count, folder_with
from tests.core.hash_embedder import HashEmbedder

Said = tuple[int, str, str]
_MANUAL = """# Cobros
## Cargo de recibos
El recibo domiciliado se carga el primer día hábil del mes.
## Duplicados
Un cobro duplicado se devuelve en tres días.
"""
_FIT = Answerability(
    embeddings="e5+use", judge="x", prompt="x", intercept=-2.0, logit=0.0, logit_range=(0, 0), scores={"bm25": 6.0},
    threshold=0.5,
)  # fmt: skip


class Counting(HashEmbedder):
    """Counts tokens too, as the real one does."""

    tokens = staticmethod(count)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    embedder = Counting({"e5": 64, "use": 64})
    for module in (core.build, core.document_session, core.question_session):
        monkeypatch.setattr(module, "open_embedder", lambda settings: embedder)
    monkeypatch.setattr("llm.embed.E5Use", Counting)
    monkeypatch.setattr("core.documents.answerability.load_answerability", lambda embeddings: _FIT)
    monkeypatch.setenv("DIRECTORIO_ESTADO", str(tmp_path / "var"))
    monkeypatch.setenv("DIRECTORIO_RECURSOS", str(tmp_path / "recursos"))

    def runs(door: Callable[[list[str]], int], *arguments: str) -> Said:
        code = door(list(arguments))
        said = capsys.readouterr()
        return code, said.out, said.err

    return runs


def test_from_a_folder_to_an_answer_to_the_next_index(run: Callable[..., Said], tmp_path: Path) -> None:
    folder = folder_with(tmp_path / "d", {"cobros.md": _MANUAL, "roto.pdf": "no es un PDF"})
    code, out, _ = run(batch.main, "--documentos", str(folder))
    assert code == 0
    assert "2 ficheros; 1 cargados, 0 iguales, 1 no cargados" in out
    assert "roto.pdf: el PDF está dañado" in out
    assert "1 iguales" in run(batch.main, "--documentos", str(folder))[1]

    code, out, _ = run(main.main, "--pregunta", "¿Cuándo se carga el recibo domiciliado?", "--json")
    reply = json.loads(out)
    assert (code, reply["respondida"], reply["fuentes"][0]["fuente"]) == (0, True, "cobros.md")
    assert reply["frases"] == [{"texto": "El recibo domiciliado se carga el primer día hábil del mes.", "citas": [1]}]
    code, out, _ = run(main.main, "--pregunta", "¿Qué tiempo hará en Bilbao?")
    assert (code, out.startswith("No lo sé")) == (0, True)

    assert "queda valorada" in run(main.main, "--valorar", reply["id"], "bien")[1]
    other = json.loads(run(main.main, "--pregunta", "¿Quién cobra?", "--json")[1])["id"]
    assert run(main.main, "--valorar", other, "mal", "--correccion", "Cobra el equipo de Tesorería.")[0] == 0
    code, out, _ = run(batch.main, "--reindexar")
    assert (code, "2 piezas, con 2 valoraciones" in out) == (0, True)
    fixed = json.loads(run(main.main, "--pregunta", "¿Quién cobra?", "--json")[1])
    assert fixed["respuesta"] == "«Cobra el equipo de Tesorería.» [1]"

    code, out, _ = run(main.main, "--valoraciones")
    assert code == 0
    assert "Respuestas guardadas: 4; respondidas 50%" in out
    assert json.loads(run(main.main, "--valoraciones", "--json")[1])["total"]["precision"] == 1.0


@pytest.mark.parametrize(
    ("door", "arguments", "code", "told"),
    [
        (batch.main, ["--documentos", "no-existe"], 2, "No existe la carpeta no-existe"),
        (batch.main, ["--reindexar", "--completo"], 2, "--completo es del catálogo"),
        (batch.main, ["--reindexar"], 2, "--documentos DIR"),
        (main.main, ["--pregunta", "¿Cuándo?"], 3, "--documentos DIR"),
        (main.main, ["--pregunta", "  "], 2, "entre comillas"),
        (main.main, ["--valorar", "f-0000000000", "bien"], 2, "No hay ninguna respuesta"),
        (main.main, ["--valorar", "f-0000000000", "regular"], 2, "«bien» o «mal»"),
        (main.main, ["--correccion", "x"], 2, "--valorar"),
    ],
    ids=[
        "no-folder",
        "of-the-catalogue",
        "nothing-loaded",
        "no-documents",
        "empty",
        "no-answer",
        "no-label",
        "correction-alone",
    ],
)
def test_what_cannot_be_done_says_what_to_do(
    run: Callable[..., Said], door: Callable[[list[str]], int], arguments: list[str], code: int, told: str
) -> None:
    got, _, err = run(door, *arguments)
    assert got == code
    assert told in err


def test_a_question_waits_for_nobody_else(run: Callable[..., Said], tmp_path: Path) -> None:
    """The folder of vectors takes one process at a time: the second is told so."""
    folder = folder_with(tmp_path / "d", {"cobros.md": _MANUAL})
    assert run(batch.main, "--documentos", str(folder))[0] == 0
    from config import load_settings

    with core.build.open_documents(load_settings()):
        code, _, err = run(main.main, "--pregunta", "¿Cuándo se carga el recibo?")
    assert (code, "Otro proceso" in err) == (3, True)
