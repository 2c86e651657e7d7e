"""What is called a pattern, and what is not."""

import itertools

import numpy as np
import pytest
from scipy.stats import fisher_exact, hypergeom

from bench.llamadas.finding import score, tallied
from bench.llamadas.generate import Calls, generate
from core.calls.contrast import upper_tail, weighted_discoveries, wilson
from core.calls.mining import Sample, frequent_sequences
from core.calls.outcome_steps import Outcomes, step_counts
from core.calls.pattern import Attribute, Condition, Kind
from core.calls.patterns import Found, find_patterns, holds
from core.calls.tally import NO_VALUE, Tally
from core.calls.walks import walks


def _tally(rows: list[tuple[tuple[str, ...], int, int]]) -> Tally:
    """Histories with calls and failures, nothing else known."""
    size = len(rows)
    nothing = np.full(size, NO_VALUE)
    return Tally(
        [steps for steps, _, _ in rows], (), (), (), np.arange(size), nothing, nothing, nothing, nothing,
        np.array([n for _, n, _ in rows]), np.array([k for _, _, k in rows]), 2.0,
    )  # fmt: skip


def test_finds_what_was_planted_and_nothing_else(calls: Calls, tally: Tally, found: Found) -> None:
    result = score(calls, found.patterns, tally)
    assert (result.found, result.false) == (len(calls.planted), 0), (result.missed, result.wrong)


@pytest.mark.parametrize("seed", [110, 111])
def test_finds_nothing_where_nothing_is_planted(seed: int) -> None:
    assert find_patterns(tallied(generate(seed, 10_000, 0))).patterns == ()


def test_ranks_by_cost_and_says_what_is_seen(found: Found, tally: Tally) -> None:
    costs = [pattern.excess for pattern in found.patterns]
    assert costs == sorted(costs, reverse=True)
    for pattern in found.patterns:
        held = holds(tally, pattern.condition)
        assert pattern.calls == tally.calls[held].sum()
        assert pattern.failed == tally.failed[held].sum()
        assert pattern.low < pattern.rate < pattern.high
        assert pattern.lost_per_week == pytest.approx(pattern.excess / 4.0)
        assert pattern.q_value <= 0.05


def test_each_fault_shows_its_own_error_code(calls: Calls, found: Found) -> None:
    assert {p.codes[0].code for p in found.patterns if p.codes} == {fault.code for fault in calls.planted}


def test_a_step_that_rides_along_is_no_pattern_of_its_own() -> None:
    """«B» follows the faulty «A» half the time and fails because of it alone."""
    rows = [
        (("Inicio", "A", "B", "Fin"), 1000, 300), (("Inicio", "A", "Fin"), 1000, 300),
        (("Inicio", "B", "Fin"), 500, 40), (("Inicio", "C", "Fin"), 8000, 640),
    ]  # fmt: skip
    assert [str(p.condition) for p in find_patterns(_tally(rows)).patterns] == ["A"]


def test_a_transition_explains_both_its_steps() -> None:
    rows = [
        (("Inicio", "A", "B", "Fin"), 800, 240), (("Inicio", "B", "A", "Fin"), 2000, 160),
        (("Inicio", "A", "Fin"), 2000, 160), (("Inicio", "B", "Fin"), 2000, 160), (("Inicio", "Fin"), 9000, 720),
    ]  # fmt: skip
    assert [str(p.condition) for p in find_patterns(_tally(rows)).patterns] == ["A -> B"]


def test_steps_on_the_way_to_a_fault_are_not_blamed_for_early_failures() -> None:
    """Failures end the call: those that fail in «Menú» never reach «Pago», and «Menú» must not look faulty for it."""
    rows = [
        (("Inicio", "Menú", "ERROR_X"), 760, 760), (("Inicio", "Menú", "Pago", "Fin"), 8000, 0),
        (("Inicio", "Menú", "Saldo", "ERROR_X"), 330, 330), (("Inicio", "Menú", "Saldo", "Fin"), 8000, 0),
        (("Inicio", "Menú", "Pago", "ERROR_X"), 1600, 1600), (("Inicio", "ERROR_X"), 1200, 1200),
        (("Inicio", "Otro", "Fin"), 30000, 0), (("Inicio", "Otro", "ERROR_X"), 1250, 1250),
    ]  # fmt: skip
    assert [str(p.condition) for p in find_patterns(_tally(rows)).patterns] == ["Pago"]


def test_error_steps_are_the_failure_and_not_its_cause() -> None:
    rows = [
        (("Inicio", "Menú", "ERROR_API"), 300, 300), (("Inicio", "Menú", "Colgado", "Fin"), 50, 50),
        (("Inicio", "Menú", "Error de PIN", "Reintento", "Fin"), 500, 30), (("Inicio", "Menú", "Fin"), 3000, 200),
    ]  # fmt: skip
    tally = _tally(rows)
    counts = step_counts(tally)
    assert counts.outcomes() == {"ERROR_API": 300, "Colgado": 50}
    paths = Outcomes(counts.outcomes()).cut(tally)
    assert (paths.steps[1], paths.ending[1], paths.ending[2]) == (("Inicio", "Menú"), "Colgado", "")
    assert "ERROR_API" not in counts.outcomes(causes=["ERROR_API"])


@pytest.mark.parametrize("failed", [0, 100], ids=["none failed", "all failed"])
def test_without_both_kinds_there_is_nothing_to_compare(failed: int) -> None:
    assert find_patterns(_tally([(("A", "B"), 100, failed)])).patterns == ()


def test_no_calls_no_patterns() -> None:
    assert find_patterns(_tally([])).patterns == ()


@pytest.mark.parametrize(("n", "size", "failures", "seen"), [(250, 50_000, 4_000, 40), (30, 100, 20, 12), (5, 9, 4, 0)])
def test_one_table_is_fishers_exact_test(n: int, size: int, failures: int, seen: int) -> None:
    exact = hypergeom.sf(seen - 1, size, failures, n)
    table = [[seen, n - seen], [failures - seen, size - n - failures + seen]]
    assert upper_tail(seen, [(n, size, failures)]) == pytest.approx(exact, rel=1e-9)
    assert exact == pytest.approx(fisher_exact(table, alternative="greater").pvalue, rel=1e-6)


def test_strata_are_convolved() -> None:
    first, second = hypergeom(60, 12, 20), hypergeom(40, 20, 10)
    exact = sum(first.pmf(a) * second.pmf(b) for a, b in itertools.product(range(13), range(11)) if a + b >= 13)
    assert upper_tail(13, [(20, 60, 12), (10, 40, 20)]) == pytest.approx(exact, rel=1e-9)


def test_a_stratum_without_anyone_to_compare_with_says_nothing() -> None:
    assert upper_tail(8, [(10, 10, 8)]) == 1.0


def test_a_large_family_does_not_drown_a_small_one() -> None:
    p_values = np.r_[np.full(10, 1e-3), np.linspace(0.2, 1, 990)]
    family = np.r_[np.zeros(10, np.int64), np.ones(990, np.int64)]
    assert weighted_discoveries(p_values, family)[0] < 0.05 / 10
    assert len(weighted_discoveries(np.array([]), np.array([], np.int64))) == 0


def test_wilson_holds_the_rate() -> None:
    low, high = wilson(0, 50)
    assert low == pytest.approx(0, abs=1e-12)
    assert 0.05 < high < 0.09


def test_mines_sub_sequences_with_gaps() -> None:
    rows = [(1, 3, 2), (1, 2, 4), (1, 2, 1, 2), (2, 1)]
    expected = {
        pattern
        for length in (2, 3)
        for pattern in itertools.product(range(1, 5), repeat=length)
        if any(pattern in set(itertools.combinations(row, length)) for row in rows)
    }
    assert set(frequent_sequences(rows * 10, 0.25)) == expected


def test_a_history_in_circles_is_mined_quickly() -> None:
    tally = _tally([(("A", "B", "C") * 60, 50, 4)])
    sample = Sample(50)
    for part in walks(tally, Outcomes({}), {"A": 1, "B": 2, "C": 3}):
        sample.take(part)
    assert sample.ways == [[1, 2, 3, 1, 2, 3]] * 50
    assert frequent_sequences(sample.ways, 0.5)


@pytest.mark.parametrize(
    ("condition", "steps", "at"),
    [
        (Condition(("A",)), ("X", "A", "A"), 2),
        (Condition(("A", "B"), contiguous=True), ("A", "X", "B", "A", "B"), 5),
        (Condition(("A", "B")), ("B", "A", "X", "B"), 4),
        (Condition(("A", "A")), ("A", "B"), 0),
        (Condition(attribute=Attribute.TYPE, values=("pago",)), ("A",), 1),
    ],
    ids=["step", "transition", "sequence", "never", "attribute"],
)
def test_when_a_pattern_is_complete(condition: Condition, steps: tuple[str, ...], at: int) -> None:
    assert condition.completed(steps) == at


def test_conditions_say_what_they_are() -> None:
    hours = Condition(("A", "B"), contiguous=True, attribute=Attribute.HOUR, values=("08", "09"))
    assert (str(hours), hours.kind) == ("A -> B [hora=08–09]", Kind.TRANSITION)
    assert hours.has("", "", 9)
    assert not hours.has("", "", None)
    assert str(Condition(attribute=Attribute.SEGMENT, values=("pyme",))) == "segmento=pyme"
    assert Condition(("A",), attribute=Attribute.SEGMENT, values=("pyme",)).has("pyme", "", None)
    assert str(Condition(("A", "B"))) == "A … B"
