"""What people order beside the work itself: pause and resume, undo, and the word on proposals."""

import argparse
import json
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

from config import Settings
from core.build import open_database, open_desk
from core.control import KillSwitch
from core.ledger import Ledger, open_ledger
from core.login import login_name
from core.ports import ExternalSystem, IncidentDesk
from core.proposals import Pending, Proposals
from core.reason import Reason
from core.terminal import short

if TYPE_CHECKING:
    from core.incident import Incident
    from core.originals import Originals

_WIDE = 90
"""Characters of a text that is shown."""


async def follow(settings: Settings, options: argparse.Namespace) -> int:
    """Do what was ordered: 0 done, 1 not done. Raises `UsageError`, `DependencyError` or the desk's `StageError`."""
    if options.historia:
        from core.story.telling import tell

        return tell(settings, options.historia, as_json=options.json)
    with open_ledger(open_database(settings)) as ledger:
        who = login_name()
        if options.pausar:
            return _pause(ledger, who)
        if options.reanudar:
            return _resume(ledger, who)
        async with _open_desk_side(settings, ledger) as side:
            if options.pendientes:
                return await _list(side, as_json=options.json)
            if options.aprobar:
                return await _approve(side, options.aprobar, who)
            if options.rechazar:
                decision, reason = options.rechazar
                return _reject(side, decision, reason, who)
            return await _undo(side, options.deshacer, who)


def tell_pause(settings: Settings) -> str | None:
    """What a run is told that finds the system paused; None while it is not."""
    with open_ledger(open_database(settings)) as ledger:
        return _told_pause(ledger)


def _told_pause(ledger: Ledger) -> str | None:
    paused = KillSwitch(ledger).paused()
    if paused is None:
        return None
    return f"En pausa desde {paused.said} (la ordenó {paused.who}): no se actúa. Para seguir: python main.py --reanudar"


def _pause(ledger: Ledger, who: str) -> int:
    if KillSwitch(ledger).pause(who):
        _say("En pausa: quien esté trabajando deja de actuar en 2 segundos. Lo ya decidido queda como propuesta;")
        _say("lo demás espera en la cola. Para seguir: python main.py --reanudar")
    else:
        _say(_told_pause(ledger) or "")
    return 0


def _resume(ledger: Ledger, who: str) -> int:
    if KillSwitch(ledger).resume(who):
        waiting = len(ledger.proposals())
        _say("Se vuelve a actuar." + (f" Propuestas que esperan: {waiting} (--pendientes)." if waiting else ""))
    else:
        _say("No estaba en pausa.")
    return 0


@dataclass(frozen=True)
class _Side:
    settings: Settings
    ledger: Ledger
    desk: IncidentDesk
    system: ExternalSystem


@asynccontextmanager
async def _open_desk_side(settings: Settings, ledger: Ledger) -> AsyncIterator[_Side]:
    """Neither model nor knowledge base: a person's word must not wait for them."""
    async with open_desk(settings) as outside:
        yield _Side(settings, ledger, outside.desk, outside.system)


async def _list(side: _Side, *, as_json: bool) -> int:
    pending = await _proposals(side).pending()
    if as_json:
        sys.stdout.write(json.dumps([_as_json(item) for item in pending], ensure_ascii=False) + "\n")
    elif pending:
        Console().print(_table(pending))
        _say("--aprobar DECISION la lleva a cabo; --rechazar DECISION MOTIVO la descarta.")
    else:
        _say("No hay propuestas pendientes.")
    return 0


async def _approve(side: _Side, decision: str, who: str) -> int:
    from core.execute import Executor, Guard
    from core.policy import read_policy
    from core.privacy import scrub

    originals = _originals(side.settings)
    guard = Guard(side.ledger, KillSwitch(side.ledger), read_policy(side.settings.directorio_recursos))
    executor = Executor(side.desk, side.system, originals.mailboxes, side.settings.etiqueta, guard)
    outcome = await _proposals(side).approve(decision, who, executor)
    if outcome.done:
        _say(f"Hecho y confirmado por la mesa: {outcome.done.kind}. Para deshacerlo: --deshacer {decision}")
        return 0
    _say(f"No se ha hecho: {outcome.reason.text}. {scrub(outcome.detail)}".rstrip())
    return 1


def _reject(side: _Side, decision: str, reason: str, who: str) -> int:
    record = _proposals(side).reject(decision, who, reason)
    _say(f"Rechazada: {record.incident} queda para una persona.")
    return 0


async def _undo(side: _Side, decision: str, who: str) -> int:
    from core.delivery import Delivery, Patience
    from core.undo import Undo

    tag = side.settings.etiqueta
    undone = await Undo(side.desk, side.ledger, Delivery(side.desk, side.ledger, tag, Patience()), tag).undo(
        decision, who
    )
    record = undone.record
    if undone.restored:
        _say(f"Deshecha: {record.incident} vuelve a estar abierta en «{record.mailbox_before or record.mailbox}».")
        return 0
    note = "queda una nota en ella" if undone.noted else "la mesa tampoco admite notas"
    _say(f"La mesa no deja reabrir {record.incident}: hágalo a mano ({note}). La decisión consta como revertida.")
    return 1


def _proposals(side: _Side) -> Proposals:
    from core.privacy import PersonalData, scrub

    def policies(incident: "Incident") -> tuple[str, ...]:
        return PersonalData().redact_incident(incident).policies

    return Proposals(side.desk, side.ledger, _originals(side.settings), side.settings.etiqueta, scrub, policies)


def _originals(settings: Settings) -> "Originals":
    from core.batch import CATALOGUE, FIXES
    from core.originals import Originals
    from core.privacy import scrub

    return Originals(settings.directorio_recursos / CATALOGUE, settings.directorio_recursos / FIXES, scrub)


def _table(pending: Sequence[Pending]) -> Table:
    table = Table(title=f"Propuestas que esperan ({len(pending)})", title_justify="left", box=SIMPLE, pad_edge=False)
    for name in ("Decisión", "Incidencia", "Acción", "Aprob.", "Por qué y con qué"):
        table.add_column(name, no_wrap=name in ("Decisión", "Incidencia"))
    for item in pending:
        record = item.record
        action = f"{record.kind} → {record.target}" if record.target else record.kind
        approval = "" if record.approval is None else str(record.approval)
        table.add_row(*map(Text, (record.id, record.incident, action, approval, "\n".join(_told(item)))))
    return table


def _told(item: Pending) -> list[str]:
    lines = [Reason[item.record.reason].text] if item.record.reason in Reason.__members__ else []
    if not item.current:
        lines.append("Atención: la incidencia ha cambiado desde entonces, o no se puede leer.")
    lines += [f"Incidencia: {short(item.title, _WIDE)}"] if item.title else []
    lines += (
        [f"Fila: {short(item.row, _WIDE)}", f"Solución: {short(item.solution, _WIDE)}"]
        if item.row
        else ["Fila: ya no está"]
    )
    scores = ", ".join(f"{name} {value}" for name, value in item.evidence.items() if value is not None)
    lines += [f"Señales: {scores}"] if scores else []
    lines += [f"Otras parecidas: {'; '.join(short(other, 50) for other in item.others)}"] if item.others else []
    return lines


def _as_json(item: Pending) -> dict[str, object]:
    record = item.record
    return {
        "decision": record.id,
        "codIncidencia": record.incident,
        "tipo": record.kind,
        "buzon": record.mailbox,
        "buzon_destino": record.target,
        "aprobacion": record.approval,
        "motivo": record.reason,
        "fila": record.entry,
        "descripcion_fila": item.row,
        "solucion": item.solution,
        "titulo": item.title,
        "otras": list(item.others),
        "senales": item.evidence,
        "desde": record.created,
        "vigente": item.current,
    }


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
