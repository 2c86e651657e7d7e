"""Incident text that gives orders to the machine: it is never acted on."""

import re

from core.catalogue import normalised

_ORDERS = re.compile(
    r"(?:ignor|olvid|descart|omit|desobede|salt)\w*\b.{0,30}\b(?:instruccion|indicacion|orden|regla|norma|directri)"
    r"|(?:ignore|disregard|forget|override)\b.{0,30}\b(?:instruction|rule|prompt|previous|above)"
    r"|\b(?:system|assistant|developer|sistema|asistente)\s*(?:prompt|message|:)\s*(?:eres|you|ignora|responde|debes)?"
    r"(?=.{0,80}\b(?:responde|aprueba|cierra|answer|approve|close|ejecuta)\b)"
    r"|\b(?:responde|contesta|di|answer|reply)\b.{0,25}(?:siempre|solo|unicamente|only|always).{0,12}\b(?:si|yes|approved)\b"
    r"|\bmodo\s+(?:administrador|desarrollador|dios)\b|\b(?:developer|admin|god)\s+mode\b"
    r"|\b(?:eres|actua\s+como|you\s+are\s+now|act\s+as)\b.{0,40}\b(?:asistente|modelo|ia|inteligencia|llm|bot|assistant|ai)\b"
    r"|\b(?:aprueba|apruebe|approve)\b.{0,40}\b(?:propuesta|solucion|accion|incidencia|ticket|proposal)\b.{0,40}"
    r"\b(?:100|automatic\w*|sin\s+(?:revis|comprob|pregunt)\w*)"
    r"|</?(?:incidencia|problema|candidato|system|instrucciones?)>|<\|(?:im_start|im_end|system)\|?>|\[/?inst\]"
)


def gives_orders(text: str) -> bool:
    """Whether the text speaks to the machine instead of about a problem. Doubt goes to a person: that costs little."""
    return bool(_ORDERS.search(normalised(text)))
