"""The product beside simpler methods on the same incidents, per set and all together."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from statistics import median
from typing import Any

from bench.calidad.baselines import ALWAYS, PRODUCT, WRITTEN, Ranker, by_cosine, in_use, top
from bench.calidad.deciding import Decided, as_decisions, by_type, wrong_ones
from bench.calidad.finding import any_solution
from bench.calidad.metrics import calibration as chance_error
from bench.calidad.risk import Decisions, at_risks, by_score, split_trials, together
from finetune.judgements import Judgements


def methods(
    decided: Sequence[Decided],
    simple: Mapping[str, Ranker],
    written: Judgements,
    asked: Collection[str],
    embeddings: Iterable[str],
) -> dict[str, Decisions]:
    """The product's decisions beside those of simpler methods on the same incidents.

    The written score only on those of them `asked` for (ids).
    """
    if not decided:
        return {}
    firsts: dict[str, list[tuple[str | None, float]]] = defaultdict(list)
    solvable = [one.searched.incident.solvable for one in decided]
    for one in decided:
        row = one.searched
        for name, hits in by_cosine(row.found, embeddings).items():
            firsts[name].append(top(hits))
        gone = row.right if row.incident.removed else ()
        for name, ranker in simple.items():
            firsts[name].append(top(ranker.ranked(row.incident.text, gone)))
        firsts[ALWAYS].append((top([(c.entry.id, 0.0) for c in row.found])[0], 0.0))
    found = {PRODUCT: as_decisions(decided)}
    for name, tops in firsts.items():
        right = [entry in one.searched.right for one, (entry, _) in zip(decided, tops, strict=True)]
        if name == ALWAYS or in_use(score for _, score in tops):
            found[name] = by_score([score for _, score in tops], right, solvable)
    scored = [
        (score.logit, row.found[0].entry.id in row.right, row.incident.solvable)
        for row in (one.searched for one in decided)
        if row.found
        and row.incident.id in asked
        and (score := written.get(row.incident.text, row.found[0].entry.embed_text))
    ]
    if scored:
        found[WRITTEN] = by_score([s for s, _, _ in scored], [r for _, r, _ in scored], [c for _, _, c in scored])
    return found


def decision(
    name: str, compared: dict[str, dict[str, Decisions]], decided: Sequence[Decided], threshold: int
) -> dict[str, Any]:
    """One set's figures: every method at its thresholds and risks, where the errors are, the curves."""
    if not decided:
        return {}
    figures: dict[str, Any] = {}
    for method, here in compared[name].items():
        others = [set_[method] for other, set_ in compared.items() if other != name and method in set_]
        risks = at_risks(here, together(others) if others else None)
        figures[method] = {"n": len(here.solvable), "riesgos": risks}
        if method in (PRODUCT, ALWAYS):
            figures[method]["umbral"] = here.at(threshold if method == PRODUCT else 0.0)
    tops: dict[str, list[float]] = defaultdict(list)
    for one in decided:
        tops[one.searched.incident.none_type].append(one.chance)
    proposals = [(one.chance, int(one.proposed in one.searched.right)) for one in decided if one.proposed]
    return {
        "metodos": figures,
        "por_tipo": by_type(decided, threshold),
        "errores": wrong_ones(decided, threshold),
        "hay_solucion": any_solution(tops),
        "propuesta": chance_error([p for p, _ in proposals], [y for _, y in proposals]),
        "curva": {method: here.curve() for method, here in compared[name].items()},
    }


def cost(decided: Sequence[Decided], judgements: Judgements) -> dict[str, Any]:
    """Judgements, tokens and seconds a decision at the threshold in force; None where they were not counted.

    `segundos_siguiente`: the median of an incident's judgements after its first, which reads the incident too;
    `siguientes_medidos`: of how many, for some of those kept may have no time.
    """
    asked = [[j for key in one.asked if (j := judgements.get(*key))] for one in decided]
    counted = all(j.tokens is not None and j.seconds is not None for row in asked for j in row)
    each = max(len(asked), 1)
    further = [j.seconds for row in asked for j in row[1:] if j.seconds is not None]
    return {
        "juicios": round(sum(map(len, asked)) / each, 2),
        "tokens": round(sum(j.tokens or 0 for row in asked for j in row) / each) if counted else None,
        "segundos_juicio": round(sum(j.seconds or 0 for row in asked for j in row) / each, 2) if counted else None,
        "segundos_siguiente": round(median(further), 2) if further else None,
        "siguientes_medidos": len(further),
    }


def total(
    compared: dict[str, dict[str, Decisions]],
    decided: dict[str, list[Decided]],
    chances: Mapping[str, Sequence[tuple[float, int]]],
    threshold: int,
    trials: int,
    seed: int,
) -> dict[str, Any]:
    """All sets as one: figures, curves and the trials of certifying on one half and looking at the other.

    `chances`: per set (chance, label) of each candidate, the chance by the calibration that the set is decided with.
    """
    names = dict.fromkeys(method for methods in compared.values() for method in methods)
    pooled = {name: together([m[name] for m in compared.values() if name in m]) for name in names}
    everyone = [one for rows in decided.values() for one in rows]
    if not everyone:
        return {}
    candidates = [candidate for rows in chances.values() for candidate in rows]
    figures: dict[str, Any] = {
        "n": {name: len(here.solvable) for name, here in pooled.items()},
        "umbral": pooled[PRODUCT].at(threshold),
        "por_tipo": by_type(everyone, threshold),
        "riesgos": {name: at_risks(here, None) for name, here in pooled.items()},
        "divisiones": {name: split_trials(here, 0.05, trials, seed) for name, here in pooled.items() if name != ALWAYS},
        "curva": {name: here.curve() for name, here in pooled.items()},
    }
    if candidates:
        errors = chance_error([chance for chance, _ in candidates], [label for _, label in candidates])
        figures["juicio"] = {"n": len(candidates), **errors}
    return figures
