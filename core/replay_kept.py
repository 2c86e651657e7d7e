"""What a replay that was cut short had decided: the next one takes it up instead of asking the model again."""

import hashlib
import json
import logging
from pathlib import Path

from core.incident import Incident
from core.privacy import scrub
from core.report import FAULTS, IncidentResult

logger = logging.getLogger(__name__)

FILE = "historico_a_medias.jsonl"
"""Under `DIRECTORIO_ESTADO`; gone once a replay gets to its end."""


class Unfinished:
    """One line per incident, kept as it is decided. `basis`: a hash over all that decides, so that nothing decided
    otherwise is taken up. What cannot be written costs only the time to decide it again."""

    def __init__(self, path: Path, basis: str) -> None:
        self._path = path
        self._basis = basis

    def read(self) -> dict[str, tuple[str, IncidentResult]]:
        """Code -> (fingerprint of the incident it was decided on, result); a line cut short is left out."""
        try:
            lines = self._path.read_text("utf-8", errors="replace").splitlines()
        except OSError:
            return {}
        found: dict[str, tuple[str, IncidentResult]] = {}
        for line in lines:
            try:
                kept = json.loads(line)
                if kept["basis"] == self._basis:
                    result = IncidentResult.model_validate(kept["resultado"])
                    found[result.codIncidencia] = (str(kept["incidencia"]), result)
            except (ValueError, KeyError, TypeError):
                continue
        return found

    def known(self, incidents: list[Incident]) -> dict[str, IncidentResult]:
        """Code -> result, of those incidents that are as they were then."""
        kept = self.read()
        return {
            incident.code: kept[incident.code][1]
            for incident in incidents
            if incident.code in kept and kept[incident.code][0] == incident.fingerprint()
        }

    def keep(self, incident: Incident, result: IncidentResult) -> None:
        """Write one down, unless it failed: that is to be tried again."""
        if result.motivo in FAULTS:
            return
        result = result.model_copy(update={"detalle": scrub(result.detalle)})
        line = {"basis": self._basis, "incidencia": incident.fingerprint(), "resultado": result.model_dump(mode="json")}
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8") as stream:
                stream.write("\n" + json.dumps(line, ensure_ascii=False))  # a line cut short before stays by itself
        except OSError as error:
            logger.warning("no se puede guardar lo decidido", extra={"action": "replay_not_kept", "error": str(error)})

    def forget(self) -> None:
        """The replay got to its end."""
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            logger.warning("no se puede borrar", extra={"action": "replay_not_forgotten", "error": str(error)})


def hashed(*parts: str) -> str:
    """SHA-256 over all of them."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(f"{len(part)}\n{part}".encode())
    return digest.hexdigest()
