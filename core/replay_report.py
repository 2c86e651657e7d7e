"""What a replay of closed incidents shows: the report file and the figures over it, in the contract's words."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from core.closed import Skip
from core.ending import Did
from core.files import write_fresh
from core.replay import Cases, Match, Replayed
from core.report import IncidentResult, Result, summarise
from core.spread import share

CAUTION = (
    "Lo que hicieron las personas es una acción, no una fila del catálogo: cerrarla igual no demuestra que la solución "
    "fuera la misma, y hacer otra cosa no demuestra que la nuestra estuviera mal. Solo «fila_correcta» y "
    "«fila_equivocada» son seguras: alguien dijo cuál era la fila. Título, descripción y prioridad son los que la mesa "
    "tiene ahora."
)


@dataclass(frozen=True)
class Told:
    """A disagreement's texts, without personal data: for the person who looks at it."""

    title: str
    note: str
    """What people wrote at the end."""


@dataclass(frozen=True)
class ReplayRun:
    """The run itself."""

    id: str
    version: str
    started: datetime
    months: int
    since: datetime
    listed: int
    """Closed incidents that the desk has."""
    left: int
    """Not got to."""
    facts: dict[str, Any]


def disagreements(replayed: Iterable[Replayed]) -> list[Replayed]:
    """What to look at first: the highest approval first, at equal approval what is wrong for certain."""
    found = [item for item in replayed if item.match.disagrees]
    return sorted(
        found,
        key=lambda item: (-(item.result.aprobacion or 0), item.match is not Match.WRONG_ROW, item.result.codIncidencia),
    )


def figures(replayed: Sequence[Replayed], cases: Cases, run: ReplayRun) -> dict[str, Any]:
    """The section `historico` of the report. Proposals count apart: a person would have had the last word."""
    acted = [item for item in replayed if item.result.resultado is Result.AUTOMATIC]
    proposed = [item for item in replayed if item.result.resultado is Result.PROPOSED]
    solvable = [item for item in replayed if item.case.known.right]
    return {
        "meses": run.months,
        "desde": run.since.isoformat(timespec="seconds"),
        "cerradas_en_la_mesa": run.listed,
        "omitidas": dict(Counter(why.value for _, why in cases.skipped).most_common()),
        "decididas": len(replayed),
        "sin_empezar": run.left,
        "automaticas": len(acted),
        "cobertura": share(len(acted), len(replayed)),
        "tienen_fila": {
            "incidencias": len(solvable),
            "resueltas": sum(item in acted and item.match is Match.RIGHT_ROW for item in solvable),
        },
        **_agreement(acted),
        "propuestas": {"cuantas": len(proposed), **_agreement(proposed)},
        "cierres": _closings(acted),
        "hicieron_las_personas": dict(Counter(_did(item) for item in replayed).most_common()),
        "por_tipo": _by(acted, lambda item: item.result.tipo),
        "por_fila": _by(acted, lambda item: item.result.fila or ""),
    }


def _agreement(items: Sequence[Replayed]) -> dict[str, Any]:
    count = Counter(item.match for item in items)
    sure = count[Match.RIGHT_ROW] + count[Match.WRONG_ROW]
    by_action = count[Match.SAME_ACTION] + count[Match.OTHER_ACTION]
    agree = count[Match.RIGHT_ROW] + count[Match.SAME_ACTION]
    return {
        "con_fila_conocida": {
            "comparadas": sure,
            "correctas": count[Match.RIGHT_ROW],
            "equivocadas": count[Match.WRONG_ROW],
        },
        "solo_por_accion": {
            "comparadas": by_action,
            "iguales": count[Match.SAME_ACTION],
            "distintas": count[Match.OTHER_ACTION],
        },
        "sin_comparar": count[Match.UNKNOWN],
        "acuerdo": share(agree, sure + by_action),
    }


def _closings(acted: Sequence[Replayed]) -> dict[str, int]:
    """Of what we would have closed: wrong for certain, probably wrong (people did not just close it), not known."""
    count = Counter(item.match for item in acted if item.result.tipo == Did.CLOSED)
    return {
        "cuantos": count.total(),
        "erroneos": count[Match.WRONG_ROW],
        "quiza_erroneos": count[Match.OTHER_ACTION],
        "correctos": count[Match.RIGHT_ROW],
        "cerrados_tambien_por_personas": count[Match.SAME_ACTION],
    }


def _by(acted: Sequence[Replayed], key: Callable[[Replayed], str]) -> list[dict[str, Any]]:
    groups: dict[str, list[Replayed]] = {}
    for item in acted:
        groups.setdefault(key(item), []).append(item)
    return [
        {
            "clave": name,
            "descripcion_fila": group[0].result.descripcion_fila if name == group[0].result.fila else None,
            "automaticas": len(group),
            "coinciden": sum(item.match.agrees for item in group),
            "discrepan": sum(item.match.disagrees for item in group),
            "sin_comparar": sum(item.match is Match.UNKNOWN for item in group),
        }
        for name, group in sorted(groups.items(), key=_worst_first)
    ]


def _worst_first(group: tuple[str, list[Replayed]]) -> tuple[int, int, str]:
    name, items = group
    return -sum(item.match.disagrees for item in items), -len(items), name


def _did(item: Replayed) -> str:
    return item.case.ending.did.value if item.case.ending else "no consta"


def write_replay(
    replayed: Sequence[Replayed],
    cases: Cases,
    run: ReplayRun,
    reports: Path,
    told: Callable[[Replayed], Told],
) -> tuple[dict[str, Any], Path]:
    """`reporte_historico_YYYYMMDD_HHMM.json`, and what is in it. Raises `DependencyError`."""
    results = [item.result for item in replayed]
    content = {
        "ejecucion": run.id,
        "inicio": run.started.isoformat(timespec="seconds"),
        "fin": datetime.now().astimezone().isoformat(timespec="seconds"),
        "version": run.version,
        "resumen": summarise(results, left=run.left, **run.facts, simulada=True),
        "historico": figures(replayed, cases, run) | {"aviso": CAUTION},
        "discrepancias": [_disagreement(item, told(item)) for item in disagreements(replayed)],
        "incidencias": [_incident(item) for item in replayed],
        "omitidas": [
            {"codIncidencia": code, "motivo": why.value} for code, why in cases.skipped if why is not Skip.OLD
        ],
    }
    path = reports / f"reporte_historico_{run.started:%Y%m%d_%H%M}.json"
    return content, write_fresh(path, json.dumps(content, ensure_ascii=False, indent=2) + "\n")


def _people(item: Replayed) -> dict[str, Any]:
    ending = item.case.ending
    return {
        "accion": ending.did.value if ending else None,
        "buzon": ending.mailbox if ending else None,
        "filas_correctas": sorted(item.case.known.right),
        "filas_equivocadas": sorted(item.case.known.wrong),
        "ninguna_fila_la_describe": item.case.known.complete and not item.case.known.right,
    }


def _incident(item: Replayed) -> dict[str, Any]:
    return item.result.model_dump(mode="json") | {"comparacion": item.match.value, "personas": _people(item)}


def _disagreement(item: Replayed, told: Told) -> dict[str, Any]:
    result: IncidentResult = item.result
    return {
        "codIncidencia": result.codIncidencia,
        "titulo": told.title,
        "aprobacion": result.aprobacion,
        "comparacion": item.match.value,
        "habriamos_hecho": {
            "resultado": result.resultado.value,
            "tipo": result.tipo,
            "buzon_destino": result.buzon_destino,
            "fila": result.fila,
            "descripcion_fila": result.descripcion_fila,
        },
        "hicieron": _people(item) | {"nota": told.note},
    }
