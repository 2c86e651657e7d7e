"""The record in a real Loki: whole, once, and with the numbers of the run's report."""

import json
from collections import Counter

import pytest

from tests.live.worked import Worked

pytestmark = [pytest.mark.live, pytest.mark.slow, pytest.mark.timeout(600)]


def test_every_line_of_the_record_is_there_once(worked: Worked) -> None:
    assert Counter(worked.loki.lines(worked.lines)) == Counter(worked.recorded())


def test_what_stands_beside_a_line_can_be_asked_for_without_reading_it(worked: Worked) -> None:
    recorded = [json.loads(text) for text in worked.recorded()]
    for name in ("action", "stage"):
        expected = Counter(line.get(name, "") for line in recorded)
        assert {key[0] if key else "": count for key, count in worked.counted(name).items()} == expected
    assert worked.counted("severity_text") == {(k,): v for k, v in Counter(line["level"] for line in recorded).items()}


def test_the_numbers_are_the_report_s(worked: Worked) -> None:
    summary = worked.report["resumen"]
    done = worked.counted("result", where='| action="incident_done" | json')
    assert done == {(kind,): count for kind, count in summary["por_resultado"].items() if count}
    reasons = worked.counted("reason", where='| action="incident_done" | json')
    assert reasons == {(reason,): count for reason, count in summary["por_motivo"].items()}


def test_sent_again_nothing_is_twice(worked: Worked) -> None:
    """Neither while Loki has the lines in memory nor once it has written them to its files."""
    everything = f"sum(count_over_time({worked.lines} [1h]))"
    for _ in range(2):
        worked.product.run("-m", "observabilidad.logs", "reenviar", str(worked.product.record))
        assert worked.loki.number(everything) == len(worked.recorded())
        assert Counter(worked.loki.lines(worked.lines)) == Counter(worked.recorded())
        worked.loki.flush()
