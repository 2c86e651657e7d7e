"""The outside world as the domain needs it. Real adapters and doubles live in `api/` and `llm/`."""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from core.actions import DeskChange
from core.incident import Incident

Vectors = NDArray[np.float32]


class DeskListing(BaseModel):
    """What a desk listed: the incidents that could be read, and (code or position, why) for those that could not."""

    model_config = ConfigDict(frozen=True)
    incidents: tuple[Incident, ...]
    invalid: tuple[tuple[str, str], ...] = ()


class IncidentDesk(Protocol):
    """The incident desk. All methods raise `Retryable` or `Terminal` with a desk reason code."""

    async def list_open(self, mailbox: str | None = None) -> DeskListing: ...
    async def list_closed(self) -> DeskListing: ...
    async def read(self, code: str) -> Incident:
        """The incident as it is now. A desk without `GET …/{cod}` is read through its listings."""
        ...

    async def change(self, incident: Incident, change: DeskChange, key: str) -> None:
        """Apply `change` to the state that `incident` was read in; `key` makes a repetition harmless where offered.

        Raises `Terminal(TOUCHED_MEANWHILE)` when the desk's version differs, `Terminal(DESK_REFUSED)` on a refusal,
        `Retryable(maybe_applied=True)` when nobody can say whether it took effect. Never sends twice by itself.
        """
        ...

    async def note(self, incident: Incident, text: str, key: str) -> bool:
        """Leave a note without changing the state; False where the desk has no such thing."""
        ...

    async def attachment(self, name: str, limit: int) -> bytes:
        """The attachment's bytes, from the desk's own host; `Terminal(ATTACHMENT_UNREADABLE)` above `limit` bytes."""
        ...


class SystemAnswer(BaseModel):
    """What a system says to do, in the catalogue's own words (not yet checked)."""

    model_config = ConfigDict(frozen=True)
    resolution: str
    mailbox: str = ""
    solution: str = ""


class ExternalSystem(Protocol):
    """The business system behind `api|<system>`."""

    async def policy(self, number: str) -> Mapping[str, object] | None:
        """What it knows of a policy; None when it knows no such number."""
        ...

    async def check(self, policy: str, system: str, payload: Mapping[str, object]) -> SystemAnswer: ...


class Embedder(Protocol):
    """Texts to unit vectors, one set per named embedding."""

    dimensions: Mapping[str, int]
    """name -> width, for instance {"e5": 384, "use": 512}."""

    version: str
    """Changes when the vectors would: stored vectors of another version are embedded anew."""

    def queries(self, texts: Sequence[str], *, without: Collection[str] = ()) -> dict[str, Vectors]:
        """`without`: embeddings that nobody needs of these texts; they are left out of what is given."""
        ...

    def passages(self, texts: Sequence[str]) -> dict[str, Vectors]: ...


class Critique(BaseModel):
    """Why a proposal was rejected, for the next try."""

    model_config = ConfigDict(frozen=True)
    reason: str
    problem_type: str
    avoid_solution_types: tuple[str, ...] = ()
    recommended_approach: str = ""


class Suggestion(BaseModel):
    """A catalogue row that a model proposes for a closed incident; validated like any row afterwards."""

    model_config = ConfigDict(frozen=True)
    component: str
    description: str
    incident_type: str
    solution: str
    resolution: str
    mailbox: str = ""


class Claim(BaseModel):
    """A cause that a model names for a failed call, and the ids of what it says to rest on (not yet checked)."""

    model_config = ConfigDict(frozen=True)
    cause: str
    evidence: tuple[str, ...]


class Capabilities(BaseModel):
    """What a provider's model is able to; stages that need more are built from the evidence instead."""

    model_config = ConfigDict(frozen=True)
    logprobs: bool = True
    writes_verdicts: bool = False
    """Its written choice and critique count: LLM_VEREDICTOS. The embedded one's were right in 16 of 30."""
    vision: bool = False


class LanguageTasks(Protocol):
    """Every task a language model does for the pipeline. Raises `StageError` with a model reason code."""

    capabilities: Capabilities
    model_name: str

    async def judge(self, incident: str, candidates: Sequence[str]) -> list[float]:
        """logit P(sí) - logit P(no) per candidate: is it the same problem? One forward pass each."""
        ...

    async def reformulate(self, incident: str, critique: Critique | None) -> str: ...
    async def keywords(self, incident: str) -> list[str]: ...
    async def choose(self, incident: str, candidates: Mapping[str, str]) -> str | None:
        """An id among `candidates` (id -> text), or None for "none of these"."""
        ...

    async def criticise(self, incident: str, candidate: str, action: str) -> tuple[bool, Critique]: ...
    async def summarise(self, text: str) -> str: ...
    async def suggest(self, incident: str, resolution: str, components: Sequence[str]) -> Suggestion: ...
    async def read_image(self, image: bytes, media_type: str) -> str: ...
