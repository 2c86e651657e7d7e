"""The patterns as a person reads them and as other programs do: a table, CSV and JSON."""

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter
from rich.box import SIMPLE
from rich.table import Table
from rich.text import Text

from core.calls.frequent import MOST_NAMES
from core.calls.pattern import Pattern
from core.calls.patterns import Found
from core.calls.wording import decimal, percent
from core.files import write_fresh

_COLUMNS = (
    "puesto", "id", "clase", "patron", "pasos", "atributo", "valores", "llamadas", "fallidas", "soporte", "tasa",
    "tasa_min", "tasa_max", "tasa_resto", "lift", "p", "q", "p_dado_el_resto", "perdidas", "perdidas_por_semana",
    "codigos", "desenlaces", "equivalentes",
)  # fmt: skip
_FOUND: TypeAdapter[Found] = TypeAdapter(Found)


def table(found: Found) -> Table:
    """The ranking for the terminal."""
    lost = "Perd./sem." if found.weeks else "Perdidas"
    shown = Table(title="Por qué fallan las llamadas", title_justify="left", box=SIMPLE, pad_edge=False)
    for name in ("", "Patrón", "Llam.", "Fallan", "Resto", "Veces", lost):
        shown.add_column(name, justify="left" if name in ("", "Patrón") else "right", no_wrap=name != "Patrón")
    for pattern in found.patterns:
        cost = pattern.lost_per_week if pattern.lost_per_week is not None else pattern.excess
        said = str(pattern.condition)
        said += f"\n({percent(pattern.low)}–{percent(pattern.high)}"
        said += f"; {pattern.codes[0].code})" if pattern.codes else ")"
        cells = (pattern.id, said, str(pattern.calls), percent(pattern.rate), percent(pattern.elsewhere))
        shown.add_row(*map(Text, (*cells, decimal(pattern.lift), decimal(cost))))
    return shown


def told(found: Found) -> Iterator[str]:
    """What goes around the table."""
    rate = percent(found.failed / found.calls) if found.calls else "—"
    span = f" en {decimal(found.weeks)} semanas" if found.weeks else ""
    yield f"{found.calls} llamadas{span}, {found.failed} fallidas ({rate}). Condiciones probadas: {found.tested}."
    if not found.gaps:
        yield (
            "No se han buscado secuencias con otros pasos en medio (A … B): falta el paquete effspm, que no existe "
            "para Python 3.13. Los pasos, las transiciones y los atributos sí."
        )
    if not found.every_step:
        yield (
            f"Hay más de {MOST_NAMES} nombres de paso distintos (¿llevan números o identificadores?): los que salen "
            "poco cuentan todos como «otro paso». Las cifras de los patrones son exactas."
        )
    if not found.patterns:
        yield "No hay ningún patrón que el azar no explique."
    if found.outcomes:
        names = ", ".join(f"{step} ({calls})" for step, calls in found.outcomes[:6])
        rest = f" y {len(found.outcomes) - 6} más" if len(found.outcomes) > 6 else ""
        yield f"Tomados por el propio fallo, no por su causa: {names}{rest}."


def as_csv(found: Found) -> str:
    """One row a pattern, costliest first."""
    text = io.StringIO()
    writer = csv.DictWriter(text, _COLUMNS, lineterminator="\n")
    writer.writeheader()
    for number, pattern in enumerate(found.patterns, start=1):
        row = as_row(number, pattern)
        joined = {name: " | ".join(map(str, value)) for name, value in row.items() if isinstance(value, list)}
        joined["codigos"] = " | ".join(f"{one['codigo']} ({one['fallidas']})" for one in row["codigos"])
        joined["desenlaces"] = " | ".join(f"{one['paso']} ({one['llamadas']})" for one in row["desenlaces"])
        cells = {name: "" if value is None else value for name, value in (row | joined).items()}
        writer.writerow({name: _harmless(cell) for name, cell in cells.items()})
    return text.getvalue()


def _harmless(cell: Any) -> Any:
    """A step's name must not run as a formula in the spreadsheet that opens this."""
    return "'" + cell if isinstance(cell, str) and cell[:1] in ("=", "+", "-", "@") else cell


def as_json(found: Found, run: datetime) -> dict[str, Any]:
    """All that is known of the patterns."""
    return {
        "fecha": run.isoformat(timespec="seconds"),
        "llamadas": found.calls,
        "fallidas": found.failed,
        "semanas": found.weeks and round(found.weeks, 3),
        "condiciones_probadas": found.tested,
        "secuencias_con_saltos": found.gaps,
        "todos_los_pasos_contados": found.every_step,
        "reglas": {
            "soporte_minimo": found.rules.support,
            "descubrimientos_falsos": found.rules.false_discoveries,
            "veces_minimo": found.rules.lift,
        },
        "desenlaces": [{"paso": step, "llamadas": calls} for step, calls in found.outcomes],
        "patrones": [as_row(number, pattern) for number, pattern in enumerate(found.patterns, start=1)],
    }


def as_row(number: int, pattern: Pattern) -> dict[str, Any]:
    """A pattern under the names of the reports."""
    condition = pattern.condition
    return {
        "puesto": number,
        "id": pattern.id,
        "clase": condition.kind.value,
        "patron": str(condition),
        "pasos": list(condition.steps),
        "atributo": condition.attribute.value if condition.attribute else None,
        "valores": list(condition.values),
        "llamadas": pattern.calls,
        "fallidas": pattern.failed,
        "soporte": round(pattern.support, 6),
        "tasa": round(pattern.rate, 6),
        "tasa_min": round(pattern.low, 6),
        "tasa_max": round(pattern.high, 6),
        "tasa_resto": round(pattern.elsewhere, 6),
        "lift": round(pattern.lift, 4),
        "p": pattern.p_value,
        "q": pattern.q_value,
        "p_dado_el_resto": pattern.p_given,
        "perdidas": round(pattern.excess, 2),
        "perdidas_por_semana": None if pattern.lost_per_week is None else round(pattern.lost_per_week, 2),
        "codigos": [
            {"codigo": c.code, "fallidas": c.failures, "parte": round(c.share, 4), "parte_resto": round(c.elsewhere, 4),
             "q": c.q_value} for c in pattern.codes
        ],
        "desenlaces": [{"paso": step, "llamadas": calls} for step, calls in pattern.endings],
        "equivalentes": list(pattern.equivalents),
    }  # fmt: skip


def write(found: Found, folder: Path, run: datetime) -> tuple[Path, Path]:
    """`patrones_llamadas_YYYYMMDD_HHMM` as JSON and CSV under `folder`; returns both paths."""
    stem = f"patrones_llamadas_{run:%Y%m%d_%H%M}"
    content = json.dumps(as_json(found, run), ensure_ascii=False, indent=2) + "\n"
    written = write_fresh(folder / f"{stem}.json", content)
    return written, write_fresh(written.with_suffix(".csv"), as_csv(found).encode("utf-8-sig"))


def kept(found: Found) -> str:
    """For `restored`."""
    return json.dumps(asdict(found), ensure_ascii=False)


def restored(text: str) -> Found:
    """What `kept` wrote. Raises `ValueError` where it is not that."""
    return _FOUND.validate_json(text)
