"""The demo content: what the demo desk and system start with, and what should become of each open incident.

Dates in the files are relative so that the demo is recent on any day: `-3 09:14` is three days ago at 09:14,
`-20` is the date twenty days ago.
"""

import json
import re
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

DATA = Path(__file__).parent / "data"
ATTACHMENTS = DATA / "adjuntos"

_RELATIVE = re.compile(r"-(?P<days>\d+)(?: (?P<hour>\d\d):(?P<minute>\d\d))?")


class Expected(BaseModel):
    """What may become of one open incident. Leaving it to a person is never wrong."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    code: str = Field(alias="codIncidencia")
    case: str = Field(alias="tipo_caso")
    row: str | None = Field(alias="fila")
    """DESCRIPCION of the row that describes this problem, in the catalogue or among the fixes under way."""
    allowed: tuple[str, ...] = Field(alias="aceptable")
    """Kinds that may be carried out without a person; empty: it must go to one."""
    mailbox: str | None = Field(default=None, alias="buzon_destino")
    system_answer: str | None = Field(default=None, alias="respuesta_sistema")
    """For `api|…`: the kind that the demo system answers with on the day its state is created."""

    @property
    def has_known_solution(self) -> bool:
        """Counts for coverage: a row describes it and that row may be carried out."""
        return self.row is not None and bool(self.allowed)

    def is_wrong(self, kind: str, row: str | None = None, mailbox: str | None = None) -> bool:
        """Whether having carried out `kind` (of `row`, towards `mailbox`) on its own was a mistake."""
        if kind not in self.allowed or (row is not None and row != self.row):
            return True
        return kind == "reasignacion" and mailbox is not None and mailbox != self.mailbox


class ExpectedClosed(BaseModel):
    """What maintenance should make of one closed incident."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    code: str = Field(alias="codIncidencia")
    row: str | None = Field(alias="fila")
    """DESCRIPCION of the catalogue row that already describes it."""
    new_problem: str | None = Field(alias="problema_nuevo")
    """The new problem it is; two incidents with the same one are one problem."""


def _dated(value: Any, now: datetime) -> Any:
    """`value` with every relative date in it put in full."""
    if isinstance(value, dict):
        return {key: _dated(item, now) for key, item in value.items()}
    if isinstance(value, list):
        return [_dated(item, now) for item in value]
    if isinstance(value, str) and (match := _RELATIVE.fullmatch(value)):
        day = now - timedelta(days=int(match["days"]))
        if match["hour"] is None:
            return day.date().isoformat()
        moment = day.replace(hour=int(match["hour"]), minute=int(match["minute"]), second=0, microsecond=0)
        return moment.isoformat(timespec="seconds")
    return value


def _read(name: str) -> Any:
    return json.loads((DATA / name).read_text(encoding="utf-8"))


def open_incidents(now: datetime) -> list[dict[str, Any]]:
    """The open incidents, dates counted back from `now`."""
    return [_dated(item, now) for item in _read("abiertas.json")]


def closed_incidents(now: datetime) -> list[dict[str, Any]]:
    """The closed incidents, dates counted back from `now`: the last weeks', then those of the year before."""
    return [_dated(item, now) for item in (*_read("cerradas.json"), *map(_closed_long_ago, _read("historial.json")))]


def _closed_long_ago(told: dict[str, str]) -> dict[str, Any]:
    """A line of `historial.json` as the desk keeps an incident: entered, and closed by a technician."""
    entered = {"Fecha": told["apertura"], "Autor": told["solicitante"], "estado": "Abierta", "detalle": "Alta."}
    closed = {"Fecha": told["cierre"], "Autor": "Soporte 1", "estado": "Cerrada", "detalle": "Cerrada."}
    entered |= {"CodigoResolucion": "", "NotasResolucion": ""}
    closed |= {"CodigoResolucion": "RESUELTA", "NotasResolucion": told["nota"]}
    where = {"buzonComentario": told["buzon"], "buzonAsignado": told["buzon"]}
    kept = ("codIncidencia", "buzon", "titulo", "solicitante", "apertura", "prioridad", "descripcion")
    return {key: told[key] for key in kept} | {"estado": "Cerrada", "historial": [entered | where, closed | where]}


def policies(now: datetime) -> list[dict[str, Any]]:
    """The policies that the demo system knows, dates counted back from `now`."""
    return [_dated(item, now) for item in _read("polizas.json")]


@cache
def past_rows() -> dict[str, str]:
    """code -> DESCRIPCION of the row that the desk's people say it was, for the incidents of the year before."""
    return {told["codIncidencia"]: told["fila"] for told in _read("historial.json") if told["fila"]}


@cache
def expected() -> dict[str, Expected]:
    """code -> what may become of it, for every open incident of the demo."""
    outcomes = [Expected.model_validate(item) for item in _read("esperado.json")]
    return {outcome.code: outcome for outcome in outcomes}


@cache
def expected_closed() -> dict[str, ExpectedClosed]:
    """code -> what maintenance should make of it, for every incident closed in the last weeks."""
    outcomes = [ExpectedClosed.model_validate(item) for item in _read("cerradas_esperado.json")]
    return {outcome.code: outcome for outcome in outcomes}
