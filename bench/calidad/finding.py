"""Retrieval on a labelled set: is the right entry first, and does the best score tell whether there is one?"""

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from bench.calidad.baselines import PRODUCT, Ranker, by_cosine, in_use, rank_of, top
from bench.calidad.metrics import auroc, ranking
from core.search import Candidate
from core.terminal import Show
from finetune.calibration import SearchedSet
from finetune.labelled import LabelledSet


def measure_search(
    labelled: LabelledSet,
    catalogue: SearchedSet,
    simple: Mapping[str, Ranker],
    embeddings: Iterable[str],
    seed: int,
    bar: Show | None,
) -> dict[str, Any]:
    """recall@1/5 and MRR per method, AUROC of «is there any solution» per method and kind of incident without one."""
    ranks: dict[str, list[int | None]] = defaultdict(list)
    tops: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    seconds = 0.0
    for number, incident in enumerate(labelled.incidents, 1):
        right = catalogue.right(incident)
        started = time.perf_counter()
        found = catalogue.search(incident)
        seconds += time.perf_counter() - started
        hits = by_cosine(found, embeddings)
        hits |= {
            name: ranker.ranked(incident.text, right if incident.removed else ()) for name, ranker in simple.items()
        }
        hits[PRODUCT] = [(c.entry.id, c.order) for c in found]
        scores = {name: top(rows)[1] for name, rows in hits.items()} | {f"{PRODUCT} (realce)": _lift(found)}
        for name, score in scores.items():
            tops[name][incident.none_type].append(score)
        if incident.solvable:
            for name, rows in hits.items():
                ranks[name].append(rank_of([entry_id for entry_id, _ in rows], right))
        if bar:
            bar(f"Búsqueda {labelled.name}", number, len(labelled.incidents))
    used = [name for name, by_type in tops.items() if in_use(score for scores in by_type.values() for score in scores)]
    return {
        "orden": {name: ranking(ranks[name], seed) for name in used if name in ranks},
        "hay_solucion": {name: any_solution(tops[name]) for name in used},
        "segundos_busqueda": round(seconds / max(len(labelled.incidents), 1), 4),
    }


def any_solution(by_type: dict[str, list[float]]) -> dict[str, Any]:
    """AUROC of the incidents with a solution against those without: all the source's own, and each kind."""
    solvable = by_type.get("", [])
    kinds = {name: values for name, values in by_type.items() if name}
    own = [value for name, values in kinds.items() if name != "retirada" for value in values]
    groups = ({"todas": own} if own else {}) | kinds
    return {
        name: {"n": len(values), "auroc": auroc([*solvable, *values], [1] * len(solvable) + [0] * len(values))}
        for name, values in groups.items()
    }


def _lift(found: list[Candidate]) -> float:
    return found[0].evidence.lift if found else -1e9
