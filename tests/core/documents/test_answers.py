"""An answer comes from the documents word for word, with its source, or not at all."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from pydantic import ValidationError
from qdrant_client import QdrantClient

from core.documents.answerability import Answerability, load_answerability
from core.documents.answers import UNKNOWN, Answerer, Drafted, Intents, Unasked
from core.documents.background import Background
from core.documents.collection import DocumentBase
from core.documents.document import ReadingLimits
from core.documents.load import Loader
from core.documents.pieces import Piece
from core.documents.windows import WHOLE, Fit, windows_of
from core.errors import Retryable, Terminal, UsageError
from core.evidence import Evidence
from core.intents import Classifier, read_intents
from core.judgement import Calibration
from core.privacy import PersonalData
from core.reason import Reason
from core.search import Candidate, Searcher
from tests.core.documents.words import LineReader, count, folder_with
from tests.core.hash_embedder import HashEmbedder

_MANUAL = """# Cobros
## Cargo de recibos
El recibo domiciliado se carga el primer día hábil del mes.
## Devolución por duplicado
La devolución de un recibo duplicado llega en tres días hábiles.
"""
_OTHER = """# Bajas
## Aviso de baja
Quien no quiere renovar avisa por escrito con un mes de antelación.
"""
_QUESTION = "¿Cuándo se carga el recibo domiciliado?"


class Model:
    """Says what it is told to, and remembers what it was shown."""

    def __init__(self, logit: float = 3.0, drafted: Drafted | None = None) -> None:
        self.logit, self.drafted = logit, drafted
        self.shown: list[str] = []

    async def answers(self, question: str, passages: Sequence[str]) -> list[float]:
        self.shown += [question, *passages]
        return [self.logit] * len(passages)

    async def compose(self, question: str, passages: Sequence[str]) -> Drafted:
        self.shown += [question, *passages]
        assert self.drafted
        return self.drafted


def _fit(**more: object) -> Answerability:
    values = {
        "embeddings": "e5+use", "judge": "x", "prompt": "x", "intercept": -2.0, "logit": 0.0, "logit_range": (-5, 5),
        "scores": {"bm25": 6.0}, "threshold": 0.5,
    }  # fmt: skip
    return Answerability.model_validate(values | more)


@pytest.fixture
def base(personal: PersonalData, tmp_path: Path) -> DocumentBase:
    base = DocumentBase(QdrantClient(location=":memory:"), HashEmbedder({"e5": 16, "use": 16}))
    folder = folder_with(tmp_path / "d", {"cobros.txt": _MANUAL, "bajas.txt": _OTHER})
    Loader(base, LineReader(), personal, count, ReadingLimits()).load(folder)
    return base


def _answerer(
    base: DocumentBase, personal: PersonalData, model: Model | Unasked, *, written: bool = False, **fit: object
) -> Answerer:
    searcher = Searcher(base, base.embedder, 20)
    return Answerer(searcher, base.embedder, personal, model, _fit(**fit), written=written)


async def test_quoted_word_for_word_with_its_source(base: DocumentBase, personal: PersonalData) -> None:
    reply = await _answerer(base, personal, Unasked()).answer(_QUESTION)
    assert reply.text == "«El recibo domiciliado se carga el primer día hábil del mes.» [1]"
    assert [str(c) for c in reply.citations] == ["[1] cobros.txt: Cobros › Cargo de recibos"]
    assert reply.found[0].logit is None
    assert reply.seconds > 0


@pytest.mark.parametrize("question", ["¿Qué tiempo hará en Bilbao?", "12345678Z", "¿¿??", "   "])
async def test_not_known(base: DocumentBase, personal: PersonalData, question: str) -> None:
    reply = await _answerer(base, personal, Unasked()).answer(question)
    assert not reply.answered
    assert (reply.text, reply.citations, reply.sentences) == (UNKNOWN, (), ())


async def test_the_judge_decides_where_its_word_counts(base: DocumentBase, personal: PersonalData) -> None:
    sure, unsure = Model(5.0), Model(-5.0)
    assert (await _answerer(base, personal, sure, logit=2.0).answer(_QUESTION)).answered
    assert not (await _answerer(base, personal, unsure, logit=2.0).answer(_QUESTION)).answered
    assert sure.shown[1].endswith("El recibo domiciliado se carga el primer día hábil del mes.")


async def test_what_no_judge_could_save_is_not_judged(base: DocumentBase, personal: PersonalData) -> None:
    model = Model(5.0)
    reply = await _answerer(base, personal, model, logit=0.1, intercept=-50.0).answer(_QUESTION)
    assert (reply.answered, model.shown) == (False, [])
    assert reply.found


async def test_a_failing_model_says_nothing(base: DocumentBase, personal: PersonalData) -> None:
    class Away(Model):
        async def answers(self, question: str, passages: Sequence[str]) -> list[float]:
            raise Retryable(Reason.MODEL_TIMEOUT)

    with pytest.raises(Retryable):
        await _answerer(base, personal, Away(), logit=2.0).answer(_QUESTION)
    with pytest.raises(Terminal):
        await _answerer(base, personal, Unasked(), logit=2.0).answer(_QUESTION)


@pytest.mark.parametrize(
    ("text", "citations", "void"),
    [
        ("El recibo se carga el primer día hábil", (1,), ""),
        ("El recibo se carga el primer día hábil", (2,), "no está entre las encontradas"),
        ("El recibo se carga el día 15", (1,), "número"),
    ],
    ids=["borne-out", "no-such-source", "other-number"],
)
async def test_written_answers_are_checked(
    base: DocumentBase, personal: PersonalData, text: str, citations: tuple[int, ...], void: str
) -> None:
    model = Model(drafted=Drafted(sentences=((text, citations),)))
    reply = await _answerer(base, personal, model, written=True).answer(_QUESTION)
    assert void in reply.void
    assert reply.answered is not bool(void)
    assert bool(reply.citations) is not bool(void)


async def test_nothing_personal_reaches_the_model_or_comes_back(base: DocumentBase, personal: PersonalData) -> None:
    model = Model(5.0)
    question = f"Soy Ana Ruiz, con NIF 12345678Z y teléfono 612345678. {_QUESTION}"
    reply = await _answerer(base, personal, model, logit=2.0, intercept=2.0).answer(question)
    told = " ".join([*model.shown, reply.question, reply.text])
    assert model.shown
    assert "12345678Z" not in told
    assert "612345678" not in told


async def test_a_piece_that_answered_badly_is_not_used_for_that_question(
    base: DocumentBase, personal: PersonalData
) -> None:
    bad = [
        p.model_copy(update={"refused": (_QUESTION,)}).hashed() for p in base.stored().values() if "Cobros" in p.title
    ]
    base.put(bad)
    answerer = _answerer(base, personal, Unasked())
    assert not (await answerer.answer(_QUESTION)).answered
    assert (await answerer.answer("¿Cuándo se carga mi recibo domiciliado?")).answered


async def test_missing_parameters_are_asked_for(base: DocumentBase, personal: PersonalData, tmp_path: Path) -> None:
    path = tmp_path / "intents.json"
    path.write_text(
        '{"cargo": {"examples": ["cuándo se carga el recibo", "cargo del recibo domiciliado", "se carga el recibo"],'
        ' "parameters": ["poliza"]}, "baja": {"examples": ["quiero la baja", "aviso de baja", "baja por escrito"]}}'
    )
    known = read_intents(path)
    searcher = Searcher(base, base.embedder, 20)
    intents = Intents(known, Classifier(known, base.embedder, threshold=0.0))
    answerer = Answerer(searcher, base.embedder, personal, Unasked(), _fit(), intents)
    asked = await answerer.answer(_QUESTION)
    assert asked.intent
    assert (asked.intent.intent, asked.missing) == ("cargo", ("el número de póliza",))
    assert (await answerer.answer(f"{_QUESTION} Mi póliza es la 123456789.")).missing == ()


def test_windows_are_sections_or_runs_of_sentences(base: DocumentBase) -> None:
    piece = next(p for p in base.stored().values() if "Cobros" in p.title)
    first, second = windows_of(Candidate(piece, Evidence(bm25=1.0), 1.0))
    assert first.title == ("Cobros", "Cargo de recibos")
    assert not first.overlaps(second)
    long = piece.model_copy(
        update={"parts": tuple(piece.parts[0].model_copy(update={"text": f"Frase {n}. " * 10}) for n in range(12))}
    )
    runs = windows_of(Candidate(long, Evidence(), 0.0))
    assert len(runs) > 2
    assert all(len(w.text) <= WHOLE for w in runs)
    assert {p.text for w in runs for p in w.parts} == {p.text for p in long.parts}
    assert runs[0].overlaps(runs[1])


def test_better_evidence_never_lowers_it() -> None:
    fit = _fit(logit=1.0)
    assert fit.probability(Fit(bm25=0.9), 1.0) > fit.probability(Fit(bm25=0.1), 1.0)
    assert fit.probability(Fit(), float("nan")) == fit.probability(Fit(), -5.0)
    assert fit.probability(Fit(), 99.0) == fit.probability(Fit(), 5.0)
    assert _fit(intercept=-800.0).probability(Fit(), 0.0) == 0.0


@pytest.mark.parametrize(
    "wrong", [{"scores": {"magia": 1.0}}, {"logit_range": (5, -5)}, {"logit": -1.0}], ids=["score", "range", "sign"]
)
def test_a_fit_that_does_not_hold(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        _fit(**wrong)


def test_the_shipped_fits(tmp_path: Path) -> None:
    for embeddings in ("e5+use", "e5"):
        assert 0 < load_answerability(embeddings).threshold < 1
    with pytest.raises(UsageError, match="finetune"):
        load_answerability("otro")
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(UsageError, match="no se puede leer"):
        load_answerability("e5", tmp_path / "a.json")


def _background(base: DocumentBase, threshold: int) -> Background:
    fit = Calibration(
        embeddings="e5+use", judge="x", prompt="x", intercept=-4, logit=1.0, logit_range=(-5, 3), scores={"bm25": 5.0}
    )
    return Background(Searcher[Piece](base, base.embedder, 20), fit, threshold)


def test_background_names_places_that_resemble_an_incident(base: DocumentBase) -> None:
    assert list(_background(base, 65)("el recibo domiciliado se carga dos veces"))[:1] == ["cobros.txt: Cobros"]
    assert list(_background(base, 65)("la impresora está rota")) == []


def test_background_that_fails_costs_nothing(base: DocumentBase, monkeypatch: pytest.MonkeyPatch) -> None:
    background = _background(base, 65)

    def away(*_: object, **__: object) -> None:
        raise Retryable(Reason.KNOWLEDGE_UNAVAILABLE)

    monkeypatch.setattr(base, "nearest", away)
    assert list(background("el recibo domiciliado se carga dos veces")) == []
