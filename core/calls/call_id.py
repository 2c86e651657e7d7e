"""A call's id as it is kept and shown: many telephone systems make it out of the caller's number."""

import hashlib

from core.characters import clean
from core.identifiers import Kind, resolve, spans

_SERIAL = frozenset({Kind.NUMBER, Kind.CARD, Kind.IBAN})
"""What a serial number, a date with a counter or a UUID is taken for: hidden in a text, here it is the call's name."""
_FEWEST_DIGITS = 5
"""A policy number has so many at least."""
_LETTERS = str.maketrans("0123456789", "ghijklmnop")


def shown_id(call_id: str) -> str:
    """`call_id`, or where a telephone, an e-mail, an identity document or a policy is in it, a token for it.

    A token is its own token, so that a call is found by the one as by the other. It keeps the id from being read, not
    from being guessed: who knows a number can work out its token.
    """
    # For speed alone: looking for what is personal takes as long as all else of a row, and all has digits or an @.
    if "@" not in call_id and sum(map(str.isdigit, call_id)) < _FEWEST_DIGITS:
        return call_id
    text = clean(call_id)
    if all(span.kind in _SERIAL for span in resolve(text, spans(text))):
        return call_id
    digest = hashlib.sha256(call_id.encode()).hexdigest()[:12]
    return "c-" + digest.translate(_LETTERS)  # without digits, which would be taken for a number again
