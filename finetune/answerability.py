"""Fits when a question is answered: `python -m finetune.answerability` writes core/documents/answerability.json.

On the documents and questions of `finetune/documents`, an invented university; what the bench reports comes from other
documents and other questions.
"""

import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from config import Settings, load_settings
from core.command_line import Parser, exit_code
from core.documents.answers import JUDGED, PIECES, separate
from core.documents.windows import Fit, fitted
from core.files import write_whole
from core.privacy import strip_identifiers
from core.terminal import Show, progress_bar
from finetune.calibration import EMBEDDING_MODELS
from finetune.judgements import AnswerJudge, Judgements, model_name
from finetune.questions import Question, Remembering, loaded, read_questions
from llm import native
from llm.embed import E5Use
from llm.prompt import Prompt
from llm.provider import open_provider
from llm.tasks import PROMPTS, ModelTasks

Matrix = NDArray[np.float64]

HERE = Path(__file__).with_name("documents")
OUTPUT = Path("core/documents/answerability.json")
SCORES = ("e5", "use", "bm25", "ngrams", "lead", "piece", "lift")
UNKNOWN = 0.95
"""Share of the questions without an answer that the threshold must leave unanswered: 90 % is asked, on other ones."""
_FOLDS = 5


@dataclass(frozen=True)
class Case:
    """A window for a question. `number`: the question's."""

    number: int
    question: Question
    asked: str
    told: str
    fit: Fit
    right: bool


def cases_of(folder: Path, questions: Sequence[Question], embedder: E5Use, bar: Show | None) -> list[Case]:
    """The windows that would be judged for each question."""
    cases = []
    remembering = Remembering(embedder)
    with loaded(folder, embedder) as (searcher, _):
        for number, question in enumerate(questions):
            asked = strip_identifiers(question.text)
            windows = separate(fitted(asked, searcher.search([asked])[:PIECES], remembering))[:JUDGED]
            cases += [Case(number, question, asked, w.told, w.fit, question.answered_by(w)) for w in windows]
            if bar:
                bar("Preguntas", number + 1, len(questions))
    return cases


async def judge_all(cases: Sequence[Case], judgements: Judgements, settings: Settings, bar: Show | None) -> None:
    """Have judged what was not. Loads the settings' model only when something is left."""
    missing = judgements.missing((case.asked, case.told) for case in cases)
    if not missing:
        return
    native.tame_thread_pools()
    provider = open_provider(settings)
    try:
        await provider.check()
        await judgements.judge_all(AnswerJudge(ModelTasks(provider)), missing, bar)
    finally:
        await provider.aclose()


def matrix(cases: Sequence[Case], logits: Sequence[float], used: Sequence[str]) -> Matrix:
    """(cases, used + the logit)."""
    rows = [[*(getattr(c.fit, n) for n in used), z] for c, z in zip(cases, logits, strict=True)]
    return np.array(rows, dtype=np.float64)


def coefficients(x: Matrix, labels: Matrix) -> tuple[Matrix, float]:
    """Weights, none negative: better evidence never makes an answer less likely. And the intercept."""
    from sklearn.linear_model import LogisticRegression

    used = list(range(x.shape[1]))
    while True:
        mean, scale = x[:, used].mean(axis=0), x[:, used].std(axis=0) + 1e-9
        model = LogisticRegression(C=0.5, max_iter=1000).fit((x[:, used] - mean) / scale, labels)
        slopes = model.coef_[0] / scale
        kept = [u for u, slope in zip(used, slopes, strict=True) if slope > 0]
        if kept == used:
            full = np.zeros(x.shape[1])
            full[used] = slopes
            return full, float(model.intercept_[0] - slopes @ mean)
        used = kept


def crossed(x: Matrix, cases: Sequence[Case]) -> Matrix:
    """P of each case by a fit on the questions of the other folds."""
    labels = np.array([case.right for case in cases], dtype=np.float64)
    folds = np.array([case.number % _FOLDS for case in cases])
    chance = np.zeros(len(cases))
    for fold in range(_FOLDS):
        weights, intercept = coefficients(x[folds != fold], labels[folds != fold])
        chance[folds == fold] = 1 / (1 + np.exp(-(x[folds == fold] @ weights + intercept)))
    return chance


def threshold_for(chance: Matrix, cases: Sequence[Case]) -> float:
    """The least that leaves `UNKNOWN` of the questions without an answer unanswered."""
    best: dict[int, float] = {}
    for value, case in zip(chance, cases, strict=True):
        if not case.question.source:
            best[case.number] = max(best.get(case.number, 0.0), float(value))
    ordered = sorted(best.values())
    place = min(len(ordered) - 1, int(np.ceil(UNKNOWN * len(ordered))) - 1)
    return min(0.99, round(ordered[place] + 1e-3, 3))


def told(chance: Matrix, cases: Sequence[Case], threshold: float) -> dict[str, Any]:
    """How the questions would end."""
    best: dict[int, tuple[float, Case]] = {}
    for value, case in zip(chance, cases, strict=True):
        if case.number not in best or value > best[case.number][0]:
            best[case.number] = (float(value), case)
    known = [(p, c) for p, c in best.values() if c.question.source]
    others = [p for p, c in best.values() if not c.question.source]
    return {
        "con_respuesta": len(known),
        "respondidas": sum(p >= threshold for p, _ in known),
        "bien": sum(p >= threshold and c.right for p, c in known),
        "sin_respuesta": len(others),
        "no_lo_se": sum(p < threshold for p in others),
    }


def fit(
    cases: Sequence[Case], judgements: Judgements, embeddings: str, judge: str, prompt: str, *, judged: bool
) -> dict[str, Any]:
    """One fit as `core.documents.answerability.Answerability` reads it; without `judged` the logit counts nothing."""
    from sklearn.metrics import roc_auc_score

    found = [judgements.get(case.asked, case.told) for case in cases]
    rows = [(c, j.logit if j else 0.0) for c, j in zip(cases, found, strict=True) if j or not judged]
    kept, logits = [c for c, _ in rows], [z if judged else 0.0 for _, z in rows]
    used = tuple(name for name in SCORES if name != "use" or "use" in embeddings)
    x, labels = matrix(kept, logits, used), np.array([c.right for c in kept], dtype=np.float64)
    weights, intercept = coefficients(x, labels)
    chance = crossed(x, kept)
    threshold = threshold_for(chance, kept)
    low, high = (round(float(v), 3) for v in np.percentile(logits, [1, 99]))
    return {
        "embeddings": embeddings,
        "judge": judge,
        "prompt": prompt,
        "intercept": round(intercept, 4),
        "logit": round(float(weights[-1]), 4),
        "logit_range": [low, high],
        "scores": {name: round(float(w), 4) for name, w in zip(used, weights, strict=False) if w > 0},
        "threshold": threshold,
        "fitted": {
            "command": f"python -m finetune.answerability{'' if judged else ' --sin-juez'}",
            "date": f"{datetime.now().astimezone():%Y-%m-%d}",
            "cases": len(kept),
            "auc": round(float(roc_auc_score(labels, chance)), 3),
            "auc_judge": round(float(roc_auc_score(labels, logits)), 3) if judged else None,
            **told(chance, kept, threshold),
        },
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code of design §3."""
    parser = Parser(
        prog="python -m finetune.answerability",
        description="Ajusta cuándo se responde una pregunta. Los juicios hechos se guardan: si se interrumpe, repita.",
    )
    add = parser.add_argument
    add("--juicios", type=Path, default=Path("var/calibracion/respuestas.jsonl"), help="juicios ya hechos")
    add("--salida", type=Path, default=OUTPUT, help=f"dónde se escribe ({OUTPUT})")
    add("--sin-juez", action="store_true", help="no cargar el modelo: ajusta solo con la búsqueda")
    options = parser.parse_args(arguments)
    return exit_code(lambda: _work(options.juicios, options.salida, judged=not options.sin_juez),
                     interrupted="Interrumpido: los juicios hechos están guardados; repita la orden.")  # fmt: skip


def _work(cache: Path, output: Path, *, judged: bool) -> None:
    native.tame_thread_pools()
    settings = load_settings()
    prompt, judge = Prompt.load(PROMPTS / "answers.md").version, model_name(settings, "answers")
    judgements = Judgements(cache, prompt, judge)
    questions = read_questions(HERE / "preguntas.jsonl")
    fits = []
    with progress_bar() as bar:
        for embeddings in EMBEDDING_MODELS:
            cases = cases_of(HERE / "textos", questions, E5Use(embeddings.split("+")), bar)
            if judged:
                asyncio.run(judge_all(cases, judgements, settings, bar))
            fits.append(fit(cases, judgements, embeddings, judge, prompt, judged=judged))
            print(json.dumps(fits[-1]["fitted"], ensure_ascii=False))
    write_whole(output, json.dumps({"fits": fits}, ensure_ascii=False, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
