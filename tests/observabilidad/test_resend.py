"""`python -m observabilidad.logs reenviar`: everything arrives, nothing doubles, what is wrong is told."""

import json
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from config import ROOT
from core.errors import DependencyError, UsageError
from observabilidad import logs, resend
from observabilidad.fake_loki import ASKED, FakeLoki
from observabilidad.line import Line
from observabilidad.logs import configure_logs
from observabilidad.shipping import Limits

logger = logging.getLogger("core.prueba")


@pytest.fixture
def loki() -> Iterator[FakeLoki]:
    with FakeLoki() as served:
        yield served


@pytest.fixture
def use(loki: FakeLoki, monkeypatch: pytest.MonkeyPatch) -> FakeLoki:
    monkeypatch.setenv("LOKI_URL", loki.url)
    return loki


def _line(second: int, text: str = "hecho") -> str:
    return json.dumps({"time": f"2026-01-31T10:00:{second:02}+00:00", "level": "INFO", "message": text}) + "\n"


def _write(path: Path, *lines: str) -> Path:
    path.write_text("".join(lines), "utf-8")
    return path


def test_what_loki_missed_comes_and_what_it_has_does_not_double(
    tmp_path: Path, use: FakeLoki, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(logs, "MAX_BYTES", 3000)
    limits = Limits(linger=0.01, longest_pause=0.01, grace=0.05)
    with configure_logs(tmp_path, to_stderr=False, loki_url=use.url, limits=limits) as log:
        for number in range(20):
            logger.info("antes %d", number, extra={"action": "x"})
        assert use.wait_for(20)
        use.stop()
        for number in range(20):
            logger.info("durante %d", number, extra={"action": "x"})
    use.start()
    disk = [line for path in resend.record_files(log.path) for line in path.read_text("utf-8").splitlines()]
    assert len(disk) > 40  # what it came to is told, too
    disk.sort(key=lambda line: str(json.loads(line)["time"]))  # the sender's own lines may be written out of turn
    assert len(use.texts()) == 20
    for _ in range(2):
        assert resend.main(["reenviar", str(log.path)]) == 0
        assert use.texts() == disk
    assert use.received == len(disk)
    assert f"{len(disk)} líneas enviadas" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "seconds"),
    [
        ([], [1, 2, 3, 4]),
        (["--desde", "2026-01-31T10:00:02+00:00"], [2, 3, 4]),
        (["--hasta", "2026-01-31T10:00:03Z"], [1, 2, 3]),
        (["--desde", "2026-01-31T11:00:02+01:00", "--hasta", "2026-01-31T10:00:02+00:00"], [2]),
        (["--desde", "2027-01-01"], []),
    ],
    ids=["all", "since", "until", "both", "none"],
)
def test_a_stretch(
    tmp_path: Path, use: FakeLoki, arguments: list[str], seconds: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    path = _write(tmp_path / "spai.jsonl", *[_line(second) for second in (1, 2, 3, 4)])
    assert resend.main(["reenviar", str(path), *arguments]) == 0
    assert use.texts() == [_line(second).strip() for second in seconds]
    assert (f"{4 - len(seconds)} fuera del tramo" in capsys.readouterr().out) is (len(seconds) < 4)


def test_rotated_files_come_in_their_order_and_others_not_at_all(tmp_path: Path) -> None:
    for name in ("spai.jsonl", "spai.jsonl.1", "spai.jsonl.2", "spai.jsonl.10", "spai.jsonl.bak", "otro.jsonl.1"):
        (tmp_path / name).touch()
    names = [path.name for path in resend.record_files(tmp_path / "spai.jsonl")]
    assert names == ["spai.jsonl.10", "spai.jsonl.2", "spai.jsonl.1", "spai.jsonl"]
    assert resend.record_files(tmp_path / "spai.jsonl.2") == [tmp_path / "spai.jsonl.2"]


def test_lines_that_are_none_are_told_and_the_rest_goes(
    tmp_path: Path, use: FakeLoki, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "spai.jsonl"
    path.write_bytes(
        _line(1).encode()
        + b"NIF 12345678Z\n\xff\xfe\n\n   \n{}\n"
        + _line(2, "a\u2028b").encode()
        + _line(3).encode()[:20]
    )
    assert resend.main(["reenviar", str(path)]) == 1
    out = capsys.readouterr().out
    assert "2 líneas enviadas" in out
    assert "3 que no se entienden: spai.jsonl:2 " in out
    assert "spai.jsonl:3 (no es UTF-8); spai.jsonl:6 " in out
    assert "12345678Z" not in out
    assert len(use.texts()) == 2


def test_more_than_a_batch_and_a_bar(tmp_path: Path, loki: FakeLoki) -> None:
    path = _write(tmp_path / "spai.jsonl", *[_line(n % 60, str(n)) for n in range(1300)])
    shown: list[tuple[str, int, int]] = []
    send = resend.sender(loki.url, "DESA")
    done = resend.resend([path], resend.Stretch(), send, lambda *step: shown.append(step))
    assert done.sent == len(loki.metadata) == 1300
    assert shown == [("Líneas", 512, 1300), ("Líneas", 1024, 1300), ("Líneas", 1300, 1300)]


@pytest.mark.parametrize("takes_only", [False, True], ids=["asked first", "that only takes"])
def test_what_loki_has_is_not_sent_again(tmp_path: Path, loki: FakeLoki, takes_only: bool) -> None:
    """A real Loki shows a line that came twice once, but counts it twice until it has merged its chunks."""
    path = _write(tmp_path / "spai.jsonl", *[_line(n % 60, str(n)) for n in range(600)])
    assert resend.resend([path], resend.Stretch(), resend.sender(loki.url, "DESA")).sent == 600
    _write(path, path.read_text("utf-8"), _line(59, "nueva"))
    loki.takes_only = takes_only
    assert resend.resend([path], resend.Stretch(), resend.sender(loki.url, "DESA")).sent == 601
    assert loki.received == (1201 if takes_only else 601)
    assert len(loki.texts()) == 601


def test_loki_is_asked_page_by_page(tmp_path: Path, loki: FakeLoki, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("observabilidad.loki._PAGE", 7)
    path = _write(tmp_path / "spai.jsonl", *[_line(n // 5, str(n)) for n in range(100)])
    for _ in range(2):
        resend.resend([path], resend.Stretch(), resend.sender(loki.url, "DESA"))
    assert loki.received == 100
    assert loki.paths.count(ASKED) > 20


def test_a_file_rotated_meanwhile_is_read_to_its_end(tmp_path: Path) -> None:
    path = _write(tmp_path / "spai.jsonl", *[_line(n % 60, str(n)) for n in range(600)])
    sent: list[Line] = []

    def send(batch: Sequence[Line]) -> str:
        if not sent:
            shutil.move(path, tmp_path / "spai.jsonl.1")
            _write(path, _line(59, "nueva"))
        sent.extend(batch)
        return ""

    assert resend.resend([path], resend.Stretch(), send).sent == 600
    assert not any("nueva" in line.text for line in sent)


def test_it_says_where_to_go_on_when_loki_goes_away(tmp_path: Path) -> None:
    path = _write(tmp_path / "spai.jsonl", *[_line(n // 20, str(n)) for n in range(1100)])
    calls: list[int] = []

    def send(batch: Sequence[Line]) -> str:
        calls.append(len(batch))
        if len(calls) == 2:
            raise DependencyError("Loki no recibe.")
        return ""

    with pytest.raises(DependencyError, match=r"Enviadas 512 líneas\. .*--desde 2026-01-31T10:00:25\+00:00"):
        resend.resend([path], resend.Stretch(), send)


def test_cut_short_it_says_where_to_go_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = _write(tmp_path / "spai.jsonl", _line(7))

    def send(batch: Sequence[Line]) -> str:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        resend.resend([path], resend.Stretch(), send)
    assert "--desde 2026-01-31T10:00:07+00:00" in capsys.readouterr().err


def test_lines_that_loki_refuses_are_told_with_the_reason(
    tmp_path: Path, use: FakeLoki, capsys: pytest.CaptureFixture[str]
) -> None:
    use.status = 400
    assert resend.main(["reenviar", str(_write(tmp_path / "spai.jsonl", _line(1)))]) == 1
    out = capsys.readouterr().out
    assert "1 en lotes que Loki no ha admitido enteros (ha contestado 400)" in out
    assert "max_chunk_age" in out


def test_a_loki_that_is_not_there_is_named(loki: FakeLoki, tmp_path: Path) -> None:
    loki.stop()
    send = resend.sender(loki.url, "DESA", seconds=0.1)
    with pytest.raises(DependencyError, match=rf"Loki \({loki.url[7:]}\) no recibe .* Compruebe LOKI_URL"):
        resend.resend([_write(tmp_path / "spai.jsonl", _line(1))], resend.Stretch(), send)


def test_a_loki_that_comes_back_gets_them(loki: FakeLoki, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loki.status = 503
    pauses: list[float] = []

    def back(seconds: float) -> None:
        pauses.append(seconds)
        loki.status = 204

    monkeypatch.setattr(resend, "sleep", back)
    send = resend.sender(loki.url, "DESA")
    assert resend.resend([_write(tmp_path / "spai.jsonl", _line(1))], resend.Stretch(), send).sent == 1
    assert pauses == [0.5]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "falta indicar: ORDEN"),
        (["reenviar"], "falta indicar: FILE"),
        (["reenviar", "x", "--desde", "ayer"], "«ayer» no es una fecha y hora"),
        (["reenviar", "x", "--hasta", "0001-01-01"], "no es una fecha y hora"),
    ],
    ids=["nothing", "no-file", "when", "too-old"],
)
def test_wrong_usage(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        resend.main(arguments)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_without_a_loki_or_a_file_it_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert resend.main(["reenviar", str(_write(tmp_path / "spai.jsonl", _line(1)))]) == 2
    assert "Falta LOKI_URL" in capsys.readouterr().err
    monkeypatch.setenv("LOKI_URL", "http://127.0.0.1:9")
    assert resend.main(["reenviar", str(tmp_path / "otro.jsonl")]) == 2
    assert "No existe el registro" in capsys.readouterr().err


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        (tmp_path / "spai.jsonl.1").mkdir()
        with pytest.raises(UsageError, match="no se puede leer"):
            resend.resend(resend.record_files(tmp_path / "spai.jsonl"), resend.Stretch(), lambda batch: "")
        return
    path = _write(tmp_path / "spai.jsonl", _line(1))
    path.chmod(0)
    with pytest.raises(UsageError, match="no se puede leer"):
        resend.resend([path], resend.Stretch(), lambda batch: "")


@pytest.mark.parametrize(
    ("status", "code", "out"),
    [
        (204, 0, "1 líneas enviadas (las que Loki ya tenía no se repiten)\n"),
        (400, 1, "0 líneas enviadas"),
    ],
    ids=["taken", "refused"],
)
def test_the_command_as_it_is_typed(tmp_path: Path, loki: FakeLoki, status: int, code: int, out: str) -> None:
    path = _write(tmp_path / "spai.jsonl", _line(1))
    loki.status = status
    done = subprocess.run(
        [sys.executable, "-m", "observabilidad.logs", "reenviar", str(path)],
        cwd=ROOT,
        env={**os.environ, "LOKI_URL": loki.url},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (code, "")
    assert done.stdout.startswith(out)
