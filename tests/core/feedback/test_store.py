"""Answers are kept without personal data, rated once each, forgotten unless rated."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from core.database import Database
from core.errors import DependencyError, UsageError
from core.feedback import Feedback, Label, open_feedback

_FOUND = [{"fuente": "recibos.md", "titulo": ["Recibos", "Plazos"], "pagina": 2, "puntuacion": 0.5}]


@pytest.fixture
def feedback(tmp_path: Path) -> Iterator[Feedback]:
    with open_feedback(Database(tmp_path)) as opened:
        yield opened


def test_what_was_answered_comes_back_with_what_it_rested_on(feedback: Feedback) -> None:
    key = feedback.record("respuesta", "¿Cuánto tarda?", _FOUND, "Dos días.", intent="plazos", seconds=1.23456)
    kept = feedback.get(key)
    assert kept is not None
    assert (kept.question, kept.answer, kept.intent, kept.seconds) == ("¿Cuánto tarda?", "Dos días.", "plazos", 1.235)
    assert list(kept.retrieved) == _FOUND
    assert (kept.answered, kept.out_of_context, kept.rating) == (True, False, None)


def test_personal_data_is_never_kept(feedback: Feedback, tmp_path: Path) -> None:
    told = "Soy 12345678Z, mi correo es ana.ruiz@correo.example y mi móvil el 612 345 678"
    key = feedback.record("llamada", told, [{"texto": told, "mas": [told]}], told)
    feedback.rate(key, Label.BAD, "ana", told)
    feedback.close()
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    for value in (b"12345678Z", b"ana.ruiz", b"612 345 678"):
        assert value not in stored


def test_the_last_rating_counts(feedback: Feedback) -> None:
    key = feedback.record("respuesta", "¿Cuánto tarda?", _FOUND, "Dos días.")
    other = feedback.record("llamada", "Inicio -> Error 503", (), "", answered=False)
    feedback.rate(key, Label.BAD, "ana", "Son tres días.")
    feedback.rate(key, Label.GOOD, "luis")
    rated = feedback.answers(rated=True)
    assert [(a.id, a.rating and (a.rating.label, a.rating.who, a.rating.correction)) for a in rated] == [
        (key, (Label.GOOD, "luis", ""))
    ]
    assert [a.id for a in feedback.answers(kind="llamada")] == [other]
    assert {a.id for a in feedback.answers()} == {key, other}


def test_rating_what_is_not_there(feedback: Feedback) -> None:
    with pytest.raises(UsageError, match="f-0000000000"):
        feedback.rate("f-0000000000", Label.GOOD, "ana")
    assert feedback.get("f-0000000000") is None


def test_old_ones_go_unless_rated(tmp_path: Path) -> None:
    now = datetime(2026, 5, 1, tzinfo=UTC)
    database = Database(tmp_path)
    with Feedback(database.open("v"), database.unavailable, now=lambda: now) as feedback:
        rated = feedback.record("respuesta", "una", (), "a")
        feedback.record("respuesta", "otra", (), "b")
        feedback.rate(rated, Label.GOOD, "ana")
        now += timedelta(days=10)
        fresh = feedback.record("respuesta", "tercera", (), "c")
        assert feedback.forget(timedelta(days=5)) == 1
        assert {a.id for a in feedback.answers()} == {rated, fresh}


def test_a_database_that_fails_says_where(tmp_path: Path) -> None:
    database = Database(tmp_path)
    engine = database.open("v")
    with Feedback(engine, database.unavailable) as feedback:
        with engine.begin() as connection:
            connection.execute(sa.text("DROP TABLE answers"))
        with pytest.raises(DependencyError, match=str(tmp_path)):
            feedback.record("respuesta", "una", (), "a")


def test_tables_of_a_newer_program_are_left_alone(tmp_path: Path) -> None:
    database = Database(tmp_path)
    open_feedback(database).close()
    engine = database.open("valoraciones")
    with engine.begin() as connection:
        connection.execute(sa.text("INSERT INTO feedback_version VALUES (99)"))
    engine.dispose()
    with pytest.raises(DependencyError, match="más nueva"):
        open_feedback(database)


@given(st.text(max_size=60))
def test_any_text_can_be_kept(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    with open_feedback(Database(tmp_path_factory.mktemp("v"))) as feedback:
        key = feedback.record("respuesta", text, [{"texto": text}], text)
        assert feedback.get(key) is not None
