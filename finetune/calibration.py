"""Fit the approval (`core/calibration.json`) on labelled data, with the product's own search and judge.

Incidents without a right entry take part, and so do incidents whose right entries were taken out: the approval must
know doubt.
"""

import asyncio
import json
import shlex
import sys
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from config import Settings, load_settings
from core.build import open_tasks
from core.catalogue import CatalogueEntry, Resolution
from core.command_line import Parser
from core.errors import DependencyError, UsageError
from core.evidence import Evidence
from core.files import write_whole
from core.judgement import Calibration
from core.knowledge import KnowledgeBase
from core.ports import Embedder
from core.privacy import strip_identifiers
from core.search import Candidate, Searcher
from core.terminal import progress_bar
from finetune.judgements import LONGEST, Judgements, model_name
from finetune.labelled import LabelledIncident, LabelledSet, labelled_folders, of_split, read_set, sample
from finetune.model_registry import told
from llm.embed import E5Use
from llm.prompt import Prompt
from llm.tasks import PROMPTS
from observabilidad.mlflow_server import in_use

Matrix = NDArray[np.float64]

SCORES = ("margin", "csls")
"""The scores that pay: on sets left out AUC .95 against .84 with the cosines themselves, whose level differs from
catalogue to catalogue (and whose weights turn negative beside these). Beside `csls`, `lift` and BM25 get no weight."""
FEATURES = (*SCORES, "logit")
SAMPLE = {"with": 40, "without": 20, "removed": 20}
"""Incidents per set: with a right entry, without one, with it taken out."""
CANDIDATES = 3
EMBEDDING_MODELS = get_args(Settings.model_fields["embedding_model"].annotation)
JUDGED_FROM = int(Settings.model_fields["critic_approval_threshold"].default)
"""The approval within reach from which the pipeline, as it ships, asks the judge at all."""


@dataclass(frozen=True)
class Case:
    """One incident and its candidates, as the product's search found them."""

    group: str
    incident: str
    entry: str
    label: int
    solvable: bool
    evidence: dict[str, float]
    logit: float = 0.0


def sampled(folder: Path, seed: int) -> LabelledSet:
    """What the fit sees of a folder: test splits beside a `val` are left alone."""
    return sample(of_split(read_set(folder), "val"), seed, SAMPLE["with"], SAMPLE["without"], SAMPLE["removed"])


@dataclass(frozen=True)
class SearchedSet:
    """A labelled set as the product's own catalogue: its knowledge base in memory, and the search over it."""

    searcher: Searcher
    ids: dict[str, str]
    """The set's entry id -> the catalogue's."""

    def search(self, incident: LabelledIncident) -> list[Candidate]:
        """Candidates as the pipeline finds them, without what is taken out for this incident."""
        without = self.right(incident) if incident.removed else frozenset()
        return self.searcher.search([strip_identifiers(incident.text)], without=without)

    def right(self, incident: LabelledIncident) -> frozenset[str]:
        """The catalogue's ids of the incident's right entries."""
        return frozenset(self.ids[i] for i in incident.relevant)


def searched(labelled: LabelledSet, embedder: Embedder, limit: int = 20) -> SearchedSet:
    """Embeds the set's entries, with their examples.

    Each is carried out in its own way, so that two that fit equally well are rivals.
    """
    from qdrant_client import QdrantClient

    knowledge = KnowledgeBase(QdrantClient(":memory:"), embedder, labelled.name)
    rows = {
        i: CatalogueEntry(
            component="",
            description=text,
            resolution=Resolution.REASSIGN,
            mailbox=i,
            examples=labelled.examples.get(i, ()),
        )
        for i, text in labelled.entries.items()
    }
    knowledge.build(rows.values())
    return SearchedSet(Searcher(knowledge, embedder, limit), {i: entry.id for i, entry in rows.items()})


def cases_of(group: str, incident: LabelledIncident, right: Collection[str], found: Sequence[Candidate]) -> list[Case]:
    """The candidates that would be judged, as cases of the fit."""
    return [
        Case(
            group, incident.text, c.entry.embed_text[:LONGEST], int(c.entry.id in right), incident.solvable,
            asdict(c.evidence),
        )
        for c in found[:CANDIDATES]
    ]  # fmt: skip


def search_set(labelled: LabelledSet, embedder: Embedder) -> Iterator[Case]:
    """The candidates of every incident, by the product's own knowledge base and search."""
    catalogue = searched(labelled, embedder)
    for incident in labelled.incidents:
        yield from cases_of(labelled.name, incident, catalogue.right(incident), catalogue.search(incident))


async def judge_cases(cases: Sequence[Case], judgements: Judgements, settings: Settings) -> list[Case]:
    """The judge's logit for every case: those known already, and the settings' model's for the others."""
    missing = judgements.missing((case.incident, case.entry) for case in cases)
    if missing:
        async with open_tasks(settings) as tasks:
            with progress_bar() as bar:
                await judgements.judge_all(tasks, missing, bar)
    return with_logits(cases, judgements)


def with_logits(cases: Iterable[Case], judgements: Judgements) -> list[Case]:
    """The cases that were judged, with their logits."""
    known = [(case, judgements.get(case.incident, case.entry)) for case in cases]
    return [replace(case, logit=judgement.logit) for case, judgement in known if judgement]


def logit_range(cases: Sequence[Case]) -> tuple[float, float]:
    """Where the fit sees logits: outside it they count as its ends (`core.logistic`)."""
    low, high = np.percentile([case.logit for case in cases], [1, 99])
    return round(float(low), 3), round(float(high), 3)


def held(cases: Sequence[Case], limits: tuple[float, float]) -> list[Case]:
    """The cases with their logits inside `limits`."""
    return [replace(case, logit=min(max(case.logit, limits[0]), limits[1])) for case in cases]


def features(cases: Sequence[Case]) -> Matrix:
    """(cases, len(FEATURES)): the raw scores that are used, then the logit."""
    return np.array([[*(case.evidence[name] for name in SCORES), case.logit] for case in cases])


def fit(cases: Sequence[Case]) -> tuple[Matrix, float]:
    """Coefficients over `FEATURES`, none below zero, and intercept.

    Every set weighs the same; ridge keeps the weights small (C = 0.5). A score whose weight comes out negative is
    taken out and the rest fitted again: better evidence must never lower the approval. Logits count inside
    `logit_range(cases)`, as the approval will read them.
    """
    cases = held(cases, logit_range(cases))
    used = list(range(len(FEATURES)))
    while True:
        slopes, intercept = _fit_over(cases, used)
        kept = [feature for feature, slope in zip(used, slopes, strict=True) if slope >= 0]
        if kept == used:
            full = np.zeros(len(FEATURES))
            full[used] = slopes
            return full, intercept
        used = kept


def _fit_over(cases: Sequence[Case], used: Sequence[int]) -> tuple[Matrix, float]:
    from sklearn.linear_model import LogisticRegression

    x, y = features(cases)[:, used], np.array([case.label for case in cases])
    sizes = {group: sum(case.group == group for case in cases) for group in {case.group for case in cases}}
    weights = np.array([len(cases) / len(sizes) / sizes[case.group] for case in cases])
    mean, deviation = x.mean(axis=0), x.std(axis=0)
    model = LogisticRegression(C=0.5).fit((x - mean) / deviation, y, sample_weight=weights)
    slopes = model.coef_[0] / deviation
    return slopes, float(model.intercept_[0] - slopes @ mean)


def left_out(cases: Sequence[Case]) -> dict[str, Any]:
    """Figures on each set with a fit on the others: the headline, not the in-sample ones."""
    from sklearn.metrics import roc_auc_score

    groups = sorted({case.group for case in cases})
    chance = np.zeros(len(cases))
    for group in groups:
        others = [case for case in cases if case.group != group]
        slopes, intercept = fit(others)
        out = [i for i, case in enumerate(cases) if case.group == group]
        read = features(held([cases[i] for i in out], logit_range(others)))
        chance[out] = 1 / (1 + np.exp(-(read @ slopes + intercept)))
    truth = np.array([case.label for case in cases])
    figures: dict[str, Any] = {
        "auc": round(float(roc_auc_score(truth, chance)), 3),
        "ece": round(calibration_error(chance, truth), 3),
    }
    for group in groups:
        here = np.array([case.group == group for case in cases])
        figures[group] = {"auc": round(float(roc_auc_score(truth[here], chance[here])), 3)}
    figures["umbral"] = {str(t): _at_threshold(cases, chance, t / 100) for t in (50, 65, 75, 80, 90)}
    return figures


def calibration_error(chance: Matrix, truth: Matrix, bins: int = 10) -> float:
    """Expected calibration error over equal-width bins."""
    which = np.minimum((chance * bins).astype(int), bins - 1)
    gaps = [abs(chance[which == b].mean() - truth[which == b].mean()) * (which == b).mean() for b in set(which)]
    return float(sum(gaps))


def _at_threshold(cases: Sequence[Case], chance: Matrix, threshold: float) -> dict[str, Any]:
    """What the critic would approve: best approval first, the model agreeing, no rival within 10 points."""
    incidents: dict[tuple[str, str, bool], list[int]] = {}
    for i, case in enumerate(cases):
        incidents.setdefault((case.group, case.incident, case.solvable), []).append(i)
    acted = right = solvable = 0
    for (_, _, has), rows in incidents.items():
        best = max(rows, key=lambda i: chance[i])
        solvable += has
        others = [i for i in rows if i != best]
        agreed = all(cases[i].logit <= cases[best].logit and chance[i] <= chance[best] - 0.1 for i in others)
        if chance[best] >= threshold and agreed:
            acted += 1
            right += cases[best].label
    return {"aprobadas": acted, "equivocadas": acted - right, "cobertura": round(right / max(solvable, 1), 2)}


def coefficients(cases: Sequence[Case], embeddings: str, judge: str, prompt: str) -> dict[str, Any]:
    """One fit as `core.judgement.Calibration` reads it."""
    slopes, intercept = fit(cases)
    return {
        "embeddings": embeddings,
        "judge": judge,
        "prompt": prompt,
        "intercept": round(intercept, 4),
        "logit": round(float(slopes[-1]), 4),
        "logit_range": list(logit_range(cases)),
        "scores": {name: round(float(slope), 4) for name, slope in zip(SCORES, slopes, strict=False)},
    }


def distribution(cases: Sequence[Case], fitted: dict[str, Any]) -> dict[str, Any]:
    """How approval, logit and scores lie among the candidates that the pipeline would have judged, as deciles.

    `edges`: the inner ones; `shares`: of the bins between them. `python -m observabilidad.metrics` compares what is
    judged with it. Candidates that no judge could lift over `JUDGED_FROM` never reach one, so they do not count.
    """
    calibration = Calibration.model_validate(fitted)
    evidence = [Evidence(**case.evidence) for case in cases]
    judged = [
        (case, found)
        for case, found in zip(cases, evidence, strict=True)
        if calibration.best_possible(found) >= JUDGED_FROM
    ]
    values = {
        "approval": [calibration.approval(found, case.logit) for case, found in judged],
        "logit": [case.logit for case, _ in judged],
        "margin": [found.margin for _, found in judged],
        "csls": [found.csls for _, found in judged],
    }
    return {name: _binned(np.array(found, dtype=float)) for name, found in values.items() if found}


def _binned(values: Matrix) -> dict[str, list[float]]:
    edges = np.unique(np.round(np.percentile(values, range(10, 100, 10)), 4))
    counts = np.bincount(np.searchsorted(edges, values), minlength=len(edges) + 1)
    return {"edges": edges.tolist(), "shares": np.round(counts / len(values), 4).tolist()}


def main(arguments: list[str] | None = None) -> int:
    """0, or 2 for data or settings that do not serve."""
    parser = Parser(
        prog="python -m finetune.calibration",
        description="Ajusta la aprobación con datos etiquetados (una carpeta por conjunto) y escribe "
        "core/calibration.json. Con el modelo embebido tarda una media hora; se puede interrumpir y repetir.",
    )
    parser.add_argument(
        "--datos",
        type=Path,
        required=True,
        nargs="+",
        metavar="DIR",
        help="carpetas de conjuntos, o con una carpeta por conjunto",
    )
    parser.add_argument("--semilla", type=int, default=1, help="de la muestra (por defecto, 1)")
    parser.add_argument("--juicios", type=Path, default=Path("var/calibracion/juicios.jsonl"), help="juicios ya hechos")
    parser.add_argument("--salida", type=Path, default=Path("core/calibration.json"))
    parser.add_argument(
        "--vectores", nargs="+", default=EMBEDDING_MODELS, choices=EMBEDDING_MODELS, help="qué EMBEDDING_MODEL"
    )
    given = sys.argv[1:] if arguments is None else arguments
    options = parser.parse_args(given)
    settings = load_settings()
    tracked = in_use(settings)
    sets = [sampled(folder, options.semilla) for folder in labelled_folders(options.datos)]
    how = {
        "command": shlex.join(["python", "-m", "finetune.calibration", *given]),
        "date": f"{datetime.now().astimezone():%Y-%m-%d}",
        "sets": [s.name for s in sets],
        "incidents": sum(len(s.incidents) for s in sets),
    }
    prompt = Prompt.load(PROMPTS / "relevance.md").version
    judge = model_name(settings, "relevance")
    judgements = Judgements(options.juicios, prompt, judge)
    fits = []
    for embeddings in options.vectores:
        embedder = E5Use(embeddings.split("+"))
        cases = [case for labelled in sets for case in search_set(labelled, embedder)]
        judged = asyncio.run(judge_cases(cases, judgements, settings))
        fitted = how | {"pairs": len(judged), "left_out": left_out(judged)}
        made = coefficients(judged, embeddings, judge, prompt)
        fits.append(made | {"fitted": fitted | {"distribution": distribution(judged, made)}})
        print(json.dumps(fitted, ensure_ascii=False, indent=1))
    text = json.dumps({"fits": fits}, ensure_ascii=False, indent=1) + "\n"
    write_whole(options.salida, text)
    if tracked:
        print(told(settings, text, "ajuste", options.salida))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (UsageError, DependencyError) as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(2)
