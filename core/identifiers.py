"""Identifiers by pattern: what names a person or a contract (hidden) and what names a ticket or a moment (stripped).

Doubt hides: a pattern decides, a checksum never spares. Every expression is linear or bounded per position, so a
200 kB text costs seconds at worst.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import NamedTuple


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


_INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    "\u202a-\u202e\u2060-\u206f\u20d0-\u20ff\u3164\ud800-\udfff\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb"
    "\U000e0000-\U000e0fff]+"
)
_LINE_END = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_ORDINALS = re.compile("([ºª])")
_LOOSE_MARKS = re.compile("[\u0300-\u036f]+")
_FOREIGN_DIGIT = re.compile(r"(?![0-9])\d")


def clean(text: str) -> str:
    """The text with one writing per character: NFKC, ASCII digits, no invisible characters; lines and `º` are kept."""
    text = _LINE_END.sub("\n", _INVISIBLE.sub("", text))
    if text.isascii():
        return text
    pieces = (p if p in "ºª" else unicodedata.normalize("NFKC", p) for p in _ORDINALS.split(text))
    text = unicodedata.normalize("NFC", _LOOSE_MARKS.sub("", "".join(pieces)))
    return _FOREIGN_DIGIT.sub(lambda m: str(unicodedata.digit(m[0])), text)


_DASH = r"\-\u2010-\u2015\u2212"
_S = rf"[ \t.{_DASH}]"
_LETTER = r"[^\W\d_]"
_DATE = (
    rf"(?:\d{{1,2}}[ ./{_DASH}]\d{{1,2}}[ ./{_DASH}](?:19|20)\d\d(?!\d)"
    rf"|(?:19|20)\d\d[ ./{_DASH}]\d{{1,2}}[ ./{_DASH}]\d{{1,2}}(?!\d))"
)
_LOCAL = r"\w.!#$%&'*+/=?^`{|}~\-"

_POLICY_WORD = rf"(?<!{_LETTER})(?:p\S?lizas?|p[oó]l|plz)"
"""OCR loses or mistakes the accented letter: `pliza`, `p@liza`."""
_LINK_WORDS = (
    r"n[uú]?m(?:ero)?s?|n[.º°ªo]{0,2}|con|del?|la|el|los|las|es|son|ref(?:erencia)?|clientes?|asegurad[oa]|tomador"
    r"|seguro|hogar|autos?|coche|moto|vida|salud|decesos|comercio|comunidad(?:es)?|multirriesgo|accidentes"
)
_LINK = rf"(?:\s{{0,3}}(?:(?:{_LINK_WORDS})(?!{_LETTER})|[:#=._/(\[<«\"'{_DASH}])){{0,8}}\s{{0,3}}"
_NO_AMOUNT = r"(?!,\d)(?!\s{0,2}(?:€|eur))"
_NO_TAIL = rf"(?![\d_])(?![.{_DASH}]\d)(?![.{_DASH}]?{_LETTER}(?!{_LETTER}))(?!{_LETTER}){_NO_AMOUNT}"
_TICKETS = r"INC|INCIDENCIA|REQ|RITM|CHG|PRB|SR|TCK|TICKET|TASK|CASO|EXP|SIN|REC|POL|PET|WO"
_GROUPED = rf"\d{{2,4}}(?:[ .{_DASH}]\d{{2,4}}){{1,5}}"
_YEARED = rf"(?:19|20)\d\d[/{_DASH}]\d{{5,8}}|\d{{1,4}}/\d{{5,8}}"
"""`2024/0012345`, `030/1234567`: five digits or more behind, so that `2024/2025` and `12/2024` stay what they are."""
_LETTERED = (
    rf"(?<!{_LETTER})(?!(?:{_TICKETS}|dni|nif|nie|cif|tel|tlf|tfno|fax|eur|usd|iva)(?!{_LETTER}))"
    rf"[a-z]{{2,4}}[/.{_DASH}]?(?:(?:19|20)\d\d[/.{_DASH}]\d{{4,8}}|\d{{6,10}})"
)
"""`AB-1234567`, `HG/2024/00123`. One letter alone would be a company's or a foreigner's document."""
_POLICY = re.compile(
    rf"{_POLICY_WORD}{_LINK}(?!{_DATE})(?P<v>{_YEARED}|\d{{6,12}}|{_GROUPED}|{_LETTERED}){_NO_TAIL}", re.I
)
_POLICY_MORE = re.compile(
    rf"\s{{0,2}}(?:[,;/+&]|\b[yeo]\b)\s{{0,2}}(?!{_DATE})(?P<v>{_YEARED}|\d{{6,12}}|{_LETTERED}){_NO_TAIL}", re.I
)
POLICY_LIKE = re.compile(rf"(?<![\w/])(?:{_YEARED}|\d{{6}}|{_LETTERED})(?!\d)(?!{_LETTER})", re.I)
"""What is a policy number only if the incident names it as one somewhere else."""
_DOCUMENT_WORD = r"(?:dni|nif|nie|cif|d\.n\.i|n\.i\.[fe]|pasaporte|documento de identidad)"

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
        (Kind.IBAN, rf"E ?S[\s.{_DASH}/]{{0,2}}\d(?:[\s.{_DASH}/]{{0,2}}\d){{21}}(?!\d)"),
        (Kind.IBAN, rf"[a-z]{{2}}\d\d(?:{_S}?\d){{10,28}}(?!\d)"),
        (Kind.IBAN, r"(?<![a-z0-9])[a-z]{2}\d\d(?=[a-z]{0,8}\d)[a-z0-9]{11,30}(?![a-z0-9])"),
        (Kind.IBAN, rf"(?<!\d)\d{{4}}{_S}?\d{{4}}{_S}?\d\d{_S}?\d{{10}}(?!\d)"),
        (Kind.POLICY, ""),  # keeps the rank: policies are found by `_policy_spans`
        (
            Kind.PHONE,
            rf"(?<!\d)(?!{_DATE})(?:(?:\(?\+|00)? ?\(?34\)?[ \t.()/{_DASH}]{{0,3}})?"
            rf"[6-9](?:[ \t.()/{_DASH}]{{0,2}}\d){{8}}(?!\d)",
        ),
        (Kind.PHONE, rf"(?<![\d+])\+ ?\d{{1,3}}(?:[ \t.()/{_DASH}]{{0,2}}\d){{6,13}}(?!\d)"),
        (Kind.CARD, rf"(?<!\d)\d{{4}}(?:{_S}?\d{{4}}){{2}}{_S}?\d{{1,7}}(?!\d)"),
        (Kind.CARD, rf"(?<!\d)3\d{{3}}{_S}?\d{{6}}{_S}?\d{{5}}(?!\d)"),
        (
            Kind.NIE,
            rf"(?<!\d)(?:[XYZ][.{_DASH}]?|(?-i:[XYZ])[ ])(?!{_DATE})\d(?:{_S}?\d){{6,7}}"
            rf"[ \t./{_DASH}]{{0,3}}{_LETTER}(?!{_LETTER})",
        ),
        (
            Kind.NIF,
            rf"\b{_DOCUMENT_WORD}\b[^\w\n]{{0,5}}(?:(?:{_LINK_WORDS})(?!{_LETTER})[^\w\n]{{1,3}}){{0,3}}(?!{_DATE})"
            rf"(?P<v>[a-z]{{0,3}}{_S}?\d(?:{_S}?\d){{5,11}}(?:{_S}{{0,2}}[a-z](?!{_LETTER}))?)(?!\d)",
        ),
        (Kind.NIF, rf"(?<![a-z0-9])[A-HJ-NP-W][.{_DASH}]?\d(?:{_S}?\d){{6}}[.{_DASH}]?[0-9a-z](?![a-z0-9])"),
        (Kind.NIF, rf"(?<!\d)(?!{_DATE})\d(?:{_S}?\d){{6,7}}[ \t./{_DASH}]{{0,3}}{_LETTER}(?!{_LETTER})"),
        (Kind.NUMBER, r"\d{7,}"),
    )
)
RANK = {kind: rank for rank, (kind, _) in reversed(list(enumerate(_PATTERNS)))} | {Kind.PERSON: len(_PATTERNS)}
"""Of the first pattern of each kind: the most specific and the longest come first."""


def _policy_spans(text: str) -> Iterator[Span]:
    """Each policy number, not the word before; `y 12345679` after one with as many digits is another."""
    for match in _POLICY.finditer(text):
        found: re.Match[str] | None = match
        digits = 0
        while found:
            start, end = found.span("v")
            count = sum(c.isdigit() for c in text[start:end])
            if not 6 <= count <= 12 or digits not in (0, count):
                break
            digits = count
            yield Span(RANK[Kind.POLICY], start, end, Kind.POLICY)
            found = _POLICY_MORE.match(text, end)


def policy_numbers(*texts: str) -> list[str]:
    """Each policy number that the texts name as such, once: its digits (`POL-1234 5678`, `póliza nº 12345678`) or,
    with letters or a year, as it was first written, in capitals (`póliza AB-1234567`, `póliza 2024/0012345`).

    Six to twelve digits. Dates, amounts, tickets and numbers with a NIF's letter behind are not taken for one.
    """
    found: dict[str, str] = {}
    for text in map(clean, texts):
        for span in _policy_spans(text):
            written = re.sub(rf"[{_DASH}]", "-", text[span.start : span.end].upper())
            bare = re.sub(r"\W", "", written)
            found.setdefault(bare, bare if re.fullmatch(rf"\d+|{_GROUPED}", written) else written)
    return list(found.values())


def spans(text: str) -> Iterator[Span]:
    """Everything in a clean text that looks personal, overlaps included."""
    for rank, (kind, pattern) in enumerate(_PATTERNS):
        if kind is Kind.POLICY:
            yield from _policy_spans(text)
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
            rf"\b(?:{_TICKETS})[-_ /#]?\d+(?:[-/]\d+)*\b|\b[A-Z]{{2,10}}[-_/]\d{{2,4}}[-_/]\d{{2,}}\b|#\d+\b",
            r"\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b|\b0x[0-9a-f]{4,}\b",
            r"\b(?=[0-9a-f]*[a-f])(?=[0-9a-f]*\d)[0-9a-f]{8,}\b",
            rf"\b{_DATE}(?:[ T]\d{{1,2}}:\d\d(?::\d\d)?(?:[.,]\d+)?Z?)?",
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
