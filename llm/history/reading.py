"""What the history has of one incident, without the texts. Read only: a run may be writing to it."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from core.errors import DependencyError
from llm.history.schema import FILE

SHOWN_HASH = 12
"""Digits of a prompt file's hash that make its version."""

_QUERY = """
    SELECT time, module, provider, model, prompt_hash, input_tokens, output_tokens, milliseconds,
           run, stage, ok, error, repair, logit
    FROM calls WHERE incident = ? ORDER BY time, id
"""


@dataclass(frozen=True)
class PastCall:
    """One call: when it began, what was asked of which model, what it cost and whether the reply could be used."""

    time: str
    task: str
    provider: str
    model: str
    prompt: str
    """The prompt file's version."""
    tokens_in: int
    tokens_out: int
    ms: float
    run: str
    stage: str
    ok: bool
    error: str | None
    repair: bool
    logit: float | None


def calls_of(directory: Path, incident: str) -> list[PastCall]:
    """The calls made for an incident, oldest first; none where there is no history.

    Raises `DependencyError` for a file that cannot be read.
    """
    path = directory / FILE
    if not path.is_file():
        return []
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=5)) as connection:
            rows = connection.execute(_QUERY, (incident,)).fetchall()
    except sqlite3.Error as error:
        raise DependencyError(f"El histórico {path} no se puede leer: {error}.") from error
    return [_call(row) for row in rows]


def _call(row: tuple[object, ...]) -> PastCall:
    time, task, provider, model, prompt, *rest = row
    tokens_in, tokens_out, ms, run, stage, ok, error, repair, logit = rest
    return PastCall(
        time=str(time),
        task=str(task),
        provider=str(provider),
        model=str(model),
        prompt=str(prompt)[:SHOWN_HASH],
        tokens_in=int(str(tokens_in)),
        tokens_out=int(str(tokens_out)),
        ms=float(str(ms)),
        run=str(run),
        stage=str(stage),
        ok=bool(ok),
        error=None if error is None else str(error),
        repair=bool(repair),
        logit=None if logit is None else float(str(logit)),
    )
