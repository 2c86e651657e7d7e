"""Settings: defaults, errors that name the setting, and the documentation made from them."""

from pathlib import Path

import pytest
from pydantic import BaseModel, Field

import config
import config_doc
from config import ROOT, Environment, Settings, load_settings
from core.errors import UsageError


def test_nothing_set_means_the_embedded_default() -> None:
    settings = load_settings()
    assert settings.provider == "embedded"
    assert settings.critic_approval_threshold == 75
    assert settings.max_retries_critic == 2
    assert settings.directorio_estado == Path("var")
    assert settings.vector_db_url is None


def test_settings_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_settings().concurrencia = 3


def test_the_environment_is_read_and_an_override_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRITIC_APPROVAL_THRESHOLD", "80")
    monkeypatch.setenv("LLM_MODEL", "")
    assert load_settings().critic_approval_threshold == 80
    assert load_settings(critic_approval_threshold=90).critic_approval_threshold == 90
    assert load_settings().llm_model is None


def test_a_url_loses_its_last_slash() -> None:
    assert load_settings(vector_db_url="http://127.0.0.1:6333/").vector_db_url == "http://127.0.0.1:6333"


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        pytest.param("CRITIC_APPROVAL_THRESHOLD", "130", "'130' no es válido. Se admite: 0–100 %", id="too high"),
        pytest.param("CRITIC_APPROVAL_THRESHOLD", "-1", "'-1' no es válido. Se admite: 0–100 %", id="too low"),
        pytest.param("MAX_RETRIES_CRITIC", "dos", "'dos' no es válido. Se admite: 0–10 intentos", id="not a number"),
        pytest.param("HTTP_TIMEOUT", "nan", "'nan' no es válido. Se admite: 0.1–300 s", id="not a number at all"),
        pytest.param("HTTP_TIMEOUT", "0,5", "'0,5' no es válido. Se admite: 0.1–300 s", id="decimal comma"),
        pytest.param("ENTORNO", "PRE", "'PRE' no es válido. Se admite: DESA, PROD", id="unknown word"),
        pytest.param(
            "LLM_PROVIDER", "gpt", "'gpt' no es válido. Se admite: embedded, ollama, openai, o vacía", id="enum"
        ),
        pytest.param("VECTOR_DB_URL", "qdrant:6333", "Se admite: URL http:// o https://, o vacía", id="no scheme"),
        pytest.param("VECTOR_DB_URL", "http://", "Se admite: URL http:// o https://, o vacía", id="no host"),
        pytest.param("ETIQUETA", "x", "'x' no es válido. Se admite: 3–40 caracteres", id="short text"),
        pytest.param(
            "RIESGO_MAXIMO", "0", "'0' no es válido. Se admite: más de 0, hasta 0.5, o vacía", id="open range"
        ),
        pytest.param("DATABASE_URL", "mysql://x", "(valor oculto) no es válido. Se admite: sqlite:///…", id="database"),
    ],
)
def test_a_wrong_value_names_setting_value_and_range(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, expected: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(UsageError) as caught:
        load_settings()
    assert f"{name}: " in str(caught.value)
    assert expected in str(caught.value)


def test_every_wrong_setting_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_REINTENTOS", "0")
    monkeypatch.setenv("LIMITE_TEXTO", "1")
    with pytest.raises(UsageError, match=r"(?s)HTTP_REINTENTOS.*LIMITE_TEXTO"):
        load_settings()


def test_a_long_value_is_cut() -> None:
    with pytest.raises(UsageError) as caught:
        load_settings(entorno="x" * 5000)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "mysql://usuario:CLAVE-SECRETA@servidor/base"),
        ("VECTOR_DB_URL", "ftp://usuario:CLAVE-SECRETA@servidor"),
        ("OPENAI_BASE_URL", "usuario:CLAVE-SECRETA@servidor"),
        ("MLFLOW_TRACKING_URI", "CLAVE-SECRETA"),
    ],
)
def test_no_secret_in_an_error_nor_in_its_cause(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    monkeypatch.setenv("OPENAI_API_KEY", "CLAVE-SECRETA")
    with pytest.raises(UsageError) as caught:
        load_settings()
    assert "CLAVE-SECRETA" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_the_key_is_not_in_the_settings_text() -> None:
    assert "CLAVE-SECRETA" not in repr(load_settings(openai_api_key="CLAVE-SECRETA"))


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        pytest.param({"entorno": "PROD"}, "MOCK_GESTOR_URL", id="prod on demo services"),
        pytest.param({"llm_provider": "openai"}, "OPENAI_BASE_URL", id="openai with nothing"),
        pytest.param({"llm_provider": "ollama"}, "OLLAMA_BASE_URL", id="ollama without its url"),
        pytest.param({"llm_gguf": Path("no-existe.gguf")}, "no existe el fichero no-existe.gguf", id="gguf not there"),
    ],
)
def test_what_does_not_fit_together_is_refused(overrides: dict[str, object], expected: str) -> None:
    with pytest.raises(UsageError, match=expected):
        load_settings(**overrides)


@pytest.mark.parametrize(
    ("overrides", "provider"),
    [
        pytest.param({}, "embedded", id="nothing"),
        pytest.param({"ollama_base_url": "http://127.0.0.1:11434"}, "ollama", id="ollama by its url"),
        pytest.param(
            {"ollama_base_url": "http://127.0.0.1:11434", "llm_provider": "embedded"}, "embedded", id="overruled"
        ),
        pytest.param(
            {
                "entorno": Environment.PROD,
                "mock_gestor_url": "http://desk.test",
                "mock_sistema_url": "http://system.test",
                "openai_base_url": "http://model.test",
            },
            "openai",
            id="prod",
        ),
    ],
)
def test_provider_in_force(overrides: dict[str, object], provider: str) -> None:
    assert load_settings(**overrides).provider == provider


def test_an_unknown_override_is_a_programming_error() -> None:
    with pytest.raises(TypeError, match="umbral"):
        load_settings(umbral=3)


def test_env_file_is_read(tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text("MAX_RETRIES_CRITIC=5\nALGO_AJENO=1\n", encoding="utf-8")
    assert load_settings(env_file=env_file).max_retries_critic == 5


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(b"CRITIC_APROVAL_THRESHOLD=90\n", "CRITIC_APPROVAL_THRESHOLD", id="misspelt name"),
        pytest.param("ETIQUETA=[SPAÍ] \n".encode("latin-1"), "UTF-8", id="wrong encoding"),
    ],
)
def test_a_wrong_env_file_says_what_is_wrong(tmp_path: Path, content: bytes, expected: str) -> None:
    env_file = tmp_path / ".env"
    env_file.write_bytes(content)
    with pytest.raises(UsageError, match=expected):
        load_settings(env_file=env_file)


def test_the_example_gives_the_defaults() -> None:
    example = ROOT / ".env.example"
    assert load_settings(env_file=example) == load_settings()
    names = {line.partition("=")[0] for line in example.read_text(encoding="utf-8").splitlines() if line[:1].isalpha()}
    assert names == {name.upper() for name in Settings.model_fields}


def test_every_setting_is_documented_in_both_languages() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert isinstance(field.json_schema_extra, dict), name
        assert field.json_schema_extra["en"], name
        assert config_doc.allowed(field), name


def test_every_number_has_a_range_and_all_but_shares_a_unit() -> None:
    for name, field in Settings.model_fields.items():
        if field.annotation in (int, float):
            assert isinstance(field.json_schema_extra, dict)
            assert field.json_schema_extra["unit"], name
            assert field.metadata, name


def test_generated_files_are_current(capsys: pytest.CaptureFixture[str]) -> None:
    assert config.main(["--comprobar"]) == 0, capsys.readouterr()


def _project(folder: Path, page: str) -> Path:
    for name in ("README.md", "README.es.md"):
        (folder / name).write_text(page, encoding="utf-8")
    return folder


def test_writing_replaces_only_what_is_between_the_markers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = _project(tmp_path, f"# Antes\n\n{config_doc.START}\nviejo\n{config_doc.END}\n\nDespués\n")
    assert config.main(["--comprobar"], root) == 1
    assert "--escribir" in capsys.readouterr().err
    assert config.main(["--escribir"], root) == 0
    assert config.main(["--comprobar"], root) == 0
    english, spanish = ((root / name).read_text(encoding="utf-8") for name in ("README.md", "README.es.md"))
    assert english.startswith("# Antes\n\n")
    assert english.endswith("\n\nDespués\n")
    assert "viejo" not in english
    assert "| `HTTP_TIMEOUT` | `10` | 0.1–300 s | Seconds to wait" in english
    assert "| `HTTP_TIMEOUT` | `10` | 0.1–300 s | Segundos que se espera" in spanish


@pytest.mark.parametrize("page", ["sin marcas", f"{config_doc.END}{config_doc.START}", config_doc.START * 2])
def test_a_readme_without_its_markers_is_told(tmp_path: Path, page: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert config.main(["--escribir"], _project(tmp_path, page)) == 2
    assert "README.md no tiene las marcas" in capsys.readouterr().err


def test_bounds_on_one_side_and_values_that_need_quotes() -> None:
    class Model(BaseModel):
        least: int = Field(3, ge=1)
        below: float = Field(0.5, lt=1)
        free: str = Field("a # b")
        either: str | int = 2

    fields = Model.model_fields
    assert config_doc.allowed(fields["least"]) == "1"
    assert config_doc.allowed(fields["below"]) == "1"
    assert config_doc.allowed(fields["free"], "en") == "text"
    assert 'FREE="a # b"' in config_doc.env_example(Model)
