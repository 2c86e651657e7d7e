"""Labels and what they teach, kept on PostgreSQL."""

from pathlib import Path

import pytest

from core.database import Database
from core.judgement.cases import cases_of
from core.ledger import Hindsight, Said, Taken, open_ledger
from tests.core.judgement.desk import record
from tests.faults.conftest import Postgres

pytestmark = [pytest.mark.faults, pytest.mark.slow]


def test_labels_find_their_decisions(postgres: Postgres, tmp_path: Path) -> None:
    with open_ledger(Database(tmp_path, postgres.url)) as ledger:
        hindsight = Hindsight(ledger)
        ledger.intend(record(1), again=(), caps={})
        ledger.leave(record(2))
        labels = [Said("INC-1", "e1", True), Said("INC-2", "e1", False), Said("INC-3", "e1", False)]
        assert hindsight.say(labels, "ana") == Taken(acted=1, left=1, waiting=1)
        ledger.intend(record(3), again=(), caps={})
        assert [(one.judged.acted, one.right) for one in cases_of(hindsight)] == [
            (True, True), (False, False), (True, False),
        ]  # fmt: skip
        assert len(hindsight.recent(2)) == 2
