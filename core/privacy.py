"""Personal data out before any model, vector or log; back in only in what is sent to the desk and the systems."""

import logging
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from core.characters import clean
from core.identifiers import RANK, Kind, Span, neutralise, resolve, scrub, spans, strip_identifiers
from core.incident import Incident
from core.people import find_people, folded_words, name_patterns
from core.policy_number import POLICY_LIKE, RUN, policy_numbers, unclear_policies

if TYPE_CHECKING:
    from presidio_analyzer import PatternRecognizer
    from presidio_analyzer.predefined_recognizers import PhoneRecognizer

__all__ = [
    "PersonalData",
    "PlaceholderMap",
    "Redacted",
    "RedactedEntry",
    "RedactedIncident",
    "RedactingFilter",
    "policy_numbers",
    "scrub",
    "strip_identifiers",
]

_PLACEHOLDER = re.compile(rf"<(?:{'|'.join(Kind)})_\d+>")
_ENTITIES = {
    "ES_NIF": Kind.NIF,
    "ES_NIE": Kind.NIE,
    "IBAN_CODE": Kind.IBAN,
    "EMAIL_ADDRESS": Kind.EMAIL,
    "PHONE_NUMBER": Kind.PHONE,
    "CREDIT_CARD": Kind.CARD,
}
_RECOGNISER_CHARS = 20_000
"""Presidio's recognisers see a longer text in pieces: some of their expressions are quadratic in a piece."""
_RECOGNISER_OVERLAP = 200


class PlaceholderMap:
    """One incident's placeholders and what they stand for. Its repr shows how many, never which."""

    __slots__ = ("_by_key", "_counts", "_values")

    def __init__(self) -> None:
        self._by_key: dict[str, str] = {}
        self._values: dict[str, str] = {}
        self._counts: Counter[Kind] = Counter()

    def __repr__(self) -> str:
        return f"PlaceholderMap({len(self._values)})"

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, placeholder: object) -> bool:
        return placeholder in self._values

    def __getitem__(self, placeholder: str) -> str:
        return self._values[placeholder]

    def of_kind(self, kind: Kind) -> list[str]:
        """The values of one kind as they were first written, in order."""
        return [value for name, value in self._values.items() if name.startswith(f"<{kind}_")]

    def knows(self, key: str) -> bool:
        """Has a value with this key (see `value_key`) a placeholder already?"""
        return key in self._by_key

    def placeholder(self, kind: Kind, value: str) -> str:
        """The placeholder of a value, new or known: two writings of one value share it."""
        key = value_key(kind, value)
        if key not in self._by_key:
            self._counts[kind] += 1
            self._by_key[key] = f"<{kind}_{self._counts[kind]}>"
            self._values[self._by_key[key]] = value
        return self._by_key[key]

    def restore(self, text: str) -> str:
        """The text with each placeholder of this map as its value was first written; others are left as they are."""
        return _PLACEHOLDER.sub(lambda m: self._values.get(m[0], m[0]), text)


def value_key(kind: Kind, value: str) -> str:
    """What two writings of one value share: case, spaces and separators do not count, nor Spain's prefix in phones."""
    if kind in (Kind.EMAIL, Kind.URL):
        return value.casefold()
    if kind is Kind.PERSON:
        return f"persona {' '.join(folded_words(value))}"
    key = re.sub(r"[\W_]", "", value).casefold()
    if kind is Kind.PHONE and len(key) > 9:
        key = re.sub(r"^(?:00)?34(?=[6-9]\d{8}$)", "", key)
    return key


@dataclass(frozen=True)
class Redacted:
    """A text without personal data; `values` stays out of its repr."""

    text: str
    values: PlaceholderMap = field(repr=False)

    def restore(self, text: str) -> str:
        """Put the values back into `text`."""
        return self.values.restore(text)


@dataclass(frozen=True)
class RedactedEntry:
    """A history entry's texts, redacted."""

    date: str
    status: str
    notes: str
    detail: str


@dataclass(frozen=True)
class RedactedIncident:
    """All the texts of an incident that later stages read; author and requester are not among them."""

    code: str
    title: str
    description: str
    history: tuple[RedactedEntry, ...]
    policies: tuple[str, ...] = field(repr=False)
    """The policy numbers named, in clear: for `api|<sistema>` only. Those in a form that is not understood stand
    among them as `core.policy_number.UnclearPolicy`, so that no system is asked about another and nobody is asked for
    the number that was given."""
    values: PlaceholderMap = field(repr=False)

    @property
    def text(self) -> str:
        """Title, description and history, one below the other."""
        parts = [self.title, self.description, *(t for e in self.history for t in (e.notes, e.detail))]
        return "\n".join(part for part in parts if part.strip())

    def restore(self, text: str) -> str:
        """Put the values back into `text`."""
        return self.values.restore(text)


class PersonalData:
    """Finds personal data with own patterns and Presidio's recognisers. Build it once (about 1 s and 100 MB)."""

    def __init__(self) -> None:
        self._recognisers = _presidio()

    def replace(self, text: str, known: PlaceholderMap | None = None, names: Iterable[str] = ()) -> Redacted:
        """The text with a placeholder for each personal value; `known` is extended and gives known values theirs.

        `names` are people to hide wherever two words of their name stand together. The text comes back cleaned
        (`core.characters.clean`), and a look-alike such as `<NIF_1>` in it becomes `[NIF_1]`.
        """
        values = PlaceholderMap() if known is None else known
        text = neutralise(clean(text))
        found = [*self._find(text), *find_people(text, [p for name in names for p in name_patterns(name)])]
        return Redacted(_substitute(text, found, values, {}), values)

    def redact_incident(self, incident: Incident) -> RedactedIncident:
        """The incident without personal data, one placeholder per value over all its texts."""
        raw = [incident.title, incident.description, *(t for e in incident.history for t in (e.notes, e.detail))]
        texts = [neutralise(clean(text)) for text in raw]
        people = name_patterns(incident.requester, (e.author for e in incident.history))
        found = [[*self._find(text), *find_people(text, people)] for text in texts]
        kinds = _kinds(texts, found)
        values = PlaceholderMap()
        done = [_substitute(text, where, values, kinds) for text, where in zip(texts, found, strict=True)]
        history = tuple(
            RedactedEntry(date=entry.date, status=entry.status, notes=notes, detail=detail)
            for entry, notes, detail in zip(incident.history, done[2::2], done[3::2], strict=True)
        )
        policies = (*policy_numbers(*texts), *unclear_policies(*texts))
        return RedactedIncident(incident.code, done[0], done[1], history, policies, values)

    def _find(self, text: str) -> Iterator[Span]:
        yield from spans(text)
        step = _RECOGNISER_CHARS - _RECOGNISER_OVERLAP
        for offset in range(0, max(len(text) - _RECOGNISER_OVERLAP, 1), step):
            piece = text[offset : offset + _RECOGNISER_CHARS]
            for recogniser in self._recognisers:
                for found in recogniser.analyze(piece, recogniser.supported_entities):
                    kind = _ENTITIES[found.entity_type]
                    yield Span(RANK[kind] + 1, offset + found.start, offset + found.end, kind)


def _kinds(texts: Iterable[str], found: Iterable[Iterable[Span]]) -> dict[str, Kind]:
    """The most specific kind that any of the texts gives a value: a bare number may be named elsewhere."""
    kinds: dict[str, Kind] = {}
    for text, where in zip(texts, found, strict=True):
        for span in resolve(text, where):
            key = value_key(span.kind, text[span.start : span.end])
            kinds[key] = min(kinds.get(key, span.kind), span.kind, key=RANK.__getitem__)
    return kinds


def _substitute(text: str, found: list[Span], values: PlaceholderMap, kinds: Mapping[str, Kind]) -> str:
    # Hidden only where they are a known value.
    for match in (*POLICY_LIKE.finditer(text), *RUN.finditer(text)):
        key = value_key(Kind.NUMBER, match[0])
        if values.knows(key) or key in kinds:
            found.append(Span(RANK[Kind.NUMBER], *match.span(), Kind.NUMBER))
    out, at = [], 0
    for span in resolve(text, found):
        value = text[span.start : span.end]
        kind = kinds.get(value_key(span.kind, value), span.kind)
        out += [text[at : span.start], values.placeholder(kind, value)]
        at = span.end
    return "".join([*out, text[at:]])


def _presidio() -> tuple["PatternRecognizer | PhoneRecognizer", ...]:
    from presidio_analyzer.predefined_recognizers import (
        CreditCardRecognizer,
        EmailRecognizer,
        EsNieRecognizer,
        EsNifRecognizer,
        IbanRecognizer,
        PhoneRecognizer,
    )

    class UncheckedEmail(EmailRecognizer):
        """Takes addresses of unknown domains too; so nothing asks tldextract, which would fetch and cache a list."""

        def validate_result(self, pattern_text: str) -> None:
            return None

    logging.getLogger("presidio-analyzer").disabled = True  # it logs the values that it fails to validate
    return (
        EsNifRecognizer(),
        EsNieRecognizer(),
        IbanRecognizer(),
        UncheckedEmail(),
        PhoneRecognizer(supported_regions=("ES",)),
        CreditCardRecognizer(),
    )


_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_KEPT = frozenset({"action", "run", "incident", "stage", "decision", "prompt_version", "collection"})


class RedactingFilter(logging.Filter):
    """The last defence of a log handler: scrubs message, arguments, extras and traceback. `keep` names safe extras."""

    def __init__(self, keep: Iterable[str] = _KEPT) -> None:
        super().__init__()
        self._keep = _STANDARD | frozenset(keep)

    def filter(self, record: logging.LogRecord) -> bool:
        """Change the record in place; always lets it pass."""
        try:
            message = record.getMessage()
        except (TypeError, ValueError, KeyError):  # arguments that do not fit the message: log them side by side
            message = f"{record.msg} {record.args!r}"
        record.msg, record.args = _scrubbed_text(message), None
        if record.exc_info and record.exc_info[0]:
            record.exc_text = record.exc_text or logging.Formatter().formatException(record.exc_info)
        record.exc_info = None
        for name in ("exc_text", "stack_info"):
            if trace := getattr(record, name):
                setattr(record, name, _scrubbed_text(trace))
        for name, value in list(vars(record).items()):
            if name not in self._keep:
                setattr(record, name, _scrubbed(value))
        return True


_OPAQUE = re.compile(r"(\b(?:[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|[0-9a-f]{32,64})\b)")


_CLEAN: set[str] = set()
"""Short texts in which nothing was found: messages and names that come in line after line."""
_CLEAN_CHARS, _CLEAN_TEXTS = 100, 2000


def _scrubbed_text(text: str) -> str:
    """Our own ids and hashes are no identifiers, though digits stand in them."""
    if text in _CLEAN:
        return text
    scrubbed = "".join(part if i % 2 else scrub(part) for i, part in enumerate(_OPAQUE.split(text)))
    if scrubbed == text and len(text) <= _CLEAN_CHARS and len(_CLEAN) < _CLEAN_TEXTS:
        _CLEAN.add(text)
    return scrubbed


def _scrubbed(value: object, depth: int = 4) -> object:
    """The value with its strings scrubbed; what is no plain value is logged as its scrubbed repr."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return _scrubbed_text(value)
    if depth and isinstance(value, Mapping):
        return {_scrubbed_text(str(k)): _scrubbed(v, depth - 1) for k, v in value.items()}
    if depth and isinstance(value, list | tuple | set | frozenset):
        return [_scrubbed(v, depth - 1) for v in value]
    return _scrubbed_text(repr(value))
