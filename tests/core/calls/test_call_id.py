"""An id made out of the caller's number is neither kept nor shown, and still finds its call."""

import random
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from config import Settings, load_settings
from core.calls import session
from core.calls.answer import Answer, as_json, lines
from core.calls.call import Call
from core.calls.call_id import shown_id
from core.calls.evidence_session import call_evidence, call_rows
from core.calls.explain import Explanation
from core.calls.narrative import narrative
from core.calls.similar import SimilarCall
from core.calls.store import open_store
from core.incident import Incident
from core.privacy import scrub
from core.proposed_row import Known

TOKEN = re.compile("c-[a-p]{12}")


@pytest.mark.parametrize(
    "plain",
    [
        "", "c1", "LL-101-00012", "LL-101-0000001", "ivr_2026_0007", "a1b2c3", "1002345678", "20240501-0000123",
        "CALL20260101123456", "7f3c2a90-1111-4222-8333-944455566677",
    ],
)  # fmt: skip
def test_a_plain_id_stays_readable(plain: str) -> None:
    assert shown_id(plain) == plain


@pytest.mark.parametrize(
    "secret", ["612345678", "612345678-20240501", "612 34 56 78", "ana.ruiz@x.es", "12345678Z", "póliza 654321"]
)
def test_an_id_with_personal_data_becomes_a_token(secret: str) -> None:
    token = shown_id(secret)
    assert TOKEN.fullmatch(token)
    assert token == shown_id(secret) == shown_id(token) == scrub(token)
    assert token != shown_id(secret + "1")


def test_what_scrub_leaves_alone_stays_and_a_token_is_left_alone() -> None:
    chance = random.Random(5)
    for _ in range(2_000):
        call_id = "".join(chance.choices(4 * "0123456789" + "aZx-_ .@/:<>é７", k=chance.randint(1, 24)))
        kept = shown_id(call_id)
        assert kept == call_id if scrub(call_id) == call_id else kept in (call_id, shown_id(kept)), call_id


@pytest.fixture
def loaded(tmp_path: Path, write: Callable[[str | bytes], Path]) -> tuple[Settings, Path]:
    """400 calls by the caller's number; those that pay fail. And their file."""
    settings = load_settings(directorio_estado=tmp_path / "var", directorio_recursos=tmp_path / "res")
    rows = [("Pago", "failed,ERROR_503") if i % 4 == 0 else ("Saldo", "ok,") for i in range(398)]
    ids = [*(f"{612_000_000 + i}" for i in range(398)), "699000001-20991231", "ana.ruiz@x.es"]
    rows += [("Pago", "failed,ERROR_503")] * 2
    lines = [f"{call_id},Inicio -> {step} -> Fin,{end}" for call_id, (step, end) in zip(ids, rows, strict=True)]
    path = write("\n".join(["call_id,steps_history,final_status,error_code", *lines]) + "\n")
    session.load_calls(settings, session.LoadOptions(path, vectors=False))
    return settings, path


SECRETS = ("612000", "699000001", "ana.ruiz")


def test_the_store_has_no_id_in_clear_and_knows_the_calls_again(loaded: tuple[Settings, Path]) -> None:
    settings, path = loaded
    again = session.load_calls(settings, session.LoadOptions(path, vectors=False))
    assert "nuevas: 0; cambiadas: 0; iguales: 400" in again
    kept = b"".join(file.read_bytes() for file in session.calls_folder(settings).iterdir())
    assert b"ERROR_503" in kept
    assert [secret for secret in SECRETS if secret.encode() in kept] == []


def test_no_id_is_shown_in_clear(loaded: tuple[Settings, Path]) -> None:
    settings, _ = loaded
    with open_store(session.calls_folder(settings)) as store:
        failing = next(group for group in store.groups() if group.failed)
        past = narrative(failing, "v1")
        count, ids = store.alike(past)
    found = Explanation(Call(past.steps), (), (SimilarCall(past, 1.0, {}),), (), 0)
    answer = Answer(found, [(count, ids)])
    [row, *_] = call_rows(settings, Known(frozenset(), {}, {}, {}, frozenset()))
    shown = "\n".join([*lines(answer), str(as_json(answer)), str(row)])
    assert (count, len(ids)) == (102, 3)
    assert all(call_id in shown for call_id in ids)
    assert all(TOKEN.fullmatch(call_id) for call_id in (*ids, *row.evidence))
    assert [secret for secret in SECRETS if secret in shown] == []


@pytest.mark.parametrize("named", ["612000004", shown_id("612000004"), shown_id("ana.ruiz@x.es")])
def test_a_call_is_found_by_its_id_and_by_what_stands_for_it(named: str, loaded: tuple[Settings, Path]) -> None:
    settings, _ = loaded
    with open_store(session.calls_folder(settings)) as store:
        assert store.steps_of(named) == ("Inicio", "Pago", "Fin")
        assert store.steps_of("612999999") is None
    evidence = call_evidence(settings)
    assert evidence is not None
    assert any("Pago" in told for told in evidence(_incident(f"Al pedirlo, {named}.")))
    assert evidence(_incident("Al pedirlo, 612000005.")) == ()


def _incident(text: str) -> Incident:
    return Incident.model_validate({"codIncidencia": "INC-1", "titulo": "Se corta", "descripcion": text})
