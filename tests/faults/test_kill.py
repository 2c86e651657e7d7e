"""kill -9 at random moments, on SQLite, at a desk that does whatever it is sent as often as it is sent."""

import json
import os
import random
import signal
import sqlite3
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from tests.faults.conftest import Workers, until
from tests.faults.worker import Setting, incidents, solvable

pytestmark = [pytest.mark.faults, pytest.mark.slow, pytest.mark.timeout(600)]
KILLS, COUNT, HANDS = 20, 200, 4


def _judged(folder: Path) -> set[str]:
    """The incidents whose judgement is in the journal."""
    with closing(sqlite3.connect(folder / "cola.db", timeout=30)) as db:
        if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'operation_outputs'").fetchone():
            return set()  # killed while it made its tables
        rows = db.execute("SELECT DISTINCT workflow_uuid FROM operation_outputs WHERE function_name = 'juzgar'")
        return {work.rpartition("-")[0] for (work,) in rows}


def test_nothing_is_lost_or_done_twice(workers: Workers, tmp_path: Path) -> None:
    chance = random.Random(20261121)
    setting = Setting(tmp_path, hands=HANDS, model_seconds=0.03)
    setting.desk.create(incidents(COUNT))
    judged: set[str] = set()
    repeated: list[str] = []
    killed_at: list[int] = []
    for number in range(KILLS + 1):
        before = len(setting.calls)
        process = workers.start(setting)
        assert process.pid
        if number < KILLS:
            if number % 7:  # the others are killed while they start
                until((tmp_path / f"listo-{process.pid}").exists, 60, "a worker starts")
            time.sleep(chance.uniform(0.02, 0.8))  # the random moment itself
            os.kill(process.pid, signal.SIGKILL)
        process.join(300)
        assert process.exitcode == (-signal.SIGKILL if number < KILLS else 0)
        repeated += [code for code, _ in setting.calls[before:] if code in judged]
        judged = _judged(tmp_path)
        killed_at.append(len(judged))
    assert killed_at[0] < killed_at[KILLS // 2] < COUNT, killed_at  # they were killed at work
    assert repeated == []
    results = [
        result
        for path in (tmp_path / "recursos" / "reportes").iterdir()
        for result in json.loads(path.read_text("utf-8"))["incidencias"]
    ]
    assert Counter(result["codIncidencia"] for result in results) == {f"INC-{n:03}": 1 for n in range(COUNT)}
    # In hand at three deaths: to a person, whether it was to blame or not.
    given_up = {result["codIncidencia"] for result in results if result["motivo"] == "REPEATED_CRASH"}
    assert len(given_up) <= HANDS * 2
    effects, due = Counter(setting.desk.effects()), {f"INC-{n:03}" for n in range(COUNT) if solvable(n)}
    assert set(effects.values()) == {1}
    assert due - given_up <= set(effects) <= due
    done = {result["codIncidencia"] for result in results if result["resultado"] == "automatica"}
    assert done == set(effects) - given_up
    with closing(sqlite3.connect(tmp_path / "cola.db")) as db:
        states = dict(db.execute("SELECT status, count(*) FROM workflow_status GROUP BY status"))
    assert states == {"SUCCESS": COUNT}
