"""core/policy: what may be worked, and in which order."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from core.errors import UsageError
from core.incident import Incident
from core.ledger import Scope
from core.policy import Autonomy, Policy, priority, read_policy
from core.reason import Reason


def incident(**fields: object) -> Incident:
    return Incident.model_validate({"codIncidencia": "I1", "descripcion": "no imprime", "estado": "Abierta"} | fields)


def _refused(given: Incident, text_limit: int) -> Reason | None:
    return next(iter(Policy().refusals(given, text_limit, "[SPAI] ")), None)


@pytest.mark.parametrize(
    "status", ["Resuelta", "RESUELTO", "Cerrada", "Cancelada", "anulada", "Finalizado", "Solucionada", "Closed"]
)
def test_ended_is_not_ours(status: str) -> None:
    assert _refused(incident(estado=status), 100) is Reason.NOT_OPEN


@pytest.mark.parametrize("status", ["En espera", "EN  ESPERA", "Pendiente de implantar", "PENDIENTE_IMPLANTAR"])
def test_waiting_is_left_waiting(status: str) -> None:
    assert _refused(incident(estado=status), 100) is Reason.WAITING


@pytest.mark.parametrize("status", ["Abierta", "", None, "Pendiente", "Reabierta", "Asignada", "Nueva"])
def test_other_states_are_worked(status: str | None) -> None:
    assert _refused(incident(estado=status), 100) is None


def test_text_is_counted_over_all_fields() -> None:
    history = [{"NotasResolucion": "cc", "detalle": "ddd"}]
    found = incident(titulo="a", descripcion="bb", historial=history)
    assert _refused(found, 8) is None
    assert _refused(found, 7) is Reason.TEXT_TOO_LONG


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"descripcion": ""}, id="empty"),
        pytest.param({"descripcion": None, "titulo": None, "historial": None}, id="null"),
        pytest.param({"descripcion": " \n\t", "historial": [{"detalle": " "}]}, id="blank"),
    ],
)
def test_no_text_is_said(fields: dict[str, object]) -> None:
    assert _refused(incident(**fields), 100) is Reason.EMPTY_TEXT


@pytest.mark.parametrize(
    "entry", [{"adjuntos": ["c.png"]}, {"adjuntos": [{"nombre": "c.png"}]}, {"detalle": "no va"}], ids=str
)
def test_an_attachment_or_a_note_is_something_to_read(entry: dict[str, object]) -> None:
    assert _refused(incident(descripcion="", historial=[entry]), 100) is None


def test_queue_order() -> None:
    rows = [
        ("baja", "2024-01-01", "A"),
        ("Crítica", "2024-05-05", "B"),
        ("rara", "2024-02-02", "C"),
        ("ALTA", "2024-03-03", "D"),
        ("media", "2024-02-02", "A2"),
        ("1", "2024-04-04", "E"),
        ("", "2024-01-09", "F"),
    ]
    found = [incident(prioridad=p, apertura=o, codIncidencia=c) for p, o, c in rows]
    assert [i.code for i in sorted(found, key=priority)] == ["E", "B", "D", "F", "A2", "C", "A"]


@pytest.mark.parametrize("status", ["En curso", "EN PROCESO", "En tratamiento por N2"])
def test_what_a_person_works_is_left_alone(status: str) -> None:
    incident = Incident(code="INC-1", status=status, description="No imprime")
    assert _refused(incident, 1000) is Reason.WORKED_BY_PERSON


# politica.toml

RULES = """
[elegibles]
buzones = ["Soporte", "Cobros"]
bots = ["vigía"]
minutos_tras_persona = 30
campos_persona = ["asignadoA"]

[autonomia]
defecto = "propuesta"
cierre = "automatica"
"En Espera" = "manual"
api = "manual"
"api|fxprovicion" = "automatica"

[autonomia.buzones."Cobros"]
cierre = "manual"

[topes]
por_hora = 7
por_fila_y_hora = 0

[limites]
prioridad = "Alta"
"""


def _read(folder: Path, text: str) -> Policy:
    (folder / "politica.toml").write_text(text, encoding="utf-8")
    return read_policy(folder)


def test_without_a_file_everything_is_automatic_within_caps(tmp_path: Path) -> None:
    policy = read_policy(tmp_path)
    assert policy == Policy()
    assert policy.autonomy("cierre", "Soporte") is Autonomy.AUTOMATIC
    assert policy.caps == {Scope.ALL: 2000, Scope.MAILBOX: 1000, Scope.ENTRY: 500}


@pytest.mark.parametrize(
    ("kind", "mailbox", "autonomy"),
    [
        ("cierre", "Soporte", Autonomy.AUTOMATIC),
        ("cierre", "COBROS", Autonomy.MANUAL),
        ("reasignacion", "Cobros", Autonomy.PROPOSAL),
        ("en espera", "Soporte", Autonomy.MANUAL),
        ("api|fxprovicion", "Soporte", Autonomy.AUTOMATIC),
        ("api|disconformidad", "Soporte", Autonomy.MANUAL),
    ],
)
def test_the_nearest_rule_wins(tmp_path: Path, kind: str, mailbox: str, autonomy: Autonomy) -> None:
    assert _read(tmp_path, RULES).autonomy(kind, mailbox) is autonomy


@pytest.mark.parametrize(
    ("priority", "severe"), [("Crítica", True), ("alta", False), ("3 - Media", False), ("", True)], ids=str
)
def test_above_the_limit_of_priority(tmp_path: Path, priority: str, severe: bool) -> None:
    assert _read(tmp_path, RULES).too_severe(incident(prioridad=priority)) is severe
    assert not Policy().too_severe(incident(prioridad=priority))


def test_caps_that_are_not_named_keep_their_default(tmp_path: Path) -> None:
    assert _read(tmp_path, RULES).caps == {Scope.ALL: 7, Scope.MAILBOX: 1000, Scope.ENTRY: 0}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param("[autonomia]\ncierre = 'siempre'", "autonomia.cierre: 'siempre' no es válido", id="autonomy"),
        pytest.param("[autonomia]\nborrar = 'manual'", "«borrar» no es una resolución conocida", id="kind"),
        pytest.param("[autonomia]\nmanual = 'manual'", "esas filas van siempre a una persona", id="manual"),
        pytest.param("[autonomia.buzones.X]\ncierre = 3", "autonomia.buzones.X.cierre", id="mailbox"),
        pytest.param("[topes]\npor_hora = -1", "topes.por_hora: debe ser un número entero de 0", id="negative"),
        pytest.param("[topes]\npor_hora = 'mil'", "topes.por_hora: 'mil' no es de la clase", id="text"),
        pytest.param("[topes]\npor_dia = 1", "topes.por_dia: no es una clave conocida", id="key"),
        pytest.param("autonomia = 3", "autonomia", id="table"),
        pytest.param("[autonomia]\nbuzones = 3", "autonomia.buzones", id="mailboxes"),
        pytest.param("[autonomia", "no se puede leer", id="toml"),
        pytest.param("[limites]\nprioridad = 'azul'", "limites.prioridad: 'azul' no es una prioridad", id="priority"),
        pytest.param("[limites]\nprioridad = true", "limites.prioridad: True no es una prioridad", id="no-priority"),
    ],
)
def test_a_wrong_file_is_told_by_file_and_key(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(UsageError, match=re.escape(told)) as caught:
        _read(tmp_path, text)
    assert "politica.toml" in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        pytest.param({"buzon": "soporte"}, None, id="ours"),
        pytest.param({"buzon": "Otro"}, Reason.OTHER_MAILBOX, id="not-ours"),
        pytest.param({"buzon": "Otro", "estado": "Cerrada"}, Reason.NOT_OPEN, id="closed-first"),
        pytest.param({"buzon": "Cobros", "solicitante": "VIGIA-01"}, Reason.OPENED_BY_BOT, id="bot"),
        pytest.param({"buzon": "Cobros", "solicitante": "Vigías Ana"}, None, id="no-bot"),
        pytest.param({"buzon": "Cobros", "asignadoA": "Ana"}, Reason.WORKED_BY_PERSON, id="assigned"),
        pytest.param({"buzon": "Cobros", "asignadoA": ""}, None, id="not-assigned"),
        pytest.param({"buzon": "Cobros", "descripcion": ""}, Reason.EMPTY_TEXT, id="no-text"),
    ],
)
def test_eligible_by_the_rules(tmp_path: Path, fields: dict[str, object], reason: Reason | None) -> None:
    assert _read(tmp_path, RULES).refusals(incident(**fields), 100, "[SPAI] ")[:1] == ((reason,) if reason else ())


@pytest.mark.parametrize("name", ["robot", "avisos-bot@x.es", "No-Reply <a@b.es>", "mailer-daemon"])
def test_bots_by_default(name: str) -> None:
    assert Policy().refusals(incident(solicitante=name), 100, "[SPAI] ") == (Reason.OPENED_BY_BOT,)


@pytest.mark.parametrize("name", ["Ana Abbott", "Botella, Luis", "", "Robotnik"])
def test_people_are_no_bots(name: str) -> None:
    assert Policy().refusals(incident(solicitante=name), 100, "[SPAI] ") == ()


@pytest.mark.parametrize(
    ("minutes_ago", "author", "note", "reason"),
    [
        pytest.param(5, "Luis", "lo miro", Reason.WORKED_BY_PERSON, id="just-now"),
        pytest.param(31, "Luis", "lo miro", None, id="long-ago"),
        pytest.param(5, "Ana", "¿cómo va?", None, id="the-requester"),
        pytest.param(5, "", "x", None, id="nobody"),
        pytest.param(5, "vigía 2", "x", None, id="a-bot"),
        pytest.param(5, "SPAI", "[SPAI] x", None, id="ourselves"),
        pytest.param(None, "Luis", "x", None, id="no-date"),
    ],
)
def test_a_persons_last_word_keeps_us_away(
    tmp_path: Path, minutes_ago: int | None, author: str, note: str, reason: Reason | None
) -> None:
    when = datetime.now(UTC) - timedelta(minutes=minutes_ago) if minutes_ago is not None else None
    entry = {"Autor": author, "NotasResolucion": note, "Fecha": when.isoformat() if when else "ayer"}
    found = incident(buzon="Cobros", solicitante="Ana", historial=[entry])
    assert _read(tmp_path, RULES).refusals(found, 1000, "[SPAI] ")[:1] == ((reason,) if reason else ())


def test_the_stricter_right_counts() -> None:
    assert Autonomy.AUTOMATIC.stricter(Autonomy.PROPOSAL) is Autonomy.PROPOSAL
    assert Autonomy.MANUAL.stricter(Autonomy.PROPOSAL) is Autonomy.MANUAL
