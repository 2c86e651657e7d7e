"""core/maintenance.py, core/new_problems.py and core/maintenance_report.py: from closed incidents to proposals."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qdrant_client import QdrantClient

from api.memory import MemoryDesk
from core.catalogue import Resolution, read_catalogue
from core.closed import Skip
from core.critic_loop import Proposal, Status, Verdict
from core.errors import DependencyError, Retryable, StageError, Terminal
from core.evidence import Evidence
from core.incident import Incident
from core.knowledge import KnowledgeBase, KnowledgeMissing, KnowledgeUnavailable
from core.maintenance import Mined, Miner
from core.maintenance_report import write_mined
from core.new_problems import RELATED, SAME_PROBLEM, Limits, Standing, grouped, nearest_row, standing
from core.ports import Suggestion
from core.privacy import PersonalData
from core.proposed_row import ProposedRow
from core.reason import Reason
from core.search import Candidate
from core.usage import Usage
from tests.core.closed_incidents import (
    KNOWN,
    PERIOD,
    PLACES,
    ROW,
    TAG,
    case,
    closed,
    note,
    suggestion,
)
from tests.core.hash_embedder import HashEmbedder

LIMITS = Limits(known_from=65, new_below=35, same_problem=0.8, text_limit=2000, related=0.6)


def _verdict(approval: int | None, status: Status | None = Status.REJECTED, reason: Reason | None = None) -> Verdict:
    if approval is None:
        return Verdict(None, reason or Reason.NO_CANDIDATE, None)
    client = QdrantClient(":memory:")
    entry = KnowledgeBase(client, HashEmbedder()).prepared(ROW)
    client.close()
    proposal = Proposal(Candidate(entry, Evidence(), 0.0), 0.0, approval)
    return Verdict(status, reason or Reason.BELOW_THRESHOLD, proposal)


# Known, doubtful, new


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [
        pytest.param(_verdict(80, Status.APPROVED, Reason.APPROVED), Standing.KNOWN, id="approved"),
        pytest.param(_verdict(80, Status.APPROVED, Reason.MANUAL_ENTRY), Standing.KNOWN, id="manual row"),
        pytest.param(_verdict(10, Status.ALREADY_TRIED, Reason.ALREADY_TRIED), Standing.KNOWN, id="tried"),
        pytest.param(_verdict(50, Status.APPROVED, Reason.APPROVED), Standing.DOUBTFUL, id="approved, but not enough"),
        pytest.param(_verdict(80, reason=Reason.RIVAL_CANDIDATE), Standing.DOUBTFUL, id="rival"),
        pytest.param(_verdict(35), Standing.DOUBTFUL, id="at the limit"),
        pytest.param(_verdict(34), Standing.NEW, id="below it"),
        pytest.param(_verdict(None), Standing.NEW, id="no candidate"),
        pytest.param(_verdict(None, reason=Reason.NONE_CHOSEN), Standing.DOUBTFUL, id="nothing said why"),
    ],
)
def test_standing(verdict: Verdict, expected: Standing) -> None:
    assert standing(verdict, LIMITS) is expected


def test_groups_do_not_chain() -> None:
    cases = [case(code) for code in "abcd"]
    likeness = np.array(
        [[1, 0.9, 0.5, 0.1], [0.9, 1, 0.85, 0.1], [0.5, 0.85, 1, 0.1], [0.1, 0.1, 0.1, 1]], dtype=np.float32
    )
    groups = [[case.code for case in group] for group in grouped(cases, likeness, 0.8)]
    assert groups == [["a", "b"], ["c"], ["d"]]
    assert grouped([], np.zeros((0, 0), np.float32), 0.8) == []


def test_there_is_a_threshold_for_every_embedding() -> None:
    from config import Settings

    [choices] = [Settings.model_fields["embedding_model"].annotation.__args__]  # type: ignore[union-attr]
    assert set(choices) == set(SAME_PROBLEM) == set(RELATED)


def _candidate(component: str, e5: float) -> Candidate:
    client = QdrantClient(":memory:")
    row = ROW.model_copy(update={"component": component})
    entry = KnowledgeBase(client, HashEmbedder()).prepared(row)
    client.close()
    return Candidate(entry, Evidence(e5=e5), 0.0)


@pytest.mark.parametrize(
    ("candidates", "component"),
    [
        pytest.param([("Correo", 0.7), ("Puesto", 0.9)], "Puesto", id="nearest"),
        pytest.param([("Correo", 0.6)], "Correo", id="just enough"),
        pytest.param([("Correo", 0.59)], None, id="too far"),
        pytest.param([("CORRECTIVO", 0.9), ("", 0.8), ("Correo", 0.7)], "Correo", id="rows of no component"),
        pytest.param([], None, id="nothing found"),
    ],
)
def test_the_nearest_row(candidates: list[tuple[str, float]], component: str | None) -> None:
    found = tuple(_candidate(*pair) for pair in candidates)
    verdicts = [Verdict(None, Reason.NO_CANDIDATE, None, candidates=found[:1])]
    verdicts += [Verdict(None, Reason.NO_CANDIDATE, None, candidates=found[1:])]
    row = nearest_row(verdicts, ["e5"], 0.6)
    assert (row.component if row else None) == component


# The whole


class _Model:
    """Answers by what stands in the text; counts what it was asked."""

    def __init__(
        self, verdicts: dict[str, Verdict | Exception], suggestions: dict[str, Suggestion | Exception]
    ) -> None:
        self._verdicts, self._suggestions = verdicts, suggestions
        self.looked_up: list[str] = []
        self.suggested: list[tuple[str, str]] = []

    async def knows(self, problem: str, search_text: str) -> Verdict:
        self.looked_up.append(problem)
        await asyncio.sleep(0)
        return _given(self._verdicts, problem, _verdict(None))

    async def suggest(self, incident: str, resolution: str, components: Sequence[str]) -> Suggestion:
        assert "Correo" in components
        self.suggested.append((incident, resolution))
        return _given(self._suggestions, incident, suggestion())


def _given(answers: dict[str, Any], text: str, otherwise: Any) -> Any:
    answer = next((value for word, value in answers.items() if word in text), otherwise)
    if isinstance(answer, Exception):
        raise answer
    return answer


def _miner(model: _Model, personal: PersonalData, hands: int = 2, *, trusts: bool = True) -> Miner:
    return Miner(personal, model.knows, model.suggest, HashEmbedder({"e5": 40}), KNOWN, LIMITS, TAG, hands, trusts)


async def _mined(
    model: _Model, personal: PersonalData, *incidents: Incident, trusts: bool = True, **fields: Any
) -> Mined:
    listing = await MemoryDesk(incidents).list_closed()
    return await _miner(model, personal, trusts=trusts).mine(listing.model_copy(update=fields), PERIOD)


@pytest.mark.parametrize(
    ("trusts", "likeness", "component", "kind"),
    [
        pytest.param(True, 0.9, "Fichaje", "cierre", id="a model that counts"),
        pytest.param(False, 0.9, "Puesto", "manual", id="nearest row's component"),
        pytest.param(False, 0.5, "", "manual", id="nothing near"),
    ],
)
async def test_what_a_small_model_writes_decides_nothing(
    personal: PersonalData, trusts: bool, likeness: float, component: str, kind: str
) -> None:
    verdict = Verdict(None, Reason.NO_CANDIDATE, None, candidates=(_candidate("Puesto", likeness),))
    mined = await _mined(_Model({"fichaje": verdict}, {}), personal, closed("I-1"), trusts=trusts)
    [row] = mined.proposals
    assert (row.entry.component, row.entry.kind, row.entry.mailbox) == (component, kind, "")
    assert row.entry.solution == "Reinicie el terminal"
    assert any("componente" in remark for remark in row.remarks) is not trusts


async def test_known_doubtful_and_new(personal: PersonalData) -> None:
    model = _Model(
        {"impresora": _verdict(90, Status.APPROVED, Reason.APPROVED), "proyector": _verdict(50)},
        {"cámara": suggestion(description="La cámara no se ve")},
    )
    incidents = [
        closed("I-1", titulo="impresora"),
        closed("I-2", titulo="proyector"),
        closed("I-3", note("Se reinicia el terminal del todo")),
        closed("I-4", note("Se reinicia el terminal", date="2026-03-09")),
        closed("I-5", note("permiso del navegador"), titulo="cámara", descripcion="en negro, nada de nada"),
        closed("I-6", note("vieja", date="01/01/2020")),
        closed("I-7", estado="Abierta"),
    ]
    seen: list[tuple[str, int, int]] = []
    listing = await MemoryDesk(incidents).list_closed()
    mined = await _miner(model, personal).mine(listing, PERIOD, lambda *step: seen.append(step))
    assert [item.case.code for item in mined.known] == ["I-1"]
    assert [item.case.code for item in mined.doubtful] == ["I-2"]
    assert sorted(case.code for case in mined.new) == ["I-3", "I-4", "I-5"]
    assert mined.skipped == (("I-6", Skip.OLD),)
    assert {row.evidence for row in mined.proposals} == {("I-4", "I-3"), ("I-5",)}
    assert ("fichaje\nmarca mal la hora", "Se reinicia el terminal del todo") in model.suggested
    assert len(model.suggested) == 2
    assert mined.closed == 6
    assert not mined.failures
    assert ("Comprobando", 5, 5) in seen
    assert ("Proponiendo", 2, 2) in seen


async def test_the_same_row_for_two_groups_is_one_problem(personal: PersonalData) -> None:
    incidents = [
        closed("I-1"),
        closed("I-2", note("otra cosa distinta"), titulo="reloj", descripcion="va tarde"),
    ]
    mined = await _mined(_Model({}, {}), personal, *incidents)
    [row] = mined.proposals
    assert sorted(row.evidence) == ["I-1", "I-2"]


async def test_a_models_failure_costs_one_incident(personal: PersonalData) -> None:
    model = _Model(
        {"impresora": Terminal(Reason.PROMPT_TOO_LONG)},
        {"cámara": Retryable(Reason.MODEL_TIMEOUT), "ratón": suggestion(description="")},
    )
    incidents = [
        closed("I-1", titulo="impresora"),
        closed("I-2", note("uno"), titulo="cámara", descripcion="negra"),
        closed("I-3", note("dos"), titulo="ratón", descripcion="quieto"),
        closed("I-4"),
    ]
    mined = await _mined(model, personal, *incidents, invalid=(("I-9", "fechas"),))
    assert {(item.codes, item.reason) for item in mined.failures} == {
        (("I-9",), Reason.INCIDENT_INVALID),
        (("I-1",), Reason.PROMPT_TOO_LONG),
        (("I-2",), Reason.MODEL_TIMEOUT),
    }
    assert [item.evidence for item in mined.invalid] == [("I-3",)]
    assert [row.evidence for row in mined.proposals] == [("I-4",)]


@pytest.mark.faults
@pytest.mark.parametrize(
    "error",
    [Retryable(Reason.KNOWLEDGE_UNAVAILABLE), KnowledgeMissing(), KnowledgeUnavailable()],
    ids=["serving", "missing", "loading"],
)
async def test_unknown_is_not_new(error: StageError | DependencyError, personal: PersonalData) -> None:
    model = _Model({"cámara": error}, {})
    with pytest.raises(DependencyError, match="No se ha escrito nada"):
        await _mined(model, personal, closed("I-1"), closed("I-2", titulo="cámara"), closed("I-3"))
    assert model.suggested == []


async def test_nothing_closed(personal: PersonalData, tmp_path: Path) -> None:
    mined = await _mined(_Model({}, {}), personal)
    written = write_mined(mined, tmp_path, Usage(), run="r")
    assert written.proposals is None
    assert list(tmp_path.glob("*.csv")) == []
    assert "No hay ninguna fila que proponer" in written.summary()
    assert json.loads(written.report.read_text("utf-8"))["fichero_propuestas"] is None


async def test_files_and_summary_without_personal_data(personal: PersonalData, tmp_path: Path) -> None:
    secrets = ("12345678Z", "Quintana", "eva@mora.es", "600123456", "ES9121000418450200051332", "87654321")
    told = "DNI {} de Rosa Quintana, {}, tel. {}, IBAN {}, póliza {}".format(secrets[0], *secrets[2:])
    notes = note(f"Reiniciado. {told}", author="Soporte")
    incidents = [
        closed("I-1", notes, descripcion=told, solicitante="Rosa Quintana"),
        closed("I-2", notes, descripcion=f"proyector {told}", solicitante="Rosa Quintana"),
        closed("I-3", note("x", date="ayer")),
        closed("I-4", notes, titulo="impresora", descripcion=told, solicitante="Rosa Quintana"),
        closed("I-5", notes, titulo="ratón", descripcion=f"otro {told}", solicitante="Rosa Quintana"),
    ]
    leaky = suggestion(
        description="Falla a <PERSONA_1>", solution=f"Escriba a <EMAIL_1>, {secrets[0]}", resolution="borrar"
    )
    model = _Model(
        {
            "proyector": _verdict(50),
            "impresora": Terminal(Reason.MODEL_UNPARSEABLE),
            "ratón": _verdict(99, Status.APPROVED),
        },
        {"fichaje": leaky},
    )
    mined = await _mined(model, personal, *incidents)
    written = write_mined(mined, tmp_path, Usage(generative=1, judgements=4), run="r-1")
    assert written.proposals is not None
    assert written.proposals.name == "PROBLEMAS_GLOBALES_20260331.csv"
    everything = written.proposals.read_text("utf-8") + written.report.read_text("utf-8") + written.summary()
    asked = "".join([*model.looked_up, *(part for pair in model.suggested for part in pair)])
    for secret in secrets:
        assert secret not in everything
        assert secret not in asked
    assert "_1>" not in everything
    [entry] = read_catalogue(written.proposals, strict=True).entries
    assert entry.resolution is Resolution.MANUAL
    report = json.loads(written.report.read_text("utf-8"))
    assert written.report.name == "reporte_mantenimiento_globales_20260331.json"
    assert report["propuestas"][0]["incidencias"] == ["I-1"]
    assert report["resumen"]["omitidas"] == {"FECHA_ILEGIBLE": 1}
    assert report["dudosas"][0]["descripcion_fila"] == "buzón lleno"
    assert report["conocidas"][0]["codIncidencia"] == "I-5"
    assert report["fallidas"] == [
        {"incidencias": ["I-4"], "motivo": "MODEL_UNPARSEABLE", "detalle": Reason.MODEL_UNPARSEABLE.text}
    ]
    assert (report["resumen"]["llamadas_llm"], report["resumen"]["juicios"]) == (1, 4)
    told = written.summary()
    for words in (
        "Fichaje: Falla a la persona",
        "manual",
        "I-1",
        "revisar",
        "--aplicar",
        "Dudosa I-2",
        "Con error (I-4)",
    ):
        assert words in told
    again = write_mined(mined, tmp_path, Usage(), run="r-2")
    assert again.proposals is not None
    assert again.proposals.name == "PROBLEMAS_GLOBALES_20260331_2.csv"
    assert again.report.name == "reporte_mantenimiento_globales_20260331_2.json"


def test_the_rest_of_the_summary(tmp_path: Path) -> None:
    row = ProposedRow(PLACES.model_copy(update={"solution": "se cambia", "component": ""}), ("I-1",))
    from core.maintenance import Invalid

    mined = Mined(PERIOD, 1, (), (), (), (), (row,), (Invalid(("I-2",), "la solución está vacía"),), ())
    told = write_mined(mined, tmp_path, Usage(), run="r").summary()
    assert "(sin componente): ratón roto" in told
    assert "reasignacion a TALLER" in told
    assert "Sugerencia no válida (I-2): la solución está vacía" in told
