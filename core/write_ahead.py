"""SQLite's write-ahead log, switched on also where several processes open a new file at the same moment."""

import sqlite3


def write_ahead(connection: sqlite3.Connection, seconds: float = 5.0) -> None:
    """Give the file of `connection` a write-ahead log, and the `synchronous` that goes with it.

    Of two processes that turn a new file at once SQLite refuses one without a wait (its busy time-out does not cover
    the change of journal), so that one asks again, for `seconds` at most.

    Raises `sqlite3.OperationalError` when the file stays locked or cannot be used.
    Source: https://www.sqlite.org/wal.html, "Sometimes Queries Return SQLITE_BUSY In WAL Mode".
    """
    import stamina  # 40 ms, which a door that opens no file need not pay

    for attempt in stamina.retry_context(
        on=locked, attempts=None, timeout=seconds, wait_initial=0.01, wait_max=0.5, wait_jitter=0.05
    ):
        with attempt:
            connection.execute("PRAGMA journal_mode = WAL").fetchall()
    connection.execute("PRAGMA synchronous = NORMAL")


def locked(error: Exception) -> bool:
    """SQLite says that somebody else has the file."""
    return isinstance(error, sqlite3.OperationalError) and error.sqlite_errorname.startswith(
        ("SQLITE_BUSY", "SQLITE_LOCKED")
    )
