"""Two processes on one SQLite queue: they share it, and nothing is done twice."""

from collections import Counter
from pathlib import Path

import pytest

from tests.faults.conftest import Workers
from tests.faults.worker import Setting, incidents, solvable

pytestmark = [pytest.mark.faults, pytest.mark.slow]


def test_no_double_work(workers: Workers, tmp_path: Path) -> None:
    setting = Setting(tmp_path, model_seconds=0.02)
    setting.desk.create(incidents(80))
    for process in workers.start_together(setting, 2):
        process.join(100)
        assert process.exitcode == 0
    calls = Counter(code for code, _ in setting.calls)
    assert calls == {f"INC-{n:03}": 1 for n in range(80)}
    assert len({pid for _, pid in setting.calls}) == 2
    assert Counter(setting.desk.effects()) == {f"INC-{n:03}": 1 for n in range(80) if solvable(n)}
