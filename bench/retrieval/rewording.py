"""The product's rewordings of labelled incidents, kept as JSON lines: a run can be resumed."""

import json
from collections.abc import Sequence
from pathlib import Path

from core.terminal import Show
from finetune.judgements import json_rows
from llm.tasks import ModelTasks


class Rewordings:
    """What `model` with prompt version `prompt` made of each text so far."""

    def __init__(self, path: Path, prompt: str, model: str) -> None:
        """Reads the file when there is one."""
        self._path = path
        self._head = {"prompt": prompt, "model": model}
        self._known = {
            row["incident"]: str(row["query"])
            for row in json_rows(path, "incident", "query")
            if self._head.items() <= row.items()
        }

    def get(self, text: str) -> str | None:
        """None when it was never asked for."""
        return self._known.get(text)

    async def make(self, tasks: ModelTasks, texts: Sequence[str], bar: Show | None) -> None:
        """Ask for those that are missing. Raises as `LanguageTasks.reformulate`, and `OSError`."""
        missing = [text for text in dict.fromkeys(texts) if text not in self._known]
        self._path.parent.mkdir(parents=True, exist_ok=True)
        for number, text in enumerate(missing, 1):
            self._known[text] = await tasks.reformulate(text, None)
            row = {**self._head, "incident": text, "query": self._known[text]}
            with self._path.open("a", encoding="utf-8") as out:
                out.write("\n" + json.dumps(row, ensure_ascii=False) + "\n")
            if bar:
                bar("Reformulaciones", number, len(missing))
