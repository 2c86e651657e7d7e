"""Questions on documents: what is answered rightly, what is left unanswered, and the intents' precision and recall."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from bench.calidad.models import open_judge
from bench.grid import Grid
from config import Settings
from core.build import open_database
from core.documents.answerability import load_answerability
from core.documents.answers import Answerer, Intents, QuestionTasks, Reply, Unasked
from core.documents.citations import faults
from core.feedback import Label, open_feedback
from core.intents import Classification, Classifier, read_intents
from core.lexical import stems
from core.ports import Embedder
from core.privacy import PersonalData
from core.terminal import Show
from finetune.questions import Question, Remembering, loaded, read_questions
from llm.tasks import ModelTasks

NONE = "ninguna"


@dataclass(frozen=True)
class Asked:
    """A question and what was said to it."""

    question: Question
    reply: Reply

    @property
    def right(self) -> bool:
        """Answered, and the quoted document and words are the right ones."""
        said = " ".join(sentence.text for sentence in self.reply.sentences)
        return any(self.question.right(citation.source, said) for citation in self.reply.citations)

    @property
    def valid(self) -> bool:
        """Whether the citations hold when they are checked once more, against everything that was found."""
        quotable = {j.window.piece.id: j.window.piece for j in self.reply.found}
        passages = [quotable[c.piece].text.replace("\n", " ") if c.piece in quotable else "" for c in
                    self.reply.citations]  # fmt: skip
        return not faults(self.reply.sentences, self.reply.citations, passages, stems())


def measure_questions(
    documents: Path, questions: Path, intents: Path, settings: Settings, embedder: Embedder, bar: Show | None
) -> dict[str, Any]:
    """All figures, ready for JSON. Raises `UsageError`, `DependencyError`."""
    asked = read_questions(questions)
    fit = load_answerability(settings.embedding_model)
    known = read_intents(intents)
    classifier = Classifier(known, embedder)
    remembering = Remembering(embedder)
    with loaded(documents, embedder) as (searcher, outcomes):

        def answerer(tasks: QuestionTasks) -> Answerer:
            return Answerer(searcher, remembering, PersonalData(), tasks, fit, Intents(known, classifier))

        rows = asyncio.run(_answers(answerer, asked, settings if fit.judged else None, bar))
    return {
        "documentos": {o.source: o.state.value for o in outcomes},
        "umbral": fit.threshold,
        "respuestas": _answered(rows),
        "preguntas": [_row(row) for row in rows],
        "intenciones": intent_figures([(r.question.intent, r.reply.intent) for r in rows]),
        "valoraciones": rated(settings),
    }


async def _answers(
    made: Callable[[QuestionTasks], Answerer], questions: Sequence[Question], judge: Settings | None, bar: Show | None
) -> list[Asked]:
    """`judge`: whose model judges; None where the fit asks none."""
    rows = []
    async with AsyncExitStack() as stack:
        tasks = ModelTasks(await stack.enter_async_context(open_judge(judge))) if judge else Unasked()
        answerer = made(tasks)
        for number, question in enumerate(questions, 1):
            rows.append(Asked(question, await answerer.answer(question.text)))
            if bar:
                bar("Preguntas", number, len(questions))
    return rows


def _answered(rows: Sequence[Asked]) -> dict[str, Any]:
    known = [row for row in rows if row.question.source]
    others = [row for row in rows if not row.question.source]
    given = [row for row in rows if row.reply.answered]
    return {
        "con_respuesta": len(known),
        "bien": sum(row.right for row in known),
        "mal": sum(row.reply.answered and not row.right for row in known),
        "sin_respuesta": len(others),
        "no_lo_se": sum(not row.reply.answered for row in others),
        "respondidas": len(given),
        "citas_validas": sum(row.valid for row in given),
        "segundos": round(median(row.reply.seconds for row in rows), 3),
    }


def _row(row: Asked) -> dict[str, Any]:
    best = row.reply.found[0] if row.reply.found else None
    return {
        "pregunta": row.question.text,
        "respondida": row.reply.answered,
        "bien": row.right if row.question.source else not row.reply.answered,
        "probabilidad": round(best.probability, 3) if best else None,
        "fuente": best.window.piece.source if best else None,
    }


def intent_figures(rows: Sequence[tuple[str | None, Classification | None]]) -> dict[str, dict[str, Any]]:
    """Name -> precision and recall; those of none under `NONE`."""
    pairs = [(wanted or NONE, (found.intent if found else None) or NONE) for wanted, found in rows]
    figures = {}
    for name in sorted({wanted for wanted, _ in pairs} | {found for _, found in pairs}):
        right = sum(wanted == found == name for wanted, found in pairs)
        named, there = sum(found == name for _, found in pairs), sum(wanted == name for wanted, _ in pairs)
        figures[name] = {
            "n": there,
            "precision": round(right / named, 3) if named else None,
            "recall": round(right / there, 3) if there else None,
        }
    return figures


def rated(settings: Settings) -> dict[str, Any]:
    """What people said of the answers kept here, per intent."""
    with open_feedback(open_database(settings)) as feedback:
        answers = [answer for answer in feedback.answers(rated=True) if answer.rating]
    named: Mapping[str, list[bool]] = {a.intent or NONE: [] for a in answers}
    for answer in answers:
        if answer.rating:
            named[answer.intent or NONE].append(answer.rating.label is Label.GOOD)
    return {name: {"n": len(good), "precision": round(sum(good) / len(good), 3)} for name, good in named.items()}


def question_grids(result: Mapping[str, Any]) -> list[Grid]:
    """The figures as tables."""
    found = result["respuestas"]
    shares = (
        ("con respuesta, bien respondidas", found["bien"], found["con_respuesta"]),
        ("con respuesta, mal respondidas", found["mal"], found["con_respuesta"]),
        ("sin respuesta, «no lo sé»", found["no_lo_se"], found["sin_respuesta"]),
        ("respuestas con citas válidas", found["citas_validas"], found["respondidas"]),
    )
    rows = [(name, f"{part} de {whole}", f"{part / whole:.0%}" if whole else "—") for name, part, whole in shares]
    intents = [
        (name, str(f["n"]), *("—" if f[key] is None else f"{f[key]:.2f}" for key in ("precision", "recall")))
        for name, f in result["intenciones"].items()
    ]
    grids = [
        Grid("Preguntas sobre documentos", ("preguntas", "cuántas", "parte"), rows),
        Grid("Intenciones", ("intención", "n", "precisión", "cobertura"), intents),
    ]
    if result["valoraciones"]:
        said = [(name, str(f["n"]), f"{f['precision']:.2f}") for name, f in result["valoraciones"].items()]
        grids.append(Grid("Lo que han valorado las personas", ("intención", "n", "precisión"), said))
    return grids
