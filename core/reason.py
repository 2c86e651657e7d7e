"""Why an incident ended as it did: one code per cause, with the words a person reads."""

from enum import StrEnum


class Reason(StrEnum):
    """A reason code; `.text` is its sentence in Spanish. Codes are counted in every report."""

    text: str

    def __new__(cls, code: str, text: str) -> "Reason":
        member = str.__new__(cls, code)
        member._value_ = code
        member.text = text
        return member

    APPROVED = "APPROVED", "aprobada por el crítico"
    # Not ours to touch.
    NOT_OPEN = "NOT_OPEN", "la incidencia no está abierta"
    WAITING = "WAITING", "la incidencia ya está en espera"
    WORKED_BY_PERSON = "WORKED_BY_PERSON", "una persona la está trabajando"
    TOUCHED_MEANWHILE = "TOUCHED_MEANWHILE", "alguien la cambió mientras se decidía"
    OTHER_MAILBOX = "OTHER_MAILBOX", "está en un buzón que no es de los nuestros"
    OPENED_BY_BOT = "OPENED_BY_BOT", "la abrió un proceso automático"
    # Decided, but not to be done without a person.
    NEEDS_APPROVAL = "NEEDS_APPROVAL", "la política pide que una persona la apruebe"
    TOO_SEVERE = "TOO_SEVERE", "su prioridad supera el límite de la política, o no se conoce: espera a que se apruebe"
    CAPPED = "CAPPED", "se ha llegado al tope de acciones automáticas de la última hora: espera a que se apruebe"
    PAUSED = "PAUSED", "el sistema está en pausa: espera a que se apruebe"
    POLICY_MANUAL = "POLICY_MANUAL", "la política reserva ese tipo de acción a una persona"
    REOPENED = "REOPENED", "se reabrió después de cerrarla con esa misma fila"
    PROPOSAL_REJECTED = "PROPOSAL_REJECTED", "una persona rechazó esa misma propuesta"
    UNDONE = "UNDONE", "una persona deshizo esa misma acción"
    ROW_DENIED = "ROW_DENIED", "una persona dijo que esa no es su solución"
    # What came in cannot be judged.
    EMPTY_TEXT = "EMPTY_TEXT", "la incidencia no tiene texto"
    TEXT_TOO_LONG = "TEXT_TOO_LONG", "el texto es demasiado largo para juzgarlo entero"
    ATTACHMENT_UNREADABLE = "ATTACHMENT_UNREADABLE", "hay un adjunto que no se ha podido leer"
    SUSPICIOUS_TEXT = "SUSPICIOUS_TEXT", "el texto intenta dar órdenes al sistema"
    INCIDENT_INVALID = "INCIDENT_INVALID", "la mesa ha enviado una incidencia con datos no válidos"
    # What was found is not sure enough.
    NO_CANDIDATE = "NO_CANDIDATE", "ningún problema conocido se le parece"
    NONE_CHOSEN = "NONE_CHOSEN", "ninguno de los problemas parecidos es el mismo"
    BELOW_THRESHOLD = "BELOW_THRESHOLD", "la aprobación no llega al umbral"
    RIVAL_CANDIDATE = "RIVAL_CANDIDATE", "dos problemas con soluciones distintas encajan casi igual"
    JUDGE_DISAGREES = "JUDGE_DISAGREES", "la búsqueda y el modelo señalan problemas distintos"
    CRITIC_REJECTED = "CRITIC_REJECTED", "el crítico no aprueba la propuesta"
    ALREADY_TRIED = "ALREADY_TRIED", "esa solución ya se probó"
    OTHER_COMPONENT = "OTHER_COMPONENT", "la incidencia dice ser de otro componente"
    ALREADY_THERE = "ALREADY_THERE", "ya está en el buzón al que se reasignaría"
    SENT_BACK = "SENT_BACK", "ya pasó por el buzón al que se reasignaría"
    FIX_OVERDUE = "FIX_OVERDUE", "la fecha prevista de la corrección ya ha pasado"
    ENTRY_CHANGED = "ENTRY_CHANGED", "la fila del catálogo ha cambiado mientras se decidía"
    MANUAL_ENTRY = "MANUAL_ENTRY", "el catálogo la reserva a una persona"
    # What should be done cannot be.
    SOLUTION_WITHHELD = (
        "SOLUTION_WITHHELD",
        "la solución lleva un dato personal y ya no está igual en el catálogo (ejecute `python batch.py`)",
    )
    SOLUTION_INCOMPLETE = "SOLUTION_INCOMPLETE", "la solución del catálogo tiene huecos sin rellenar"
    MISSING_POLICY = "MISSING_POLICY", "falta el número de póliza"
    UNKNOWN_POLICY = "UNKNOWN_POLICY", "el sistema no conoce esa póliza"
    AMBIGUOUS_POLICY = "AMBIGUOUS_POLICY", "hay más de un número de póliza, o uno que no se entiende"
    UNKNOWN_SYSTEM = "UNKNOWN_SYSTEM", "el catálogo llama a un sistema que no se conoce"
    UNKNOWN_MAILBOX = "UNKNOWN_MAILBOX", "el buzón de destino no está en el catálogo"
    SYSTEM_UNAVAILABLE = "SYSTEM_UNAVAILABLE", "el sistema no responde"
    SYSTEM_ANSWER_INVALID = "SYSTEM_ANSWER_INVALID", "el sistema ha respondido algo que no se puede llevar a cabo"
    DESK_UNAVAILABLE = "DESK_UNAVAILABLE", "la mesa de incidencias no responde"
    DESK_REFUSED = "DESK_REFUSED", "la mesa ha rechazado el cambio"
    NOT_CONFIRMED = "NOT_CONFIRMED", "la mesa no confirma el cambio"
    # The machinery failed; nothing was done.
    MODEL_UNAVAILABLE = "MODEL_UNAVAILABLE", "el modelo no responde"
    MODEL_TIMEOUT = "MODEL_TIMEOUT", "el modelo ha tardado demasiado"
    MODEL_UNPARSEABLE = "MODEL_UNPARSEABLE", "la respuesta del modelo no se puede leer"
    MODEL_NO_LOGPROBS = "MODEL_NO_LOGPROBS", "el modelo no da la probabilidad de su respuesta"
    PROMPT_TOO_LONG = "PROMPT_TOO_LONG", "el texto no cabe en el modelo"
    KNOWLEDGE_UNAVAILABLE = "KNOWLEDGE_UNAVAILABLE", "la base de conocimiento no responde"
    STATE_CHANGED = "STATE_CHANGED", "algo cambió mientras estaba a medias: se trabaja desde el principio"
    REPEATED_CRASH = "REPEATED_CRASH", "el proceso se ha caído varias veces al trabajarla"
    INTERNAL_ERROR = "INTERNAL_ERROR", "error interno (véase el registro)"
    INTERRUPTED = "INTERRUPTED", "la ejecución se detuvo antes de llegar a ella"
