"""python -m core.judgement: what it says, what it stores, its exit codes."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from config import ROOT, Settings
from core.build import open_database
from core.catalogue import CatalogueEntry, Resolution, write_catalogue
from core.evidence import Evidence
from core.judgement import load_calibration, orders
from core.judgement.__main__ import main
from core.judgement.cases import Case, Judged
from core.judgement.labels import Rows, read_labels
from core.judgement.versions import FOLDER, IN_FORCE
from core.ledger import JUDGED_WITH, Label, Phase, open_ledger
from tests.core.judgement.desk import drawn, record

FULL = CatalogueEntry(component="Correo", description="Buzón lleno", solution="s", resolution=Resolution.CLOSE)
ALSO_FULL = FULL.model_copy(update={"component": "Nube"})
SLOW = FULL.model_copy(update={"description": "va lento"})
GONE = "00000000-0000-5000-8000-000000000001"


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("DIRECTORIO_ESTADO", str(tmp_path / "e"))
    monkeypatch.setenv("DIRECTORIO_RECURSOS", str(tmp_path / "r"))
    (tmp_path / "r").mkdir()
    write_catalogue(tmp_path / "r" / "PROBLEMAS_GLOBALES.csv", [FULL, ALSO_FULL, SLOW])
    return Settings()


def _csv(folder: Path, *lines: str) -> Path:
    path = folder / "etiquetas.csv"
    path.write_text("\n".join(["INCIDENCIA,FILA,RESULTADO", *lines]) + "\n", encoding="utf-8")
    return path


def _store(settings: Settings, cases: Sequence[Case], *, acted_from: int = 0) -> None:
    """The cases as decisions of the shipped calibration, labelled."""
    fit = load_calibration("e5+use+minilm")
    made = {"tipo": "cierre", "calibracion": fit.fingerprint, "juez": "un modelo"}
    with open_ledger(open_database(settings)) as ledger:
        for number, one in enumerate(cases):
            judged: Judged = one.judged
            assert judged.evidence is not None
            scores = {name: getattr(judged.evidence, name) for name in Evidence.__dataclass_fields__}
            approval = fit.approval(judged.evidence, judged.logit)
            kept = record(
                number, approval=approval, created=judged.when,
                evidence=json.dumps({"logit": judged.logit} | scores | {JUDGED_WITH: made}),
            )  # fmt: skip
            if approval >= acted_from:
                ledger.intend(kept, again=(), caps={})
            else:
                ledger.leave(kept)
            ledger.label(kept, Label.RIGHT if one.right else Label.WRONG, "ana")


def test_labels_are_stored(settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with open_ledger(open_database(settings)) as ledger:
        ledger.intend(record(1, entry=SLOW.id), again=(), caps={})
        ledger.leave(record(2, entry=FULL.id))
    path = _csv(
        tmp_path, "INC-1,VA  LENTO,Acertada", "INC-2,correo: buzon lleno,equivocada", f"INC-3,{GONE},acertada",
        f"INC-1,{SLOW.id},acertada",
    )  # fmt: skip
    for _ in range(2):
        assert main(["etiquetar", str(path)]) == 0
        told = capsys.readouterr().out
        assert "Etiquetas guardadas: 3; líneas que no sirven: 0." in told
        assert all(
            f"  1 {what}" in told for what in ("de decisiones llevadas", "de decisiones que quedaron", "sin ninguna")
        )
    with open_ledger(open_database(settings)) as ledger:
        assert {(o.incident, o.entry, o.label) for o in ledger.outcomes()} == {
            ("INC-1", SLOW.id, Label.RIGHT), ("INC-2", FULL.id, Label.WRONG), ("INC-3", GONE, Label.RIGHT),
        }  # fmt: skip


BAD = {
    "unknown row": ("INC-1,no existe,acertada", "el catálogo no tiene la fila «no existe»"),
    "two rows": ("INC-1,buzón lleno,acertada", "es de 2 filas: escriba COMPONENTE: DESCRIPCION"),
    "no incident": (",va lento,acertada", "INCIDENCIA: está vacía"),
    "no row": ("INC-1,,acertada", "FILA: está vacía"),
    "another word": ("INC-1,va lento,quizá", "RESULTADO: «quizá» no es acertada ni equivocada"),
    "too many fields": ("INC-1,va lento,acertada,sí", "la fila tiene 4 campos y la cabecera 3"),
    "endless code": ("I" * 201 + ",va lento,acertada", "más de 200 caracteres"),
}


@pytest.mark.parametrize(("line", "why"), list(BAD.values()), ids=list(BAD))
def test_a_bad_line_is_told_with_its_number(
    line: str, why: str, settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = _csv(tmp_path, line, "INC-9,va lento,acertada")
    assert main(["etiquetar", str(path)]) == 1
    told = capsys.readouterr()
    assert f"{path}:2: " in told.err
    assert why in told.err
    assert "Etiquetas guardadas: 1; líneas que no sirven: 1." in told.out
    assert main(["etiquetar", str(_csv(tmp_path, line, "INC-8,va lento,acertada")), "--estricto"]) == 2
    with open_ledger(open_database(settings)) as ledger:
        assert [o.incident for o in ledger.outcomes()] == ["INC-9"]


def test_lines_that_contradict_each_other(tmp_path: Path) -> None:
    path = _csv(tmp_path, f"A,{GONE},acertada", f"B,{GONE},acertada", f"A,{GONE},equivocada")
    labels, problems = read_labels(path, Rows([]))
    assert [label.incident for label in labels] == ["B"]
    assert [(problem.line, "línea 2" in problem.message) for problem in problems] == [(4, True)]


def test_many_bad_lines_are_not_all_told(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["etiquetar", str(_csv(tmp_path, *["INC-1,nada,acertada"] * 50))]) == 1
    assert "… y 30 líneas más" in capsys.readouterr().err


@pytest.mark.usefixtures("settings")
@pytest.mark.parametrize("content", [b"", b"a,b\n", b"\xff\xfe"], ids=["empty", "other columns", "no text"])
def test_a_file_that_is_no_use(content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(content)
    assert main(["etiquetar", str(path)]) == 2
    assert main(["etiquetar", str(tmp_path / "no-hay.csv")]) == 2
    assert "Error: " in capsys.readouterr().err


@pytest.mark.usefixtures("settings")
def test_risk_without_any_outcome(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["riesgo"]) == 0
    told = capsys.readouterr().out
    assert "Resultados etiquetados: 0. El menor riesgo que certifican es nada todavía." in told
    assert "RIESGO_MAXIMO no está puesto" in told


def test_what_the_right_rows_say_of_actions_by_other_rows_certifies_nothing(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RIESGO_MAXIMO", "0.05")
    made = json.loads(record().evidence)
    made[JUDGED_WITH]["calibracion"] = load_calibration("e5+use+minilm").fingerprint
    with open_ledger(open_database(settings)) as ledger:
        for number in range(120):
            ledger.intend(record(number, entry=SLOW.id, evidence=json.dumps(made)), again=(), caps={})
    rows = [SLOW.id] * 80 + [FULL.id] * 40
    path = _csv(tmp_path, *(f"INC-{number},{row},acertada" for number, row in enumerate(rows)))
    assert main(["etiquetar", str(path)]) == 0
    told = capsys.readouterr().out
    assert "  80 de decisiones llevadas" in told
    assert "  40 sin ninguna" in told
    assert "  40 decisiones con una fila distinta de la acertada: cuentan como equivocadas" in told
    assert main(["riesgo"]) == 0
    told = capsys.readouterr().out
    assert "40 / 120" in told
    assert "sin certificar" in told
    assert "certificado" not in told


def test_risk_with_outcomes(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RIESGO_MAXIMO", "0.2")
    _store(settings, drawn(150, 3, 3), acted_from=65)
    assert main(["riesgo"]) == 0
    told = capsys.readouterr().out
    assert "20 % *" in told
    assert "RIESGO_MAXIMO=0.2" in told
    assert "certificado" in told
    assert "(quedó para una persona)" in told
    assert "% o más" in told


def test_recalibrate_and_back(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    _store(settings, drawn(400, 4, 4))
    assert main(["recalibrar"]) == 0
    told = capsys.readouterr().out
    assert "En vigor: v0001 (antes, entregada)" in told
    assert main(["recalibrar"]) == 0
    assert "Sigue en vigor v0001" in capsys.readouterr().out
    assert main(["versiones"]) == 0
    assert "en vigor" in capsys.readouterr().out
    for code, name in ((0, "En vigor: entregada"), (2, "ninguna anterior")):
        assert main(["volver"]) == code
        captured = capsys.readouterr()
        assert name in captured.out + captured.err


@pytest.mark.parametrize(
    ("risk", "every", "way"), [("", False, "completo"), ("0.1", False, "platt"), ("0.1", True, "completo")]
)
def test_with_an_allowed_risk_the_order_is_kept(
    risk: str, every: bool, way: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RIESGO_MAXIMO", risk)
    _store(settings, drawn(700, 1.5, -2))
    result, _ = orders.recalibrate_desk(Settings(), every_weight=every)
    assert result.way == way


def test_too_few_to_recalibrate(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    _store(settings, drawn(10, 1, 0))
    assert main(["recalibrar"]) == 0
    assert "Sigue en vigor entregada: hacen falta 60 resultados con su evidencia y hay 10." in capsys.readouterr().out


@pytest.mark.parametrize("order", ["riesgo", "recalibrar", "versiones"])
def test_a_broken_version_is_exit_2(order: str, settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    folder = settings.directorio_estado / FOLDER
    folder.mkdir(parents=True)
    (folder / IN_FORCE).write_text('{"e5+use+minilm": "v0003"}', encoding="utf-8")
    assert main([order]) == 2
    assert "v0003.json no se puede leer" in capsys.readouterr().err


@pytest.mark.slow
def test_the_door_by_its_name() -> None:
    told = subprocess.run(
        [sys.executable, "-m", "core.judgement", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout
    assert "etiquetar etiquetas.csv" in told
    assert "códigos de salida" in told


def test_an_outcome_of_the_ledger_keeps_its_phase(settings: Settings) -> None:
    """What `_store` left to people is not taken for acted on."""
    _store(settings, drawn(20, 1, 0), acted_from=101)
    with open_ledger(open_database(settings)) as ledger:
        assert {one.phase for one in ledger.of_incident("INC-1")} == {Phase.LEFT}
