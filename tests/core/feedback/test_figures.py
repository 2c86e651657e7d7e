"""What the kept answers add up to."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from core.feedback import Answer, Label, Rating
from core.feedback.figures import figures, told, write_report


def _answer(
    number: int, intent: str, *, answered: bool = True, label: Label | None = None, void: bool = False
) -> Answer:
    key = f"f-{number}"
    rating = Rating(answer=key, label=label, who="ana", said="2026-01-01T00:00:00+00:00") if label else None
    return Answer(
        id=key, kind="respuesta", asked="2026-01-01T00:00:00+00:00", question="¿?", intent=intent, answered=answered,
        out_of_context=void, seconds=float(number), rating=rating,
    )  # fmt: skip


_ANSWERS = [
    _answer(1, "recibos", label=Label.GOOD),
    _answer(2, "recibos", label=Label.BAD),
    _answer(3, "recibos"),
    _answer(4, "", answered=False),
    _answer(5, "bajas", answered=False, void=True),
]


def test_figures() -> None:
    found = figures(_ANSWERS)
    total = found["total"]
    assert (total["preguntas"], total["respondidas"], total["parte_respondida"]) == (5, 3, 0.6)
    assert (total["valoradas"], total["precision"]) == (2, 0.5)
    assert (total["fuera_de_contexto"], total["parte_fuera_de_contexto"]) == (1, 0.25)
    assert list(found["por_intencion"]) == ["bajas", "ninguna", "recibos"]
    assert found["por_intencion"]["ninguna"]["precision"] is None
    assert found["segundos"] == {"mediana": 3.0, "p95": 5.0}


@pytest.mark.parametrize("answers", [_ANSWERS, []], ids=["some", "none"])
def test_report(tmp_path: Path, answers: list[Answer]) -> None:
    found, path = write_report(answers, tmp_path, datetime(2026, 5, 4, 3, 2, tzinfo=UTC))
    assert path.name == "reporte_respuestas_20260504_0302.json"
    assert json.loads(path.read_text("utf-8"))["total"] == found["total"]
    shown = told(found, path)
    assert f"Respuestas guardadas: {len(answers)}" in shown
    assert str(path) in shown
    assert ("—" in shown) is True
