"""finetune/answerability.py: whom it asks, and whose judgements it says that it was fitted on."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from langchain_core.messages import BaseMessage

from config import Settings
from core.documents.answerability import load_answerability
from finetune import answerability
from finetune.judgements import judge_of
from finetune.labelled import rows
from llm.model import Provider
from llm.scripted import Said, Script, scripted_provider
from tests.core.documents.words import count
from tests.core.hash_embedder import HashEmbedder

TOPICS = ("becas", "deportes", "matrícula", "biblioteca", "residencia")


class Counting(HashEmbedder):
    """Counts tokens too, as the real one does."""

    tokens = staticmethod(count)


def _same_topic(messages: Sequence[BaseMessage]) -> Said:
    likely = any(messages[-1].text.count(topic) > 1 for topic in TOPICS)
    return Said("sí", {"sí": -0.1, "no": -2.5} if likely else {"sí": -2.5, "no": -0.1})


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with documents and questions, each topic asked about twice, once in vain."""
    (tmp_path / "textos").mkdir()
    for topic in TOPICS:
        (tmp_path / "textos" / f"{topic}.md").write_text(f"# Sobre {topic}\n\nLa oficina de {topic} abre a las 9.\n")
    questions = [
        {"pregunta": question, "fuente": topic if known else None, "contiene": ["abre a las 9"] if known else []}
        for topic in TOPICS
        for question, known in ((f"¿Cuándo abre la oficina de {topic}?", True), (f"¿Quién dirige {topic}?", False))
    ]
    (tmp_path / "preguntas.jsonl").write_text("\n".join(map(json.dumps, questions)), "utf-8")
    monkeypatch.setattr(answerability, "HERE", tmp_path)
    monkeypatch.setattr(answerability, "EMBEDDING_MODELS", ("e5",))
    monkeypatch.setattr(answerability, "E5Use", lambda names: Counting({"e5": 32}))
    monkeypatch.setattr("finetune.questions.E5Use", Counting)
    return tmp_path


def test_the_fit_keeps_apart_and_names_the_model_that_it_asks(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Script] = {}

    def scripted(settings: Settings) -> Provider:
        return scripted_provider(asked.setdefault(settings.provider, Script(_same_topic)))

    monkeypatch.setattr(answerability, "open_provider", scripted)
    cache, target = place / "j.jsonl", place / "a.json"
    arguments = ["--juicios", str(cache), "--salida", str(target)]

    monkeypatch.setenv("LLM_PROVIDER", "embedded")
    assert answerability.main(arguments) == 0
    first = load_answerability("e5", target)
    assert first.judge == judge_of("answers")

    monkeypatch.setenv("LLM_PROVIDER", "ollama")
    monkeypatch.setenv("OLLAMA_BASE_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("LLM_MODEL", "gemma3:27b")
    assert answerability.main(arguments) == 0
    assert load_answerability("e5", target).judge == "gemma3:27b"
    assert len(asked["ollama"].asked) == len(asked["embedded"].asked) > 0
    assert {line["model"] for line in rows(cache, "model")} == {first.judge, "gemma3:27b"}
