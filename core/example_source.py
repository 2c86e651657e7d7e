"""Where examples come from when `batch.py` asks for them: what the ledger knows, in the words that the desk has."""

import asyncio
import logging

from config import Settings
from core.build import open_database, open_desk
from core.errors import DependencyError, StageError
from core.examples import Examples, Sources, find, sources
from core.ledger import open_ledger
from core.privacy import PersonalData

logger = logging.getLogger(__name__)

STAY = "Aviso: no se ha podido leer la mesa o el registro de decisiones: se quedan los ejemplos que había."


def gather(settings: Settings) -> Examples | None:
    """What desk and ledger give now; None where one of them cannot be read, and whatever rows have may stay.

    The desk is not asked where no row is known of any incident.
    """
    try:
        with open_ledger(open_database(settings)) as ledger:
            known = sources(ledger)
        return asyncio.run(_from_desk(settings, known)) if known else Examples()
    except (DependencyError, StageError) as error:
        logger.warning("no hay ejemplos nuevos", extra={"action": "examples_unread", "error": str(error)})
        return None


async def _from_desk(settings: Settings, known: Sources) -> Examples:
    async with open_desk(settings) as outside:
        listing = await outside.desk.list_closed()
    return await asyncio.to_thread(find, listing.incidents, known, PersonalData(), settings.etiqueta)
