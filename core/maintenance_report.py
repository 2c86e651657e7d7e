"""What maintenance writes and tells: proposed rows, a report with the evidence, the terminal's summary."""

import json
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from core.catalogue import CatalogueEntry, read_catalogue, write_catalogue
from core.closed import Skip
from core.files import write_fresh
from core.maintenance import Compared, Mined
from core.usage import Usage

REVIEW = (
    "Son propuestas para revisar, no filas en vigor. Mire sobre todo COMPONENTE y RESOLUCION AUTOMÁTICA: lo que no sea "
    "«manual» se hará solo; ante la duda, deje «manual»."
)


@dataclass(frozen=True)
class Written:
    """What a run wrote, and what it was about."""

    mined: Mined
    proposals: Path | None
    """The CSV file; None when there was nothing to propose."""
    report: Path

    def summary(self) -> str:
        """For the terminal: every proposal with its evidence, and what else a person should look at."""
        mined = self.mined
        lines = [
            f"Incidencias cerradas desde el {mined.period.start:%d/%m/%Y}: {len(mined.known)} de problemas conocidos, "
            f"{len(mined.doubtful)} dudosas, {len(mined.new)} de problemas nuevos."
        ]
        counts = Counter(why for _, why in mined.skipped)
        lines += [f"  Sin mirar, {count}: {why.text}" for why, count in counts.most_common()]
        for number, row in enumerate(mined.proposals, start=1):
            entry = row.entry
            target = f" a {entry.mailbox}" if entry.mailbox else ""
            lines.append(f"Propuesta {number}. {entry.component or '(sin componente)'}: {entry.description}")
            lines.append(f"  Resolución: {entry.kind}{target}. {entry.solution}")
            lines.append(f"  Incidencias ({len(row.evidence)}): {', '.join(row.evidence)}")
            lines += [f"  Aviso: {remark}" for remark in row.remarks]
        lines += [f"Sugerencia no válida ({', '.join(item.evidence)}): {item.why}" for item in mined.invalid]
        for item in mined.doubtful:
            approval, row_text = _best(item)
            lines.append(f"Dudosa {item.case.code}: se parece ({approval}) a «{row_text}». Decida una persona.")
        lines += [f"Con error ({', '.join(item.codes)}): {item.reason.text}" for item in mined.failures]
        if self.proposals:
            lines += [f"Propuestas: {self.proposals}", REVIEW]
            lines.append(
                f"Revisadas, aplíquelas con: python batch_mantenimiento_globales.py --aplicar {self.proposals}"
            )
        else:
            lines.append("No hay ninguna fila que proponer.")
        return "\n".join([*lines, f"Informe: {self.report}"])


def write_mined(mined: Mined, resources: Path, usage: Usage, *, run: str) -> Written:
    """Write `PROBLEMAS_GLOBALES_YYYYMMDD.csv`, where there are proposals, and the report, both under fresh names.

    Raises `DependencyError` when a file cannot be written.
    """
    day = f"{mined.period.now:%Y%m%d}"
    proposals = None
    if mined.proposals:
        content = _catalogue([row.entry for row in mined.proposals])
        proposals = write_fresh(resources / f"PROBLEMAS_GLOBALES_{day}.csv", content)
    report = _content(mined, proposals, usage, run)
    path = resources / "reportes" / f"reporte_mantenimiento_globales_{day}.json"
    return Written(mined, proposals, write_fresh(path, json.dumps(report, ensure_ascii=False, indent=2) + "\n"))


def _catalogue(entries: list[CatalogueEntry]) -> bytes:
    """The rows as a catalogue file, read back first: what is published can be applied."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "PROBLEMAS_GLOBALES.csv"
        write_catalogue(path, entries)
        if list(read_catalogue(path, strict=True).entries) != entries:
            raise AssertionError("a proposed row does not survive being written and read")
        return path.read_bytes()


def _content(mined: Mined, proposals: Path | None, usage: Usage, run: str) -> dict[str, Any]:
    ended = datetime.now().astimezone()
    return {
        "ejecucion": run,
        "inicio": mined.period.now.isoformat(timespec="seconds"),
        "fin": ended.isoformat(timespec="seconds"),
        "desde": mined.period.start.isoformat(timespec="seconds"),
        "resumen": {
            "cerradas": mined.closed,
            "omitidas": dict(Counter(why.value for _, why in mined.skipped)),
            "conocidas": len(mined.known),
            "dudosas": len(mined.doubtful),
            "nuevas": len(mined.new),
            "propuestas": len(mined.proposals),
            "no_validas": len(mined.invalid),
            "fallidas": sum(len(item.codes) for item in mined.failures),
            "llamadas_llm": usage.generative,
            "juicios": usage.judgements,
            "segundos": round((ended - mined.period.now).total_seconds(), 3),
        },
        "aviso": REVIEW,
        "fichero_propuestas": str(proposals) if proposals else None,
        "propuestas": [
            {
                "fila": row.entry.id,
                "componente": row.entry.component,
                "descripcion": row.entry.description,
                "tipo": row.entry.kind,
                "buzon": row.entry.mailbox or None,
                "solucion": row.entry.solution,
                "incidencias": list(row.evidence),
                "cuantas": len(row.evidence),
                "avisos": list(row.remarks),
            }
            for row in mined.proposals
        ],
        "no_validas": [{"incidencias": list(item.evidence), "motivo": item.why} for item in mined.invalid],
        "dudosas": [_compared(item) for item in mined.doubtful],
        "conocidas": [_compared(item) for item in mined.known],
        "omitidas": [
            {"codIncidencia": code, "motivo": why.value} for code, why in mined.skipped if why is not Skip.OLD
        ],
        "fallidas": [
            {"incidencias": list(item.codes), "motivo": item.reason.value, "detalle": item.reason.text}
            for item in mined.failures
        ],
    }


def _best(item: Compared) -> tuple[int | None, str]:
    """Approval and description of the best row found."""
    proposal = item.verdict.proposal
    return (proposal.approval, proposal.candidate.entry.description) if proposal else (None, "")


def _compared(item: Compared) -> dict[str, Any]:
    proposal = item.verdict.proposal
    approval, description = _best(item)
    return {
        "codIncidencia": item.case.code,
        "aprobacion": approval,
        "motivo": item.verdict.reason.value,
        "fila": proposal.candidate.entry.id if proposal else None,
        "descripcion_fila": description,
    }
