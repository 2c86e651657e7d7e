"""One call explained: alike calls, patterns, and only claims that rest on them."""

import argparse
import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from qdrant_client import QdrantClient

from bench.llamadas.generate import Calls
from config import load_settings
from core.calls import mining, session
from core.calls.answer import Answer, as_json, lines
from core.calls.call import Call, read_call
from core.calls.collection import NarrativeBase
from core.calls.evidence import CallEvidence
from core.calls.evidence_session import call_evidence, call_rows
from core.calls.explain import NO_EVIDENCE, explain, supported
from core.calls.flow import draw
from core.calls.group import Group
from core.calls.known import KnownNames
from core.calls.narrative import narrate
from core.calls.outcome_steps import Outcomes
from core.calls.patterns import Found, find_patterns
from core.calls.proposals import rows
from core.calls.ranking import as_csv, kept, restored, table, told
from core.calls.ranking import as_json as as_ranking
from core.calls.similar import matched, similar_calls
from core.calls.tally import Tally
from core.catalogue import Resolution
from core.errors import Retryable, UsageError
from core.incident import Incident
from core.ports import Claim, Vectors
from core.proposed_row import Known
from core.reason import Reason
from tests.core.hash_embedder import HashEmbedder

GROUPS = [
    Group(("Inicio", "Pagos", "ERROR_X"), "premium", "pago", "ERROR_X", "", True, 7),
    Group(("Inicio", "Pagos", "Banco", "ERROR_X"), "pyme", "pago", "ERROR_X", "", True, 2),
    Group(("Inicio", "Siniestros", "Grúa", "ERROR_Y"), "", "", "ERROR_Y", "se corta", True, 1),
    Group(("Inicio", "Pagos", "Fin"), "premium", "pago", "", "", False, 90),
]


@pytest.fixture
def base() -> Iterator[NarrativeBase]:
    client = QdrantClient(location=":memory:")
    found = NarrativeBase(client, HashEmbedder({"a": 64}))
    found.bring_up_to_date(GROUPS, 100)
    yield found
    client.close()


def test_only_new_narratives_are_embedded(base: NarrativeBase) -> None:
    again = base.bring_up_to_date(GROUPS, 100)
    assert (again.embedded, again.kept, again.left_out) == (0, 4, 0)
    fewer = base.bring_up_to_date(GROUPS, 2)
    assert (fewer.kept, fewer.removed, fewer.left_out) == (2, 2, 2)


def test_similar_calls_failed_and_the_most_alike_is_first(base: NarrativeBase) -> None:
    found = similar_calls(Call(("Inicio", "Pagos", "ERROR_X"), "ERROR_X", "premium", "pago"), base, ())
    assert found[0].narrative.steps == GROUPS[0].steps
    assert all(one.narrative.failed for one in found)
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)


class _WithEnglish(HashEmbedder):
    """With an embedding that gives nothing for this language."""

    def passages(self, texts: Sequence[str]) -> dict[str, Vectors]:
        return super().passages(texts) | {"b": np.zeros((len(texts), 64), np.float32)}


def test_an_embedding_not_in_use_does_not_count() -> None:
    client = QdrantClient(location=":memory:")
    found = NarrativeBase(client, _WithEnglish({"a": 64, "b": 64}))
    found.bring_up_to_date(GROUPS, 100)
    [first, *_] = similar_calls(Call(GROUPS[0].steps, "ERROR_X", "premium", "pago"), found, ())
    client.close()
    assert first.narrative.steps == GROUPS[0].steps
    assert first.parts["vectores"] > 0.9


def test_a_claim_about_another_segment_is_dropped() -> None:
    evidence = {"L1": "Llamada de pago de un cliente particular que falla en «X»."}
    call = "Llamada de pago de un cliente premium que falla en «X»."
    assert not supported(Claim(cause="Falla la de un cliente particular", evidence=("L1",)), evidence, call)
    assert supported(Claim(cause="Falla la de un cliente premium", evidence=("L1",)), evidence, call)
    assert supported(Claim(cause="Falla el cliente que llama", evidence=("L1",)), evidence, call)


@pytest.mark.parametrize("there", [True, False], ids=["mined", "not mined"])
def test_where_gaps_are_not_looked_for_it_is_told(there: bool, tally: Tally, monkeypatch: pytest.MonkeyPatch) -> None:
    if not there:
        monkeypatch.setattr(mining.importlib.util, "find_spec", lambda name: None)
    found = find_patterns(tally)
    assert as_ranking(found, datetime.now().astimezone())["secuencias_con_saltos"] is there
    assert ("effspm" in "\n".join(told(found))) is not there
    assert restored(kept(found)).gaps is there


EVIDENCE = {"P1": "Las llamadas con «Pagos» fallan el 20,5 % (41 de 200).", "L1": "Llamada con ERROR_X."}


@pytest.mark.parametrize(
    ("cause", "cited", "holds"),
    [
        ("Pagos falla el 20,5 % de las veces", ("P1",), True),
        ("Pagos falla el 20.5 %", ("P1", "L1"), True),
        ("Pagos falla el 35 %", ("P1",), False),
        ("El error ERROR_X lo muestra", ("L1",), True),
        ("El error ERROR_Z lo muestra", ("L1",), False),
        ("Pagos falla mucho", (), False),
        ("Pagos falla mucho", ("P2",), False),
        ("Pagos falla mucho", ("P1", "L9"), False),
    ],
    ids=["cited", "point", "other figure", "code", "other code", "nothing cited", "unknown", "one unknown"],
)
def test_a_claim_must_rest_on_what_it_cites(cause: str, cited: tuple[str, ...], holds: bool) -> None:
    assert supported(Claim(cause=cause, evidence=cited), EVIDENCE, "Llamada") is holds


async def test_claims_without_evidence_are_dropped(base: NarrativeBase, found: Found) -> None:
    pattern = found.patterns[0]

    async def model(call: str, evidence: Mapping[str, str]) -> list[Claim]:
        assert pattern.id in evidence
        return [Claim(cause="Lo dice la luna", evidence=("L77",)), Claim(cause="Falla el paso", evidence=(pattern.id,))]

    condition = pattern.condition
    call = Call(condition.steps, segment="".join(condition.values), kind="".join(condition.values), hour=9)
    explained = await explain(call, base, found.patterns, model)
    assert ([claim.cause for claim in explained.claims], explained.dropped) == (["Falla el paso"], 1)
    said = "\n".join(lines(Answer(explained, [(1, ("c1",))] * len(explained.similar), "f-1")))
    assert "Falla el paso" in said
    assert "--valorar f-1" in said


async def test_without_evidence_nobody_is_asked(base: NarrativeBase) -> None:
    async def model(call: str, evidence: Mapping[str, str]) -> list[Claim]:
        raise AssertionError("asked")

    explained = await explain(Call(("Nada", "que", "ver")), base, (), model)
    answer = Answer(explained, ())
    assert NO_EVIDENCE in "\n".join(lines(answer))
    assert as_json(answer)["explicacion"] == NO_EVIDENCE


async def test_a_model_that_fails_leaves_the_evidence(base: NarrativeBase) -> None:
    async def model(call: str, evidence: Mapping[str, str]) -> list[Claim]:
        raise Retryable(Reason.MODEL_TIMEOUT)

    explained = await explain(Call(GROUPS[0].steps, "ERROR_X"), base, (), model)
    assert explained.similar
    assert "no ha podido" in "\n".join(lines(Answer(explained, [(1, ("c",))] * len(explained.similar))))


def test_names_are_taken_as_the_calls_have_them() -> None:
    names = KnownNames.of(["Menú pagos", "ERROR_503"], ["premium"], ["pago"], ["ERROR_503"])
    call = names.placed(read_call("inicio -> … -> MENU PAGOS -> Error 503", segment="Premium", kind="PAGO"))
    assert call == Call(("inicio", "Menú pagos", "ERROR_503"), "ERROR_503", "premium", "pago")


def test_a_narrative_begins_with_what_failed() -> None:
    assert narrate(["A", "B"], segment="pyme", kind="pago", code="E1").startswith(
        "Llamada de pago de un cliente pyme que falla en «B» con el error E1."
    )
    assert "… " in narrate([str(i) for i in range(60)])


def test_the_ranking_is_kept_and_written(found: Found) -> None:
    assert restored(kept(found)) == found
    text = as_csv(found)
    assert text.count("\n") == len(found.patterns) + 1
    assert table(found).row_count == len(found.patterns)
    assert "llamadas" in " ".join(told(found))


def test_the_flow_is_drawn(found: Found, tally: Tally, tmp_path: Path) -> None:
    path = draw(tally, Outcomes(dict(found.outcomes)), found.patterns, tmp_path / "flujo.png")
    assert path.read_bytes().startswith(b"\x89PNG")


def _incident(text: str) -> Incident:
    return Incident(codIncidencia="INC-1", titulo="Problema", descripcion=text)


def test_an_incident_that_names_a_call_or_a_step_gets_its_patterns(found: Found, calls: Calls) -> None:
    pattern = next(p for p in found.patterns if p.condition.steps)
    step = pattern.condition.steps[-1]
    names = KnownNames.of({s for way in calls.steps for s in way}, (), (), ["ERROR_503"])
    evidence = CallEvidence(found.patterns, names, lambda ids: [pattern.condition.steps] if "LL-0001" in ids else [])
    assert any(pattern.id in told for told in evidence(_incident(f"La llamada se corta en {step.upper()}")))
    assert any(told.startswith(pattern.id) for told in evidence(_incident("Se cortó la LL-0001")))
    assert evidence(_incident(f"Falta un documento en {step}")) == ()
    assert evidence(_incident("La llamada se corta")) == ()


def test_recurrent_failures_become_manual_rows(found: Found) -> None:
    nothing = Known(frozenset(), {}, {}, {}, frozenset())
    proposed = list(rows(found, nothing, lambda pattern: ("c1",)))
    assert proposed
    assert {row.entry.resolution for row in proposed} == {Resolution.MANUAL}
    known = Known(frozenset(row.entry.id for row in proposed), {}, {}, {}, frozenset())
    assert list(rows(found, known, lambda pattern: ())) == []


def test_loading_ranking_and_evidence_from_the_settings(
    log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = load_settings(directorio_estado=tmp_path / "var", directorio_recursos=tmp_path / "res")
    assert call_evidence(settings) is None
    assert call_rows(settings, Known(frozenset(), {}, {}, {}, frozenset())) == []
    with pytest.raises(UsageError, match="No hay llamadas"):
        session.show_patterns(settings, argparse.Namespace(json=True))
    said = session.load_calls(settings, session.LoadOptions(log, vectors=False))
    assert "Llamadas nuevas: 2000" in said
    assert session.show_patterns(settings, argparse.Namespace(json=True)) == 0
    assert json.loads(capsys.readouterr().out)["llamadas"] == 2000
    assert session.show_patterns(settings, argparse.Namespace(json=False)) == 0
    assert "2000 llamadas" in capsys.readouterr().out
    assert {path.suffix for path in (tmp_path / "res" / "reportes").iterdir()} == {".json", ".csv", ".png"}
    evidence = call_evidence(settings)
    assert evidence is not None
    assert evidence(_incident("La llamada LL-101-0000001 se cortó")) == ()
    assert call_rows(settings, Known(frozenset(), {}, {}, {}, frozenset())) == []
    again = session.load_calls(settings, session.LoadOptions(log, full=True, vectors=False))
    assert "Llamadas nuevas: 2000" in again


def test_a_call_with_nothing_alike_is_answered_without_the_model(log: Path, tmp_path: Path) -> None:
    settings = load_settings(directorio_estado=tmp_path / "var", directorio_recursos=tmp_path / "res")
    session.load_calls(settings, session.LoadOptions(log, vectors=False))
    answer = asyncio.run(session.answer(settings, Call(("Nada", "que ver"))))
    assert not answer.explanation.grounded
    assert answer.id.startswith("f-")


def test_matched_puts_the_worst_first(found: Found) -> None:
    steps = tuple(step for pattern in found.patterns for step in pattern.condition.steps)
    rates = [pattern.rate for pattern in matched(Call(steps), found.patterns)]
    assert rates == sorted(rates, reverse=True)
