"""An invented IVR: its menus, how callers walk through them, and the faults planted in it. All words our own."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.calls.pattern import Attribute, Condition

SEGMENTS = ("particular", "premium", "pyme", "mutualista")
_SEGMENT_SHARES = (0.55, 0.15, 0.18, 0.12)
TYPES = ("consulta", "pago", "siniestro", "asistencia", "contratacion")
ERRORS = ("ERROR_API_TIMEOUT", "ERROR_AUTENTICACION", "ERROR_PASARELA_PAGO", "ERROR_503", "ERROR_DATOS", "ERROR_COLA")

_OPENINGS = (("Inicio", "Bienvenida", "Menú principal"), ("Inicio", "Aviso de grabación", "Menú principal"))
_IDENTIFY = ("Identificación por voz", "Identificación por teclado", "Identificación por móvil")
_RETRY = "Repetir identificación"
_BRANCHES = {
    "consulta": ("Menú consultas", (
        "Estado del recibo", "Coberturas de la póliza", "Datos personales", "Duplicado de póliza",
        "Certificado fiscal", "Oficina más cercana", "Fecha de vencimiento",
    )),
    "pago": ("Menú pagos", (
        "Selección de recibo", "Validación de tarjeta", "Autorización del banco", "Fraccionar pago",
        "Cambio de cuenta", "Justificante de pago",
    )),
    "siniestro": ("Menú siniestros", (
        "Parte de hogar", "Parte de auto", "Estado del siniestro", "Asignación de perito", "Envío de fotos",
        "Cita con el taller",
    )),
    "asistencia": ("Menú asistencia", (
        "Localización del vehículo", "Grúa en camino", "Vehículo de sustitución", "Urgencia de hogar",
        "Confirmar dirección", "Médico a domicilio",
    )),
    "contratacion": ("Menú contratación", (
        "Simulador de precio", "Oferta combinada", "Firma por SMS", "Comprobación de riesgos", "Alta de asegurado",
    )),
}  # fmt: skip
_MORE = (0.45, 0.45, 0.1)
"""That a caller goes on from the first option to none, one or two more."""
_SKIPS = 0.3
"""That it is the next option but one: a menu is a tree that is walked forwards, not a bag of options in any order."""
_CLOSINGS = ("Encuesta", "Despedida", "Transferir a un agente")
_HOURS = np.array([1, 1, 1, 1, 1, 2, 3, 6, 12, 16, 18, 17, 15, 12, 9, 11, 14, 15, 13, 10, 7, 4, 3, 2], float)


@dataclass(frozen=True)
class Planted:
    """A fault: calls that meet `condition` fail with probability `rate`; `code` is its most usual error."""

    condition: Condition
    lift: float
    rate: float
    code: str


@dataclass(frozen=True)
class Walk:
    """One caller's way before anything fails."""

    steps: tuple[str, ...]
    kind: str


def walks(rng: np.random.Generator, count: int) -> list[Walk]:
    """`count` ways through the menus."""
    kinds = rng.choice(len(TYPES), count, p=(0.3, 0.22, 0.2, 0.16, 0.12))
    return [_walk(rng, TYPES[kind]) for kind in kinds]


def _walk(rng: np.random.Generator, kind: str) -> Walk:
    menu, options = _BRANCHES[kind]
    steps = list(_OPENINGS[int(rng.random() < 0.3)])
    if rng.random() < 0.8:
        steps.append(_IDENTIFY[int(rng.choice(3, p=(0.5, 0.35, 0.15)))])
        if rng.random() < 0.12:
            steps += [_RETRY, _IDENTIFY[1]]
    steps.append(menu)
    shares = 1 / np.arange(1, len(options) + 1)
    at, more = int(rng.choice(len(options), p=shares / shares.sum())), int(rng.choice(3, p=_MORE))
    steps.append(options[at])
    for _ in range(more):
        at += 1 + int(rng.random() < _SKIPS)
        if at < len(options):
            steps.append(options[at])
    if rng.random() < 0.08:  # changes its mind: another menu's first options
        other = TYPES[int(rng.integers(len(TYPES)))]
        steps += ["Menú principal", _BRANCHES[other][0], _BRANCHES[other][1][int(rng.random() < 0.3)]]
    steps.append(_CLOSINGS[int(rng.choice(3, p=(0.4, 0.4, 0.2)))])
    return Walk(tuple(steps), kind)


def attributes(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """(count,) positions in `SEGMENTS`, and hours 0–23."""
    segments = rng.choice(len(SEGMENTS), count, p=_SEGMENT_SHARES)
    return segments, rng.choice(24, count, p=_HOURS / _HOURS.sum())


def possible_faults(calls: Sequence[Walk]) -> list[Condition]:
    """Conditions that a fault could be planted under: steps, transitions, sub-sequences with a gap, and steps within a
    segment, a type of call or four hours of the day."""
    inner = sorted({step for walk in calls for step in walk.steps} - {"Inicio", "Menú principal", *_CLOSINGS})
    pairs = sorted({pair for walk in calls for pair in zip(walk.steps, walk.steps[1:], strict=False)})
    found = [Condition((step,)) for step in inner]
    found += [Condition(pair, contiguous=True) for pair in pairs if set(pair) <= set(inner)]
    apart = {
        (a, b)
        for walk in calls
        for i, a in enumerate(walk.steps)
        for b in walk.steps[i + 2 :]
        if a != b and a in inner and b in inner
    }
    found += [Condition(pair) for pair in sorted(apart)]
    for step in inner:
        found += [Condition((step,), attribute=Attribute.SEGMENT, values=(name,)) for name in SEGMENTS]
        found += [Condition((step,), attribute=Attribute.TYPE, values=(name,)) for name in TYPES]
        for start in range(8, 20, 4):
            hours = tuple(f"{hour:02d}" for hour in range(start, start + 4))
            found.append(Condition((step,), attribute=Attribute.HOUR, values=hours))
    return found
