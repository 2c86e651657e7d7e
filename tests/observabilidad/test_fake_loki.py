"""The fake Loki behaves as the real one where tests and bench rely on it."""

import json
from urllib.request import Request, urlopen

import pytest

from config import ROOT
from observabilidad.fake_loki import PATH, FakeLoki, loki_process
from observabilidad.line import Line, read_line
from observabilidad.loki import Answer, Loki


def _line(text: str, second: int = 1) -> Line:
    fields = {"time": f"2026-01-31T10:00:{second:02}+00:00", "level": "INFO", "message": text}
    return read_line(json.dumps(fields))


def _send(url: str, *lines: Line, environment: str = "DESA") -> Answer:
    loki = Loki(url, environment)
    try:
        return loki.send([loki.record(line) for line in lines], 5.0)
    finally:
        loki.close()


def test_equal_lines_at_one_time_are_one_and_others_are_not() -> None:
    with FakeLoki() as fake:
        assert _send(fake.url, _line("a"), _line("a"), _line("b"), _line("a", 2)) is Answer.TAKEN
        assert _send(fake.url, _line("a")) is Answer.TAKEN
        assert _send(fake.url, _line("a"), environment="PROD") is Answer.TAKEN
    assert fake.received == 6
    assert len(fake.texts()) == len(fake.metadata) == 4
    assert len(fake.lines) == 2


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [("/loki/api/v1/push", b"", 404), (PATH, b"no es gzip", 400), (PATH, b"\x1f\x8b\x08", 400)],
    ids=["path", "plain", "cut"],
)
def test_what_is_no_otlp_is_refused(path: str, body: bytes, status: int) -> None:
    with FakeLoki() as fake, pytest.raises(OSError, match=str(status)):
        urlopen(Request(fake.url + path, body), timeout=5)


def test_in_a_process_of_its_own_it_does_as_it_is_told() -> None:
    with loki_process(ROOT) as fake:
        assert _send(fake.url, _line("a")) is Answer.TAKEN
        assert fake.order("cuenta") == {"distintas": 1, "recibidas": 1, "peticiones": 1}
        assert len(fake.order("lineas")["lineas"]) == 1
        fake.order("estado 503")
        assert _send(fake.url, _line("b")) is Answer.FAULTY
        fake.order("caer")
        assert _send(fake.url, _line("b")) is Answer.AWAY
        fake.order("volver")
        fake.order("estado 204")
        assert _send(fake.url, _line("b")) is Answer.TAKEN
        assert fake.order("baila") == {"error": "no se entiende"}
