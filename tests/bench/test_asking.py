"""The bench of questions counts what it says; the intents' figures are precision and recall."""

import json
from pathlib import Path

import pytest

from bench.calidad import __main__ as door
from bench.calidad.asking import intent_figures, measure_questions, question_grids
from bench.documents import measure_documents, mixed_documents
from config import load_settings
from core.documents.answerability import Answerability
from core.errors import UsageError
from core.intents import Classification
from finetune.questions import Question, read_questions
from tests.core.documents.words import count
from tests.core.hash_embedder import HashEmbedder

_FIT = Answerability(
    embeddings="e5+use", judge="x", prompt="x", intercept=-2.0, logit=0.0, logit_range=(0, 0), scores={"bm25": 6.0},
    threshold=0.5,
)  # fmt: skip
_QUESTIONS = [
    {"pregunta": "¿Cuándo se carga el recibo?", "fuente": "cobros", "contiene": ["día hábil"], "intencion": "cargo"},
    {"pregunta": "¿Quién repara la impresora?", "fuente": None, "intencion": None},
]
_INTENTS = {
    "cargo": {"examples": ["cuándo se carga el recibo", "se carga el recibo", "cargo del recibo"]},
    "baja": {"examples": ["quiero la baja", "baja del seguro", "aviso de baja"]},
}


class Counting(HashEmbedder):
    """Counts tokens too, as the real one does."""

    tokens = staticmethod(count)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "cobros.md").write_text("# Cobros\n\nEl recibo se carga el primer día hábil.\n", "utf-8")
    (tmp_path / "q.jsonl").write_text("\n".join(map(json.dumps, _QUESTIONS)), "utf-8")
    (tmp_path / "intents.json").write_text(json.dumps(_INTENTS), "utf-8")
    monkeypatch.setattr("bench.calidad.asking.load_answerability", lambda embeddings: _FIT)
    monkeypatch.setattr("finetune.questions.E5Use", Counting)
    monkeypatch.setattr("bench.documents.E5Use", Counting)
    monkeypatch.setenv("DIRECTORIO_ESTADO", str(tmp_path / "var"))
    monkeypatch.setenv("DIRECTORIO_RECURSOS", str(tmp_path))
    return tmp_path


def test_questions_are_measured(place: Path) -> None:
    found = measure_questions(
        place / "d", place / "q.jsonl", place / "intents.json", load_settings(), Counting({"e5": 32, "use": 32}), None
    )
    said = found["respuestas"]
    assert (said["con_respuesta"], said["bien"], said["mal"]) == (1, 1, 0)
    assert (said["sin_respuesta"], said["no_lo_se"]) == (1, 1)
    assert (said["respondidas"], said["citas_validas"]) == (1, 1)
    assert next(grid.rows for grid in question_grids(found))[3] == ("respuestas con citas válidas", "1 de 1", "100%")


def test_the_door(place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(door, "open_embedder", lambda settings: Counting({"e5": 32, "use": 32}))
    asked = ["--preguntas", "--documentos", str(place / "d"), "--fichero", str(place / "q.jsonl")]
    assert door.main([*asked, "--json", str(place / "r.json")]) == 0
    assert json.loads((place / "r_preguntas.json").read_text("utf-8"))["umbral"] == 0.5
    assert "100%" in capsys.readouterr().out


def test_precision_and_recall() -> None:
    def named(intent: str | None) -> Classification:
        return Classification(intent, 0.5, intent or "a")

    rows = [("a", named("a")), ("a", named(None)), ("b", named("a")), (None, named(None)), (None, None)]
    found = intent_figures(rows)
    assert (found["a"]["n"], found["a"]["precision"], found["a"]["recall"]) == (2, 0.5, 0.5)
    assert (found["b"]["precision"], found["b"]["recall"]) == (None, 0.0)
    assert (found["ninguna"]["precision"], found["ninguna"]["recall"]) == (0.667, 1.0)


@pytest.mark.parametrize(
    ("source", "text", "right"),
    [
        ("cobros.pdf", "El PRIMER dia habil.", True),
        ("bajas.pdf", "El primer día hábil.", False),
        ("cobros.pdf", "El día 5.", False),
    ],
    ids=["right", "other-document", "other-words"],
)
def test_a_right_answer(source: str, text: str, right: bool) -> None:
    assert Question.model_validate(_QUESTIONS[0]).right(source, text) is right


@pytest.mark.parametrize("name", ["api/mocks/data/preguntas.jsonl", "finetune/documents/preguntas.jsonl"])
def test_our_questions(name: str) -> None:
    questions = read_questions(Path(name))
    assert sum(bool(q.source) for q in questions) >= 30
    assert sum(not q.source for q in questions) >= 30
    assert len({q.text for q in questions}) == len(questions)


def test_what_is_fitted_on_is_not_what_is_reported() -> None:
    reported = {q.text for q in read_questions(Path("api/mocks/data/preguntas.jsonl"))}
    assert not reported & {q.text for q in read_questions(Path("finetune/documents/preguntas.jsonl"))}


def test_questions_that_do_not_read(tmp_path: Path) -> None:
    (tmp_path / "q.jsonl").write_text('{"pregunta": "¿?", "fuente": null}\n{"otra": 1}', "utf-8")
    with pytest.raises(UsageError, match=r"q\.jsonl:2"):
        read_questions(tmp_path / "q.jsonl")
    with pytest.raises(UsageError, match="no se puede leer"):
        read_questions(tmp_path / "nada.jsonl")


def test_mixed_documents_are_all_accounted_for(place: Path) -> None:
    assert all(measure.met for measure in measure_documents(25))


def test_one_broken_of_each(tmp_path: Path) -> None:
    good, _ = mixed_documents(tmp_path, 12)
    assert (good, len(list(tmp_path.iterdir()))) == (2, 12)
