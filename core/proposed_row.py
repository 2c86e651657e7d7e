"""A model's suggestion as a catalogue row: checked like any row, and without what belongs to one case."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from core.catalogue import FIX_COMPONENT, CatalogueEntry, Resolution, normalised
from core.closed import ClosedCase
from core.identifiers import Kind
from core.ports import Suggestion
from core.privacy import PersonalData
from core.table import MAX_FIELD

_NEUTRAL = {
    Kind.URL: "la dirección web",
    Kind.EMAIL: "el correo",
    Kind.IBAN: "la cuenta",
    Kind.POLICY: "la póliza",
    Kind.CARD: "la tarjeta",
    Kind.NIE: "el documento de identidad",
    Kind.NIF: "el documento de identidad",
    Kind.PHONE: "el teléfono",
    Kind.NUMBER: "el número",
    Kind.PERSON: "la persona",
}
_NAMED = re.compile(
    r"\b(?:direccion|web|correo|e-?mail|iban|cuenta|poliza|tarjeta|nie|nif|dni|documento|telefono|numero|persona)\b"
)
"""Words after which a placeholder only says which one: it can go."""
_PLACEHOLDER = re.compile(
    rf"(?:\b(?P<joint>el|la|del|al|de|a)\s+)?[<\[]?\b(?P<kind>{'|'.join(Kind)})_\d+\b[>\]]?", re.I
)
_FORMULA = "=+-@ \t"
"""What a spreadsheet takes for the start of a formula: a person opens the file in one."""


class InvalidSuggestion(Exception):
    """Why a suggestion cannot be a row, in Spanish."""


@dataclass(frozen=True)
class Known:
    """What the catalogue has already."""

    ids: frozenset[str]
    components: Mapping[str, str]
    """normalised -> as it is spelt"""
    types: Mapping[str, str]
    mailboxes: Mapping[str, str]
    systems: frozenset[str]

    @classmethod
    def of(cls, entries: Iterable[CatalogueEntry]) -> "Known":
        """From the rows of the catalogue; fixes under way count as rows but are no component to suggest."""
        rows = list(entries)
        return cls(
            ids=frozenset(row.id for row in rows),
            components={normalised(row.component): row.component for row in rows if row.component != FIX_COMPONENT},
            types={normalised(row.incident_type): row.incident_type for row in rows if row.component != FIX_COMPONENT},
            mailboxes={normalised(row.mailbox): row.mailbox for row in rows if row.mailbox},
            systems=frozenset(row.system for row in rows if row.system),
        )


@dataclass(frozen=True)
class ProposedRow:
    """A row for a person to review, the incidents it comes from, and what had to be changed in it."""

    entry: CatalogueEntry
    evidence: tuple[str, ...]
    remarks: tuple[str, ...] = ()

    def joined(self, other: "ProposedRow") -> "ProposedRow":
        """This row with the other's incidents too: both are the same problem."""
        return replace(self, evidence=tuple(dict.fromkeys((*self.evidence, *other.evidence))))


def grounded(suggestion: Suggestion, like: CatalogueEntry | None) -> tuple[Suggestion, str]:
    """What is left of a suggestion whose model's written word does not count, and a remark on it.

    Its description and solution, for a person to review; what would act is `manual`, and the component is that of
    `like`, the known row nearest to the incidents, or none.
    """
    kept = {"component": like.component if like else "", "resolution": Resolution.MANUAL.value, "mailbox": ""}
    remark = (
        f"el componente es el de la fila más parecida, «{like.description[:80]}»: compruébelo"
        if like
        else "ninguna fila se le parece tanto como para tomar de ella el componente: póngalo usted"
    )
    return suggestion.model_copy(update=kept), remark


def propose(suggestion: Suggestion, cases: Sequence[ClosedCase], known: Known, personal: PersonalData) -> ProposedRow:
    """The suggestion as a row, from `cases` (newest first). A kind or mailbox that does not hold becomes `manual`.

    Raises `InvalidSuggestion`.
    """
    component = _neutral(suggestion.component, personal)
    component = known.components.get(normalised(component), component)
    resolution, system, mailbox, remarks = _kind(suggestion, cases, known)
    incident_type = known.types.get(normalised(suggestion.incident_type), "")
    if suggestion.incident_type.strip() and not incident_type:
        remarks += ("el tipo de incidencia sugerido no se usa en el catálogo: queda vacío",)
    entry = CatalogueEntry(
        component=component,
        description=_neutral(suggestion.description, personal),
        incident_type=incident_type,
        solution=_neutral(suggestion.solution, personal),
        resolved_on=f"{cases[0].closed:%Y-%m-%d}",
        resolution=resolution,
        system=system,
        mailbox=mailbox,
    )
    _check(entry, known)
    return ProposedRow(entry, tuple(case.code for case in cases), remarks)


def _check(entry: CatalogueEntry, known: Known) -> None:
    if not entry.description:
        raise InvalidSuggestion("la descripción está vacía")
    if not entry.solution or _is_kind(entry.solution):  # small models write the kind in both fields
        raise InvalidSuggestion("la solución no dice qué hacer")
    if max(map(len, (entry.component, entry.description, entry.incident_type, entry.solution))) > MAX_FIELD:
        raise InvalidSuggestion(f"un campo pasa de {MAX_FIELD} caracteres")
    if entry.id in known.ids:
        raise InvalidSuggestion("repite una fila que ya está en el catálogo")


def _is_kind(text: str) -> bool:
    try:
        CatalogueEntry.read_kind(text.rstrip("."))
    except ValueError:
        return False
    return True


def _kind(
    suggestion: Suggestion, cases: Sequence[ClosedCase], known: Known
) -> tuple[Resolution, str, str, tuple[str, ...]]:
    """Kind, system, mailbox, and a remark where the suggested ones do not hold."""
    try:
        resolution, system = CatalogueEntry.read_kind(suggestion.resolution)
    except ValueError:
        return Resolution.MANUAL, "", "", ("la resolución sugerida no es ninguna de las conocidas: queda «manual»",)
    if resolution is Resolution.API and system not in known.systems:
        return Resolution.MANUAL, "", "", ("el sistema sugerido no está en el catálogo: queda «manual»",)
    if resolution is not Resolution.REASSIGN:
        return resolution, system, "", ()
    mailboxes = {normalised(case.mailbox): case.mailbox for case in cases if case.mailbox} | dict(known.mailboxes)
    mailbox = mailboxes.get(normalised(suggestion.mailbox))
    if not mailbox:
        return Resolution.MANUAL, "", "", ("el buzón sugerido no se conoce: queda «manual»",)
    return resolution, "", mailbox, ()


def _neutral(text: str, personal: PersonalData) -> str:
    """One line without placeholders or personal data: what stood for one person's data becomes what it is."""
    text = _PLACEHOLDER.sub(_word, text)
    text = _PLACEHOLDER.sub(_word, personal.replace(text).text)
    return re.sub(r" (?=[,.;:])", "", " ".join(text.split())).lstrip(_FORMULA)


def _word(match: re.Match[str]) -> str:
    joint = match["joint"] or ""
    before = normalised(match.string[: match.start()]).split()[-3:]
    if not joint and _NAMED.search(" ".join(before)):
        return ""
    preposition = joint.lower().removesuffix("l") if joint.lower() in ("del", "al", "de", "a") else ""
    word = f"{preposition} {_NEUTRAL[Kind(match['kind'].upper())]}".strip()
    word = re.sub(r"^(de|a) el\b", r"\1l", word)
    return word[0].upper() + word[1:] if joint[:1].isupper() else word
