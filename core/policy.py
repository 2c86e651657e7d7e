"""May this incident be worked, and may we act on it without a person? What the operator set in `politica.toml`."""

import re
import tomllib
from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from core.catalogue import CatalogueEntry, normalised
from core.desk_state import is_ended, is_waiting
from core.errors import UsageError
from core.incident import HistoryEntry, Incident
from core.ledger import Caps, Scope
from core.marks import our_text
from core.reason import Reason

FILE = "politica.toml"
"""Under `DIRECTORIO_RECURSOS`; without it the defaults below are in force."""

_WORKED = ("en curso", "en proceso", "en tratamiento", "en progreso")
_RANKS = {"critica": 0, "urgente": 0, "1": 0, "alta": 1, "2": 1, "media": 2, "normal": 2, "3": 2, "baja": 3, "4": 3}
"""Priority -> how severe, 0 the most."""
_BOTS = ("bot", "robot", "noreply", "no reply", "mailer daemon", "postmaster")


class Autonomy(StrEnum):
    """How far we may go by ourselves, from most to least."""

    AUTOMATIC = "automatica"
    PROPOSAL = "propuesta"
    MANUAL = "manual"

    def stricter(self, other: "Autonomy") -> "Autonomy":
        """The one of both that leaves more to people."""
        return max(self, other, key=list(Autonomy).index)


def _kind(key: str) -> str:
    """A kind of action as the catalogue spells it; `api` alone stands for every system."""
    resolution, system = CatalogueEntry.read_kind(key) if normalised(key) != "api" else ("api", "")
    if resolution == "manual":
        raise ValueError("«manual» es del catálogo: esas filas van siempre a una persona")
    return f"{resolution}|{system}" if system else str(resolution)


def _by_kind(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    return {key if key == "defecto" else _kind(key): given for key, given in value.items()}


def _rank(value: Any) -> Any:
    rank = severity(str(value))
    if rank is None or isinstance(value, bool):
        raise ValueError(f"{value!r} no es una prioridad conocida; use {', '.join(_RANKS)}")
    return rank


_FROZEN = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)
ByKind = Annotated[dict[str, Autonomy], BeforeValidator(_by_kind)]


class _Eligible(BaseModel):
    model_config = _FROZEN
    mailboxes: tuple[str, ...] = Field(default=(), alias="buzones")
    """Empty: any."""
    bots: tuple[str, ...] = _BOTS
    """Words of a requester that no person has."""
    person_fields: tuple[str, ...] = Field(default=(), alias="campos_persona")
    """Fields of the desk's own that name whoever works the incident."""
    minutes: int = Field(default=0, ge=0, le=100_000, alias="minutos_tras_persona")
    """How long a person's last note keeps us away; 0: it does not."""


class _Rights(BaseModel):
    model_config = _FROZEN
    kinds: ByKind = {}
    mailboxes: dict[str, ByKind] = Field(default={}, alias="buzones")

    @model_validator(mode="before")
    @classmethod
    def _apart(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        return {
            "kinds": {key: given for key, given in value.items() if key != "buzones"},
            "buzones": value.get("buzones", {}),
        }


class _Caps(BaseModel):
    model_config = _FROZEN
    all: int = Field(default=2000, ge=0, alias=Scope.ALL.value)
    mailbox: int = Field(default=1000, ge=0, alias=Scope.MAILBOX.value)
    entry: int = Field(default=500, ge=0, alias=Scope.ENTRY.value)


class _Ceiling(BaseModel):
    model_config = _FROZEN
    severity: Annotated[int | None, BeforeValidator(_rank)] = Field(default=None, alias="prioridad")
    """The most severe that is acted on without a person, as its rank; None: any."""
    component_fields: tuple[str, ...] = Field(default=("componente",), alias="campos_componente")
    """Fields of the desk's own that name the component an incident is of."""


class Policy(BaseModel):
    """The operator's rules. The default: everything `automatica`, with caps that only a runaway reaches."""

    model_config = _FROZEN
    eligible: _Eligible = Field(default=_Eligible(), alias="elegibles")
    rights: _Rights = Field(default=_Rights(), alias="autonomia")
    limits: _Caps = Field(default=_Caps(), alias="topes")
    ceiling: _Ceiling = Field(default=_Ceiling(), alias="limites")

    @property
    def caps(self) -> Caps:
        """Most automatic actions in an hour."""
        return {Scope.ALL: self.limits.all, Scope.MAILBOX: self.limits.mailbox, Scope.ENTRY: self.limits.entry}

    def autonomy(self, kind: str, mailbox: str) -> Autonomy:
        """For a kind of action (`cierre`, …, `api|<sistema>`) on an incident of this mailbox; the nearest rule wins."""
        wanted = normalised(mailbox)
        own = [rules for name, rules in self.rights.mailboxes.items() if normalised(name) == wanted]
        for rules in (*own, self.rights.kinds):
            for key in (kind, kind.partition("|")[0], "defecto"):
                if key in rules:
                    return rules[key]
        return Autonomy.AUTOMATIC

    @property
    def component_fields(self) -> tuple[str, ...]:
        """Fields of the desk's own that name the component an incident is of."""
        return self.ceiling.component_fields

    def too_severe(self, incident: Incident) -> bool:
        """Whether it is above what is acted on without a person; under a limit, so is one of unknown priority."""
        limit = self.ceiling.severity
        found = severity(incident.priority)
        return limit is not None and (found or 0) < limit

    def refusals(self, incident: Incident, text_limit: int, tag: str) -> tuple[Reason, ...]:
        """Why it must be left alone, the state first. `text_limit`: characters over all texts; `tag`: our notes'."""
        rules = self.eligible
        other = rules.mailboxes and normalised(incident.mailbox) not in map(normalised, rules.mailboxes)
        named = any((incident.model_extra or {}).get(name) for name in rules.person_fields)
        found = (
            _by_state(incident),
            Reason.OTHER_MAILBOX if other else None,
            Reason.OPENED_BY_BOT if _is_bot(incident.requester, rules.bots) else None,
            Reason.WORKED_BY_PERSON if named or self._just_written(incident, tag) else None,
            _by_text(incident, text_limit),
        )
        return tuple(dict.fromkeys(reason for reason in found if reason))

    def _just_written(self, incident: Incident, tag: str) -> bool:
        """Whether the last word is a person's of the desk, not older than the minutes set."""
        if not self.eligible.minutes or not incident.history:
            return False
        last = incident.history[-1]
        if our_text(last, tag) is not None or not last.author or _is_bot(last.author, self.eligible.bots):
            return False
        if normalised(last.author) == normalised(incident.requester):
            return False
        written = _when(last)
        return written is not None and datetime.now().astimezone() - written < timedelta(minutes=self.eligible.minutes)


def read_policy(resources: Path) -> Policy:
    """`politica.toml` of this folder, or the defaults. Raises `UsageError` with file, key and what is allowed."""
    path = resources / FILE
    try:
        return Policy.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return Policy()
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path} no se puede leer: {error}.") from error
    except ValidationError as error:
        faults = "".join(f"\n  {_fault(item['loc'], item)}" for item in error.errors())
        raise UsageError(f"{path} no es válido:{faults}") from None


def _fault(where: tuple[int | str, ...], item: Mapping[str, Any]) -> str:
    key = ".".join(str(part) for part in where if part != "kinds")
    context = item.get("ctx", {})
    match item["type"]:
        case "extra_forbidden":
            why = "no es una clave conocida"
        case "enum":
            why = f"{item['input']!r} no es válido; use {', '.join(Autonomy)}"
        case "greater_than_equal" | "less_than_equal":
            why = f"debe ser un número entero de {context.get('ge', 0)} a {context.get('le', 'más')}"
        case "value_error":
            why = str(context["error"])
        case _:
            why = f"{item['input']!r} no es de la clase que se espera ({item['type']})"
    return f"{key}: {why}"


def _by_state(incident: Incident) -> Reason | None:
    if is_ended(incident.status):
        return Reason.NOT_OPEN
    if is_waiting(incident.status):
        return Reason.WAITING
    if normalised(incident.status).startswith(_WORKED):
        return Reason.WORKED_BY_PERSON
    return None


def _by_text(incident: Incident, text_limit: int) -> Reason | None:
    texts = [incident.title, incident.description]
    texts += [text for entry in incident.history for text in (entry.notes, entry.detail)]
    if sum(map(len, texts)) > text_limit:
        return Reason.TEXT_TOO_LONG
    has_attachment = any(entry.attachments for entry in incident.history)
    if not any(text.strip() for text in texts) and not has_attachment:
        return Reason.EMPTY_TEXT
    return None


def priority(incident: Incident) -> tuple[int, str, str]:
    """What the queue is ordered by: the most urgent first, then the oldest."""
    known = severity(incident.priority)
    return _RANKS["media"] if known is None else known, incident.opened, incident.code


def severity(text: str) -> int | None:
    """A desk's word for a priority as a rank, 0 the most severe; None where it says none that is known."""
    ranks = [_RANKS[word] for word in re.findall(r"[a-z]+|\d+", normalised(text)) if word in _RANKS]
    return min(ranks, default=None)


def _is_bot(name: str, bots: tuple[str, ...]) -> bool:
    """Whether one of the words stands in the name by itself: `avisos-bot@…`, not `Abbott`."""
    words = f" {_words(name)} "
    return any(f" {_words(bot)} " in words for bot in bots if _words(bot))


def _words(text: str) -> str:
    return " ".join(re.findall(r"[a-z0-9]+", normalised(text)))


def _when(entry: HistoryEntry) -> datetime | None:
    """The entry's time; local where it names no zone, None where it is no ISO date."""
    try:
        return datetime.fromisoformat(entry.date).astimezone()
    except ValueError:
        return None
