"""Text with one writing per character, and the pieces that patterns over such text are made of."""

import re
import unicodedata

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


# Pieces of patterns: a hyphen or dash within a class, what may stand between digits, a letter, a date with its year.
DASH = r"\-\u2010-\u2015\u2212"
SPACED = rf"[ \t.{DASH}]"
LETTER = r"[^\W\d_]"
DATE = (
    rf"(?:\d{{1,2}}[ ./{DASH}]\d{{1,2}}[ ./{DASH}](?:19|20)\d\d(?!\d)"
    rf"|(?:19|20)\d\d[ ./{DASH}]\d{{1,2}}[ ./{DASH}]\d{{1,2}}(?!\d))"
)
