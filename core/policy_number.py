"""Policy numbers in a text: those that are understood, and whatever else stands where one would."""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from core.characters import DASH, DATE, LETTER, SPACED, clean

_MOMENT = (
    rf"(?:{DATE}|(?:0?[1-9]|[12]\d|3[01])[./{DASH}](?:0?[1-9]|1[0-2])[./{DASH}]\d\d(?!\d|[./{DASH}]?\d{{3}})"
    rf"|(?:(?:19|20)\d\d|\d\d?)[/{DASH}](?:19|20)\d\d(?!\d|[./{DASH}]\d{{3}})"
    rf"|(?:19|20)\d\d[/{DASH}]\d\d?(?!\d|[./{DASH}]\d{{3}}))"
)
"""A date, with two digits of its year too, or a period: `15/01/24`, `12/2024`, `2024/2025`, `2024-10`."""
_POLICY_WORD = rf"(?<!{LETTER})(?:p\S?lizas?|polic(?:y|ies)|p[oó]l|plz)"
"""OCR loses or mistakes the accented letter: `pliza`, `p@liza`."""
LINK_WORDS = (
    r"n[uú]?m(?:ero)?s?|n[.º°ªo]{0,2}|con|del?|la|el|los|las|es|son|ref(?:erencia)?|clientes?|asegurad[oa]|tomador"
    r"|seguro|hogar|autos?|coche|moto|vida|salud|decesos|comercio|comunidad(?:es)?|multirriesgo|accidentes"
    r"|number|id|is"
)
_LINK = rf"(?:\s{{0,3}}(?:(?:{LINK_WORDS})(?!{LETTER})|[:#=._/(\[<«\"'{DASH}]|(?<!\*)\*\*?(?!\*))){{0,8}}\s{{0,3}}"
_CURRENCY = r"\s{0,2}(?:€|eur|[$£%]|usd)"
_NO_AMOUNT = rf"(?!,\d{{1,3}}(?!\d))(?!{_CURRENCY})"
_NO_VALUE = rf"(?!{_MOMENT})(?!\d{{1,3}}(?: \d{{3}})+(?:,\d\d)?{_CURRENCY})"
_NO_TAIL = rf"(?![\d_]|\*{{3}})(?![.{DASH}]\d)(?![.{DASH}]?{LETTER}(?!{LETTER}))(?!{LETTER}){_NO_AMOUNT}"
TICKETS = r"INC|INCIDENCIA|REQ|RITM|CHG|PRB|SR|TCK|TICKET|TASK|CASO|EXP|SIN|REC|POL|PET|WO"
_PHONE_FORM = (
    rf"(?:(?:\+|00) ?34[ .{DASH}]?)?(?:[6-9]\d{{8}}|[6-9]\d\d \d{{6}}"
    rf"|9\d[ .{DASH}]\d{{3}}[ .{DASH}]\d\d[ .{DASH}]\d\d|"
    + "|".join(rf"[6-9]\d\d{s}(?:\d{{3}}{s}\d{{3}}|\d\d{s}\d\d{s}\d\d)" for s in (" ", r"\.", f"[{DASH}]"))
    + rf")(?!\d|[./{DASH}]\w)"
)
"""A phone as phones are grouped: other nine digits may be a policy's."""
_DOCUMENTS = r"dni|nif|nie|cif|tel|tlf|tfno|fax|eur|usd|iva"
_GROUPED = rf"\d{{2,4}}(?:[ .{DASH}]\d{{2,4}}){{1,5}}"
_YEARED = rf"(?:19|20)\d\d[/{DASH}]\d{{5,8}}|\d{{1,4}}/\d{{5,8}}"
"""`2024/0012345`, `030/1234567`: five digits or more behind, so that `2024/2025` and `12/2024` stay what they are."""
_LETTERED = (
    rf"(?<!{LETTER})(?!(?:{TICKETS}|{_DOCUMENTS})(?!{LETTER}))"
    rf"[a-z]{{2,4}}[/.{DASH}]?(?:(?:19|20)\d\d[/.{DASH}]\d{{4,8}}|\d{{6,10}})"
)
"""`AB-1234567`, `HG/2024/00123`. One letter alone would be a company's or a foreigner's document."""
_CODES = rf"{TICKETS}|ora|tns|pls|sql|http|err(?:or)?|c[oó]d(?:igo)?|code|em|kb|cve|cp|ip"
"""What stands before a number that is a ticket's, an error's or an address's."""
_NO_POLICY = (
    rf"{_NO_VALUE}(?!{_PHONE_FORM})(?!0x|(?:{_CODES}|{_DOCUMENTS})(?!{LETTER}))"
    rf"(?!\d{{1,3}}(?:\.\d{{3}})+(?![\d/{DASH}]|\.\w))(?![a-z]{{2}}\d\d(?:{SPACED}?\d){{10}})"
)
_RUN = (
    rf"(?>(?:(?=\d)|(?<!{LETTER}))(?:{LETTER}{{1,6}}[./_{DASH}]){{0,2}}{LETTER}{{0,6}}"
    rf"\d[^\W_]*(?:[./_{DASH}](?:{LETTER}{{0,6}}\d[^\W_]*|{LETTER}{{1,3}}(?!{LETTER})))*"
    rf"(?:[ ]\d++(?![^\W\d_]|[.,:/{DASH}]\d){_NO_AMOUNT}){{0,5}})(?!@){_NO_AMOUNT}"
)
"""Whatever stands where a policy number would: `030-123456`, `H-123456`, `0012 345678`, `12345678-1`."""
_POLICY = re.compile(
    rf"{_POLICY_WORD}(?:{_LINK}(?:{_NO_VALUE}(?P<v>{_YEARED}|\d{{6,12}}|(?!{_PHONE_FORM}){_GROUPED}|{_LETTERED}){_NO_TAIL}"
    rf"|\*{{0,12}}{_NO_POLICY}(?P<unclear>(?:(?<!{LETTER})(?-i:[A-Z]{{1,3}})[ ](?=\d){_NO_POLICY})?{_RUN})))?",
    re.I,
)
_POLICY_MORE = re.compile(
    rf"\s{{0,2}}(?:[,;/+&]|\b[yeo]\b)\s{{0,2}}{_NO_VALUE}(?P<v>{_YEARED}|\d{{6,12}}|{_LETTERED}){_NO_TAIL}"
    rf"|(?![^\W_])[*]{{0,2}}\s{{0,3}}(?:(?:[,;/+&*•{DASH}]|\b(?:[yeou]|and|or)\b)\s{{0,3}})?[*]{{0,2}}"
    rf"(?:(?:las?|n[.ºo]{{1,2}}|n[uú]m(?:ero)?)\s{{1,2}})?{_NO_POLICY}(?P<unclear>{_RUN})",
    re.I,
)
_POLICY_BEFORE = re.compile(
    rf"(?<![\w./{DASH}])(?<!\d[ ])(?P<v>{_NO_POLICY}(?:{_YEARED}|{_LETTERED}|\d++(?:[ ./{DASH}]\d++)*+))"
    rf"(?P<link>[ \t*»\"']{{0,3}}[(\[,:={DASH}]?[ \t*«\"']{{0,3}}"
    r"(?:(?:es|is|como|as|del?|of|el|las?|mi|my|tu|su|the|n[uú]m(?:ero)?|n[.ºo]{1,2}|number)[ \t]{1,2}){0,4})\Z",
    re.I,
)
"""`la 12345678 (póliza de hogar)`, `el número 654321 de póliza`: what stands before the word."""
_BEFORE_CHARS = 60
_OF_ANOTHER = re.compile(
    rf"(?<!{LETTER})(?:recib|siniestr|expedient|factur|error|c[oó]dig|incidenci|ticket|tarea|caso|tel|tlf|tfno|m[oó]vil"
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
RUN = re.compile(rf"(?<![\w./{DASH}]){_RUN}", re.I)
"""Letters and digits in any form: a policy number only where they are one that was named."""
POLICY_LIKE = re.compile(rf"(?<![\w/])(?:{_YEARED}|\d{{6}}|{_LETTERED})(?!\d)(?!{LETTER})", re.I)
"""What is a policy number only if the incident names it as one somewhere else."""


class UnclearPolicy(str):
    """What was written where a policy number would be, in a form that is not understood: only for a person's eyes."""

    __slots__ = ()


class Named(NamedTuple):
    """`text[start:end]` is named as a policy number; `clear`: and understood."""

    start: int
    end: int
    clear: bool


def policies(text: str) -> Iterator[Named]:
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
                yield Named(start, end, clear=True)
            elif (
                least <= count < _ACCOUNT_DIGITS
                and _MAY_BE_POLICY.match(text, start)
                and not _is_document(text[start:end])
            ):
                yield Named(start, end, clear=False)
            else:
                break
            found, least = _POLICY_MORE.match(text, end), _LEAST_MORE


def _policy_before(text: str, word: re.Match[str]) -> Iterator[Named]:
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
        yield Named(start, end, clear=False)


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
        for named in policies(text):
            if named.clear is clear:
                written = re.sub(rf"[{DASH}]", "-", text[named.start : named.end].upper())
                bare = re.sub(r"[\W_]", "", written)
                found.setdefault(bare, bare if re.fullmatch(rf"\d+|{_GROUPED}", written) else written)
    return found
