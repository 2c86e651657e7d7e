"""Names of the people of an incident, found in its texts: a name known beforehand needs no model to be found."""

import re
from collections.abc import Iterable, Iterator

from core.characters import clean
from core.identifiers import RANK, Kind, Span

_FOLD = str.maketrans(
    "ÁÀÄÂÃÅÉÈËÊÍÌÏÎÓÒÖÔÕÚÙÜÛÑÇáàäâãåéèëêíìïîóòöôõúùüûñç",
    "AAAAAAEEEEIIIIOOOOOUUUUNCaaaaaaeeeeiiiiooooouuuunc",
)
_PARTICLES = frozenset({"de", "del", "la", "las", "los", "el", "y", "i", "da", "do", "dos", "van", "von", "san"})
_NOBODY = frozenset(
    "admin administrador administracion agencia app area atencion automatico batch buzon cliente clientes "
    "correduria departamento desconocido equipo gestor grupo interno mantenimiento mediador mesa nivel oficina "
    "operador portal proceso produccion robot servicio sistema sistemas soporte spai sucursal tecnico usuario "
    "web".split()
)


def folded_words(name: str) -> list[str]:
    """The words of a name without case or accents."""
    return re.findall(r"[\w.@\-]*\w", clean(name).translate(_FOLD).lower())


def _telling_words(name: str) -> list[str]:
    """The words that name somebody: no particles, no initials; none at all for a desk, a team or a process."""
    words = [w for w in folded_words(name) if w not in _PARTICLES and len(w) > 1]
    return [] if any(w in _NOBODY or w.isdigit() for w in words) else words


def name_patterns(requester: str, authors: Iterable[str] = ()) -> list[re.Pattern[str]]:
    """For `find_people`. An author of one word (a login, a tool) is no name; a requester of one word is."""
    names = [requester, *(author for author in authors if len(_telling_words(author)) > 1)]
    return [_pattern(words) for name in dict.fromkeys(names) if (words := _telling_words(name))]


def _pattern(words: list[str]) -> re.Pattern[str]:
    """Any two words of the name together (`Ana Ruiz`, `RUIZ, ANA`, `Ana de la Ruiz`); the word itself if only one."""
    word = "|".join(re.escape(w) for w in sorted(set(words), key=len, reverse=True))
    if len(set(words)) == 1:
        return re.compile(rf"(?<!\w)(?:{word})(?!\w)", re.I)
    joint = rf"[\s,.\-]{{1,3}}(?:(?:{'|'.join(sorted(_PARTICLES))}|[a-z])\.?\s{{1,3}}){{0,2}}"
    return re.compile(rf"(?<!\w)(?:{word})(?:{joint}(?:{word})){{1,6}}(?!\w)", re.I)


def find_people(text: str, patterns: Iterable[re.Pattern[str]]) -> Iterator[Span]:
    """Where the names stand in a clean text, whatever its case and accents."""
    folded = text.translate(_FOLD)
    for pattern in patterns:
        for match in pattern.finditer(folded):
            yield Span(RANK[Kind.PERSON], *match.span(), Kind.PERSON)
