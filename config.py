"""Every setting, once: typed, ranged, frozen. The environment is read here and nowhere else."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

ROOT = Path(__file__).parent


class Environment(StrEnum):
    """DESA: demo services are allowed. PROD: everything must be real."""

    DESA = "DESA"
    PROD = "PROD"


def _url(value: str | None) -> str | None:
    if value and not value.startswith(("http://", "https://")):
        raise ValueError("debe empezar por http:// o https://")
    return value.rstrip("/") if value else None


Url = Annotated[str | None, AfterValidator(_url)]


class Settings(BaseSettings):
    """Names in the environment are the field names in capitals; unset means the embedded default."""

    model_config = SettingsConfigDict(
        env_file=".env", env_file_encoding="utf-8", frozen=True, extra="ignore", env_ignore_empty=True
    )

    # Where it runs
    entorno: Environment = Field(
        Environment.DESA,
        description="DESA usa lo embebido y los servicios de demostración; PROD exige servicios reales.",
    )
    directorio_estado: Path = Field(
        Path("var"), description="Carpeta del estado: vectores, bases de datos, modelos, registros."
    )
    directorio_recursos: Path = Field(
        Path("resources"), description="Carpeta del catálogo, los informes y los rechazos."
    )

    # The desk and the systems
    mock_gestor_url: Url = Field(
        None, description="URL de la mesa de incidencias. Vacía: la de demostración, que se inicia sola."
    )
    mock_sistema_url: Url = Field(
        None, description="URL del sistema de negocio. Vacía: el de demostración, que se inicia solo."
    )
    etiqueta: str = Field(
        "[SPAI] ", min_length=3, max_length=40, description="Con lo que empieza cada nota que escribimos."
    )
    http_timeout: float = Field(
        10.0, ge=0.1, le=300, description="Segundos que se espera cada respuesta de la mesa y del sistema."
    )
    http_reintentos: int = Field(
        3, ge=1, le=10, description="Intentos de una petición que se puede repetir sin daño."
    )

    # The language model
    llm_provider: Literal["embedded", "ollama", "openai"] | None = Field(
        None, description="Proveedor del modelo. Vacío: PROD usa openai; DESA usa ollama con OLLAMA_BASE_URL y embedded sin ella."
    )
    llm_model: str | None = Field(
        None, description="Nombre del modelo en el servidor. Vacío: gemma3 con Ollama."
    )
    llm_gguf: Path | None = Field(None, description="Fichero GGUF para el modelo embebido, en lugar del incluido.")
    llm_timeout: float = Field(120.0, ge=1, le=3600, description="Segundos que se espera cada respuesta del modelo.")
    llm_contexto: int = Field(4096, ge=1024, le=131072, description="Ventana del modelo, en tokens (num_ctx en Ollama).")
    ollama_base_url: Url = Field(None, description="URL de Ollama.")
    openai_base_url: Url = Field(None, description="URL de un servidor compatible con OpenAI (vLLM, llama.cpp, nube).")
    openai_api_key: SecretStr | None = Field(None, description="Clave de ese servidor.")

    # The knowledge base
    vector_db_url: Url = Field(None, description="URL de Qdrant. Vacía: una carpeta bajo DIRECTORIO_ESTADO.")
    embedding_model: Literal["e5+use", "e5", "use"] = Field(
        "e5+use", description="Vectores que se guardan y consultan: multilingual-e5-small, USE multilingüe o ambos."
    )
    query_limit_vectordb: int = Field(20, ge=1, le=200, description="Candidatos que devuelve cada buscador.")

    # The judgement
    critic_approval_threshold: int = Field(
        65, ge=0, le=100, description="Aprobación mínima (0–100) para actuar sin una persona."
    )
    max_retries_critic: int = Field(2, ge=0, le=10, description="Intentos más tras un rechazo del crítico.")
    candidatos_juicio: int = Field(3, ge=1, le=10, description="Candidatos que juzga el modelo en cada intento.")

    # Attachments and text
    limite_adjunto_mb: float = Field(8.0, gt=0, le=100, description="Tamaño máximo de un adjunto, en MB.")
    limite_texto: int = Field(
        20000, ge=500, le=1000000, description="Caracteres de una incidencia; con más, va a una persona."
    )

    # Work
    concurrencia: int = Field(0, ge=0, le=256, description="Incidencias en curso a la vez. 0: lo que convenga al proveedor.")

    # Later issues read these; they are part of the contract already.
    database_url: str | None = Field(None, description="Base de datos de la cola (SQLite o PostgreSQL). Aún sin uso.")
    riesgo_maximo: float | None = Field(
        None, gt=0, le=0.5, description="Parte de las acciones automáticas que puede salir mal (0–0,5). Aún sin uso."
    )
    loki_url: Url = Field(None, description="URL de Loki para enviar los registros. Aún sin uso.")
    mlflow_tracking_uri: str | None = Field(None, description="Servidor de MLflow. Aún sin uso.")

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
            raise ValueError("ENTORNO=PROD necesita MOCK_GESTOR_URL y MOCK_SISTEMA_URL: no se inicia con la demostración")
        if self.provider == "openai" and not (self.openai_base_url or self.openai_api_key):
            raise ValueError("el proveedor openai necesita OPENAI_BASE_URL u OPENAI_API_KEY")
        if self.provider == "ollama" and not self.ollama_base_url:
            raise ValueError("el proveedor ollama necesita OLLAMA_BASE_URL, por ejemplo http://127.0.0.1:11434")
        if self.llm_gguf and not self.llm_gguf.is_file():
            raise ValueError(f"LLM_GGUF: no existe el fichero {self.llm_gguf}")
        return self
