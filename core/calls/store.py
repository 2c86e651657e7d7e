"""Every call once, in SQLite: its history, what it is, whether it failed. Identifiers of customers are not kept."""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from core.calls.call_id import shown_id
from core.calls.counted import SEP, CountedCalls, count_cells
from core.calls.frequent import MOST_NAMES
from core.calls.group import Group
from core.calls.known import KnownNames, folded
from core.calls.scratch import Scratch
from core.calls.tally import NO_VALUE, Ints
from core.errors import DependencyError
from core.write_ahead import write_ahead

if TYPE_CHECKING:
    from core.calls.narrative import Narrative
    from core.calls.pattern import Pattern

FILE_NAME = "llamadas.db"
MOST_VALUES = 500
"""Distinct segments, types or error codes; what comes after them counts as having none."""
_CACHE_KB = 4_000
_COLUMNS = ("id", "call_id", "historia", "segmento", "tipo", "codigo", "hora", "dia", "falla", "nota")
_SCHEMA = """
CREATE TABLE IF NOT EXISTS historia (id INTEGER PRIMARY KEY, pasos TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS valor (clase TEXT NOT NULL, id INTEGER NOT NULL, texto TEXT NOT NULL,
    PRIMARY KEY (clase, id), UNIQUE (clase, texto));
CREATE TABLE IF NOT EXISTS dato (nombre TEXT PRIMARY KEY, texto TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS nota (id INTEGER PRIMARY KEY, texto TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS llamada (id INTEGER PRIMARY KEY, call_id TEXT NOT NULL, historia INTEGER NOT NULL,
    segmento INTEGER NOT NULL, tipo INTEGER NOT NULL, codigo INTEGER NOT NULL, hora INTEGER NOT NULL,
    dia INTEGER NOT NULL, falla INTEGER NOT NULL, nota INTEGER NOT NULL);
"""
_STAGED = "CREATE TEMP TABLE IF NOT EXISTS entrada (" + ", ".join(_COLUMNS) + ")"
_ADD = f"INSERT OR IGNORE INTO llamada SELECT {', '.join(_COLUMNS)} FROM entrada ORDER BY id, rowid"  # noqa: S608
_CHANGE = f"""
INSERT INTO llamada SELECT {", ".join(_COLUMNS)} FROM entrada WHERE TRUE ORDER BY id, rowid
ON CONFLICT (id) DO UPDATE SET historia = excluded.historia, segmento = excluded.segmento, tipo = excluded.tipo,
    codigo = excluded.codigo, hora = excluded.hora, dia = excluded.dia, falla = excluded.falla, nota = excluded.nota
WHERE (historia, segmento, tipo, codigo, hora, dia, falla, nota) IS NOT (excluded.historia, excluded.segmento,
    excluded.tipo, excluded.codigo, excluded.hora, excluded.dia, excluded.falla, excluded.nota)
"""  # noqa: S608 - our own names

_GROUPED = """
SELECT h.pasos, g.segmento, g.tipo, g.codigo, n.texto, g.falla, g.calls
FROM (SELECT historia, segmento, tipo, codigo, nota, falla, COUNT(*) AS calls
    FROM llamada GROUP BY historia, segmento, tipo, codigo, nota, falla) AS g
JOIN historia AS h ON h.id = g.historia LEFT JOIN nota AS n ON n.id = g.nota
ORDER BY g.falla DESC, g.calls DESC, h.pasos
"""

_ALIKE = (
    "SELECT call_id FROM llamada WHERE historia = ? AND segmento = ? AND tipo = ? AND codigo = ? AND falla = ? "
    "AND nota = ? ORDER BY dia DESC, call_id"
)

_FAILING = (
    "SELECT l.call_id, h.pasos, l.segmento, l.tipo, l.hora FROM llamada AS l JOIN historia AS h ON h.id = l.historia "
    "WHERE l.falla = 1 ORDER BY l.dia DESC, l.call_id"
)
_EXAMPLES = 5

CallRow = tuple[int, str, int, int, int, int, int, int, int, int]
"""id, call_id as it is shown, history, segment, type, code, hour, day (ordinal), failed, note; `NO_VALUE` where it does
not say."""


class CallStore:
    """The calls of one installation. One writer at a time; not shared among threads."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        self._values: dict[str, dict[str, int]] = {}
        self._staged = 0
        connection.execute(_STAGED)
        for kind, number, text in connection.execute("SELECT clase, id, texto FROM valor"):
            self._values.setdefault(kind, {})[text] = number

    def history_ids(self, histories: Sequence[tuple[str, ...]]) -> list[int]:
        """Ids of the histories, new ones kept."""
        return self._ids("historia", "pasos", [SEP.join(steps) for steps in histories])

    def note_ids(self, notes: Sequence[str]) -> list[int]:
        """Ids of the notes, new ones kept."""
        return self._ids("nota", "texto", notes)

    def value_id(self, kind: str, text: str) -> int:
        """Id of a segment («segmento»), type («tipo»), error code («codigo») or fact («dato»); `NO_VALUE` for none."""
        known = self._values.setdefault(kind, {})
        if text and text not in known and len(known) < MOST_VALUES:
            known[text] = len(known)
            self._db.execute("INSERT INTO valor VALUES (?, ?, ?)", (kind, known[text], text))
        return known.get(text, NO_VALUE)

    def put(self, rows: Sequence[CallRow]) -> None:
        """Lay calls by, to be kept by `settle`."""
        self._db.executemany("INSERT INTO entrada VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
        self._staged += len(rows)

    @property
    def staged(self) -> int:
        """How many calls are laid by."""
        return self._staged

    def settle(self) -> tuple[int, int]:
        """Keep what was laid by and make it last; how many calls are new, and how many changed.

        In the order of their ids, many at once: they are hashes, and a few at a time would rewrite the whole table
        every time.
        """
        start = self._db.total_changes
        self._db.execute(_ADD)
        added = self._db.total_changes - start
        changed = 0
        if added < self._staged:
            self._db.execute(_CHANGE)
            changed = self._db.total_changes - start - added
        self._db.execute("DELETE FROM entrada")
        self._staged = 0
        self._db.commit()
        return added, changed

    def count(self) -> int:
        """How many calls."""
        return int(self._db.execute("SELECT COUNT(*) FROM llamada").fetchone()[0])

    def ways(self) -> int:
        """How many different histories."""
        return int(self._db.execute("SELECT COUNT(*) FROM historia").fetchone()[0])

    def clear(self) -> None:
        """Forget every call."""
        for table in ("llamada", "historia", "valor", "nota", "dato"):
            self._db.execute(f"DELETE FROM {table}")  # noqa: S608 - our own names
        self._values = {}

    def commit(self) -> None:
        """Make what was put last."""
        self._db.commit()

    @contextmanager
    def counted(self, scratch: Path | None = None) -> Iterator[CountedCalls]:
        """All calls counted by what they went through, as they are now; nothing may be put meanwhile.

        What does not stay in memory goes to `scratch`.
        """
        self._db.commit()
        self._db.execute("BEGIN")  # what another process loads meanwhile stays unseen
        try:
            with Scratch(scratch) as cells:
                total, failed = count_cells(self._db, cells)
                yield CountedCalls(
                    self._db, cells, self._names("segmento"), self._names("tipo"), self._names("codigo"),
                    self._weeks(), total, failed,
                )  # fmt: skip
        finally:
            self._db.rollback()

    def groups(self) -> Iterator[Group]:
        """Calls that read the same, those that fail first, the most frequent of each first."""
        names = {kind: self._names(kind) for kind in ("segmento", "tipo", "codigo")}
        for row in self._db.execute(_GROUPED):
            steps, segment, kind, code, note, failed, calls = row
            yield Group(
                tuple(steps.split(SEP)), _name(names["segmento"], segment), _name(names["tipo"], kind),
                _name(names["codigo"], code), note or "", bool(failed), calls,
            )  # fmt: skip

    def alike(self, narrative: "Narrative") -> tuple[int, tuple[str, ...]]:
        """How many calls read as `narrative` does, and `call_id` of a few."""
        history = self._db.execute("SELECT id FROM historia WHERE pasos = ?", (SEP.join(narrative.steps),)).fetchone()
        note = self._db.execute("SELECT id FROM nota WHERE texto = ?", (narrative.note,)).fetchone()
        where = (
            history[0] if history else NO_VALUE,
            self._number("segmento", narrative.segment),
            self._number("tipo", narrative.kind),
            self._number("codigo", narrative.code),
            int(narrative.failed),
            note[0] if note and narrative.note else NO_VALUE,
        )
        found = self._db.execute(_ALIKE, where).fetchall()
        return len(found), tuple(str(row[0]) for row in found[:3])

    def failing_like(self, pattern: "Pattern") -> tuple[str, ...]:
        """`call_id` of a few calls, the last ones first, that met a pattern and failed."""
        names = {kind: self._names(kind) for kind in ("segmento", "tipo")}
        found: list[str] = []
        for call_id, steps, segment, kind, hour in self._db.execute(_FAILING):
            has = pattern.condition.has(
                _name(names["segmento"], segment), _name(names["tipo"], kind), hour if hour >= 0 else None
            )
            if has and pattern.condition.completed(tuple(steps.split(SEP))):
                found.append(str(call_id))
            if len(found) == _EXAMPLES:
                break
        return tuple(found)

    def names(self, steps: Iterable[str]) -> KnownNames:
        """As the calls have them: steps written like one of `steps`, and all segments, types and codes."""
        wanted = {folded(step) for step in steps}
        found: dict[str, None] = {}
        seen: set[str] = set()
        for (text,) in self._db.execute("SELECT pasos FROM historia") if wanted else ():
            for step in text.split(SEP):
                if step not in seen:
                    seen.add(step)
                    if folded(step) in wanted:
                        found[step] = None
            if len(seen) > MOST_NAMES:
                seen.clear()
        return KnownNames.of(found, *(self._names(kind) for kind in ("segmento", "tipo", "codigo")))

    def steps_of(self, call_id: str) -> "tuple[str, ...] | None":
        """The way of one call, by its id as the log has it or as it is shown; None where it is not known."""
        query = "SELECT h.pasos FROM llamada AS l JOIN historia AS h ON h.id = l.historia WHERE l.id = ?"
        row = self._db.execute(query, (int(hashed([shown_id(call_id)])[0]),)).fetchone()
        return tuple(row[0].split(SEP)) if row else None

    def _number(self, kind: str, text: str) -> int:
        return self._values.get(kind, {}).get(text, NO_VALUE)

    def fact(self, name: str) -> str:
        """Something else kept about the calls; empty where it is not."""
        row = self._db.execute("SELECT texto FROM dato WHERE nombre = ?", (name,)).fetchone()
        return str(row[0]) if row else ""

    def keep_fact(self, name: str, text: str) -> None:
        """See `fact`."""
        self._db.execute("INSERT OR REPLACE INTO dato VALUES (?, ?)", (name, text))

    def _ids(self, table: str, column: str, texts: Sequence[str]) -> list[int]:
        new = sorted(set(texts))  # neighbours in the index, too
        self._db.executemany(
            f"INSERT OR IGNORE INTO {table} ({column}) VALUES (?)",  # noqa: S608 - our names
            [(text,) for text in new],
        )
        # All in one parameter: a statement with one for each text would be kept by the driver, another for each count.
        query = f"SELECT t.{column}, t.id FROM json_each(?) AS j CROSS JOIN {table} AS t ON t.{column} = j.value"  # noqa: S608
        known: dict[str, int] = dict(self._db.execute(query, (json.dumps(new, ensure_ascii=False),)))
        return [known[text] for text in texts]

    def _names(self, kind: str) -> list[str]:
        known = self._values.get(kind, {})
        return sorted(known, key=lambda text: known[text])

    def _weeks(self) -> float | None:
        query = "SELECT MIN(dia), MAX(dia) FROM llamada WHERE dia >= 0"
        first, last = self._db.execute(query).fetchone()
        return None if first is None else (last - first + 1) / 7


def hashed(call_ids: Sequence[str]) -> Ints:
    """(ids,) the number that each call is kept under: 64 bits of the hash of its id as it is shown."""
    from pandas.util import hash_array

    return np.asarray(hash_array(np.array(call_ids, object), categorize=False).view(np.int64))


def _name(names: Sequence[str], number: int) -> str:
    return names[number] if 0 <= number < len(names) else ""


@contextmanager
def open_store(folder: Path) -> Iterator[CallStore]:
    """The calls under `folder`, made when they are not there. Raises `DependencyError` when they cannot be used."""
    path = folder / FILE_NAME
    try:
        folder.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, timeout=5)
        try:
            write_ahead(connection)
            connection.execute(f"PRAGMA cache_size = -{_CACHE_KB}")
            connection.executescript(_SCHEMA)
            yield CallStore(connection)
        finally:
            connection.close()
    except sqlite3.OperationalError as error:
        if "locked" in str(error):
            raise DependencyError(f"Otro proceso está cargando llamadas en {path}. Espere a que termine.") from error
        if "full" in str(error):
            raise DependencyError(
                f"No queda sitio en el disco para {path}. Lo cargado hasta ahora sigue ahí: haga sitio y repita la "
                "orden."
            ) from error
        raise DependencyError(f"No se puede usar {path}: {error}. Compruebe el disco y los permisos.") from error
    except sqlite3.DatabaseError as error:
        raise DependencyError(
            f"{path} está dañado ({error}). Apártelo y cargue otra vez las llamadas: python batch.py --llamadas FICHERO"
        ) from error
    except OSError as error:
        raise DependencyError(f"No se puede usar {folder}: {error.strerror}.") from error
