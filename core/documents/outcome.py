"""What became of each document of a load, and the report of it."""

import json
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from core.files import write_fresh


class State(StrEnum):
    """In the report's words."""

    LOADED = "cargado"
    SAME = "igual"
    LEFT_OUT = "no cargado"
    REMOVED = "retirado"


class DocumentOutcome(BaseModel):
    """One document; `source` without personal data."""

    model_config = ConfigDict(frozen=True)

    source: str
    state: State
    why: str = ""
    pieces: int = 0
    pages: int | None = None
    scanned_pages: int = 0


class LoadOutcome(BaseModel):
    """A whole load, and where its report is."""

    model_config = ConfigDict(frozen=True)

    folder: str
    documents: tuple[DocumentOutcome, ...]
    seconds: float
    report: Path

    def count(self, state: State) -> int:
        """How many documents ended so."""
        return sum(document.state is state for document in self.documents)

    def summary(self) -> str:
        """A few lines for the terminal."""
        pieces = sum(d.pieces for d in self.documents if d.state in (State.LOADED, State.SAME))
        here = sum(d.state is not State.REMOVED for d in self.documents)
        lines = [
            f"Documentos de {self.folder}: {here} ficheros; {self.count(State.LOADED)} cargados, "
            f"{self.count(State.SAME)} iguales, {self.count(State.LEFT_OUT)} no cargados, "
            f"{self.count(State.REMOVED)} retirados; {pieces} piezas, en {self.seconds:.1f} s."
        ]
        scanned = sum(d.scanned_pages for d in self.documents)
        lines += [f"Páginas leídas de su imagen: {scanned}."] if scanned else []
        told = [d for d in self.documents if d.state in (State.LEFT_OUT, State.REMOVED)]
        lines += [f"  {d.state.value}: {d.source}: {d.why}" for d in told[:_SHOWN]]
        lines += [f"  … y {len(told) - _SHOWN} más, en el informe"] if len(told) > _SHOWN else []
        return "\n".join([*lines, f"Informe: {self.report}"])


_SHOWN = 20


def write_report(
    folder: Path, documents: Sequence[DocumentOutcome], reports: Path, started: datetime, seconds: float
) -> LoadOutcome:
    """Write `reporte_documentos_YYYYMMDD_HHMM.json` under `reports`. Raises `DependencyError`."""
    content = {
        "carpeta": str(folder),
        "inicio": started.isoformat(timespec="seconds"),
        "segundos": round(seconds, 3),
        "resumen": dict(Counter(document.state.value for document in documents)),
        "documentos": [
            {
                "fuente": d.source,
                "estado": d.state.value,
                "motivo": d.why,
                "piezas": d.pieces,
                "paginas": d.pages,
                "paginas_escaneadas": d.scanned_pages,
            }
            for d in documents
        ],
    }
    path = reports / f"reporte_documentos_{started:%Y%m%d_%H%M}.json"
    report = write_fresh(path, json.dumps(content, ensure_ascii=False, indent=2) + "\n")
    return LoadOutcome(folder=str(folder), documents=tuple(documents), seconds=seconds, report=report)
