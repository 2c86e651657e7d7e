"""The prompt files in MLflow's prompt registry: one version per content, `vigente` on the one in force."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from config import Settings
from llm.prompt import Prompt
from llm.tasks import PROMPTS
from observabilidad.mlflow_server import PATIENCE, explained, open_client, within

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import PromptVersion

IN_FORCE: Final = "vigente"
_PREFIX: Final = "spai-"


@dataclass(frozen=True)
class PromptState:
    """A prompt file and its version in MLflow: None where it is not registered."""

    task: str
    hash: str
    version: int | None
    in_force: bool
    """Whether the alias stands on it."""


def register_prompts(settings: Settings, folder: Path = PROMPTS, patience: float = PATIENCE) -> list[PromptState]:
    """Register each prompt file that is not there yet, and put the alias on the files as they are.

    The text is kept letter by letter, so that its SHA-256 can be checked. Raises `UsageError`, `DependencyError`.
    """
    prompts = _read(folder)

    def work() -> list[PromptState]:
        client = open_client(settings)
        with explained(settings):
            return [_register(client, prompt) for prompt in prompts]

    return within(patience, work)


def state(client: "MlflowClient", folder: Path = PROMPTS) -> list[PromptState]:
    """How each prompt file stands in MLflow."""
    found = []
    for prompt in _read(folder):
        same = _same(client, prompt)
        vigente = same is not None and _in_force(client, prompt) == same.version
        found.append(PromptState(prompt.task, prompt.version, same.version if same else None, vigente))
    return found


def _read(folder: Path) -> list[Prompt]:
    return [Prompt.load(path) for path in sorted(folder.glob("*.md"))]


def _register(client: "MlflowClient", prompt: Prompt) -> PromptState:
    name = _PREFIX + prompt.task
    same = _same(client, prompt)
    if same is None:
        same = client.register_prompt(
            name,
            prompt.source,
            commit_message=f"{prompt.version}: {prompt.description}",
            tags={"sha256": prompt.digest, "hash": prompt.version, "max_tokens": str(prompt.max_tokens)},
        )
    client.set_prompt_alias(name, IN_FORCE, same.version)
    return PromptState(prompt.task, prompt.version, same.version, in_force=True)


def _same(client: "MlflowClient", prompt: Prompt) -> "PromptVersion | None":
    name = _PREFIX + prompt.task
    if client.get_prompt(name) is None:
        return None
    return next((v for v in client.search_prompt_versions(name) if v.tags.get("sha256") == prompt.digest), None)


def _in_force(client: "MlflowClient", prompt: Prompt) -> int | None:
    """The version that has the alias."""
    found = client.get_prompt_version_by_alias(_PREFIX + prompt.task, IN_FORCE)
    return found.version if found else None
