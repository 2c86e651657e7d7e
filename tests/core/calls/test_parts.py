"""However the calls are cut into parts, the same is found; what is rare is forgotten and told."""

import errno
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from bench.llamadas.generar import write_csv
from bench.llamadas.generate import Calls, generate, in_parts
from core.calls import counted, scratch, strata
from core.calls.frequent import Frequent
from core.calls.loading import Loader
from core.calls.mapping import CallMap
from core.calls.outcome_steps import Outcomes, StepCounts, step_counts
from core.calls.patterns import Found, find_patterns
from core.calls.ranking import told
from core.calls.scratch import Scratch
from core.calls.step_patterns import Pairs
from core.calls.store import open_store
from core.calls.tally import NO_VALUE, Tally
from core.calls.walks import walks
from core.errors import DependencyError
from core.privacy import scrub


@dataclass(frozen=True)
class _InParts:
    """A tally, a few cells at a time."""

    whole: Tally
    size: int

    def __getattr__(self, name: str) -> object:
        return getattr(self.whole, name)

    def parts(self) -> Iterator[Tally]:
        names = ("history", "segment", "kind", "hour", "code", "calls", "failed")
        for start in range(0, len(self.whole.calls), self.size):
            cells = {name: getattr(self.whole, name)[start : start + self.size] for name in names}
            used, cells["history"] = np.unique(cells["history"], return_inverse=True)
            yield replace(self.whole, histories=[self.whole.histories[i] for i in used.tolist()], **cells)


def test_parts_change_nothing(tally: Tally, found: Found) -> None:
    """But for the sub-sequences worth counting, drawn from the calls in another order."""
    again = find_patterns(_InParts(tally, 3_000))  # type: ignore[arg-type] - its attributes are those of a tally
    assert (again.calls, again.failed, again.outcomes) == (found.calls, found.failed, found.outcomes)
    for one, other in zip(again.patterns, found.patterns, strict=True):
        assert (one.condition, one.calls, one.failed, one.codes, one.endings) == (
            other.condition, other.calls, other.failed, other.codes, other.endings
        )  # fmt: skip
        assert (one.p_value, one.p_given, one.low) == pytest.approx((other.p_value, other.p_given, other.low))


def test_the_store_gives_what_the_calls_have(
    calls: Calls, found: Found, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counted, "PART", 1_500)
    monkeypatch.setattr(counted, "_PART_TEXT", 40_000)
    with (tmp_path / "llamadas.csv").open("w", encoding="utf-8") as stream:
        write_csv(stream, [calls], 100)
    with open_store(tmp_path) as store:
        Loader(store, CallMap(), scrub).load(tmp_path / "llamadas.csv")
        with store.counted(tmp_path) as log:
            assert len(list(log.parts())) > 10
            stored = find_patterns(log, scratch=tmp_path)
    assert {(str(p.condition), p.calls, p.failed) for p in stored.patterns} == {
        (str(p.condition), p.calls, p.failed) for p in found.patterns
    }
    assert {path.name for path in tmp_path.iterdir()} == {"llamadas.csv", "llamadas.db"}


def test_what_is_loaded_meanwhile_stays_unseen(log: Path, tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        Loader(store, CallMap(), scrub).load(log)
        with store.counted(tmp_path) as calls:
            with open_store(tmp_path) as other:
                other.clear()
                other.commit()
            assert sum(part.total for part in calls.parts()) == calls.total == 2_000
        assert store.count() == 0


def test_frequent_names_survive_any_number_of_rare_ones() -> None:
    counts = Frequent(1, most=10)
    for i in range(1_000):
        counts.add(f"raro {i}", 1)
        if i % 4 == 0:
            counts.add("frecuente", 1)
    assert counts.forgot
    assert len(counts.sums) <= 10
    assert "frecuente" in counts.sums
    exact = counts.only(["frecuente"])
    exact.add("frecuente", 7)
    exact.add("otro", 7)
    assert exact.sums == {"frecuente": [7]}


def _own_steps(ways: int = 400) -> Tally:
    """Every call with a step of its own, and failures that each end in an error of their own."""
    histories = [
        ("Inicio", f"Ref {i}", "Pago" if i % 2 else "Saldo", *((f"ERROR_{i}", "Adiós") if i % 4 == 1 else ("Fin",)))
        for i in range(ways)
    ]
    nothing, one = np.full(ways, NO_VALUE), np.ones(ways, np.int64)
    failed = np.array(["ERROR" in way[3] for way in histories]).astype(np.int64)
    return Tally(histories, (), (), (), np.arange(ways), nothing, nothing, nothing, nothing, one, failed)


def test_too_many_names_of_steps_are_counted_where_they_are_frequent() -> None:
    tally = _own_steps()
    counts = step_counts(tally, most=20)
    assert not counts.every
    assert len(counts.counts) <= 20
    assert counts.counts["Inicio"] == [400, 100, 0]
    assert counts.counts["Pago"] == [200, 100, 0]
    assert step_counts(tally).every


def test_a_rare_outcome_is_one_where_its_own_calls_failed() -> None:
    tally = _own_steps(8)
    where = Outcomes({}, counted={"Inicio", "Pago", "Saldo", "Fin", "Adiós"}, causes={"ERROR_5"})
    paths = where.cut(tally)
    assert paths.steps[1] == ("Inicio", "Ref 1", "Pago")
    assert paths.ending[1] == "ERROR_1"
    assert paths.steps[0] == tally.histories[0]
    assert paths.ending[5] == ""


def test_patterns_are_found_among_names_without_number(monkeypatch: pytest.MonkeyPatch) -> None:
    tally = _own_steps(4_000)
    monkeypatch.setattr("core.calls.patterns.step_counts", lambda log: step_counts(log, most=50))
    found = find_patterns(tally)
    assert [str(pattern.condition) for pattern in found.patterns] == ["Pago"]
    assert (found.patterns[0].calls, found.patterns[0].failed) == (2_000, 1_000)
    assert not found.every_step
    assert "otro paso" in "\n".join(told(found))


def test_few_transitions_are_held_and_the_frequent_are_among_them() -> None:
    tally = _own_steps(2_000)
    numbers = {step: number for number, step in enumerate(sorted({s for way in tally.histories for s in way}), start=1)}
    pairs = Pairs(len(numbers) + 1, most=40)
    for part in walks(_InParts(tally, 100), Outcomes({}), numbers):  # type: ignore[arg-type] - as above
        pairs.take(part)
    assert (numbers["Saldo"], numbers["Fin"]) in pairs.frequent(900)
    assert len(pairs.frequent(0)) <= 40


def test_rare_combinations_of_patterns_are_left_out(
    calls: Calls, tally: Tally, found: Found, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(strata, "_MOST", 3)
    monkeypatch.setattr(strata, "_MOST_KNOWN", 4)
    fewer = find_patterns(_InParts(tally, 3_000))  # type: ignore[arg-type] - as above
    assert {str(p.condition) for p in fewer.patterns} & {str(p.condition) for p in found.patterns}
    assert all(p.p_given <= 1e-3 for p in fewer.patterns)


def test_many_patterns_are_combined_as_few_are(tally: Tally, found: Found, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strata, "_FEW", 0)
    assert find_patterns(tally) == found


def test_a_full_disk_is_told(tally: Tally, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(scratch.np, "save", full)
    with pytest.raises(DependencyError, match="no queda sitio"):
        find_patterns(tally, scratch=tmp_path)


def test_scratch_is_read_as_often_as_wanted_and_leaves_nothing(tmp_path: Path) -> None:
    with Scratch(tmp_path) as kept:
        kept.write([np.arange(3), np.eye(2)])
        kept.write([np.arange(0)])
        first, second = iter(kept), iter(kept)
        assert [len(group) for group in zip(first, second, strict=True)] == [2, 2]
        kept.write([np.array([7])])
        assert [group[0].tolist() for group in kept] == [[0, 1, 2], [], [7]]
    assert list(tmp_path.iterdir()) == []


def test_parts_have_the_faults_of_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.llamadas.generate.PART", 3_000)
    parts = list(in_parts(100, 7_000, 2))
    assert [len(part.steps) for part in parts] == [3_000, 3_000, 1_000]
    assert parts[0].planted == parts[2].planted
    assert parts[0].steps[:50] != parts[1].steps[:50]
    assert parts[0].steps == generate(100, 3_000, 2).steps


def test_counts_without_anything_have_no_outcomes() -> None:
    assert StepCounts({}, every=True).outcomes() == {}
