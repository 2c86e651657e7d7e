"""What the history is for afterwards: one file per task for fine-tuning, and a check that nothing was altered."""

import csv
import io
import json
import sqlite3
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from core.errors import UsageError
from core.files import atomic_writer
from llm.history.store import digest

_COLUMNS = (
    "id", "time", "module", "provider", "model", "prompt_hash", "input_tokens", "output_tokens",
    "milliseconds", "run", "incident", "stage", "repair", "logit",
)  # fmt: skip

_USED = f"""
    SELECT {", ".join("calls." + column for column in _COLUMNS)}, question.content, answer.content
    FROM calls
    JOIN texts AS question ON question.sha256 = calls.input_hash
    JOIN texts AS answer ON answer.sha256 = calls.output_hash
    WHERE calls.ok AND calls.module = ?
    ORDER BY calls.time, calls.id
"""  # noqa: S608  # the column names above, nothing from outside


def export(
    connection: sqlite3.Connection, form: Literal["jsonl", "csv"], modules: Sequence[str], folder: Path
) -> list[tuple[Path, int]]:
    """Write one file per task (all tasks if `modules` is empty) with the calls whose reply was used.

    Returns each file and how many calls it has. Raises `UsageError` for a task that the history does not know.
    """
    known = [row[0] for row in connection.execute("SELECT DISTINCT module FROM calls ORDER BY module")]
    if unknown := [module for module in modules if module not in known]:
        raise UsageError(
            f"El histórico no tiene llamadas de {', '.join(unknown)}; las tiene de: {', '.join(known) or 'nada'}."
        )
    stamp = datetime.now(UTC).astimezone().strftime("%Y%m%d_%H%M%S")
    return [_write(connection, form, module, _fresh(folder, f"{module}_{stamp}", form)) for module in modules or known]


def _fresh(folder: Path, stem: str, form: str) -> Path:
    """Never two runs into one file."""
    path, number = folder / f"{stem}.{form}", 2
    while path.exists():
        path, number = folder / f"{stem}_{number}.{form}", number + 1
    return path


def _write(connection: sqlite3.Connection, form: str, module: str, path: Path) -> tuple[Path, int]:
    count = 0
    with atomic_writer(path) as stream:
        text = io.TextIOWrapper(stream, encoding="utf-8", newline="")
        table = csv.writer(text)
        if form == "csv":
            table.writerow((*_COLUMNS, "system", "user", "output"))
        for *facts, question, answer in connection.execute(_USED, (module,)):
            messages = _asked(question)
            if form == "csv":
                spoken = {message["role"]: _plain(message["content"]) for message in messages}
                table.writerow((*facts, spoken.get("system", ""), spoken.get("user", ""), answer))
            else:
                line = {"messages": [*messages, {"role": "assistant", "content": answer}]}
                text.write(json.dumps(line, ensure_ascii=False) + "\n")
            count += 1
        text.flush()
        text.detach()
    return path, count


def _asked(question: str) -> list[dict[str, object]]:
    """The messages up to the model's first reply: after a repair, the good reply answers the first question.

    Trained on as it was, the model would learn its own mistake too.
    """
    messages: list[dict[str, object]] = []
    for message in json.loads(question):
        if message["role"] == "assistant":
            break
        messages.append(message)
    return messages


def _plain(content: object) -> str:
    return content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)


def damaged(connection: sqlite3.Connection) -> Iterator[str]:
    """What does not hold, a line each: texts whose hash differs, calls whose text is missing."""
    for sha256, content in connection.execute("SELECT sha256, content FROM texts ORDER BY sha256"):
        if digest(content) != sha256:
            yield f"texts {sha256}: el contenido no corresponde a su huella"
    for column in ("prompt_hash", "input_hash", "output_hash"):
        missing = connection.execute(
            f"SELECT id, {column} FROM calls WHERE {column} IS NOT NULL"  # noqa: S608  # the three names above
            f" AND {column} NOT IN (SELECT sha256 FROM texts) ORDER BY id"
        )
        for identity, sha256 in missing:
            yield f"calls {identity}: falta el texto {sha256} ({column})"
