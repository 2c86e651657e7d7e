"""A labelled set of our own, small enough for a test."""

import json
from pathlib import Path
from typing import Any

TOPICS = ("recibo duplicado", "firma caducada", "pantalla blanca", "correo perdido", "tarifa errónea", "parte cerrado")


def write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    """One JSON object a line."""
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")


def write_set(folder: Path, word: str) -> Path:
    """A catalogue of `TOPICS`, two incidents each, four that nothing solves, and pairs; `word` makes it another set."""
    folder.mkdir(parents=True)
    corpus = [{"id": f"p{i}", "text": f"{topic} {word} en la oficina"} for i, topic in enumerate(TOPICS)]
    queries: list[dict[str, Any]] = [
        {"id": f"q{i}{n}", "text": f"{topic} {word} {extra}", "relevant": [f"p{i}"]}
        for i, topic in enumerate(TOPICS)
        for n, extra in enumerate(("desde ayer", "otra vez"))
    ]
    queries += [
        {"id": f"n{i}", "text": f"{thing} {word}", "relevant": [], "none_type": "ajeno"}
        for i, thing in enumerate(("lluvia y viento", "receta de cocina", "viaje largo", "fútbol mañana"))
    ]
    pairs = [
        {"incident": q["text"], "solution": row["text"], "label": int(row["id"] in q["relevant"]), "kind": kind}
        for q in queries[:6]
        for row, kind in zip(corpus[:3], ("gold", "azar", "azar"), strict=True)
    ]
    write_rows(folder / "corpus.jsonl", corpus)
    write_rows(folder / "queries.jsonl", queries)
    write_rows(folder / "pairs.jsonl", pairs)
    return folder
