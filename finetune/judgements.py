"""The judge's logits kept as JSON lines, one cache for the calibration and the quality bench: a run can be resumed.

A line is `{prompt, model, incident, entry, logit, tokens?, seconds?}`; `prompt` is the version of the prompt file, so
another wording or another model never meets the logits of this one.
"""

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from config import Settings
from core.documents.answers import QuestionTasks
from core.terminal import Show
from core.usage import metering
from llm.adapter import named, shipped
from llm.weights import FILE_NAME, SHA256

JUDGE = Path(FILE_NAME).stem
"""The embedded model, as it judges whatever no adapter of ours was made for."""
FIRST_PROMPT = "5f6463677301"
"""Lines without `prompt` and `model` were made with this version and `JUDGE`."""
LONGEST = 700
"""Characters of an entry that the judge reads: entries of a catalogue are shorter, those of public sets are not."""
LONGEST_TEXT = 4000
"""Of a text that may answer a question: the answer can stand at its end."""


def judge_of(task: str) -> str:
    """The embedded model's name as it does `task`, without loading it."""
    return named(JUDGE, task, shipped(SHA256))


def model_name(settings: Settings, task: str = "relevance") -> str:
    """The name of the settings' model as it does `task`, without loading it."""
    if settings.provider == "embedded":
        return settings.llm_gguf.stem if settings.llm_gguf else judge_of(task)
    return settings.llm_model or "gemma3"


class Judge(Protocol):
    """Of `core.ports.LanguageTasks` what is asked here."""

    async def judge(self, incident: str, candidates: Sequence[str]) -> list[float]: ...


class AnswerJudge:
    """The judge of answers to questions, as `Judgements` asks it: the incident is a question, the entries are texts."""

    def __init__(self, tasks: QuestionTasks) -> None:
        self._tasks = tasks

    async def judge(self, incident: str, candidates: Sequence[str]) -> list[float]:
        return await self._tasks.answers(incident, candidates)


@dataclass(frozen=True)
class Judgement:
    """One logit and what it cost; tokens and seconds are None where nobody counted."""

    logit: float
    tokens: int | None = None
    seconds: float | None = None


class Judgements:
    """What `model` with prompt version `prompt` has judged so far, by (incident, entry)."""

    def __init__(self, path: Path, prompt: str, model: str, longest: int = LONGEST) -> None:
        """Reads the file when there is one. `longest`: characters of an entry that are judged."""
        self._path = path
        self._longest = longest
        self._head = {"prompt": prompt, "model": model}
        self._start = "\n"
        """A line of its own for the first one written, whatever the file ends with."""
        self._known: dict[tuple[str, str], Judgement] = {}
        for row in json_rows(path, "incident", "entry", "logit"):
            if (row.get("prompt", FIRST_PROMPT), row.get("model", JUDGE)) == (prompt, model):
                found = Judgement(row["logit"], row.get("tokens"), row.get("seconds"))
                self._known[row["incident"], row["entry"]] = found

    def __len__(self) -> int:
        return len(self._known)

    def get(self, incident: str, entry: str) -> Judgement | None:
        """The judgement of an entry's first `longest` characters; None when it was never made."""
        return self._known.get((incident, entry[: self._longest]))

    async def judge(self, judge: Judge, incident: str, entries: Sequence[str]) -> None:
        """Have judged, and keep, whatever of `entries` was not. Raises as `judge.judge`, and `OSError`."""
        for entry in dict.fromkeys(entry[: self._longest] for entry in entries):
            if (incident, entry) in self._known:
                continue
            started = time.perf_counter()
            with metering() as usage:
                [logit] = await judge.judge(incident, [entry])
            made = Judgement(logit, usage.input_tokens + usage.output_tokens, round(time.perf_counter() - started, 3))
            self._keep(incident, entry, made)

    async def judge_all(self, judge: Judge, missing: Sequence[tuple[str, str]], bar: Show | None) -> None:
        """`judge` for each (incident, entry), with the progress shown."""
        for number, (incident, entry) in enumerate(missing, 1):
            await self.judge(judge, incident, [entry])
            if bar:
                bar("Juicios", number, len(missing))

    def missing(self, wanted: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
        """Those of `wanted` (incident, entry) not judged yet, each once, in order."""
        return [key for key in dict.fromkeys((i, e[: self._longest]) for i, e in wanted) if key not in self._known]

    def _keep(self, incident: str, entry: str, made: Judgement) -> None:
        self._known[incident, entry] = made
        row = {**self._head, "incident": incident, "entry": entry, **vars(made)}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as out:
            out.write(self._start + json.dumps(row, ensure_ascii=False) + "\n")
        self._start = ""


def json_rows(path: Path, *keys: str) -> Iterator[dict[str, Any]]:
    """The objects that have `keys`. Lines that a kill cut short are left out: what they were about is done again."""
    lines = path.read_text("utf-8").split("\n") if path.exists() else []
    for line in lines:
        with suppress(ValueError):
            row = json.loads(line)
            if isinstance(row, dict) and row.keys() >= set(keys):
                yield row
