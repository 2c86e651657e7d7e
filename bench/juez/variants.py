"""The variants of the judge: a prompt file each, or the mean of two."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from core.errors import Terminal
from core.reason import Reason
from finetune.judgements import LONGEST, LONGEST_TEXT, Judgement, Judgements
from llm.call import Caller
from llm.model import Provider
from llm.prompt import Prompt
from llm.relevance import ANSWER_NAMES, INCIDENT_NAMES, Reading, Relevance, yes_no_logit
from llm.tasks import PROMPTS

HERE: Final = Path(__file__).parent
GRADES: Final = ("0", "1", "2", "3")


def expected_grade(tokens: Mapping[str, float]) -> float:
    """The mean of the grades 0..3 by their probabilities (Zhuang et al., NAACL 2024: graded labels rank better).

    Raises `Terminal(MODEL_UNPARSEABLE)` when none is listed.
    """
    weights = dict.fromkeys(GRADES, 0.0)
    for token, logprob in tokens.items():
        if token.strip() in weights:
            weights[token.strip()] += math.exp(logprob)
    total = sum(weights.values())
    if total <= 0:
        raise Terminal(Reason.MODEL_UNPARSEABLE, "el modelo no responde con una cifra de 0 a 3")
    return sum(int(grade) * weight for grade, weight in weights.items()) / total


@dataclass(frozen=True)
class Variant:
    """One way of asking: the mean of the judgements of `files`."""

    name: str
    files: tuple[Path, ...]
    read: Reading = yes_no_logit
    questions: bool = False
    """It asks whether a text answers a question, as of documents, so it is for labelled pairs only."""

    @property
    def task(self) -> str:
        """The product's task that it asks in words of its own: the judge takes on the adapter for that."""
        return "answers" if self.questions else "relevance"

    @property
    def version(self) -> str:
        """Of its prompt files."""
        return "+".join(Prompt.load(file).version for file in self.files)


PRODUCT: Final = Variant("producto", (PROMPTS / "relevance.md",))
ORDER: Final = Variant("orden", (HERE / "orden.md",))
VARIANTS: Final[Mapping[str, Variant]] = {
    variant.name: variant
    for variant in (
        PRODUCT,
        Variant("resuelve", (HERE / "resuelve.md",)),
        Variant("condiciones", (HERE / "condiciones.md",)),
        Variant("ejemplos", (HERE / "ejemplos.md",)),
        ORDER,
        Variant("ambos", PRODUCT.files + ORDER.files),
        Variant("grados", (HERE / "grados.md",), expected_grade),
        Variant("documentos", (PROMPTS / "answers.md",), questions=True),
    )
}


class PromptJudge:
    """The product's judge over one prompt file; `finetune.judgements.Judge`."""

    def __init__(self, provider: Provider, file: Path, variant: Variant) -> None:
        """`variant`: one that `file` is of."""
        names = ANSWER_NAMES if variant.questions else INCIDENT_NAMES
        self._relevance = Relevance(file, Caller(provider, None), names, variant.read, variant.task)

    async def judge(self, incident: str, candidates: Sequence[str]) -> list[float]:
        """As `Relevance`."""
        return await self._relevance(incident, candidates)


class Kept:
    """The judgements of every prompt file by one model, in one cache."""

    def __init__(self, path: Path, model: Callable[[str], str], files: Mapping[Path, Variant]) -> None:
        """`model`: a task -> the model's name as it does it. `files`: each with a variant that it is of.

        A text that may answer is read further than an entry.
        """
        self._by_file = {
            file: Judgements(
                path, Prompt.load(file).version, model(variant.task), LONGEST_TEXT if variant.questions else LONGEST
            )
            for file, variant in files.items()
        }

    def of(self, file: Path) -> Judgements:
        """Those of one prompt file."""
        return self._by_file[file]

    def get(self, variant: Variant, incident: str, entry: str) -> Judgement | None:
        """The mean of its files' logits and the sum of their costs; None until all are there."""
        found = [self._by_file[file].get(incident, entry) for file in variant.files]
        judged = [one for one in found if one]
        if len(judged) < len(found):
            return None
        tokens, seconds = [one.tokens for one in judged], [one.seconds for one in judged]
        return Judgement(
            math.fsum(one.logit for one in judged) / len(judged),
            None if None in tokens else sum(filter(None, tokens)),
            None if None in seconds else math.fsum(filter(None, seconds)),
        )
