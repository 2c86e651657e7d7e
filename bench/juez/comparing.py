"""The variants on the same candidates and pairs: what is asked of them, and how well each tells right from wrong."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from bench.calidad.deciding import Searched, search_sample
from bench.calidad.judging import sample_pairs
from bench.calidad.metrics import auroc, average_precision
from bench.juez.variants import Kept, PromptJudge, Variant
from core.errors import Terminal
from core.ports import Embedder
from core.reason import Reason
from core.terminal import Show
from finetune.calibration import sampled, searched
from finetune.judgements import Judgements
from finetune.labelled import REMOVED, LabelledIncident, LabelledSet, read_set


@dataclass(frozen=True)
class Item:
    """One question to the judge and its right answer."""

    incident: str
    entry: str
    label: int
    first: bool
    """The first of its incident: those after it are cheaper where the incident's reading is kept."""


@dataclass(frozen=True)
class JudgedSet:
    """What is asked about one set. `rows` are all the searched incidents; `items` those of the comparison."""

    name: str
    pairs: bool
    """Labelled pairs, without a catalogue to search."""
    rows: Sequence[Searched]
    items: Sequence[Item]

    def fits(self, variant: Variant) -> bool:
        """Whether the variant's question makes sense here."""
        return self.pairs or not variant.questions


def prepare(folder: Path, embedder: Embedder, limit: int, incidents: int, pairs: int, seed: int) -> JudgedSet:
    """The sample that the calibration is fitted on, searched by the product, and the first of it to be compared.

    So the judgements made for the calibration serve here. A folder of pairs alone is asked about its pairs.
    """
    whole = read_set(folder)
    if whole.pairs_alone:
        chosen = sample_pairs(whole, pairs, seed)
        return JudgedSet(whole.name, True, (), [Item(p.incident, p.solution, p.label, True) for p in chosen])
    labelled = sampled(folder, seed)
    rows = search_sample(labelled, searched(labelled, embedder, limit))
    compared = {id(incident) for incident in first_of_each(labelled, incidents)}
    return JudgedSet(whole.name, False, rows, list(_items(whole.name, rows, compared)))


def first_of_each(labelled: LabelledSet, count: int) -> list[LabelledIncident]:
    """`count` at most: half with a solution, a quarter without, a quarter with theirs taken out."""
    solvable = [i for i in labelled.incidents if i.solvable]
    without = [i for i in labelled.incidents if not i.solvable and i.none_type != REMOVED]
    removed = [i for i in labelled.incidents if i.none_type == REMOVED]
    half = count // 2
    quarter = (count - half + 1) // 2
    return [*solvable[:half], *without[:quarter], *removed[: count - half - quarter]]


def _items(name: str, rows: Iterable[Searched], compared: set[int]) -> Iterator[Item]:
    for row in rows:
        if id(row.incident) in compared:
            for number, case in enumerate(row.cases(name)):
                yield Item(case.incident, case.entry, case.label, number == 0)


async def judge(
    sets: Sequence[JudgedSet], variants: Sequence[Variant], kept: Kept, judges: Mapping[Path, PromptJudge],
    bar: Show | None,
) -> int:  # fmt: skip
    """Have everything judged that is not, set by set; how many replies could not be read. Raises as the judge."""
    unread = 0
    wanted = [
        (file, key)
        for part in sets
        for file in dict.fromkeys(file for variant in variants if part.fits(variant) for file in variant.files)
        for key in kept.of(file).missing((item.incident, item.entry) for item in part.items)
    ]
    for number, (file, (incident, entry)) in enumerate(wanted, 1):
        unread += not await judged(kept.of(file), judges[file], incident, entry)
        if bar:
            bar("Juicios", number, len(wanted))
    return unread


async def judged(judgements: Judgements, judge: PromptJudge, incident: str, entry: str) -> bool:
    """Whether the reply could be read; it is kept then. Raises whatever else is wrong."""
    try:
        await judgements.judge(judge, incident, [entry])
    except Terminal as error:
        if error.reason not in (Reason.MODEL_UNPARSEABLE, Reason.PROMPT_TOO_LONG):
            raise
        return False
    return True


def compare(sets: Sequence[JudgedSet], variants: Sequence[Variant], kept: Kept) -> dict[str, Any]:
    """Per set and variant, on what all the variants have judged: n, AUC, AP, seconds and tokens of a judgement."""
    figures: dict[str, Any] = {}
    for part in sets:
        fitting = [variant for variant in variants if part.fits(variant)]
        common = [
            item
            for item in part.items
            if all(kept.get(variant, item.incident, item.entry) is not None for variant in fitting)
        ]
        figures[part.name] = {
            "pares": part.pairs,
            "pedidos": len(part.items),
            "variantes": {variant.name: _figures(common, variant, kept) for variant in fitting},
        }
    return figures


def _figures(items: Sequence[Item], variant: Variant, kept: Kept) -> dict[str, Any]:
    found = [kept.get(variant, item.incident, item.entry) for item in items]
    made = [one for one in found if one]
    labels = [item.label for item in items]
    logits = [one.logit for one in made]
    seconds = [one.seconds for one in made if one.seconds is not None]
    tokens = [one.tokens for one in made if one.tokens is not None]
    return {
        "n": len(items),
        "aciertan": sum(labels),
        "auc": auroc(logits, labels),
        "ap": average_precision(logits, labels),
        "segundos": round(median(seconds), 3) if seconds else None,
        "tokens": round(median(tokens)) if tokens else None,
    }


def mean_of_sets(figures: Mapping[str, Any], variants: Sequence[Variant]) -> dict[str, Any]:
    """Per variant the mean AUC and AP over the sets that give one, every set weighing the same."""
    means: dict[str, Any] = {}
    for variant in variants:
        here = [part["variantes"].get(variant.name) for part in figures.values()]
        told = [f for f in here if f and f["auc"] is not None]
        if told:
            means[variant.name] = {
                "conjuntos": len(told),
                "n": sum(f["n"] for f in told),
                "auc": round(sum(f["auc"] for f in told) / len(told), 4),
                "ap": round(sum(f["ap"] for f in told) / len(told), 4),
            }
    return means
