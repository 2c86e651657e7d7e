"""The desk and the system in memory: the same Protocols, the demo desk's state changes, and faults on demand."""

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from core.actions import DeskChange, DeskVerb
from core.errors import StageError, Terminal
from core.incident import HistoryEntry, Incident
from core.ports import DeskListing, SystemAnswer
from core.reason import Reason

AUTHOR = "SPAI"
CLOSED_STATES = ("Resuelta", "Cerrada")

_STATE_AFTER = {
    DeskVerb.RESOLVE: "Resuelta",
    DeskVerb.WAIT: "En espera",
    DeskVerb.AWAIT_FIX: "Pendiente de implantar",
    DeskVerb.REASSIGN: "Abierta",
}
_RESOLUTION_CODE = {
    DeskVerb.RESOLVE: "RESUELTA",
    DeskVerb.WAIT: "EN_ESPERA",
    DeskVerb.AWAIT_FIX: "PENDIENTE_IMPLANTAR",
    DeskVerb.REASSIGN: "REASIGNADA",
}


@dataclass(frozen=True)
class Fault:
    """What the next call of a method does instead of answering."""

    error: StageError
    applied: bool
    """The change takes effect all the same: only its answer is lost."""


class Faults:
    """Faults waiting for the methods they were meant for, first in, first out."""

    def __init__(self) -> None:
        self._waiting: defaultdict[str, deque[Fault]] = defaultdict(deque)

    def add(self, method: str, error: StageError, *, times: int = 1, applied: bool = False) -> None:
        """The next `times` calls of `method` raise `error`."""
        self._waiting[method].extend([Fault(error, applied)] * times)

    def before(self, method: str) -> StageError | None:
        """Raise the waiting fault; one whose change is applied first is handed back, to be raised afterwards."""
        if not self._waiting[method]:
            return None
        fault = self._waiting[method].popleft()
        if not fault.applied:
            raise fault.error
        return fault.error


class MemoryDesk:
    """`core.ports.IncidentDesk` in memory. `plain` has no versions, no idempotency and no notes.

    Giving a resolved incident to a mailbox opens it again, unless `reopens` is False; a closed one stays closed.
    """

    def __init__(
        self,
        incidents: Iterable[Incident] = (),
        *,
        attachments: Mapping[str, bytes] | None = None,
        invalid: Iterable[tuple[str, str]] = (),
        plain: bool = False,
        reopens: bool = True,
    ) -> None:
        self.reopens = reopens
        self._incidents = {incident.code: incident for incident in incidents}
        self._versions = dict.fromkeys(self._incidents, 1)
        self._attachments = dict(attachments or {})
        self._invalid = tuple(invalid)
        self._plain = plain
        self._answered: dict[str, str] = {}
        """Idempotency key -> the request it came with."""
        self._faults = Faults()
        self.changes: list[tuple[str, DeskChange, str]] = []
        """(code, change, key) of every change that took effect, in order."""

    def fail_next(self, method: str, error: StageError, *, times: int = 1, applied: bool = False) -> None:
        """The next `times` calls of `method` raise `error`; with `applied` the change takes effect all the same."""
        if not callable(getattr(self, method, None)):
            raise ValueError(f"MemoryDesk has no method {method!r}")
        if applied and method not in ("change", "note"):
            raise ValueError(f"{method} changes nothing that could take effect")
        self._faults.add(method, error, times=times, applied=applied)

    def touch(self, code: str, note: str = "La miro yo.", author: str = "Una persona") -> None:
        """A person writes in the incident."""
        self._append(self._find(code), author=author, notes=note)

    async def list_open(self, mailbox: str | None = None) -> DeskListing:
        """Everything that is neither resolved nor closed."""
        self._faults.before("list_open")
        kept = tuple(
            incident
            for incident in self._incidents.values()
            if incident.status not in CLOSED_STATES and (not mailbox or incident.mailbox == mailbox)
        )
        return DeskListing(incidents=kept, invalid=self._invalid)

    async def list_closed(self) -> DeskListing:
        """What is resolved or closed."""
        self._faults.before("list_closed")
        return DeskListing(incidents=tuple(i for i in self._incidents.values() if i.status in CLOSED_STATES))

    async def read(self, code: str) -> Incident:
        """The incident as it is now, with its version unless the desk is plain."""
        self._faults.before("read")
        etag = None if self._plain else self._etag(code)
        return self._find(code).model_copy(update={"etag": etag})

    async def change(self, incident: Incident, change: DeskChange, key: str) -> None:
        """Apply the change, once per key unless the desk is plain."""
        lost = self._faults.before("change")
        self._change(incident, change, key)
        if lost is not None:
            raise lost

    async def note(self, incident: Incident, text: str, key: str) -> bool:
        """Append a note; state and mailbox stay as they are."""
        lost = self._faults.before("note")
        if self._plain:
            return False
        request = f"{incident.code}\n{text}"
        if not self._is_repetition(key, request):
            self._append(self._find(incident.code), notes=text, detail="Nota añadida.")
            self._answered[key] = request
        if lost is not None:
            raise lost
        return True

    async def attachment(self, name: str, limit: int) -> bytes:
        """The attachment's bytes."""
        self._faults.before("attachment")
        content = self._attachments.get(name)
        if content is None or len(content) > limit:
            raise Terminal(Reason.ATTACHMENT_UNREADABLE)
        return content

    def _change(self, read: Incident, change: DeskChange, key: str) -> None:
        request = f"{read.code}\n{change.model_dump_json()}"
        if not self._plain and self._is_repetition(key, request):
            return
        incident = self._find(read.code)
        if not self._plain and read.etag is not None and read.etag != self._etag(read.code):
            raise Terminal(Reason.TOUCHED_MEANWHILE)
        reopens = self.reopens and incident.status == "Resuelta" and change.verb is DeskVerb.REASSIGN
        if incident.status in CLOSED_STATES and not reopens:
            raise Terminal(Reason.DESK_REFUSED, "la mesa ha rechazado el cambio: la incidencia ya está cerrada")
        if change.verb is DeskVerb.REASSIGN and not (change.mailbox or "").strip():
            raise Terminal(Reason.DESK_REFUSED, "la mesa ha rechazado el cambio: falta el buzón de destino")
        moved = incident.model_copy(
            update={
                "status": _STATE_AFTER[change.verb],
                "mailbox": change.mailbox if change.verb is DeskVerb.REASSIGN else incident.mailbox,
            }
        )
        self._append(moved, code=_RESOLUTION_CODE[change.verb], notes=change.notes or "", detail=change.detail or "")
        self._answered[key] = request
        self.changes.append((read.code, change, key))

    def _is_repetition(self, key: str, request: str) -> bool:
        """Whether this key was answered already; the same key with another request is refused."""
        seen = self._answered.get(key)
        if seen is not None and seen != request:
            raise Terminal(Reason.DESK_REFUSED, "la mesa ha rechazado el cambio: esa clave ya se usó con otra petición")
        return seen is not None

    def _append(
        self, incident: Incident, *, author: str = AUTHOR, code: str = "", notes: str = "", detail: str = ""
    ) -> None:
        """Store the incident with one more history entry, which shows its state and mailbox after it."""
        entry = HistoryEntry(
            date=datetime.now(UTC).isoformat(timespec="seconds"),
            author=author,
            resolution_code=code,
            notes=notes,
            comment_mailbox=incident.mailbox,
            assigned_mailbox=incident.mailbox,
            status=incident.status,
            detail=detail,
        )
        self._incidents[incident.code] = incident.model_copy(update={"history": (*incident.history, entry)})
        self._versions[incident.code] += 1

    def _find(self, code: str) -> Incident:
        incident = self._incidents.get(code)
        if incident is None:
            raise Terminal(Reason.DESK_REFUSED, "la mesa no tiene esa incidencia, ni abierta ni cerrada")
        return incident

    def _etag(self, code: str) -> str:
        return f'"{self._versions.get(code, 0)}"'


class MemorySystem:
    """`core.ports.ExternalSystem` in memory: known policies, and an answer per (policy, system)."""

    def __init__(
        self,
        policies: Mapping[str, Mapping[str, object]] | None = None,
        answers: Mapping[tuple[str, str], SystemAnswer] | None = None,
    ) -> None:
        self._policies = dict(policies or {})
        self._answers = dict(answers or {})
        self._faults = Faults()
        self.checks: list[tuple[str, str, dict[str, object]]] = []
        """(policy, system, payload) of every check that was answered, in order."""

    def fail_next(self, method: str, error: StageError, *, times: int = 1) -> None:
        """The next `times` calls of `method` raise `error`."""
        if not callable(getattr(self, method, None)):
            raise ValueError(f"MemorySystem has no method {method!r}")
        self._faults.add(method, error, times=times)

    async def policy(self, number: str) -> Mapping[str, object] | None:
        """What it knows of a policy."""
        self._faults.before("policy")
        if not number.strip():
            raise Terminal(Reason.MISSING_POLICY)
        return self._policies.get(number)

    async def check(self, policy: str, system: str, payload: Mapping[str, object]) -> SystemAnswer:
        """The answer prepared for this policy and system."""
        self._faults.before("check")
        if not policy.strip():
            raise Terminal(Reason.MISSING_POLICY)
        answer = self._answers.get((policy, system))
        if answer is None:
            raise Terminal(Reason.SYSTEM_ANSWER_INVALID)
        self.checks.append((policy, system, dict(payload)))
        return answer
