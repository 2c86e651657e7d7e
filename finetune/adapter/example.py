"""One judgement that an adapter is fitted on, as the embedded model is given it."""

from dataclasses import dataclass

from llm.prompt import ROLES, Prompt


@dataclass(frozen=True)
class Example:
    """A prompt, and whether its answer is «sí». `group`: what those that begin alike have in common."""

    prompt: str
    label: int
    group: str


def chat_text(prompt: Prompt, **values: str) -> str:
    """The judge's messages in the embedded model's chat template (ChatML)."""
    turns = "".join(f"<|im_start|>{ROLES[m.type]}\n{m.text}<|im_end|>\n" for m in prompt.render(**values))
    return f"{turns}<|im_start|>assistant\n"
