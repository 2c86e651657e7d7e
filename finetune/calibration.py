"""Fit the approval (`core/calibration.json`) on labelled data, with the product's own search and judge.

Data in the form of a folder per set: `corpus.jsonl` and `queries.jsonl`, or `pairs.jsonl` alone. Incidents without a
right entry take part, and so do incidents whose right entries were taken out: the approval must know doubt.
"""

import asyncio
import hashlib
import json
import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.command_line import Parser
from core.errors import DependencyError, UsageError
from core.files import write_whole
from core.terminal import progress_bar

Matrix = NDArray[np.float64]

SCORES = ("bm25", "margin", "lift")
"""The raw scores that pay: on sets left out AUC .95 against .84 with the cosines themselves, whose level differs from
catalogue to catalogue (and whose weights turn negative beside these)."""
FEATURES = (*SCORES, "logit")
JUDGE = "qwen2.5-coder-1.5b-instruct-q4_k_m"

SAMPLE = {"with": 40, "without": 20, "removed": 20}
"""Incidents per set: with a right entry, without one, with it taken out."""
CANDIDATES = 3
LONGEST = 700
"""Characters of an entry that the judge reads: entries of a catalogue are shorter, those of public sets are not."""


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


@dataclass(frozen=True)
class LabelledSet:
    """A catalogue and incidents with the ids that solve them; `removed` ids are taken out for that incident."""

    name: str
    entries: dict[str, str]
    incidents: list[tuple[str, frozenset[str], bool]]


def read_set(folder: Path, seed: int) -> LabelledSet:
    """A sample of a labelled folder. Catalogue examples and test splits beside a `val` are left alone."""
    rng = random.Random(f"{seed}/{folder.name}")  # noqa: S311 - a sample, not a secret
    if (folder / "corpus.jsonl").exists():
        entries = {row["id"]: row["text"] for row in _lines(folder / "corpus.jsonl")}
        rows = [row for row in _lines(folder / "queries.jsonl") if row.get("split") != "catalogue_example"]
        if any(row.get("split") == "val" for row in rows):
            rows = [row for row in rows if row.get("split") == "val"]
        incidents = [(row["text"], frozenset(row["relevant"])) for row in rows]
    else:
        pairs = list(_lines(folder / "pairs.jsonl"))
        entries = {_key(row["solution"]): row["solution"] for row in pairs}
        right: dict[str, set[str]] = {}
        for row in pairs:
            right.setdefault(row["incident"], set()).update([_key(row["solution"])] if row["label"] else [])
        incidents = [(text, frozenset(ids)) for text, ids in sorted(right.items())]
    rng.shuffle(incidents)
    solvable = [i for i in incidents if i[1]]
    chosen = [(*i, False) for i in solvable[: SAMPLE["with"]]]
    chosen += [(*i, False) for i in [i for i in incidents if not i[1]][: SAMPLE["without"]]]
    chosen += [(*i, True) for i in solvable[SAMPLE["with"] :][: SAMPLE["removed"]]]
    return LabelledSet(folder.name, entries, chosen)


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def _key(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def search_set(labelled: LabelledSet, embeddings: str) -> Iterator[Case]:
    """The candidates of every incident, by the product's own knowledge base and search."""
    from qdrant_client import QdrantClient

    from core.catalogue import CatalogueEntry, Resolution
    from core.knowledge import KnowledgeBase
    from core.privacy import strip_identifiers
    from core.search import Searcher
    from llm.embed import E5Use

    embedder = E5Use(embeddings.split("+"))
    knowledge = KnowledgeBase(QdrantClient(":memory:"), embedder, labelled.name)
    rows = {
        i: CatalogueEntry(component="", description=t, resolution=Resolution.MANUAL)
        for i, t in labelled.entries.items()
    }
    knowledge.build(rows.values())
    of = {i: entry.id for i, entry in rows.items()}
    searcher = Searcher(knowledge, embedder, 20)
    for text, relevant, removed in labelled.incidents:
        right = {of[i] for i in relevant}
        found = searcher.search([strip_identifiers(text)], without=right if removed else ())
        for candidate in found[:CANDIDATES]:
            yield Case(
                labelled.name, text, candidate.entry.embed_text[:LONGEST], int(candidate.entry.id in right),
                bool(right) and not removed, asdict(candidate.evidence),
            )  # fmt: skip


def _judged(cache: Path) -> dict[tuple[str, str], float]:
    """What an earlier run judged."""
    return {(row["incident"], row["entry"]): row["logit"] for row in _lines(cache)} if cache.exists() else {}


async def judge_cases(cases: Sequence[Case], cache: Path) -> list[Case]:
    """The judge's logit for every case; judged ones are kept in `cache` (JSON lines), so a run can be resumed."""
    known = _judged(cache)
    missing = list(dict.fromkeys((case.incident, case.entry) for case in cases) - known.keys())
    if missing:
        from config import load_settings
        from core.build import open_tasks

        cache.parent.mkdir(parents=True, exist_ok=True)
        async with open_tasks(load_settings()) as tasks:
            with cache.open("a", encoding="utf-8") as out, progress_bar() as bar:
                for number, (incident, entry) in enumerate(missing, 1):
                    [known[incident, entry]] = await tasks.judge(incident, [entry])
                    row = {"incident": incident, "entry": entry, "logit": known[incident, entry]}
                    out.write(json.dumps(row, ensure_ascii=False) + "\n")
                    out.flush()
                    if bar:
                        bar("Juicios", number, len(missing))
    return [replace(case, logit=known[case.incident, case.entry]) for case in cases]


def features(cases: Sequence[Case]) -> Matrix:
    """(cases, len(FEATURES)): the raw scores that are used, then the logit."""
    return np.array([[*(case.evidence[name] for name in SCORES), case.logit] for case in cases])


def fit(cases: Sequence[Case]) -> tuple[Matrix, float]:
    """Coefficients over `FEATURES`, none below zero, and intercept.

    Every set weighs the same; ridge keeps the weights small (C = 0.5). A score whose weight comes out negative is
    taken out and the rest fitted again: better evidence must never lower the approval.
    """
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
        slopes, intercept = fit([case for case in cases if case.group != group])
        out = [i for i, case in enumerate(cases) if case.group == group]
        chance[out] = 1 / (1 + np.exp(-(features([cases[i] for i in out]) @ slopes + intercept)))
    truth = np.array([case.label for case in cases])
    figures: dict[str, Any] = {"auc": round(float(roc_auc_score(truth, chance)), 3), "ece": _ece(chance, truth)}
    for group in groups:
        here = np.array([case.group == group for case in cases])
        figures[group] = {"auc": round(float(roc_auc_score(truth[here], chance[here])), 3)}
    figures["umbral"] = {str(t): _at_threshold(cases, chance, t / 100) for t in (50, 65, 80, 90)}
    return figures


def _ece(chance: Matrix, truth: Matrix, bins: int = 10) -> float:
    """Expected calibration error over equal-width bins."""
    which = np.minimum((chance * bins).astype(int), bins - 1)
    gaps = [abs(chance[which == b].mean() - truth[which == b].mean()) * (which == b).mean() for b in set(which)]
    return round(float(sum(gaps)), 3)


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


def calibrated(cases: Sequence[Case], embeddings: str, judge: str, prompt: str, how: dict[str, Any]) -> dict[str, Any]:
    """One fit as `core.judgement.Calibration` reads it."""
    slopes, intercept = fit(cases)
    logits = [case.logit for case in cases]
    return {
        "embeddings": embeddings,
        "judge": judge,
        "prompt": prompt,
        "intercept": round(intercept, 4),
        "logit": round(float(slopes[-1]), 4),
        "logit_range": [round(float(v), 3) for v in np.percentile(logits, [1, 99])],
        "scores": {name: round(float(slope), 4) for name, slope in zip(SCORES, slopes, strict=False)},
        "fitted": how | {"pairs": len(cases), "left_out": left_out(cases)},
    }


def main(arguments: list[str] | None = None) -> int:
    """0, or 2 for data or settings that do not serve."""
    parser = Parser(
        prog="python -m finetune.calibration",
        description="Ajusta la aprobación con datos etiquetados (una carpeta por conjunto) y escribe "
        "core/calibration.json. Con el modelo embebido tarda una media hora; se puede interrumpir y repetir.",
    )
    parser.add_argument(
        "--datos", type=Path, required=True, nargs="+", metavar="DIR", help="carpetas con una carpeta por conjunto"
    )
    parser.add_argument("--semilla", type=int, default=1, help="de la muestra (por defecto, 1)")
    parser.add_argument("--juicios", type=Path, default=Path("var/calibracion/juicios.jsonl"), help="juicios ya hechos")
    parser.add_argument("--salida", type=Path, default=Path("core/calibration.json"))
    parser.add_argument(
        "--vectores", nargs="+", default=["e5+use", "e5"], choices=["e5+use", "e5"], help="qué EMBEDDING_MODEL"
    )
    options = parser.parse_args(arguments)
    folders = sorted(
        (
            f
            for d in options.datos
            for f in d.iterdir()
            if (f / "pairs.jsonl").exists() or (f / "corpus.jsonl").exists()
        ),
        key=lambda folder: folder.name,
    )
    sets = [read_set(folder, options.semilla) for folder in folders]
    how = {
        "command": f"python -m finetune.calibration --datos DATOS finetune/data --semilla {options.semilla}",
        "date": f"{datetime.now().astimezone():%Y-%m-%d}",
        "sets": [s.name for s in sets],
        "incidents": sum(len(s.incidents) for s in sets),
    }
    from llm.prompt import Prompt
    from llm.tasks import PROMPTS

    prompt = Prompt.load(PROMPTS / "relevance.md").version
    fits = []
    for embeddings in options.vectores:
        cases = [case for labelled in sets for case in search_set(labelled, embeddings)]
        judged = asyncio.run(judge_cases(cases, options.juicios))
        fits.append(calibrated(judged, embeddings, JUDGE, prompt, how))
        print(json.dumps(fits[-1]["fitted"], ensure_ascii=False, indent=1))
    write_whole(options.salida, json.dumps({"fits": fits}, ensure_ascii=False, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (UsageError, DependencyError) as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(2)
