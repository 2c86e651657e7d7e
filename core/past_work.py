"""What the queue has on file of one incident, read without taking part in it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from core.records import WORKFLOW
from core.steps import Json

_STATE_DIGITS = 16


class PastClient(Protocol):
    """What is used of `dbos.DBOSClient`."""

    @property
    def list_workflows(self) -> Callable[..., list[Any]]: ...
    @property
    def list_workflow_steps(self) -> Callable[..., list[Any]]: ...


@dataclass(frozen=True)
class PastStep:
    """One journalled step; `seconds` is None where nobody wrote down when it ended."""

    name: str
    started: datetime
    seconds: float | None


@dataclass(frozen=True)
class PastWork:
    """One state of the incident as it was queued. `status` is the queue's own word; `output` what its work gave."""

    id: str
    status: str
    queued: datetime
    updated: datetime
    output: Json | None
    steps: tuple[PastStep, ...]


def past_work(client: PastClient, code: str) -> list[PastWork]:
    """Every state of this incident that was queued, oldest first. Raises `SQLAlchemyError`."""
    found = client.list_workflows(name=WORKFLOW, workflow_id_prefix=f"{code}-", load_input=False, load_output=True)
    ours = [w for w in found if _is_of(w.workflow_id, code)]
    return [_work(client, workflow) for workflow in ours]


def _is_of(workflow: str, code: str) -> bool:
    """`INC-1-<hash>` is not a state of `INC`."""
    rest = workflow.removeprefix(f"{code}-")
    return len(rest) == _STATE_DIGITS and all(digit in "0123456789abcdef" for digit in rest)


def _work(client: PastClient, workflow: Any) -> PastWork:
    steps = client.list_workflow_steps(workflow.workflow_id, load_output=False)
    return PastWork(
        id=workflow.workflow_id,
        status=str(workflow.status),
        queued=_when(workflow.created_at),
        updated=_when(workflow.updated_at or workflow.created_at),
        output=workflow.output if workflow.status == "SUCCESS" else None,
        steps=tuple(_step(step) for step in steps if step["started_at_epoch_ms"]),
    )


def _step(step: dict[str, Any]) -> PastStep:
    started, ended = step["started_at_epoch_ms"], step["completed_at_epoch_ms"]
    return PastStep(step["function_name"], _when(started), (ended - started) / 1000 if ended else None)


def _when(milliseconds: float) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
