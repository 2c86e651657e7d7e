"""The demo business system (design §3): what is known of a policy, and what to do about a problem with it."""

import json
import sqlite3
from datetime import date, datetime
from pathlib import Path
from typing import Any, Literal

from fastapi import APIRouter, FastAPI, HTTPException
from pydantic import BaseModel, ConfigDict, Field, field_validator

from api.mocks import content
from api.mocks.database import prepare, transaction
from api.mocks.desk import health_router

NORMAL_DELAY_DAYS = 15
"""A provision may take this long before it counts as delayed."""

_FILE = "sistema.sqlite3"
_LATE_MAILBOX = "PROVISIONES_N2"
_SCHEMA = ("CREATE TABLE IF NOT EXISTS polizas (numero TEXT PRIMARY KEY, documento TEXT NOT NULL)",)

Policy = dict[str, Any]


class Check(BaseModel):
    """The body of `POST /api/comprobacionPoliza`. `strJson` is a JSON object in a text, as the old system wants it."""

    model_config = ConfigDict(extra="forbid")

    poliza: str = Field(min_length=1)
    codSolucion: Literal["fxprovicion", "disconformidad"]
    strJson: str = "{}"

    @field_validator("strJson")
    @classmethod
    def _is_an_object(cls, value: str) -> str:
        try:
            parsed = json.loads(value)
        except ValueError as error:
            raise ValueError("strJson no es JSON") from error
        if not isinstance(parsed, dict):
            raise ValueError("strJson debe ser un objeto JSON")
        return value


class PolicyStore:
    """The policies of the demo system, in one SQLite file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        prepare(path, _SCHEMA, _seed)

    def reset(self) -> None:
        """Back to the demo content, with its dates counted from today."""
        with transaction(self._path) as db:
            db.execute("DELETE FROM polizas")
            _seed(db)

    def read(self, number: str) -> Policy:
        """The policy, with or without `POL-` before its eight digits; 404 when there is none."""
        digits = number.strip().upper().removeprefix("POL-")
        with transaction(self._path) as db:
            found = db.execute("SELECT documento FROM polizas WHERE numero = ?", (f"POL-{digits}",)).fetchone()
        if found is None:
            raise HTTPException(404, "No hay ninguna póliza con ese número.")
        policy: Policy = json.loads(found[0])
        return policy


def policy_store(state: Path) -> PolicyStore:
    """The system's policies under the folder `state`, with the demo content the first time."""
    return PolicyStore(state / _FILE)


def create_system(state: Path) -> FastAPI:
    """The system alone. `state` is a folder."""
    app = FastAPI(title="Sistema de pólizas de demostración", docs_url=None, redoc_url=None)
    app.include_router(system_router(state))
    app.include_router(health_router())
    return app


def system_router(state: Path) -> APIRouter:
    """The system's end points over the folder `state`."""
    store = policy_store(state)
    router = APIRouter()

    @router.get("/api/poliza/{number}")
    def policy(number: str) -> Policy:
        return store.read(number)

    @router.post("/api/comprobacionPoliza")
    def check(body: Check) -> dict[str, str]:
        found = store.read(body.poliza)
        if body.codSolucion == "fxprovicion":
            return _provision(found, datetime.now().astimezone().date())
        return _disagreement(found)

    return router


def _seed(db: sqlite3.Connection) -> None:
    for policy in content.policies(datetime.now().astimezone()):
        document = json.dumps(policy, ensure_ascii=False)
        db.execute("INSERT INTO polizas VALUES (?, ?)", (policy["poliza"], document))


def _answer(resolution: str, solution: str, mailbox: str = "") -> dict[str, str]:
    return {"RESOLUCION AUTOMÁTICA": resolution, "BUZON REASIGNACION": mailbox, "SOLUCIÓN": solution}


def _provision(policy: Policy, today: date) -> dict[str, str]:
    if policy["estado"] == "en vigor":
        provided = policy["fechaProvision"]
        return _answer(
            "cierre",
            f"La provisión de su póliza terminó el {provided}. "
            "Ya puede imprimir y entregar el contrato desde Consulta de pólizas.",
        )
    if policy["estado"] != "en provisión":
        return _answer("manual", f"La póliza está {policy['estado']}: no hay ninguna provisión en marcha.")
    days = (today - date.fromisoformat(policy["fechaAlta"])).days
    if days <= NORMAL_DELAY_DAYS:
        return _answer(
            "cierre",
            f"Su póliza lleva {days} días en provisión. El plazo normal es de hasta {NORMAL_DELAY_DAYS} días: no hay "
            "ningún error y no tiene que hacer nada. Le avisaremos cuando el contrato esté disponible.",
        )
    return _answer(
        "reasignacion",
        f"La póliza lleva {days} días en provisión, más de los {NORMAL_DELAY_DAYS} normales. "
        "La pasamos al equipo de provisiones para que la desbloquee.",
        _LATE_MAILBOX,
    )


def _disagreement(policy: Policy) -> dict[str, str]:
    if policy["estado"] != "rechazada":
        return _answer("manual", f"La póliza no está rechazada: figura {policy['estado']}.")
    reason = policy["motivoRechazo"]
    if missing := policy.get("documentoPendiente"):
        return _answer("en espera", f"La solicitud se rechazó porque {reason}. Para revisarla necesitamos {missing}.")
    return _answer(
        "cierre",
        f"La solicitud se rechazó porque {reason}. La decisión es firme para esta solicitud; puede presentar otra "
        "cuando cambien las circunstancias.",
    )
