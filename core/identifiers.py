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
_MOMENT = (
    rf"(?:{_DATE}|(?:0?[1-9]|[12]\d|3[01])[./{_DASH}](?:0?[1-9]|1[0-2])[./{_DASH}]\d\d(?!\d|[./{_DASH}]?\d{{3}})"
    rf"|(?:(?:19|20)\d\d|\d\d?)[/{_DASH}](?:19|20)\d\d(?!\d|[./{_DASH}]\d{{3}})"
    rf"|(?:19|20)\d\d[/{_DASH}]\d\d?(?!\d|[./{_DASH}]\d{{3}}))"
)
"""A date, with two digits of its year too, or a period: `15/01/24`, `12/2024`, `2024/2025`, `2024-10`."""
_LOCAL = r"\w.!#$%&'*+/=?^`{|}~\-"

_POLICY_WORD = rf"(?<!{_LETTER})(?:p\S?lizas?|polic(?:y|ies)|p[oó]l|plz)"
"""OCR loses or mistakes the accented letter: `pliza`, `p@liza`."""
_LINK_WORDS = (
    r"n[uú]?m(?:ero)?s?|n[.º°ªo]{0,2}|con|del?|la|el|los|las|es|son|ref(?:erencia)?|clientes?|asegurad[oa]|tomador"
    r"|seguro|hogar|autos?|coche|moto|vida|salud|decesos|comercio|comunidad(?:es)?|multirriesgo|accidentes"
    r"|number|id|is"
)
_LINK = rf"(?:\s{{0,3}}(?:(?:{_LINK_WORDS})(?!{_LETTER})|[:#=._/(\[<«\"'{_DASH}]|(?<!\*)\*\*?(?!\*))){{0,8}}\s{{0,3}}"
_CURRENCY = r"\s{0,2}(?:€|eur|[$£%]|usd)"
_NO_AMOUNT = rf"(?!,\d{{1,3}}(?!\d))(?!{_CURRENCY})"
_NO_VALUE = rf"(?!{_MOMENT})(?!\d{{1,3}}(?: \d{{3}})+(?:,\d\d)?{_CURRENCY})"
_NO_TAIL = rf"(?![\d_]|\*{{3}})(?![.{_DASH}]\d)(?![.{_DASH}]?{_LETTER}(?!{_LETTER}))(?!{_LETTER}){_NO_AMOUNT}"
_TICKETS = r"INC|INCIDENCIA|REQ|RITM|CHG|PRB|SR|TCK|TICKET|TASK|CASO|EXP|SIN|REC|POL|PET|WO"
_PHONE_FORM = (
    rf"(?:(?:\+|00) ?34[ .{_DASH}]?)?(?:[6-9]\d{{8}}|[6-9]\d\d \d{{6}}"
    rf"|9\d[ .{_DASH}]\d{{3}}[ .{_DASH}]\d\d[ .{_DASH}]\d\d|"
    + "|".join(rf"[6-9]\d\d{s}(?:\d{{3}}{s}\d{{3}}|\d\d{s}\d\d{s}\d\d)" for s in (" ", r"\.", f"[{_DASH}]"))
    + rf")(?!\d|[./{_DASH}]\w)"
)
"""A phone as phones are grouped: other nine digits may be a policy's."""
_DOCUMENTS = r"dni|nif|nie|cif|tel|tlf|tfno|fax|eur|usd|iva"
_GROUPED = rf"\d{{2,4}}(?:[ .{_DASH}]\d{{2,4}}){{1,5}}"
_YEARED = rf"(?:19|20)\d\d[/{_DASH}]\d{{5,8}}|\d{{1,4}}/\d{{5,8}}"
"""`2024/0012345`, `030/1234567`: five digits or more behind, so that `2024/2025` and `12/2024` stay what they are."""
_LETTERED = (
    rf"(?<!{_LETTER})(?!(?:{_TICKETS}|{_DOCUMENTS})(?!{_LETTER}))"
    rf"[a-z]{{2,4}}[/.{_DASH}]?(?:(?:19|20)\d\d[/.{_DASH}]\d{{4,8}}|\d{{6,10}})"
)
"""`AB-1234567`, `HG/2024/00123`. One letter alone would be a company's or a foreigner's document."""
_CODES = rf"{_TICKETS}|ora|tns|pls|sql|http|err(?:or)?|c[oó]d(?:igo)?|code|em|kb|cve|cp|ip"
"""What stands before a number that is a ticket's, an error's or an address's."""
_NO_POLICY = (
    rf"{_NO_VALUE}(?!{_PHONE_FORM})(?!0x|(?:{_CODES}|{_DOCUMENTS})(?!{_LETTER}))"
    rf"(?!\d{{1,3}}(?:\.\d{{3}})+(?![\d/{_DASH}]|\.\w))(?![a-z]{{2}}\d\d(?:{_S}?\d){{10}})"
)
_RUN = (
    rf"(?>(?:(?=\d)|(?<!{_LETTER}))(?:{_LETTER}{{1,6}}[./_{_DASH}]){{0,2}}{_LETTER}{{0,6}}"
    rf"\d[^\W_]*(?:[./_{_DASH}](?:{_LETTER}{{0,6}}\d[^\W_]*|{_LETTER}{{1,3}}(?!{_LETTER})))*"
    rf"(?:[ ]\d++(?![^\W\d_]|[.,:/{_DASH}]\d){_NO_AMOUNT}){{0,5}})(?!@){_NO_AMOUNT}"
)
"""Whatever stands where a policy number would: `030-123456`, `H-123456`, `0012 345678`, `12345678-1`."""
_POLICY = re.compile(
    rf"{_POLICY_WORD}(?:{_LINK}(?:{_NO_VALUE}(?P<v>{_YEARED}|\d{{6,12}}|(?!{_PHONE_FORM}){_GROUPED}|{_LETTERED}){_NO_TAIL}"
    rf"|\*{{0,12}}{_NO_POLICY}(?P<unclear>(?:(?<!{_LETTER})(?-i:[A-Z]{{1,3}})[ ](?=\d){_NO_POLICY})?{_RUN})))?",
    re.I,
)
_POLICY_MORE = re.compile(
    rf"\s{{0,2}}(?:[,;/+&]|\b[yeo]\b)\s{{0,2}}{_NO_VALUE}(?P<v>{_YEARED}|\d{{6,12}}|{_LETTERED}){_NO_TAIL}"
    rf"|(?![^\W_])[*]{{0,2}}\s{{0,3}}(?:(?:[,;/+&*•{_DASH}]|\b(?:[yeou]|and|or)\b)\s{{0,3}})?[*]{{0,2}}"
    rf"(?:(?:las?|n[.ºo]{{1,2}}|n[uú]m(?:ero)?)\s{{1,2}})?{_NO_POLICY}(?P<unclear>{_RUN})",
    re.I,
)
_POLICY_BEFORE = re.compile(
    rf"(?<![\w./{_DASH}])(?<!\d[ ])(?P<v>{_NO_POLICY}(?:{_YEARED}|{_LETTERED}|\d++(?:[ ./{_DASH}]\d++)*+))"
    rf"(?P<link>[ \t*»\"']{{0,3}}[(\[,:={_DASH}]?[ \t*«\"']{{0,3}}"
    r"(?:(?:es|is|como|as|del?|of|el|las?|mi|my|tu|su|the|n[uú]m(?:ero)?|n[.ºo]{1,2}|number)[ \t]{1,2}){0,4})\Z",
    re.I,
)
"""`la 12345678 (póliza de hogar)`, `el número 654321 de póliza`: what stands before the word."""
_BEFORE_CHARS = 60
_OF_ANOTHER = re.compile(
    rf"(?<!{_LETTER})(?:recib|siniestr|expedient|factur|error|c[oó]dig|incidenci|ticket|tarea|caso|tel|tlf|tfno|m[oó]vil"
    r"|fax|dni|nif|nie|cif|cuenta|iban|tarjeta|import|prima|capital|suma|valor|client|mediador|agen|part|solicitud"
    r"|petici|orden|registr|document|fila|usuari|remesa|lote|periodo|mes|fecha|d[ií]a|ref|id|cp)\w*"
    r"[^\w\n]{0,3}(?:(?:n[uú]m(?:ero)?s?|n[.º°ªo]{0,2}|con|del?|es|el)[^\w\n]{1,3}){0,3}\Z",
    re.I,
)
"""The number before the word is that of something else: `el recibo 12345678 de la póliza`."""
_NIF_LETTERS = "TRWAGMYFPDXBNJZSQVHLCKE"
_MAY_BE_POLICY = re.compile(_NO_POLICY, re.I)
_LEAST_DIGITS, _LEAST_MORE, _ACCOUNT_DIGITS = 5, 6, 16
"""Of what stands right after the word, of what follows that (a postal code is no second policy), of an account."""
RUN = re.compile(rf"(?<![\w./{_DASH}]){_RUN}", re.I)
"""Letters and digits in any form: a policy number only where they are one that was named."""
POLICY_LIKE = re.compile(rf"(?<![\w/])(?:{_YEARED}|\d{{6}}|{_LETTERED})(?!\d)(?!{_LETTER})", re.I)
"""What is a policy number only if the incident names it as one somewhere else."""
_DOCUMENT_WORD = r"(?:dni|nif|nie|cif|d\.n\.i|n\.i\.[fe]|pasaporte|documento de identidad)"

_G, _N = rf"[ .·_{_DASH}]", r"[ \t]?\n[ \t]?"
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
        (Kind.IBAN, rf"E ?S[\s.{_DASH}/]{{0,2}}\d(?:[\s.{_DASH}/]{{0,2}}\d){{21}}(?!\d)"),
        (Kind.IBAN, rf"[a-z]{{2}}\d\d(?:{_S}?\d){{10,28}}(?!\d)"),
        (Kind.IBAN, r"(?<![a-z0-9])[a-z]{2}\d\d(?=[a-z]{0,8}\d)[a-z0-9]{11,30}(?![a-z0-9])"),
        (Kind.IBAN, rf"(?<!\d)\d{{4}}{_S}?\d{{4}}{_S}?\d\d{_S}?\d{{10}}(?!\d)"),
        (Kind.POLICY, ""),  # keeps the rank: policies are found by `_policies`
        (
            Kind.PHONE,
            rf"(?<!\d)(?!{_DATE})(?:(?:\(?\+|00)? ?\(?34\)?[ \t.()/{_DASH}]{{0,3}})?"
            rf"[6-9](?:[ \t.()/{_DASH}]{{0,2}}\d){{8}}(?!\d)",
        ),
        (
            Kind.PHONE,
            rf"(?<!\d)00 ?(?:[2-9]\d\d?{_S}{{1,2}}\(?\d(?:[ \t.()/{_DASH}]{{0,2}}\d){{7,11}}"
            rf"|1{_S}{{1,2}}\(?\d(?:[ \t.()/{_DASH}]{{0,2}}\d){{9}})(?!\d)",
        ),
        (
            Kind.PHONE,
            r"(?<!\d)(?<!\d_)[6-9]\d\d(?:(?P<s>[·_])\d{3}(?P=s)\d{3}|(?P<t>[·_])\d\d(?P=t)\d\d(?P=t)\d\d)(?!_?\d)",
        ),
        (Kind.PHONE, rf"(?<!\d)(?<!\d[ .,])[6-9]\d\d(?:{_BROKEN})(?![ .,]?\d)"),
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
        (Kind.POLICY, ""),  # the rank of unclear ones: what is something else besides stays that
        (Kind.NUMBER, r"\d{7,}"),
    )
)
RANK = {kind: rank for rank, (kind, _) in reversed(list(enumerate(_PATTERNS)))} | {Kind.PERSON: len(_PATTERNS)}
"""Of the first pattern of each kind: the most specific and the longest come first."""
_UNCLEAR_RANK = max(rank for rank, (kind, _) in enumerate(_PATTERNS) if kind is Kind.POLICY)


class UnclearPolicy(str):
    """What was written where a policy number would be, in a form that is not understood: only for a person's eyes."""

    __slots__ = ()


class _Named(NamedTuple):
    """`text[start:end]` is named as a policy number; `clear`: and understood."""

    start: int
    end: int
    clear: bool


def _policies(text: str) -> Iterator[_Named]:
    """Each policy number, not the word before; `y 12345679` after one with as many digits is another."""
    for match in _POLICY.finditer(text):
        if match.lastgroup is None:
            yield from _policy_before(text, match)
            continue
        found: re.Match[str] | None = match
        digits, least = 0, _LEAST_DIGITS
        while found and found.lastgroup:
            start, end = found.span(found.lastgroup)
            count = _digits(text[start:end])
            if found.lastgroup == "v" and 6 <= count <= 12 and digits in (0, count):
                digits = count
                yield _Named(start, end, clear=True)
            elif (
                least <= count < _ACCOUNT_DIGITS
                and _MAY_BE_POLICY.match(text, start)
                and not _is_document(text[start:end])
            ):
                yield _Named(start, end, clear=False)
            else:
                break
            found, least = _POLICY_MORE.match(text, end), _LEAST_MORE


def _policy_before(text: str, word: re.Match[str]) -> Iterator[_Named]:
    """The number before a word that no number follows."""
    found = _POLICY_BEFORE.search(text, max(0, word.start() - _BEFORE_CHARS), word.start())
    if not found or (word.end() < len(text) and text[word.end()].isalpha()):
        return
    start, end = found.span("v")
    counts_policies = not found["link"].strip() and word[0][-1] in "sS"  # `123456 pólizas`
    if (
        6 <= _digits(found["v"]) <= 12
        and not counts_policies
        and not _OF_ANOTHER.search(text, max(0, start - _BEFORE_CHARS), start)
    ):
        yield _Named(start, end, clear=False)


def _digits(text: str) -> int:
    return sum(c.isdigit() for c in text)


def _is_document(written: str) -> bool:
    """A NIF or NIE whose letter is right: somebody's document rather than a policy with a letter."""
    bare = re.sub(r"\W", "", written).upper()
    if not re.fullmatch(r"(?:\d|[XYZ])\d{7}[A-Z]", bare):
        return False
    number = int(str("XYZ".find(bare[0])) + bare[1:8] if bare[0] in "XYZ" else bare[:8])
    return _NIF_LETTERS[number % len(_NIF_LETTERS)] == bare[8]


def policy_numbers(*texts: str) -> list[str]:
    """Each policy number that the texts name as such, once: its digits (`POL-1234 5678`, `póliza nº 12345678`) or,
    with letters or a year, as it was first written, in capitals (`póliza AB-1234567`, `póliza 2024/0012345`).

    Six to twelve digits. Dates, amounts, tickets and numbers with a NIF's letter behind are not taken for one.
    """
    return list(_written(texts, clear=True).values())


def unclear_policies(*texts: str) -> list[UnclearPolicy]:
    """What the texts seem to name as a policy number, each once, in other forms than those of `policy_numbers`."""
    known = _written(texts, clear=True)
    return [UnclearPolicy(written) for bare, written in _written(texts, clear=False).items() if bare not in known]


def _written(texts: Iterable[str], *, clear: bool) -> dict[str, str]:
    """How each was first written, by its letters and digits alone."""
    found: dict[str, str] = {}
    for text in map(clean, texts):
        for named in _policies(text):
            if named.clear is clear:
                written = re.sub(rf"[{_DASH}]", "-", text[named.start : named.end].upper())
                bare = re.sub(r"[\W_]", "", written)
                found.setdefault(bare, bare if re.fullmatch(rf"\d+|{_GROUPED}", written) else written)
    return found


def spans(text: str) -> Iterator[Span]:
    """Everything in a clean text that looks personal, overlaps included."""
    for start, end, clear in _policies(text):
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
