"""core/judgement/versions: one in force, a way back, and no start on a broken file."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from core.errors import DependencyError, UsageError
from core.judgement import load_calibration
from core.judgement.versions import FOLDER, IN_FORCE, SHIPPED, Versions
from tests.core.judgement.desk import FIT

E5 = FIT.model_copy(update={"embeddings": "e5"})


def test_the_shipped_one_is_in_force_until_another_takes_over(tmp_path: Path) -> None:
    versions = Versions(tmp_path)
    assert versions.name("e5+use+minilm") == SHIPPED
    assert versions.in_force("e5+use+minilm") == load_calibration("e5+use+minilm")
    assert versions.all("e5+use+minilm") == []
    assert not (tmp_path / FOLDER).exists()


def test_take_over_and_back(tmp_path: Path) -> None:
    versions = Versions(tmp_path)
    first = versions.take_over(FIT, {"metodo": "platt"})
    second = versions.take_over(FIT.model_copy(update={"before": FIT, "intercept": 1.0}), {})
    versions.take_over(E5, {})
    assert (first.version, first.previa, second.version, second.previa) == ("v0001", SHIPPED, "v0002", "v0001")
    assert versions.in_force("e5+use+minilm") == second.calibracion
    assert versions.in_force("e5") == E5
    assert [version.version for version in versions.all("e5+use+minilm")] == ["v0001", "v0002"]
    assert set(versions.known("e5+use+minilm")) == {
        load_calibration("e5+use+minilm").fingerprint, FIT.fingerprint, second.calibracion.fingerprint,
    }  # fmt: skip
    assert versions.back("e5+use+minilm") == "v0001"
    assert versions.in_force("e5+use+minilm") == FIT
    assert versions.take_over(FIT, {}).previa == "v0001"
    assert [versions.back("e5+use+minilm") for _ in range(2)] == ["v0001", SHIPPED]
    with pytest.raises(UsageError, match="ninguna anterior"):
        versions.back("e5+use+minilm")
    assert versions.name("e5") == "v0003"


@pytest.mark.parametrize(
    ("file", "content", "told"),
    [
        pytest.param("v0001.json", "{", "v0001.json no se puede leer.*volver", id="cut"),
        pytest.param("v0001.json", "", "v0001.json no se puede leer", id="empty"),
        pytest.param("v0001.json", None, "v0001.json no se puede leer.*volver", id="gone"),
        pytest.param(IN_FORCE, "[]", "en_vigor.json no se puede leer.*Bórrelo", id="pointer of another kind"),
        pytest.param(
            IN_FORCE, '{"e5+use+minilm": "../../otra"}', "en_vigor.json no se puede leer", id="pointer elsewhere"
        ),
    ],
)
def test_a_broken_file_stops_the_start(file: str, content: str | None, told: str, tmp_path: Path) -> None:
    versions = Versions(tmp_path)
    versions.take_over(FIT, {})
    path = tmp_path / FOLDER / file
    path.unlink() if content is None else path.write_text(content, encoding="utf-8")
    with pytest.raises(UsageError, match=told):
        versions.in_force("e5+use+minilm")


@pytest.mark.parametrize("field", ["version", "embeddings", "weight"])
def test_a_version_that_is_not_what_it_says(field: str, tmp_path: Path) -> None:
    versions = Versions(tmp_path)
    versions.take_over(FIT, {})
    path = tmp_path / FOLDER / "v0001.json"
    kept = json.loads(path.read_text(encoding="utf-8"))
    match field:
        case "version":
            kept["version"] = "v0009"
        case "embeddings":
            kept["calibracion"]["embeddings"] = "e5"
        case _:
            kept["calibracion"]["logit"] = -1
    path.write_text(json.dumps(kept), encoding="utf-8")
    with pytest.raises(UsageError, match=r"v0001\.json"):
        versions.in_force("e5+use+minilm")
    assert versions.back("e5+use+minilm") == SHIPPED
    assert versions.in_force("e5+use+minilm") == load_calibration("e5+use+minilm")


def test_the_way_back_passes_over_a_broken_one(tmp_path: Path) -> None:
    versions = Versions(tmp_path)
    for _ in range(2):
        versions.take_over(FIT, {})
    (tmp_path / FOLDER / "v0001.json").write_text("{", encoding="utf-8")
    assert [version.version for version in versions.all("e5+use+minilm")] == ["v0002"]
    assert versions.back("e5+use+minilm") == SHIPPED


def test_many_at_once_get_a_version_each(tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: Versions(tmp_path).take_over(FIT, {}).version, range(8)))
    assert sorted(made) == [f"v{number:04}" for number in range(1, 9)]


@pytest.mark.faults
def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / FOLDER).write_text("un fichero", encoding="utf-8")
    with pytest.raises(DependencyError, match=FOLDER):
        Versions(tmp_path).take_over(FIT, {})
