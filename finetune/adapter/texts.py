"""What the judge of documents is taught on: texts, and questions that they answer or only seem to.

A line of a file is a text: `{id, sentences, questions}`. A question that it answers has `{question, answer}`, the
answer in the text's own words; one that it does not has `{question, sentence, after, trap}`: a sentence that would
answer it, after which of the text's it goes (0: first), and what is wrong with the text for it.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from core.errors import UsageError
from core.privacy import strip_identifiers
from finetune.adapter.example import Example, chat_text
from finetune.labelled import rows
from llm.prompt import Prompt


def examples(file: Path, prompt: Prompt) -> list[Example]:
    """Two of every question, one of them «sí». Raises `UsageError` naming line or question.

    One on the text as it stands, and one on the text that differs in a sentence: without those that hold the answer,
    or with the one that gives it. So the question alone never tells, nor does the text.
    """
    return [
        Example(chat_text(prompt, pregunta=strip_identifiers(question), fragmento=text), label, f"{code} {text}")
        for code, text, question, label in _chosen(file)
    ]


def _chosen(file: Path) -> Iterator[tuple[str, str, str, int]]:
    for row in rows(file, "id", "sentences", "questions"):
        code, sentences = f"{file.stem}/{row['id']}", row["sentences"]
        for asked in row["questions"]:
            try:
                other = _other(sentences, asked)
                answered = "answer" in asked
                yield code, " ".join(sentences), asked["question"], int(answered)
                yield code, " ".join(other), asked["question"], int(not answered)
            except (KeyError, TypeError, ValueError) as error:
                raise UsageError(f"{file}: {row['id']}, pregunta {asked!r}: {error}.") from error


def _other(sentences: list[str], asked: dict[str, Any]) -> list[str]:
    """The text without the answer, or with it. Raises `ValueError` where that changes nothing or leaves nothing."""
    if "answer" not in asked:
        return [*sentences[: asked["after"]], asked["sentence"], *sentences[asked["after"] :]]
    left = [sentence for sentence in sentences if asked["answer"] not in sentence]
    if not left or len(left) == len(sentences):
        raise ValueError("la respuesta debe estar en alguna frase, y no en todas")
    return left
