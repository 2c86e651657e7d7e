"""Every setting, once: typed, ranged, frozen. The environment is read here and nowhere else.

`python -m config --escribir` writes `.env.example` and the READMEs' tables from this model; `--comprobar` checks them.
"""

import difflib
import re
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

from dotenv import dotenv_values
from pydantic import AfterValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

import config_doc
from config_doc import documentation
from core.command_line import Parser
from core.errors import UsageError

ROOT = Path(__file__).parent


class Environment(StrEnum):
    """DESA: demo services are allowed. PROD: everything must be real."""

    DESA = "DESA"
    PROD = "PROD"


_URL_FORM = "URL http:// o https://|http:// or https:// URL"
_DATABASE_FORM = "sqlite:///… o postgresql://…|sqlite:///… or postgresql://…"
_MLFLOW_FORM = "http(s)://…, sqlite:///…, postgresql://… o no|http(s)://…, sqlite:///…, postgresql://… or no"

ALIAS = r"[A-Za-z][A-Za-z0-9_-]{0,99}"
"""What a registered version may be called."""


def _url(value: str | None) -> str | None:
    if value and not re.fullmatch(r"https?://[^\s/]+\S*", value):
        raise ValueError("debe empezar por http:// o https://")
    return value.rstrip("/") if value else None


Url = Annotated[str | None, AfterValidator(_url)]


class Settings(BaseSettings):
    """Names in the environment are the field names in capitals; unset means the embedded default."""

    model_config = SettingsConfigDict(
        env_file=Path(".env"), env_file_encoding="utf-8", frozen=True, extra="ignore", env_ignore_empty=True
    )

    # Where it runs
    entorno: Environment = Field(
        Environment.DESA,
        description="DESA usa lo embebido y los servicios de demostración; PROD exige servicios reales.",
        json_schema_extra=documentation("DESA uses what is embedded and the demo services; PROD needs real services."),
    )
    directorio_estado: Path = Field(
        Path("var"),
        description="Carpeta del estado: vectores, bases de datos, modelos, registros.",
        json_schema_extra=documentation(
            "Folder of all state: vectors, databases, models, logs.", form="carpeta|folder"
        ),
    )
    directorio_recursos: Path = Field(
        Path("resources"),
        description="Carpeta del catálogo, los informes y los rechazos.",
        json_schema_extra=documentation(
            "Folder of the catalogue, the reports and the rejections.", form="carpeta|folder"
        ),
    )

    # The desk and the systems
    mock_gestor_url: Url = Field(
        None,
        description="URL de la mesa de incidencias. Vacía: la de demostración, que se inicia sola.",
        json_schema_extra=documentation("The incident desk. Empty: the demo desk, started by itself.", form=_URL_FORM),
    )
    mock_sistema_url: Url = Field(
        None,
        description="URL del sistema de negocio. Vacía: el de demostración, que se inicia solo.",
        json_schema_extra=documentation("The business system. Empty: the demo one, started by itself.", form=_URL_FORM),
    )
    etiqueta: str = Field(
        "[SPAI] ",
        min_length=3,
        max_length=40,
        description="Con lo que empieza cada nota que escribimos.",
        json_schema_extra=documentation("What every note of ours starts with."),
    )
    http_timeout: float = Field(
        10.0,
        ge=0.1,
        le=300,
        description="Segundos que se espera cada respuesta de la mesa y del sistema.",
        json_schema_extra=documentation("Seconds to wait for each answer of the desk and the system.", unit="s"),
    )
    http_reintentos: int = Field(
        3,
        ge=1,
        le=10,
        description="Intentos de una petición que se puede repetir sin daño.",
        json_schema_extra=documentation("Attempts at a request that does no harm twice.", unit="intentos|attempts"),
    )

    # The language model
    llm_provider: Literal["embedded", "ollama", "openai"] | None = Field(
        None,
        description="Proveedor del modelo. Vacío: openai en PROD; en DESA, ollama con OLLAMA_BASE_URL o embedded.",
        json_schema_extra=documentation(
            "Who serves the model. Empty: openai in PROD; in DESA ollama with OLLAMA_BASE_URL, embedded without."
        ),
    )
    llm_model: str | None = Field(
        None,
        min_length=1,
        max_length=200,
        description="Nombre del modelo en el servidor. Vacío: gemma3 con Ollama.",
        json_schema_extra=documentation("The model's name on the server. Empty: gemma3 with Ollama."),
    )
    llm_gguf: Path | None = Field(
        None,
        description="Fichero GGUF para el modelo embebido, en lugar del incluido.",
        json_schema_extra=documentation(
            "GGUF file for the embedded model, in place of ours.", form="fichero que existe|existing file"
        ),
    )
    llm_timeout: float = Field(
        120.0,
        ge=1,
        le=3600,
        description="Segundos que se espera cada respuesta del modelo.",
        json_schema_extra=documentation("Seconds to wait for each answer of the model.", unit="s"),
    )
    llm_veredictos: Literal["no", "si"] = Field(
        "no",
        description="Si lo que escribe el modelo, qué fila elige y su crítica, cuenta además de su juicio.",
        json_schema_extra=documentation(
            "Whether what the model writes, the row it chooses and its critique, counts besides its judgement."
        ),
    )
    llm_contexto: int = Field(
        4096,
        ge=1024,
        le=131072,
        description="Ventana del modelo (num_ctx en Ollama).",
        json_schema_extra=documentation("The model's window (num_ctx in Ollama).", unit="tokens"),
    )
    ollama_base_url: Url = Field(
        None, description="URL de Ollama.", json_schema_extra=documentation("Ollama.", form=_URL_FORM)
    )
    openai_base_url: Url = Field(
        None,
        description="URL de un servidor compatible con OpenAI (vLLM, llama.cpp, nube).",
        json_schema_extra=documentation("An OpenAI-compatible server (vLLM, llama.cpp, a cloud).", form=_URL_FORM),
    )
    openai_api_key: SecretStr | None = Field(
        None, description="Clave de ese servidor.", json_schema_extra=documentation("That server's key.")
    )

    llm_precio_entrada: float = Field(
        0.0,
        ge=0,
        le=10000,
        description="Precio de un millón de tokens leídos, en la moneda de sus cuentas; 0: modelo propio.",
        json_schema_extra=documentation(
            "Price of a million tokens read, in the currency of your books; 0: a model of your own.",
            unit="por millón|per million",
        ),
    )
    llm_precio_salida: float = Field(
        0.0,
        ge=0,
        le=10000,
        description="Precio de un millón de tokens escritos.",
        json_schema_extra=documentation("Price of a million tokens written.", unit="por millón|per million"),
    )

    # The knowledge base
    vector_db_url: Url = Field(
        None,
        description="URL de Qdrant. Vacía: una carpeta bajo DIRECTORIO_ESTADO.",
        json_schema_extra=documentation("Qdrant. Empty: a folder under DIRECTORIO_ESTADO.", form=_URL_FORM),
    )
    embedding_model: Literal["e5+use+minilm", "e5+use", "e5"] = Field(
        "e5+use+minilm",
        description="Vectores que se guardan y consultan: multilingual-e5-small; con USE multilingüe; y con "
        "all-MiniLM-L6-v2 donde el catálogo está en inglés (en español no se carga).",
        json_schema_extra=documentation(
            "Vectors kept and searched: multilingual-e5-small; with multilingual USE; and with all-MiniLM-L6-v2 where "
            "the catalogue is in English (it is not loaded for Spanish)."
        ),
    )
    query_limit_vectordb: int = Field(
        20,
        ge=1,
        le=200,
        description="Candidatos que devuelve cada buscador.",
        json_schema_extra=documentation("Candidates that each retriever returns.", unit="candidatos|candidates"),
    )

    # The judgement
    critic_approval_threshold: int = Field(
        75,
        ge=0,
        le=100,
        description="Aprobación mínima (0–100) para actuar sin una persona.",
        json_schema_extra=documentation("Least approval (0–100) to act without a person.", unit="%"),
    )
    riesgo_maximo: float | None = Field(
        None,
        gt=0,
        le=0.5,
        description="Parte de las acciones automáticas que puede salir mal (0.05: el 5 %). El umbral sale entonces de "
        "los resultados etiquetados. Vacía: CRITIC_APPROVAL_THRESHOLD.",
        json_schema_extra=documentation(
            "Share of the automatic actions allowed to be wrong (0.05: 5 %). The threshold then comes from the "
            "labelled outcomes. Empty: CRITIC_APPROVAL_THRESHOLD."
        ),
    )
    acierto_por_silencio_dias: int = Field(
        0,
        ge=0,
        le=365,
        description="Días sin que nadie diga nada tras los que una acción confirmada cuenta como acertada. 0: el "
        "silencio no cuenta.",
        json_schema_extra=documentation(
            "Days of silence after which a confirmed action counts as right. 0: silence does not count.",
            unit="días|days",
        ),
    )
    max_retries_critic: int = Field(
        2,
        ge=0,
        le=10,
        description="Intentos más tras un rechazo del crítico.",
        json_schema_extra=documentation("More tries after the critic rejects.", unit="intentos|tries"),
    )
    candidatos_juicio: int = Field(
        3,
        ge=1,
        le=10,
        description="Candidatos que juzga el modelo en cada intento.",
        json_schema_extra=documentation("Candidates the model judges in each try.", unit="candidatos|candidates"),
    )

    # Attachments and text
    limite_adjunto_mb: float = Field(
        8.0,
        gt=0,
        le=100,
        description="Tamaño máximo de un adjunto.",
        json_schema_extra=documentation("Largest attachment.", unit="MB"),
    )
    limite_texto: int = Field(
        20000,
        ge=500,
        le=1000000,
        description="Tamaño máximo del texto de una incidencia; con más, va a una persona.",
        json_schema_extra=documentation(
            "Longest text of an incident; beyond, it goes to a person.", unit="caracteres|characters"
        ),
    )

    # Documents
    limite_documento_mb: float = Field(
        50.0,
        gt=0,
        le=1000,
        description="Tamaño máximo de un documento de --documentos.",
        json_schema_extra=documentation("Largest document of --documentos.", unit="MB"),
    )
    respuestas: Literal["extracto", "redactada"] = Field(
        "extracto",
        description="Cómo responde --pregunta: con frases tal cual de los documentos, o redactadas por el modelo y "
        "comprobadas con ellos.",
        json_schema_extra=documentation(
            "How --pregunta answers: sentences of the documents as they stand, or written by the model and checked "
            "against them."
        ),
    )

    # Calls
    llamadas_soporte: float = Field(
        0.004,
        gt=0,
        le=0.5,
        description="Parte de las llamadas que como mínimo ha de cumplir un patrón para mirarlo.",
        json_schema_extra=documentation(
            "Least share of the calls that a pattern must cover to be looked at.", unit="de las llamadas|of the calls"
        ),
    )
    llamadas_vectores: int = Field(
        20_000,
        ge=100,
        le=1_000_000,
        description="Relatos distintos de llamadas que llevan vector, primero los de las fallidas.",
        json_schema_extra=documentation(
            "Distinct narratives of calls that get a vector, those of failed calls first.", unit="relatos|narratives"
        ),
    )

    # Work
    concurrencia: int = Field(
        0,
        ge=0,
        le=256,
        description="Incidencias en curso a la vez. 0: lo que convenga al proveedor.",
        json_schema_extra=documentation(
            "Incidents in hand at once. 0: whatever suits the provider.", unit="incidencias|incidents"
        ),
    )

    # The queue
    database_url: str | None = Field(
        None,
        pattern=r"^(sqlite|postgresql)(\+\w+)?://",
        description="Base de datos de la cola y de las decisiones: PostgreSQL para varios equipos. Vacía: ficheros "
        "SQLite bajo DIRECTORIO_ESTADO.",
        json_schema_extra=documentation(
            "Database of the queue and the decisions: PostgreSQL for several machines. Empty: SQLite files under "
            "DIRECTORIO_ESTADO.",
            form=_DATABASE_FORM,
            secret=True,
        ),
    )
    plazo_parada: float = Field(
        30.0,
        ge=0,
        le=3600,
        description="Segundos que se deja a lo que está en curso al parar; lo que no acaba vuelve a la cola.",
        json_schema_extra=documentation(
            "Seconds that work in hand is given at a stop; what does not end goes back to the queue.", unit="s"
        ),
    )
    intervalo_mesa: float = Field(
        60.0,
        ge=1,
        le=3600,
        description="Segundos entre dos consultas de la mesa con --trabajador.",
        json_schema_extra=documentation("Seconds between two looks at the desk with --trabajador.", unit="s"),
    )
    llamadas_modelo_global: int = Field(
        0,
        ge=0,
        le=1024,
        description="Llamadas al modelo en curso a la vez entre todos los trabajadores. 0: sin límite.",
        json_schema_extra=documentation(
            "Model calls under way at once over all workers. 0: no limit.", unit="llamadas|calls"
        ),
    )
    retencion_dias: int = Field(
        180,
        ge=1,
        le=3650,
        description="Días que se guardan lo terminado de la cola, las decisiones y el histórico de llamadas; después, "
        "una incidencia que siga abierta e igual se trabaja de nuevo.",
        json_schema_extra=documentation(
            "Days that finished work, decisions and the history of model calls are kept; afterwards an incident that "
            "is still open and unchanged is worked anew.",
            unit="días|days",
        ),
    )

    # Later issues read these; they are part of the contract already.
    loki_url: Url = Field(
        None,
        description="Loki, adonde van también las líneas del registro. Vacía: solo al disco.",
        json_schema_extra=documentation("Loki, where the log lines go too. Empty: to disk only.", form=_URL_FORM),
    )

    # MLflow
    mlflow_tracking_uri: str | None = Field(
        None,
        pattern=r"^((https?|sqlite|postgresql)(\+\w+)?://|no$)",
        description="Servidor o base de datos de MLflow. Vacía: un fichero SQLite bajo DIRECTORIO_ESTADO, si MLflow "
        "está instalado. no: sin MLflow.",
        json_schema_extra=documentation(
            "MLflow's server or database. Empty: a SQLite file under DIRECTORIO_ESTADO where MLflow is installed. "
            "no: without MLflow.",
            form=_MLFLOW_FORM,
            secret=True,
        ),
    )
    trazas_mlflow: Literal["no", "si"] = Field(
        "no",
        description="Enviar a MLflow una traza por incidencia, con sus etapas y llamadas al modelo.",
        json_schema_extra=documentation("Send MLflow one trace per incident, with its stages and model calls."),
    )
    calibracion: str | None = Field(
        None,
        pattern=rf"^mlflow:{ALIAS}$",
        description="Calibración que se carga: mlflow:champion toma del registro de MLflow la que lleva ese alias. "
        "Vacía: la de este equipo.",
        json_schema_extra=documentation(
            "Calibration to load: mlflow:champion takes the one with that alias from MLflow's registry. Empty: this "
            "machine's.",
            form="mlflow:ALIAS|mlflow:ALIAS",
        ),
    )

    @property
    def directorio_historico(self) -> Path:
        """Where the model calls are kept: beside the code by default, with the state of a set-up of its own."""
        default = type(self).model_fields["directorio_estado"].default
        return ROOT / "llm" / "historico" if self.directorio_estado == default else self.directorio_estado / "historico"

    @property
    def provider(self) -> Literal["embedded", "ollama", "openai"]:
        """The provider in force (design §3)."""
        if self.llm_provider:
            return self.llm_provider
        if self.entorno is Environment.PROD:
            return "openai"
        return "ollama" if self.ollama_base_url else "embedded"

    @model_validator(mode="after")
    def _complete(self) -> "Settings":
        if self.entorno is Environment.PROD and not (self.mock_gestor_url and self.mock_sistema_url):
            raise ValueError("ENTORNO=PROD necesita MOCK_GESTOR_URL y MOCK_SISTEMA_URL: no usa la demostración")
        if self.provider == "openai" and not (self.openai_base_url or self.openai_api_key):
            raise ValueError("el proveedor openai necesita OPENAI_BASE_URL u OPENAI_API_KEY")
        if self.provider == "ollama" and not self.ollama_base_url:
            raise ValueError("el proveedor ollama necesita OLLAMA_BASE_URL, por ejemplo http://127.0.0.1:11434")
        if self.llm_gguf and not self.llm_gguf.is_file():
            raise ValueError(f"LLM_GGUF: no existe el fichero {self.llm_gguf}")
        return self


def _shown(name: str, value: Any) -> str:
    """The value as an error may show it: secrets and whatever stands before an @ stay out, long ones are cut."""
    if config_doc.is_secret(Settings.model_fields[name]):
        return "(valor oculto)"
    text = re.sub(r"[^/\s]*@", "***@", str(value))
    return repr(text if len(text) <= 80 else text[:80] + "…")


def _explained(error: ValidationError) -> str:
    lines = []
    for item in error.errors():
        name = str(item["loc"][0]).lower() if item["loc"] else ""
        if name in Settings.model_fields:
            field = Settings.model_fields[name]
            value = _shown(name, item["input"])
            lines.append(f"{name.upper()}: {value} no es válido. Se admite: {config_doc.allowed(field)}.")
        else:
            lines.append(str(item.get("ctx", {}).get("error", item["msg"])) + ".")
    return "Configuración incorrecta (en .env o en el entorno):\n" + "\n".join(f"  {line}" for line in lines)


def _check_names(env_file: Path) -> None:
    """A misspelt name would leave the default in force in silence."""
    known = {name.upper() for name in Settings.model_fields}
    for name in dotenv_values(env_file, encoding="utf-8", interpolate=False):
        close = [] if name.upper() in known else difflib.get_close_matches(name.upper(), known, n=1, cutoff=0.85)
        if close:
            raise UsageError(f"{env_file}: {name} no es un ajuste de SPAI. ¿Quería decir {close[0]}?")


def _default_env_file() -> Path | None:
    path = Settings.model_config.get("env_file")
    return path if isinstance(path, Path) else None


def load_settings(*, env_file: Path | None = None, **overrides: Any) -> Settings:
    """The settings from the process and `env_file` (default `.env`); `overrides` (field names) come first.

    UsageError: names each wrong setting, the value given (never a secret) and what is allowed.
    """
    unknown = overrides.keys() - Settings.model_fields.keys()
    if unknown:
        raise TypeError(f"no such settings: {sorted(unknown)}")
    env_file = env_file or _default_env_file()
    try:
        if env_file is not None and env_file.is_file():
            _check_names(env_file)
        return Settings(_env_file=env_file, **overrides)
    except ValidationError as error:
        # `from None`: the original's text would show the values of secrets.
        raise UsageError(_explained(error)) from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{env_file} no está en UTF-8: guárdelo en UTF-8 y vuelva a intentarlo.") from error
    except OSError as error:
        raise UsageError(f"{env_file} no se puede leer: {error.strerror}.") from error


def main(arguments: list[str] | None = None, root: Path = ROOT) -> int:
    """Writes or checks what is generated from the settings. 0 current, 1 out of date, 2 a README without markers."""
    parser = Parser(prog="python -m config", description="Documentación generada de la configuración.")
    choice = parser.add_mutually_exclusive_group(required=True)
    choice.add_argument("--escribir", action="store_true", help="escribe .env.example y las tablas de los README")
    choice.add_argument("--comprobar", action="store_true", help="sale con 1 si algo no está al día")
    chosen = parser.parse_args(arguments)
    try:
        paths = config_doc.write(Settings, root) if chosen.escribir else config_doc.out_of_date(Settings, root)
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    for path in paths:
        print(f"{path.name}: {'escrito' if chosen.escribir else 'no está al día'}")
    if paths and chosen.comprobar:
        print("Ejecute: python -m config --escribir", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
