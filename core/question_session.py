"""What `python main.py` does with questions once its arguments are read: answer, rate, tell how it goes."""

import argparse
import json
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

from config import Settings
from core.build import open_classifier, open_database, open_documents, open_embedder, open_tasks
from core.errors import UsageError
from core.feedback import Feedback, Label, open_feedback
from core.feedback.figures import told, write_report
from core.login import login_name

if TYPE_CHECKING:
    from core.documents.answers import Answerer, Judged, QuestionTasks, Reply

NEAREST = 2
"""Places named to whoever gets no answer."""


async def ask(settings: Settings, options: argparse.Namespace) -> int:
    """0 also where the answer is that it is not known. Raises `UsageError`, `DependencyError` or `StageError`."""
    if options.correccion and not options.valorar:
        raise UsageError("--correccion acompaña a --valorar: python main.py --valorar ID mal --correccion «…».")
    with open_feedback(open_database(settings)) as feedback:
        if options.valorar:
            rated, label = options.valorar
            return _rate(feedback, rated, label, options.correccion or "")
        if options.valoraciones:
            return _report(settings, feedback, as_json=options.json)
        question = options.pregunta.strip()
        if not question or len(question) > settings.limite_texto:
            raise UsageError(f"--pregunta lleva un texto de 1 a {settings.limite_texto} caracteres, entre comillas.")
        async with open_answerer(settings) as answerer:
            reply = await answerer.answer(question)
        found = keep(feedback, reply)
    sys.stdout.write(json.dumps(as_json(reply, found), ensure_ascii=False) if options.json else shown(reply, found))
    sys.stdout.write("\n")
    return 0


@asynccontextmanager
async def open_answerer(settings: Settings) -> "AsyncIterator[Answerer]":
    """Everything for answering. Raises `UsageError` or `DependencyError` with what to do."""
    from core.documents.answerability import load_answerability
    from core.documents.answers import Answerer, Intents, Unasked
    from core.intents import read_intents
    from core.intents.catalogue import FILE_NAME
    from core.privacy import PersonalData
    from core.search import Searcher

    embedder = open_embedder(settings)
    async with AsyncExitStack() as stack:
        base = stack.enter_context(open_documents(settings, embedder))
        searcher = Searcher(base, embedder, settings.query_limit_vectordb, crowds=False)
        fit = load_answerability(settings.embedding_model)
        classifier = open_classifier(settings, embedder)
        known = read_intents(settings.directorio_recursos / FILE_NAME) if classifier else {}
        written = settings.respuestas == "redactada"
        tasks: QuestionTasks = Unasked()
        if fit.judged or written:
            tasks = await stack.enter_async_context(open_tasks(settings))
        yield Answerer(
            searcher,
            embedder,
            PersonalData(),
            tasks,
            fit,
            Intents(known, classifier) if classifier else None,
            written=written,
        )


def keep(feedback: Feedback, reply: "Reply") -> str:
    """Store the reply with what was found; returns its id."""
    from core.documents.reindex import ANSWER

    quoted = {(c.piece, c.title) for c in reply.citations}
    return feedback.record(
        ANSWER,
        reply.question,
        [
            _found(judged) | {"citada": (judged.window.piece.id, judged.window.title) in quoted}
            for judged in reply.found
        ],
        reply.text,
        intent=reply.intent.intent or "" if reply.intent else "",
        answered=reply.answered,
        out_of_context=bool(reply.void),
        seconds=reply.seconds,
    )


def _found(judged: "Judged") -> dict[str, Any]:
    window = judged.window
    return {
        "pieza": window.piece.id,
        "fuente": window.piece.source,
        "titulo": list(window.title),
        "pagina": window.page,
        "texto": window.text,
        "probabilidad": round(judged.probability, 3),
        "logit": judged.logit,
    }


def shown(reply: "Reply", found: str) -> str:
    """For the terminal."""
    lines = [reply.text]
    if reply.answered:
        lines += ["", "Fuentes:", *(f"  {citation}" for citation in reply.citations)]
        if "<" in reply.text:
            lines.append("Lo que está entre <…> son datos personales ocultos: véalos en el documento.")
    else:
        if reply.void:
            lines.append(f"(Se ha retirado la respuesta que se había redactado: {reply.void}.)")
        near = list(dict.fromkeys(f"{j.window.piece.source}: {' › '.join(j.window.title)}" for j in reply.found))
        lines += ["Lo más cercano:", *(f"  {place}" for place in near[:NEAREST])] if near else []
    if reply.missing:
        lines.append(f"Para tramitarlo falta que indique: {', '.join(reply.missing)}.")
    lines += ["", f"Respuesta {found}, en {reply.seconds:.1f} s. Valórela: python main.py --valorar {found} bien|mal"]
    return "\n".join(lines)


def as_json(reply: "Reply", found: str) -> dict[str, Any]:
    """For another program."""
    intent = reply.intent
    return {
        "id": found,
        "respondida": reply.answered,
        "respuesta": reply.text,
        "frases": [{"texto": s.text, "citas": list(s.citations)} for s in reply.sentences],
        "fuentes": [
            {"numero": c.number, "fuente": c.source, "titulo": list(c.title), "pagina": c.page, "pieza": c.piece}
            for c in reply.citations
        ],
        "intencion": {"nombre": intent.intent, "probabilidad": round(intent.probability, 3)} if intent else None,
        "falta": list(reply.missing),
        "anulada": reply.void or None,
        "encontrado": [_found(judged) for judged in reply.found],
        "segundos": round(reply.seconds, 3),
    }


def _rate(feedback: Feedback, answer: str, label: str, correction: str) -> int:
    if label not in set(Label):
        raise UsageError(f"--valorar lleva un identificador y «bien» o «mal», no «{label}».")
    feedback.rate(answer, Label(label), login_name(), correction)
    sys.stdout.write(f"{answer} queda valorada: {label}. Se tiene en cuenta con: python batch.py --reindexar\n")
    return 0


def _report(settings: Settings, feedback: Feedback, *, as_json: bool) -> int:
    now = datetime.now().astimezone()
    found, path = write_report(feedback.answers(), settings.directorio_recursos / "reportes", now)
    sys.stdout.write((json.dumps(found, ensure_ascii=False) if as_json else told(found, path)) + "\n")
    return 0
