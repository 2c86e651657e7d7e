"""Answers and explanations with what they rested on, durably kept; a person's word on each."""

import json
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from core import migrations
from core.database import Database
from core.errors import DependencyError, UsageError
from core.feedback import schema
from core.feedback.answer import Answer, Label, Rating
from core.feedback.schema import answers, ratings
from core.privacy import scrub

LONGEST = 20_000
"""Characters of a question, an answer or a correction that are kept."""


def _utc() -> datetime:
    return datetime.now(UTC)


class Feedback:
    """Safe to share among threads and, on PostgreSQL, machines. Every method raises `DependencyError` by name when the
    database cannot be used.

    Every text goes through `clean` before it is written, whoever hands it in: what is kept has no personal data.
    """

    def __init__(
        self,
        engine: sa.Engine,
        unavailable: Callable[[BaseException], DependencyError],
        *,
        clean: Callable[[str], str] = scrub,
        now: Callable[[], datetime] = _utc,
    ) -> None:
        self._unavailable = unavailable
        self._clean = clean
        self._now = now
        with self._explained():
            schema.migrate(engine)
        served = engine.dialect.name != "sqlite"
        self._engine = engine.execution_options(schema_translate_map={None: migrations.SCHEMA}) if served else engine

    def record(
        self,
        kind: str,
        question: str,
        retrieved: Sequence[Mapping[str, Any]],
        answer: str,
        *,
        intent: str = "",
        answered: bool = True,
        out_of_context: bool = False,
        seconds: float = 0.0,
    ) -> str:
        """Keep an answer; returns its id, `f-` and 10 hex digits, by which a person rates it.

        `retrieved`: what it rested on, best first, each a JSON object of names, numbers and texts.
        """
        found = "f-" + secrets.token_hex(5)
        row = {
            "id": found,
            "kind": kind,
            "asked": self._present(),
            "question": self._text(question),
            "retrieved": json.dumps([self._cleaned(item) for item in retrieved], ensure_ascii=False),
            "answer": self._text(answer),
            "intent": intent,
            "answered": int(answered),
            "out_of_context": int(out_of_context),
            "seconds": round(seconds, 3),
        }
        with self._writing() as connection:
            connection.execute(sa.insert(answers).values(row))
        return found

    def rate(self, answer: str, label: Label, who: str, correction: str = "") -> Rating:
        """A person's word, in place of an earlier one. Raises `UsageError` when there is no such answer."""
        rating = Rating(answer=answer, label=label, correction=self._text(correction), who=who, said=self._present())
        with self._writing() as connection:
            if connection.scalar(sa.select(answers.c.id).where(answers.c.id == answer)) is None:
                raise UsageError(
                    f"No hay ninguna respuesta {answer!r}. Su identificador sale al pie de cada respuesta (f-…)."
                )
            connection.execute(sa.delete(ratings).where(ratings.c.answer == answer))
            connection.execute(sa.insert(ratings).values(rating.model_dump(mode="json")))
        return rating

    def get(self, answer: str) -> Answer | None:
        """The answer with this id, with its rating."""
        found = self._select(answers.c.id == answer)
        return found[0] if found else None

    def answers(self, *, kind: str | None = None, rated: bool = False) -> list[Answer]:
        """All of a kind, or only those with a rating, oldest first."""
        conditions = [answers.c.kind == kind] if kind else []
        if rated:
            conditions.append(ratings.c.label.is_not(None))
        return self._select(*conditions)

    def forget(self, age: timedelta) -> int:
        """Delete what is older and nobody rated; returns how many. Rated ones are what the next index learns from."""
        limit = (self._now().astimezone(UTC) - age).isoformat(timespec="seconds")
        rated = sa.select(ratings.c.answer)
        with self._writing() as connection:
            gone = sa.delete(answers).where(answers.c.asked < limit, answers.c.id.not_in(rated))
            return connection.execute(gone).rowcount

    def _select(self, *conditions: sa.ColumnElement[bool]) -> list[Answer]:
        joined = sa.outerjoin(answers, ratings, answers.c.id == ratings.c.answer)
        word = (ratings.c.label, ratings.c.correction, ratings.c.who, ratings.c.said)
        query = sa.select(answers, *word).select_from(joined).where(*conditions)
        with self._explained(), self._engine.connect() as connection:
            rows = connection.execute(query.order_by(answers.c.asked, answers.c.id)).mappings().all()
        return [_answer(dict(row)) for row in rows]

    def _present(self) -> str:
        return self._now().astimezone(UTC).isoformat(timespec="seconds")

    def _text(self, text: str) -> str:
        return self._clean(text)[:LONGEST]

    def _cleaned(self, value: Any) -> Any:
        """Texts cleaned wherever they stand; names of fields and numbers as they are."""
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, Mapping):
            return {str(name): self._cleaned(item) for name, item in value.items()}
        if isinstance(value, list | tuple):
            return [self._cleaned(item) for item in value]
        return value

    @contextmanager
    def _writing(self) -> Iterator[sa.Connection]:
        with self._explained(), self._engine.connect() as connection:
            migrations.begin(connection, alone=False)
            yield connection
            connection.commit()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            raise self._unavailable(error) from error

    def close(self) -> None:
        """Give the connections back."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _answer(row: dict[str, Any]) -> Answer:
    label, correction, who, said = (row.pop(name) for name in ("label", "correction", "who", "said"))
    rating = None
    if label is not None:
        rating = Rating(answer=row["id"], label=label, correction=correction, who=who, said=said)
    return Answer.model_validate(row | {"retrieved": tuple(json.loads(row["retrieved"])), "rating": rating})


def open_feedback(database: Database) -> Feedback:
    """The feedback of a set-up: `valoraciones.db` or the schema `spai`. Close it; raises `DependencyError`."""
    engine = database.open("valoraciones")
    try:
        return Feedback(engine, database.unavailable)
    except BaseException:
        engine.dispose()
        raise
