"""The whole measurement: read, search, judge what is not judged, fit on the other sets, decide, add up."""

from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench.calidad.baselines import PRODUCT, Encode, Ranker, rankers
from bench.calidad.comparing import cost, decision, methods, total
from bench.calidad.deciding import LIKELY, Decided, Rules, Searched, decide, search_sample
from bench.calidad.finding import measure_search
from bench.calidad.judging import chance_of, measure_candidates, measure_pairs, sample_pairs
from bench.calidad.models import WRITTEN as WRITTEN_PROMPT
from bench.calidad.models import CachedTasks, WrittenScore, open_judge
from bench.calidad.risk import Decisions
from config import Settings
from core.judgement import Calibration, load_calibration
from core.ports import Embedder
from core.terminal import Show
from finetune.calibration import Case, SearchedSet, coefficients, searched, with_logits
from finetune.judgements import LONGEST, LONGEST_TEXT, AnswerJudge, Judgements, model_name
from finetune.labelled import LabelledSet, Pair, labelled_folders, of_split, read_set, sample
from llm.prompt import Prompt
from llm.tasks import PROMPTS, ModelTasks


@dataclass(frozen=True)
class Plan:
    """What to measure."""

    folders: Sequence[Path]
    judged: int = 80
    """Incidents per set that are judged and decided: half with a solution, a quarter without, a quarter taken out."""
    as_they_come: bool = False
    """No entry is taken out: with and without a solution in the set's own proportion."""
    certified: int = 0
    """Incidents per set that are only decided, for the trials of certifying: judged where the loop would ask."""
    searched: int = 400
    """Incidents with a solution per set that are only searched for."""
    pairs: int = 100
    written: int = 0
    """Incidents per set for which the model writes a score: with, without and taken out as in the judged sample."""
    seed: int = 1
    split: str = "test"
    retries: int = 0
    cache: Path = Path("var/calibracion/juicios.jsonl")
    cache_only: bool = False
    trials: int = 20


@dataclass
class SetWork:
    """One set on its way through the measurement."""

    labelled: LabelledSet
    catalogue: SearchedSet
    simple: dict[str, Ranker]
    rows: list[Searched]
    more: list[Searched]
    """Those of `Plan.certified`."""
    pairs: list[Pair]
    figures: dict[str, Any]

    def spread(self, count: int) -> list[Searched]:
        """So many that found anything: with, without and taken out in the sample's shares; more add to fewer."""
        groups: dict[tuple[bool, bool], list[Searched]] = defaultdict(list)
        for row in self.rows:
            groups[row.incident.solvable, row.incident.removed].append(row)
        placed = [
            ((place + 0.5) / len(group), row)
            for group in groups.values()
            for place, row in enumerate(row for row in group if row.found)
        ]
        return [row for _, row in sorted(placed, key=lambda one: one[0])][:count]

    @property
    def texts(self) -> list[Pair]:
        """Of a set of pairs alone its pairs: the judge of documents is asked about them too."""
        return self.pairs if self.labelled.pairs_alone else []

    def cases(self) -> list[Case]:
        """Every candidate of every incident."""
        return [case for row in self.rows for case in row.cases(self.labelled.name)]


async def measure(
    plan: Plan, settings: Settings, embedder: Embedder, bar: Show | None, minilm: Encode | None = None
) -> dict[str, Any]:
    """All figures, ready for JSON; `minilm` for the baseline of that name.

    Raises `UsageError`, `DependencyError`, and `StageError` of a failing model.
    """
    prompt, judge = Prompt.load(PROMPTS / "relevance.md").version, model_name(settings)
    judgements = _kept(plan, settings, PROMPTS / "relevance.md")
    written = _kept(plan, settings, WRITTEN_PROMPT)
    answers = _kept(plan, settings, PROMPTS / "answers.md", LONGEST_TEXT)
    works = [_prepare(folder, plan, settings, embedder, minilm, bar) for folder in labelled_folders(plan.folders)]
    shipped = load_calibration(settings.embedding_model)
    rules = Rules(settings.critic_approval_threshold, plan.retries, settings.candidatos_juicio)
    decided: dict[str, list[Decided]] = {}
    many: dict[str, list[Decided]] = {}
    undecided = 0
    async with _tasks(plan, settings, works, judgements, written, answers, bar) as tasks:
        fits = _fits(works, judgements, shipped, prompt, judge)
        for number, work in enumerate(works, 1):
            name = work.labelled.name
            decided[name], missed = await decide(work.rows, tasks, fits[name][1], rules)
            work.figures |= _judged(work, judgements, answers, *fits[name]) | {"sin_decidir": missed}
            if bar:
                bar("Decisiones", number, len(works))
        for work in works if plan.certified else ():
            name = work.labelled.name
            likely = replace(rules, tried=LIKELY)
            many[name], missed = await decide(work.more, tasks, fits[name][1], likely, bar)
            undecided += missed
    compared: dict[str, dict[str, Decisions]] = {}
    chances: dict[str, list[tuple[float, int]]] = {}
    for work in works:
        name = work.labelled.name
        # The cache may hold scores that another plan asked for, of another mix of incidents.
        asked = {row.incident.id for row in work.spread(plan.written)}
        compared[name] = methods(decided[name], work.simple, written, asked, embedder.dimensions)
        judged = with_logits(work.cases(), judgements) if decided[name] else []
        chances[name] = [(chance_of(case, fits[name][1]), case.label) for case in judged]
    for work in works:
        name = work.labelled.name
        work.figures["decision"] = decision(name, compared, decided[name], rules.threshold)
        work.figures["coste"] = cost(decided[name], judgements) | {
            "segundos_busqueda": work.figures.pop("segundos_busqueda")
        }
    return {
        "modelo": judge,
        "prompt": prompt,
        "vectores": settings.embedding_model,
        "umbral": rules.threshold,
        "semilla": plan.seed,
        "sin_retirar": plan.as_they_come,
        "reintentos": plan.retries,
        "conjuntos": {w.labelled.name: w.figures for w in works},
        "total": total(compared, decided, chances, rules.threshold, plan.trials, plan.seed),
        "certificacion": _certified(works, many, undecided, written, embedder, rules, plan) if many else None,
    }


def _certified(
    works: Sequence[SetWork],
    decided: dict[str, list[Decided]],
    undecided: int,
    written: Judgements,
    embedder: Embedder,
    rules: Rules,
    plan: Plan,
) -> dict[str, Any]:
    compared = {
        w.labelled.name: methods(decided[w.labelled.name], w.simple, written, (), embedder.dimensions) for w in works
    }
    sets = {name: here[PRODUCT].at(rules.threshold) for name, here in compared.items() if here}
    return total(compared, decided, {}, rules.threshold, plan.trials, plan.seed) | {
        "conjuntos": sets,
        "sin_decidir": undecided,
    }


def _kept(plan: Plan, settings: Settings, file: Path, longest: int = LONGEST) -> Judgements:
    """What was judged with this prompt so far, by the model as it does the prompt's task."""
    prompt = Prompt.load(file)
    return Judgements(plan.cache, prompt.version, model_name(settings, prompt.task), longest)


@asynccontextmanager
async def _tasks(
    plan: Plan,
    settings: Settings,
    works: Sequence[SetWork],
    judgements: Judgements,
    written: Judgements,
    answers: Judgements,
    bar: Show | None,
) -> AsyncIterator[CachedTasks]:
    """The loop's tasks once the candidates are judged; what else the loop asks about is judged as it asks."""
    missing = judgements.missing(
        [(c.incident, c.entry) for w in works for c in w.cases()]
        + [(p.incident, p.solution) for w in works for p in w.pairs]
    )
    scored = written.missing(
        (r.incident.text, r.found[0].entry.embed_text) for w in works for r in w.spread(plan.written)
    )
    answered = answers.missing((p.incident, p.solution) for w in works for p in w.texts)
    if plan.cache_only:
        yield CachedTasks(judgements, None)
        return
    async with open_judge(settings) as provider:
        tasks = ModelTasks(provider)
        await judgements.judge_all(tasks, missing, bar)
        await written.judge_all(WrittenScore(provider), scored, bar)
        await answers.judge_all(AnswerJudge(tasks), answered, bar)
        yield CachedTasks(judgements, tasks)


def _prepare(
    folder: Path, plan: Plan, settings: Settings, embedder: Embedder, minilm: Encode | None, bar: Show | None
) -> SetWork:
    labelled = of_split(read_set(folder), plan.split)
    catalogue = searched(labelled, embedder, settings.query_limit_vectordb)
    many = sample(labelled, plan.seed, plan.searched, plan.searched // 2, plan.searched // 4)
    few = sample(labelled, plan.seed, *_shares(labelled, plan.judged, plan.as_they_come))
    more = sample(labelled, plan.seed, *_shares(labelled, plan.certified, plan.as_they_come))
    simple = rankers({catalogue.ids[i]: text for i, text in labelled.entries.items()}, minilm)
    found = measure_search(many, catalogue, simple, embedder.dimensions, plan.seed, bar)
    figures = {"entradas": len(labelled.entries)} | found
    pairs = sample_pairs(labelled, plan.pairs, plan.seed)
    return SetWork(
        labelled, catalogue, simple, search_sample(few, catalogue), search_sample(more, catalogue), pairs, figures
    )


def _shares(labelled: LabelledSet, count: int, as_they_come: bool) -> tuple[int, int, int]:
    """How many with a solution, without one, and with theirs taken out make a sample of `count`."""
    if not as_they_come:
        return count // 2, count // 4, count // 4
    solvable = sum(incident.solvable for incident in labelled.incidents)
    solved = round(count * solvable / max(len(labelled.incidents), 1))
    return solved, count - solved, 0


def _fits(
    works: Sequence[SetWork], judgements: Judgements, shipped: Calibration, prompt: str, judge: str
) -> dict[str, tuple[str, Calibration]]:
    """Per set the calibration it is decided with and where that comes from.

    The shipped one for a set that it has not seen; one fitted on the other sets for those it was fitted on.
    """
    seen = shipped.fitted.get("sets")
    cases = with_logits([case for work in works for case in work.cases()], judgements)
    fits: dict[str, tuple[str, Calibration]] = {}
    for work in works:
        name = work.labelled.name
        others = [case for case in cases if case.group != name]
        if not (isinstance(seen, list) and name in seen):
            fits[name] = ("entregado", shipped)
        elif len({case.label for case in others}) == 2:
            fit = coefficients(others, shipped.embeddings, judge, prompt)
            fits[name] = ("otros conjuntos", Calibration.model_validate(fit))
        else:
            fits[name] = ("entregado, que ya ha visto el conjunto", shipped)
    return fits


def _judged(
    work: SetWork, judgements: Judgements, answers: Judgements, source: str, fit: Calibration
) -> dict[str, Any]:
    cases = [
        (row.incident.none_type, case)
        for row in work.rows
        for case in with_logits(row.cases(work.labelled.name), judgements)
    ]
    return {
        "ajuste": source,
        "juicio": measure_candidates(cases, fit),
        "pares": measure_pairs(work.pairs, judgements),
        "pares_documentos": measure_pairs(work.texts, answers),
    }
