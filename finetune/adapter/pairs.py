"""What the adapter is fitted on: prompts as the product's judge reads them, and whether the answer is «sí».

A folder has `corpus.jsonl` and `queries.jsonl` as a labelled set does, each query with `tempts` (rows that a hasty
reader would take), and `fits.jsonl` with the row that would be right for each query that has none.
"""

import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import UsageError
from core.privacy import strip_identifiers
from finetune.labelled import CORPUS, QUERIES, rows
from llm.prompt import ROLES, Prompt

FITS = "fits.jsonl"
GROUP = 3
"""Rows of a corpus that follow one another and resemble each other."""


@dataclass(frozen=True)
class Example:
    """One judgement. `group`: the incident it is of; its examples begin alike."""

    prompt: str
    label: int
    group: str


def chat_text(prompt: Prompt, incident: str, row: str) -> str:
    """The judge's messages in the embedded model's chat template (ChatML)."""
    messages = prompt.render(incidencia=incident, candidato=row)
    turns = "".join(f"<|im_start|>{ROLES[m.type]}\n{m.text}<|im_end|>\n" for m in messages)
    return f"{turns}<|im_start|>assistant\n"


def examples(folder: Path, prompt: Prompt, seed: int) -> list[Example]:
    """Three of every incident at most, one of them «sí». Raises `UsageError` naming what is missing.

    Of an incident with a row: that row, a neighbour, and a row written for a near miss of that row. Of a near miss:
    the row that tempts, the row written for it, and the one written for the row's other near miss. So every kind of
    text is right as often as its like, and the answer lies in the two together.
    """
    try:
        corpus = list(rows(folder / CORPUS, "id", "text"))
        queries = list(rows(folder / QUERIES, "id", "text", "relevant", "tempts"))
        fits = {row["id"]: row["row"] for row in rows(folder / FITS, "id", "row")}
        chosen = _chosen(corpus, queries, fits, random.Random(seed))  # noqa: S311 - an order, not a secret
        return [
            Example(chat_text(prompt, strip_identifiers(text), row), label, f"{folder.name}/{code}")
            for code, text, row, label in chosen
        ]
    except KeyError as error:
        raise UsageError(f"{folder}: alguna línea nombra {error.args[0]}, que no está.") from error


def _chosen(
    corpus: Sequence[dict[str, Any]], queries: Sequence[dict[str, Any]], fits: dict[str, str], rng: random.Random
) -> Iterator[tuple[str, str, str, int]]:
    text = {row["id"]: row["text"] for row in corpus}
    order = list(text)
    tempted: defaultdict[str, list[str]] = defaultdict(list)
    for query in queries:
        if not query["relevant"]:
            tempted[query["tempts"][0]].append(query["id"])
    for query in queries:
        if query["relevant"]:
            right = query["relevant"][0]
            first = order.index(right) // GROUP * GROUP
            others = [i for i in query["tempts"] if i != right] or [
                i for i in order[first : first + GROUP] if i != right
            ]
            picked = [(text[right], 1), (text[rng.choice(others)], 0), (fits[rng.choice(tempted[right])], 0)]
        else:
            tempting = query["tempts"][0]
            picked = [(text[tempting], 0), (fits[query["id"]], 1)]
            picked += [(fits[other], 0) for other in tempted[tempting] if other != query["id"]][:1]
        rng.shuffle(picked)
        for row, label in picked:
            yield query["id"], query["text"], row, label
