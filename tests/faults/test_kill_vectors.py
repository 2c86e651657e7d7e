"""kill -9 at random moments while the vectors of calls are written, for the first time and for what is new."""

import os
import random
import signal
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from core.calls.collection import Indexed, NarrativeBase
from core.calls.group import Group
from core.calls.narrative import narrative
from core.knowledge import open_client
from core.ports import Vectors
from tests.core.hash_embedder import HashEmbedder
from tests.faults.conftest import Workers, until

pytestmark = [pytest.mark.faults, pytest.mark.slow, pytest.mark.timeout(300)]
KILLS, FIRST, MORE, GONE = 5, 1_500, 3_000, 100


def _groups(start: int, end: int) -> list[Group]:
    return [
        Group(("Inicio", f"Paso {i}", "ERROR_X"), "premium", "pago", "ERROR_X", "", True, 1) for i in range(start, end)
    ]


class _Telling(HashEmbedder):
    """Says when it was first asked: from then on it is being written."""

    def __init__(self, told: Path | None = None) -> None:
        super().__init__({"a": 16})
        self._told = told

    def passages(self, texts: Sequence[str]) -> dict[str, Vectors]:
        if self._told:
            self._told.touch()
        return super().passages(texts)


def _bring(folder: Path, groups: Sequence[Group], told: Path | None = None) -> Indexed:
    with open_client(folder / "qdrant", None) as client:
        return NarrativeBase(client, _Telling(told)).bring_up_to_date(groups, 10_000)


def _held(folder: Path) -> tuple[list[str], int]:
    """The ids that serve, and how many collections there are, in Qdrant and on disk."""
    with open_client(folder / "qdrant", None) as client:
        base = NarrativeBase(client, HashEmbedder({"a": 16}))
        serving = base.shelf.current()
        points = list(base.shelf.scroll(serving, vectors=True)) if serving else []
        assert all(len(point.vectors["a"]) == 16 for point in points)
        return sorted(point.id for point in points), len(client.get_collections().collections)


def _ids(groups: Sequence[Group]) -> list[str]:
    return sorted(narrative(group, "").id for group in groups)


def _killed(workers: Workers, folder: Path, groups: Sequence[Group], chance: random.Random) -> None:
    for number in range(KILLS):
        told = folder / f"escribe-{len(groups)}-{number}"
        process = workers.run(_bring, folder, groups, told)
        assert process.pid
        until(told.exists, 60, "vectors are written")
        time.sleep(chance.uniform(0.0, 0.15))  # the random moment itself
        os.kill(process.pid, signal.SIGKILL)
        process.join(60)


def test_the_next_run_completes_and_nothing_is_doubled_or_missing(workers: Workers, tmp_path: Path) -> None:
    chance = random.Random(20261121)
    first, more = _groups(0, FIRST), _groups(GONE, MORE)
    _killed(workers, tmp_path, first, chance)
    served, _ = _held(tmp_path)
    assert set(served) < set(_ids(first))
    last = _bring(tmp_path, first)
    assert last.kept == len(served) > 0  # it went on where it was
    assert _held(tmp_path) == (_ids(first), 1)
    _killed(workers, tmp_path, more, chance)
    served, _ = _held(tmp_path)
    assert set(_ids(first)) < set(served) < set(_ids(first)) | set(_ids(more))  # nothing goes before all is there
    last = _bring(tmp_path, more)
    assert (last.kept, last.removed) == (len(served) - GONE, GONE)
    assert _held(tmp_path) == (_ids(more), 1)
    again = _bring(tmp_path, more)
    assert (again.embedded, again.removed) == (0, 0)
