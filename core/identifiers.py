"""Identifiers by pattern: what names a person or a contract (hidden) and what names a ticket or a moment (stripped).

Doubt hides: a pattern decides, a checksum never spares. Every expression is linear or bounded per position, so a
200 kB text costs seconds at worst.
"""

import re
from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import NamedTuple

from core.characters import DASH, DATE, LETTER, SPACED, clean
from core.policy_number import LINK_WORDS, TICKETS, policies


class Kind(StrEnum):
    """What a placeholder stands for; the value is its name in the text, `<NIF_1>`."""

    URL = "URL"
    EMAIL = "EMAIL"
    IBAN = "IBAN"
    POLICY = "POLIZA"
    CARD = "TARJETA"
    NIE = "NIE"
    NIF = "NIF"
    PHONE = "TELEFONO"
    NUMBER = "NUMERO"
    """Seven digits or more that nothing says more about: it may be a DNI, a policy or an account all the same."""
    PERSON = "PERSONA"


class Span(NamedTuple):
    """`text[start:end]` is a `kind`; where spans overlap the lower rank is kept whole."""

    rank: int
    start: int
    end: int
    kind: Kind


_LOCAL = r"\w.!#$%&'*+/=?^`{|}~\-"
_DOCUMENT_WORD = r"(?:dni|nif|nie|cif|d\.n\.i|n\.i\.[fe]|pasaporte|documento de identidad)"

_G, _N = rf"[ .·_{DASH}]", r"[ \t]?\n[ \t]?"
_BROKEN = (
    rf"{_G}\d{{3}}{_N}\d{{3}}|{_N}\d{{3}}{_G}\d{{3}}"
    rf"|{_G}\d\d{_G}\d\d{_N}\d\d|{_G}\d\d{_N}\d\d{_G}\d\d|{_N}\d\d{_G}\d\d{_G}\d\d"
)
"""A phone after its first three digits, over one line end: the rest of its groups must show it, or columns would."""

_PATTERNS: tuple[tuple[Kind, re.Pattern[str]], ...] = tuple(
    (kind, re.compile(pattern, re.I))
    for kind, pattern in (
        (Kind.URL, r"(?<![a-z0-9+.\-])[a-z][a-z0-9+.\-]{1,20}://[^\s<>\"'«»]+"),
        (Kind.EMAIL, rf"(?<![{_LOCAL}])[{_LOCAL}]++@[\w\-]++(?:\.[\w\-]++)*"),
        (Kind.EMAIL, rf"(?<![{_LOCAL}])[{_LOCAL}]++[ \t]?@[ \t]?[\w\-]++(?:\.[\w\-]++)+"),
        (Kind.EMAIL, r"\"[^\"\n]{1,64}\"@[\w\-]++(?:\.[\w\-]++)*"),
        (
            Kind.EMAIL,
            r"(?<![\w.+\-])[\w.+\-]++\s{0,2}(?:[\[({]\s?(?:arroba|at)\s?[\])}]|\barroba\b)\s{0,2}[\w\-]++"
            r"(?:\s{0,2}(?:\.|[\[({]?\b(?:punto|dot)\b[\])}]?)\s{0,2}[\w\-]++){1,3}",
        ),
        (Kind.URL, r"(?<![\w.])www\.[^\s<>\"'«»]+"),
        (Kind.IBAN, rf"E ?S[\s.{DASH}/]{{0,2}}\d(?:[\s.{DASH}/]{{0,2}}\d){{21}}(?!\d)"),
        (Kind.IBAN, rf"[a-z]{{2}}\d\d(?:{SPACED}?\d){{10,28}}(?!\d)"),
        (Kind.IBAN, r"(?<![a-z0-9])[a-z]{2}\d\d(?=[a-z]{0,8}\d)[a-z0-9]{11,30}(?![a-z0-9])"),
        (Kind.IBAN, rf"(?<!\d)\d{{4}}{SPACED}?\d{{4}}{SPACED}?\d\d{SPACED}?\d{{10}}(?!\d)"),
        (Kind.POLICY, ""),  # keeps the rank: policies are found by `_policies`
        (
            Kind.PHONE,
            rf"(?<!\d)(?!{DATE})(?:(?:\(?\+|00)? ?\(?34\)?[ \t.()/{DASH}]{{0,3}})?"
            rf"[6-9](?:[ \t.()/{DASH}]{{0,2}}\d){{8}}(?!\d)",
        ),
        (
            Kind.PHONE,
            rf"(?<!\d)00 ?(?:[2-9]\d\d?{SPACED}{{1,2}}\(?\d(?:[ \t.()/{DASH}]{{0,2}}\d){{7,11}}"
            rf"|1{SPACED}{{1,2}}\(?\d(?:[ \t.()/{DASH}]{{0,2}}\d){{9}})(?!\d)",
        ),
        (
            Kind.PHONE,
            r"(?<!\d)(?<!\d_)[6-9]\d\d(?:(?P<s>[·_])\d{3}(?P=s)\d{3}|(?P<t>[·_])\d\d(?P=t)\d\d(?P=t)\d\d)(?!_?\d)",
        ),
        (Kind.PHONE, rf"(?<!\d)(?<!\d[ .,])[6-9]\d\d(?:{_BROKEN})(?![ .,]?\d)"),
        (Kind.PHONE, rf"(?<![\d+])\+ ?\d{{1,3}}(?:[ \t.()/{DASH}]{{0,2}}\d){{6,13}}(?!\d)"),
        (Kind.CARD, rf"(?<!\d)\d{{4}}(?:{SPACED}?\d{{4}}){{2}}{SPACED}?\d{{1,7}}(?!\d)"),
        (Kind.CARD, rf"(?<!\d)3\d{{3}}{SPACED}?\d{{6}}{SPACED}?\d{{5}}(?!\d)"),
        (
            Kind.NIE,
            rf"(?<!\d)(?:[XYZ][.{DASH}]?|(?-i:[XYZ])[ ])(?!{DATE})\d(?:{SPACED}?\d){{6,7}}"
            rf"[ \t./{DASH}]{{0,3}}{LETTER}(?!{LETTER})",
        ),
        (
            Kind.NIF,
            rf"\b{_DOCUMENT_WORD}\b[^\w\n]{{0,5}}(?:(?:{LINK_WORDS})(?!{LETTER})[^\w\n]{{1,3}}){{0,3}}(?!{DATE})"
            rf"(?P<v>[a-z]{{0,3}}{SPACED}?\d(?:{SPACED}?\d){{5,11}}(?:{SPACED}{{0,2}}[a-z](?!{LETTER}))?)(?!\d)",
        ),
        (Kind.NIF, rf"(?<![a-z0-9])[A-HJ-NP-W][.{DASH}]?\d(?:{SPACED}?\d){{6}}[.{DASH}]?[0-9a-z](?![a-z0-9])"),
        (Kind.NIF, rf"(?<!\d)(?!{DATE})\d(?:{SPACED}?\d){{6,7}}[ \t./{DASH}]{{0,3}}{LETTER}(?!{LETTER})"),
        (Kind.POLICY, ""),  # the rank of unclear ones: what is something else besides stays that
        (Kind.NUMBER, r"\d{7,}"),
    )
)
RANK = {kind: rank for rank, (kind, _) in reversed(list(enumerate(_PATTERNS)))} | {Kind.PERSON: len(_PATTERNS)}
"""Of the first pattern of each kind: the most specific and the longest come first."""
_UNCLEAR_RANK = max(rank for rank, (kind, _) in enumerate(_PATTERNS) if kind is Kind.POLICY)


def spans(text: str) -> Iterator[Span]:
    """Everything in a clean text that looks personal, overlaps included."""
    for start, end, clear in policies(text):
        yield Span(RANK[Kind.POLICY] if clear else _UNCLEAR_RANK, start, end, Kind.POLICY)
    for rank, (kind, pattern) in enumerate(_PATTERNS):
        if kind is Kind.POLICY:
            continue
        group = "v" if "v" in pattern.groupindex else 0
        for match in pattern.finditer(text):
            yield Span(rank, *match.span(group), kind)


def resolve(text: str, found: Iterable[Span]) -> list[Span]:
    """Without overlaps and in order. What a kept span leaves of another is hidden too if it still says something."""
    covered = bytearray(len(text))
    kept: list[Span] = []
    for span in sorted(found, key=lambda s: (s.rank, s.start - s.end, s.start)):
        for start, end in _free(covered, span.start, span.end):
            while start < end and not text[start].isalnum() and text[start] not in '+("':
                start += 1
            while start < end and not (text[end - 1].isalnum() or text[end - 1] in "/_"):
                end -= 1
            whole = start <= span.start and end >= span.end
            if end > start and (whole or _telling(text[start:end], span.kind)):
                covered[start:end] = b"\1" * (end - start)
                kept.append(span._replace(start=start, end=end))
    return sorted(kept, key=lambda s: s.start)


def _free(covered: bytearray, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The stretches of [start, end) that nothing covers yet."""
    while start < end:
        taken = covered.find(1, start, end)
        if taken < 0:
            yield start, end
            return
        if taken > start:
            yield start, taken
        start = covered.find(0, taken, end)
        if start < 0:
            return


def _telling(rest: str, kind: Kind) -> bool:
    return any(c.isdigit() for c in rest) or (len(rest) > 1 and kind in (Kind.URL, Kind.EMAIL, Kind.PERSON))


_LOOKALIKE = re.compile(rf"<({'|'.join(Kind)})(_\d+)?>")


def neutralise(text: str) -> str:
    """`<NIF_1>` written by a sender becomes `[NIF_1]`, which nothing restores."""
    return _LOOKALIKE.sub(r"[\1\2]", text)


def scrub(text: str) -> str:
    """Every identifier replaced by its kind alone (`<NIF>`): for logs, where nothing is to be put back."""
    text = neutralise(clean(text))
    out, at = [], 0
    for span in resolve(text, spans(text)):
        out += [text[at : span.start], f"<{span.kind}>"]
        at = span.end
    return "".join([*out, text[at:]])


_STRIP = re.compile(
    "|".join(
        (
            r"(?P<keep>\b(?:errore?s?|c[oó]d(?:igo)?|code|excepci[oó]n|status|http)[.:#]?[ \t]{0,2}"
            r"[A-Za-z]{0,8}[-_]?\d{1,7}\b(?![-/:]\d))",
            rf"[<\[](?:{'|'.join(Kind)})(?:_\d+)?[>\]]",
            r"[a-z][a-z0-9+.\-]{1,20}://\S+|\bwww\.\S+",
            rf"(?<![{_LOCAL}])[{_LOCAL}]++@[\w.\-]+",
            rf"\b(?:{TICKETS})[-_ /#]?\d+(?:[-/]\d+)*\b|\b[A-Z]{{2,10}}[-_/]\d{{2,4}}[-_/]\d{{2,}}\b|#\d+\b",
            r"\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b|\b0x[0-9a-f]{4,}\b",
            r"\b(?=[0-9a-f]*[a-f])(?=[0-9a-f]*\d)[0-9a-f]{8,}\b",
            rf"\b{DATE}(?:[ T]\d{{1,2}}:\d\d(?::\d\d)?(?:[.,]\d+)?Z?)?",
            r"\b\d{1,2}/\d{1,2}(?:/\d{2,4})?\b",
            r"\b\d{1,2}:\d\d(?::\d\d)?(?:[.,]\d+)?(?:[ \t]?(?:h|hrs|horas)\b)?|\b\d{1,2}[ \t]?h\b",
            r"(?<!\w)[a-z]:\\\S+|\\\\[\w.$\-]+\\\S+|(?<![\w/.])(?:/[\w.\-]+){2,}/?",
            r"\d{6,}|\b\d{1,4}(?:[.\-]\d{3,8}){2,6}\b",
        )
    ),
    re.I,
)
_HOLLOW = re.compile(r"[(\[{]\s*[)\]}]")


def strip_identifiers(text: str) -> str:
    """The text for search: no placeholders, tickets, long numbers, dates, hours, hex ids, paths; error codes stay."""
    text = _STRIP.sub(lambda m: m["keep"] or " ", clean(text))
    lines = (" ".join(line.split()) for line in _HOLLOW.sub(" ", text).splitlines())
    return "\n".join(line for line in lines if line)
