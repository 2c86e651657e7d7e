"""The record in a real Loki: whole, once, and with the numbers of the run's report."""

import json
import logging
from collections import Counter
from pathlib import Path

import pytest

from observabilidad.logs import configure_logs
from observabilidad.resend import Stretch, resend, sender
from observabilidad.shipping import Limits
from tests.live.logql import Loki, loki_running
from tests.live.running import free_port
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


def test_a_loki_that_goes_and_comes_back_has_every_line_once(loki_program: Path, tmp_path: Path) -> None:
    logger, port = logging.getLogger("core.prueba"), free_port()

    def tell(what: str) -> None:
        for number in range(1000):
            logger.info("%s %d", what, number, extra={"action": "prueba", "ms": number})

    limits = Limits(linger=0.1, longest_pause=0.5, grace=30)
    with loki_running(loki_program, tmp_path, port) as url:
        logs = configure_logs(tmp_path / "logs", to_stderr=False, loki_url=url, limits=limits)
        tell("antes")
    tell("durante")
    with loki_running(loki_program, tmp_path, port) as url:
        tell("después")
        logs.close()
        recorded = logs.path.read_text(encoding="utf-8").splitlines()
        found = Loki(url)
        assert Counter(found.lines('{service_name="spai"}')) == Counter(recorded)
        resend([logs.path], Stretch(), sender(url, "DESA"))
        assert found.number('sum(count_over_time({service_name="spai"} [1h]))') == len(recorded) >= 3000
