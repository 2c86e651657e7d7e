"""A decision as the ledger keeps it: ids, kinds, numbers. Nothing of what the incident says."""

import hashlib
import json
from dataclasses import asdict

from core.actions import CallSystem, Close, DeskAction, Reassign, Wait
from core.catalogue import CatalogueEntry
from core.decision import Decision
from core.incident import Incident
from core.ledger import JUDGED_WITH, Phase, Record
from core.policy import Autonomy
from core.trace import current

_SHOWN_ROWS = 5


def record_of(incident: Incident, decision: Decision, kind: str, autonomy: Autonomy, fingerprint: str) -> Record:
    """To be written down as intended; `kind` as policy names it, `fingerprint` without our own notes."""
    entry, action = decision.entry, decision.action
    proposal = decision.verdict.proposal if decision.verdict else None
    return Record(
        id=decision.id,
        incident=incident.code,
        kind=kind,
        phase=Phase.INTENDED,
        run=current().run,
        fingerprint=fingerprint,
        entry=entry.id if entry else None,
        entry_hash=row_hash(entry, entry.solution) if entry else "",
        mailbox=incident.mailbox[:200],
        target=action.mailbox if isinstance(action, Reassign) else None,
        approval=proposal.approval if proposal else None,
        autonomy=autonomy.value,
        evidence=_evidence(decision),
    )


def row_hash(entry: CatalogueEntry, solution: str) -> str:
    """Of all that a row tells to do; `solution` without personal data, as the knowledge base has it."""
    told = json.dumps([entry.kind, entry.mailbox, entry.expected_on, solution], ensure_ascii=False)
    return hashlib.sha256(told.encode()).hexdigest()


def kind_of(decision: Decision) -> str:
    """The kind as policy and proposals name it: `api|<sistema>` until the system was asked."""
    action = decision.action
    return f"api|{action.system}" if isinstance(action, CallSystem) else action.kind


def action_done(record: Record) -> DeskAction:
    """What a confirmed decision did, without its note, which nobody keeps."""
    match record.kind:
        case "cierre":
            return Close(note="")
        case "reasignacion" if record.target:
            return Reassign(mailbox=record.target, note="")
        case _:
            return Wait(note="")


def _evidence(decision: Decision) -> str:
    """Every score, the ids of the other rows found, for the person who is to approve it, and what the approval was
    made with: a later fit starts from these."""
    verdict = decision.verdict
    proposal = verdict.proposal if verdict else None
    if verdict is None or proposal is None:
        return "{}"
    own = proposal.candidate.entry
    rows = [candidate.entry.id for candidate in verdict.candidates[: _SHOWN_ROWS + 1]]
    scores = {"logit": proposal.logit} | asdict(proposal.candidate.evidence)
    kept: dict[str, object] = {name: round(float(value), 6) for name, value in scores.items()}
    made = {"tipo": own.kind} | ({"calibracion": verdict.basis[0], "juez": verdict.basis[1]} if verdict.basis else {})
    return json.dumps(
        kept | {"otras": [row for row in rows if row != own.id][:_SHOWN_ROWS], JUDGED_WITH: made}, ensure_ascii=False
    )
