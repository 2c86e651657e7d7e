"""Memory does not grow with the calls nor with their different histories: measured on whole processes."""

import random
from pathlib import Path

import pytest

from bench.llamadas.measures import loaded_apart

_STEPS = [f"Paso {letter}" for letter in "ABCDEFGH"]
_FEW, _MANY = 30_000, 80_000
_ROOM = 12.0
"""MB. A text and its steps for each of 50,000 more histories would be more than 40."""


def _log(path: Path, calls: int) -> Path:
    """Calls that each go their own way: none of the ways twice, and in each a step that no other has."""
    chance = random.Random(7)
    with path.open("w", encoding="utf-8") as stream:
        stream.write("call_id,steps_history,final_status,call_type,timestamp\n")
        for i in range(calls):
            way = " -> ".join([*chance.choices(_STEPS, k=7), f"Trámite {i}", "Fin"])
            state = "failed" if chance.random() < 0.1 else "ok"
            stream.write(f"c{i},{way},{state},pago,2026-03-{1 + i % 28:02d}T{i % 24:02d}:00:00\n")
    return path


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="measured as Linux tells it")
@pytest.mark.timeout(120)
def test_memory_stays_as_it_is(tmp_path: Path) -> None:
    few = loaded_apart(_log(tmp_path / "pocas.csv", _FEW), tmp_path / "pocas")
    many = loaded_apart(_log(tmp_path / "muchas.csv", _MANY), tmp_path / "muchas")
    assert (few.ways, many.ways) == (_FEW, _MANY)
    assert many.peak_mb - few.peak_mb < _ROOM, (few, many)
