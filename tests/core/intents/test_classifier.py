"""The nearest examples name the intent, or none; the calibration comes from the examples alone."""

from pathlib import Path

import numpy as np
import pytest

from core.intents import Classifier, Intent
from tests.core.hash_embedder import HashEmbedder

_INTENTS = {
    "recibos": Intent(
        examples=("cuándo se carga el recibo", "cargo del recibo en la cuenta", "recibo cargado en la cuenta",
                  "el recibo se carga en la cuenta", "fecha de cargo del recibo")
    ),
    "bajas": Intent(
        examples=("quiero dar de baja el seguro", "baja del seguro de coche", "dar de baja mi seguro",
                  "baja de mi seguro", "quiero la baja del seguro")
    ),
    "grúa": Intent(
        examples=("necesito una grúa en carretera", "grúa por avería en carretera", "mandad una grúa a la carretera",
                  "avería y grúa en carretera", "pedir grúa en carretera")
    ),
}  # fmt: skip


def _classifier(**more: object) -> Classifier:
    return Classifier(_INTENTS, HashEmbedder({"e5": 64, "use": 64}), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "intent"),
    [
        ("cuándo se carga el recibo en la cuenta", "recibos"),
        ("quiero dar de baja el seguro de coche", "bajas"),
        ("una grúa por avería en carretera", "grúa"),
        ("receta de tortilla con patatas y cebolla", None),
    ],
)
def test_named_or_none(text: str, intent: str | None) -> None:
    [found] = _classifier().classify([text])
    assert found.intent == intent
    assert (found.probability >= 0.5) is (intent is not None)
    assert found.best in _INTENTS


def test_an_embedding_for_english_alone_does_not_count() -> None:
    """It has rows of zeros for what is in Spanish, and takes a short question for something else at times."""
    english = Classifier(_INTENTS, HashEmbedder({"e5": 64, "use": 64, "minilm": 64}))
    assert english.version == _classifier().version
    text = "quiero dar de baja el seguro de coche"
    assert english.classify([text]) == _classifier().classify([text])


def test_nothing_asked() -> None:
    assert _classifier().classify([]) == []


def test_the_threshold_decides_who_is_named() -> None:
    text = "quiero dar de baja el seguro"
    assert _classifier(threshold=1.0).classify([text])[0].intent is None
    assert _classifier(threshold=0.0).classify(["tortilla"])[0].intent is not None


def test_vectors_are_kept_and_made_again_when_damaged(tmp_path: Path) -> None:
    embedder = HashEmbedder({"e5": 64, "use": 64})
    first = Classifier(_INTENTS, embedder, cache=tmp_path)
    made = embedder.embedded
    assert Classifier(_INTENTS, embedder, cache=tmp_path).version == first.version
    assert embedder.embedded == made
    [kept] = tmp_path.glob("*.npz")
    kept.write_bytes(kept.read_bytes()[:200])
    assert Classifier(_INTENTS, embedder, cache=tmp_path).version == first.version
    assert embedder.embedded == 2 * made
    np.savez(kept.with_suffix(""), vectors=np.full((15, 128), np.nan))
    assert Classifier(_INTENTS, embedder, cache=tmp_path).version == first.version


def test_a_cache_that_cannot_be_written_costs_nothing(tmp_path: Path) -> None:
    (tmp_path / "fichero").write_text("")
    Classifier(_INTENTS, HashEmbedder({"e5": 8, "use": 8}), cache=tmp_path / "fichero")
