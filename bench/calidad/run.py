"""The whole measurement: read, search, judge what is not judged, fit on the other sets, decide, add up."""

from collections import defaultdict
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from bench.calidad.baselines import ALWAYS, BM25, PRODUCT, WRITTEN, PlainBm25, by_cosine, in_use, top
from bench.calidad.deciding import Decided, Rules, Searched, as_decisions, by_type, decide, search_sample, wrong_ones
from bench.calidad.finding import any_solution, measure_search
from bench.calidad.judging import measure_candidates, measure_pairs, sample_pairs
from bench.calidad.metrics import calibration as chance_error
from bench.calidad.models import WRITTEN as WRITTEN_PROMPT
from bench.calidad.models import CachedTasks, WrittenScore, model_name, open_judge
from bench.calidad.risk import Decisions, at_risks, by_score, split_trials, together
from config import Settings
from core.judgement import Calibration, load_calibration
from core.ports import Embedder
from core.terminal import Show
from finetune.calibration import Case, SearchedSet, coefficients, searched, with_logits
from finetune.judgements import Judgements
from finetune.labelled import LabelledSet, Pair, labelled_folders, of_split, read_set, sample
from llm.prompt import Prompt
from llm.tasks import PROMPTS, ModelTasks


@dataclass(frozen=True)
class Plan:
    """What to measure."""

    folders: Sequence[Path]
    judged: int = 80
    """Incidents per set that are judged and decided: half with a solution, a quarter without, a quarter taken out."""
    searched: int = 400
    """Incidents with a solution per set that are only searched for."""
    pairs: int = 100
    written: int = 0
    """Incidents per set for which the model writes a score."""
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
    rows: list[Searched]
    pairs: list[Pair]
    figures: dict[str, Any]

    def cases(self) -> list[Case]:
        return [case for row in self.rows for case in row.cases(self.labelled.name)]


async def measure(plan: Plan, settings: Settings, embedder: Embedder, bar: Show | None) -> dict[str, Any]:
    """All figures, ready for JSON. Raises `UsageError`, `DependencyError`, and `StageError` of a failing model."""
    prompt = Prompt.load(PROMPTS / "relevance.md").version
    judge = model_name(settings)
    judgements = Judgements(plan.cache, prompt, judge)
    written = Judgements(plan.cache, Prompt.load(WRITTEN_PROMPT).version, judge)
    works = [_prepare(folder, plan, settings, embedder, bar) for folder in labelled_folders(plan.folders)]
    shipped = load_calibration(settings.embedding_model)
    rules = Rules(settings.critic_approval_threshold, plan.retries, settings.candidatos_juicio)
    async with AsyncExitStack() as stack:
        tasks = None
        missing = judgements.missing([(c.incident, c.entry) for w in works for c in w.cases()])
        missing += judgements.missing([(p.incident, p.solution) for w in works for p in w.pairs])
        if (missing or plan.written or plan.retries) and not plan.cache_only:
            provider = await stack.enter_async_context(open_judge(settings))
            tasks = ModelTasks(provider)
            await judgements.judge_all(tasks, list(dict.fromkeys(missing)), bar)
            chosen = [(r.incident.text, r.found[0].entry.embed_text) for w in works for r in _first(w, plan.written)]
            await written.judge_all(WrittenScore(provider), written.missing(chosen), bar)
        cached = CachedTasks(judgements, tasks)
        fits = _fits(works, judgements, shipped, prompt, judge)
        decided: dict[str, list[Decided]] = {}
        for number, work in enumerate(works, 1):
            name = work.labelled.name
            decided[name], undecided = await decide(work.rows, cached, fits[name][1], rules)
            work.figures |= _judged(work, judgements, *fits[name])
            work.figures["sin_decidir"] = undecided
            if bar:
                bar("Decisiones", number, len(works))
    compared = {w.labelled.name: _methods(w, decided[w.labelled.name], written, embedder, rules) for w in works}
    for work in works:
        name = work.labelled.name
        work.figures["decision"] = _decision(name, compared, decided[name], rules)
        work.figures["coste"] = _cost(decided[name], judgements) | {
            "segundos_busqueda": work.figures.pop("segundos_busqueda")
        }
    return {
        "modelo": judge,
        "prompt": prompt,
        "vectores": settings.embedding_model,
        "umbral": rules.threshold,
        "semilla": plan.seed,
        "reintentos": plan.retries,
        "conjuntos": {w.labelled.name: w.figures for w in works},
        "total": _total(compared, decided, rules, plan),
    }


def _prepare(folder: Path, plan: Plan, settings: Settings, embedder: Embedder, bar: Show | None) -> SetWork:
    labelled = of_split(read_set(folder), plan.split)
    catalogue = searched(labelled, embedder, settings.query_limit_vectordb)
    many = sample(labelled, plan.seed, plan.searched, plan.searched // 2, plan.searched // 4)
    few = sample(labelled, plan.seed, plan.judged // 2, plan.judged // 4, plan.judged // 4)
    figures = {"entradas": len(labelled.entries)} | measure_search(many, catalogue, embedder, plan.seed, bar)
    pairs = sample_pairs(labelled, plan.pairs, plan.seed)
    return SetWork(labelled, catalogue, search_sample(few, catalogue), pairs, figures)


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


def _judged(work: SetWork, judgements: Judgements, source: str, fit: Calibration) -> dict[str, Any]:
    cases = [
        (row.incident.none_type, case)
        for row in work.rows
        for case in with_logits(row.cases(work.labelled.name), judgements)
    ]
    pairs = measure_pairs(work.pairs, judgements)
    return {"ajuste": source, "juicio": measure_candidates(cases, fit), "pares": pairs}


def _first(work: SetWork, count: int) -> list[Searched]:
    return [row for row in work.rows if row.found][:count]


def _methods(
    work: SetWork, decided: Sequence[Decided], written: Judgements, embedder: Embedder, rules: Rules
) -> dict[str, Decisions]:
    """The product's decisions beside those of simpler methods on the same incidents."""
    if not decided:
        return {}
    plain = PlainBm25({work.catalogue.ids[i]: text for i, text in work.labelled.entries.items()})
    firsts: dict[str, list[tuple[str | None, float]]] = defaultdict(list)
    solvable = [one.searched.incident.solvable for one in decided]
    for one in decided:
        row = one.searched
        for name, hits in by_cosine(row.found, embedder.dimensions).items():
            firsts[name].append(top(hits))
        gone = row.right if row.incident.removed else ()
        firsts[BM25].append(top(plain.ranked(row.incident.text, gone)))
        firsts[ALWAYS].append((top([(c.entry.id, 0.0) for c in row.found])[0], 0.0))
    methods = {PRODUCT: as_decisions(decided, rules.threshold)}
    for name, tops in firsts.items():
        right = [entry in one.searched.right for one, (entry, _) in zip(decided, tops, strict=True)]
        if name == ALWAYS or in_use(score for _, score in tops):
            methods[name] = by_score([score for _, score in tops], right, solvable)
    scored = [
        (found.logit, row.found[0].entry.id in row.right, row.incident.solvable)
        for row in (one.searched for one in decided)
        if row.found and (found := written.get(row.incident.text, row.found[0].entry.embed_text))
    ]
    if scored:
        methods[WRITTEN] = by_score([s for s, _, _ in scored], [r for _, r, _ in scored], [c for _, _, c in scored])
    return methods


def _decision(
    name: str, compared: dict[str, dict[str, Decisions]], decided: Sequence[Decided], rules: Rules
) -> dict[str, Any]:
    if not decided:
        return {}
    methods: dict[str, Any] = {}
    for method, here in compared[name].items():
        others = [set_[method] for other, set_ in compared.items() if other != name and method in set_]
        methods[method] = {"riesgos": at_risks(here, together(others) if others else None)}
        if method in (PRODUCT, ALWAYS):
            methods[method]["umbral"] = here.at(rules.threshold if method == PRODUCT else 0.0)
    tops: dict[str, list[float]] = defaultdict(list)
    for one in decided:
        tops[one.searched.incident.none_type].append(one.chance)
    proposals = [(one.chance, int(one.proposed in one.searched.right)) for one in decided if one.proposed]
    return {
        "metodos": methods,
        "por_tipo": by_type(decided, rules.threshold),
        "errores": wrong_ones(decided, rules.threshold),
        "hay_solucion": any_solution(tops),
        "propuesta": chance_error([p for p, _ in proposals], [y for _, y in proposals]),
        "curva": {method: here.curve() for method, here in compared[name].items()},
    }


def _cost(decided: Sequence[Decided], judgements: Judgements) -> dict[str, Any]:
    """Judgements, tokens and seconds a decision at the threshold in force; None where they were not counted.

    `segundos_siguiente`: the median of an incident's judgements after its first, which reads the incident too.
    """
    asked = [[j for key in one.asked if (j := judgements.get(*key))] for one in decided]
    counted = all(j.tokens is not None and j.seconds is not None for row in asked for j in row)
    each = max(len(asked), 1)
    further = [j.seconds for row in asked for j in row[1:] if j.seconds is not None]
    return {
        "juicios": round(sum(map(len, asked)) / each, 2),
        "tokens": round(sum(j.tokens or 0 for row in asked for j in row) / each) if counted else None,
        "segundos_juicio": round(sum(j.seconds or 0 for row in asked for j in row) / each, 2) if counted else None,
        "segundos_siguiente": round(median(further), 2) if counted and further else None,
    }


def _total(
    compared: dict[str, dict[str, Decisions]], decided: dict[str, list[Decided]], rules: Rules, plan: Plan
) -> dict[str, Any]:
    """All sets as one: figures, curves and the trials of certifying on one half and looking at the other."""
    names = dict.fromkeys(method for methods in compared.values() for method in methods)
    pooled = {name: together([m[name] for m in compared.values() if name in m]) for name in names}
    everyone = [one for rows in decided.values() for one in rows]
    if not everyone:
        return {}
    return {
        "umbral": pooled[PRODUCT].at(rules.threshold),
        "por_tipo": by_type(everyone, rules.threshold),
        "riesgos": {name: at_risks(here, None) for name, here in pooled.items()},
        "divisiones": {
            name: split_trials(here, 0.05, plan.trials, plan.seed) for name, here in pooled.items() if name != ALWAYS
        },
        "curva": {name: here.curve() for name, here in pooled.items()},
    }
