import logging
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from core.errors import DependencyError
from llm.history import Call, History
from llm.history.schema import FILE, MIGRATIONS, connect
from llm.history.store import digest


def call(**changes: object) -> Call:
    fields: dict[str, object] = {
        "time": "2025-01-01T10:00:00.000+00:00", "module": "choose", "provider": "scripted", "model": "m",
        "prompt": "el prompt", "input": '[{"role": "user", "content": "hola"}]', "output": "{}",
    }  # fmt: skip
    return Call(**{**fields, **changes})  # type: ignore[arg-type]


def rows(folder: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(folder / FILE)) as connection:
        return connection.execute(query).fetchall()


def test_calls_are_kept_with_their_texts_once(tmp_path: Path) -> None:
    with History(tmp_path) as history:
        history.record(call(input_tokens=7, output_tokens=3, milliseconds=1.5, incident="INC1", run="r", logit=-2.5))
        history.record(call(output="otra"))
        history.record(call(output=None, ok=False, error="MODEL_TIMEOUT", repair=True))
    assert history.lost == 0
    assert rows(tmp_path, "SELECT input_tokens, output_tokens, incident, run, logit FROM calls WHERE logit < 0") == [
        (7, 3, "INC1", "r", -2.5)
    ]
    assert rows(tmp_path, "SELECT ok, error, repair FROM calls WHERE output_hash IS NULL") == [(0, "MODEL_TIMEOUT", 1)]
    texts = {content for (content,) in rows(tmp_path, "SELECT content FROM texts")}
    assert texts == {"el prompt", call().input, "{}", "otra"}
    assert all(digest(str(c)) == h for h, c in rows(tmp_path, "SELECT sha256, content FROM texts"))


def test_a_second_run_adds_to_the_same_file(tmp_path: Path) -> None:
    for _ in range(2):
        with History(tmp_path) as history:
            history.record(call())
    assert rows(tmp_path, "SELECT count(*) FROM calls") == [(2,)]
    assert rows(tmp_path, "PRAGMA user_version") == [(len(MIGRATIONS),)]
    assert rows(tmp_path, "PRAGMA journal_mode") == [("wal",)]


def test_flush_writes_before_the_interval_is_over(tmp_path: Path) -> None:
    with History(tmp_path, interval=60) as history:
        history.record(call())
        assert history.flush()
        assert rows(tmp_path, "SELECT count(*) FROM calls") == [(1,)]


def test_many_threads_lose_nothing(tmp_path: Path) -> None:
    with History(tmp_path, interval=0.01) as history:
        threads = [threading.Thread(target=lambda: [history.record(call()) for _ in range(50)]) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert (history.lost, rows(tmp_path, "SELECT count(*) FROM calls")) == (0, [(200,)])


@pytest.mark.faults
def test_a_disk_that_fails_does_not_stop_the_run_and_the_loss_is_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    history = History(tmp_path, interval=0.01, capacity=3)
    history._connection.execute("PRAGMA max_page_count = 1")  # the file cannot grow: SQLITE_FULL, as on a full disk
    with caplog.at_level(logging.WARNING):
        for _ in range(5):
            history.record(call(input="x" * 100_000))
        assert not history.flush(timeout=0.2)
        history.close()
    assert history.lost == 5
    assert [r.action for r in caplog.records] == ["history_failing", "history_lost"]  # type: ignore[attr-defined]


@pytest.mark.faults
def test_what_a_locked_file_held_back_is_written_later(tmp_path: Path) -> None:
    with History(tmp_path, interval=0.01) as history:
        history._connection.execute("PRAGMA busy_timeout = 1")
        with closing(sqlite3.connect(tmp_path / FILE, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            history.record(call())
            assert not history.flush(timeout=0.1)
            other.execute("ROLLBACK")
        assert history.flush()
    assert (history.lost, rows(tmp_path, "SELECT count(*) FROM calls")) == (0, [(1,)])


def test_a_call_after_closing_is_counted_as_lost(tmp_path: Path) -> None:
    history = History(tmp_path)
    history.close()
    history.close()
    history.record(call())
    assert history.lost == 1


def test_text_that_is_no_unicode_is_kept_all_the_same(tmp_path: Path) -> None:
    with History(tmp_path) as history:
        history.record(call(output="a\ud800"))
    assert rows(tmp_path, "SELECT count(*) FROM texts WHERE content = 'a?'") == [(1,)]


def test_a_newer_file_is_left_alone(tmp_path: Path) -> None:
    with closing(connect(tmp_path)) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(DependencyError, match="más nueva"):
        History(tmp_path)
    assert rows(tmp_path, "PRAGMA user_version") == [(99,)]


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"esto no es SQLite" * 100)
    with pytest.raises(DependencyError, match=FILE):
        History(tmp_path)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "fichero").write_text("")
    with pytest.raises(DependencyError, match=FILE):
        History(tmp_path / "fichero")
