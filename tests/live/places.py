"""Where a real server is: at the URL of its setting, or a program in the cache that the tests start."""

import os
from pathlib import Path


def named(setting: str) -> str | None:
    """The URL that the process environment gives; `.env` is for the product, not for its tests."""
    return os.environ.get(setting, "").strip().rstrip("/") or None


def cache_folder() -> Path:
    """Where built servers are kept from one checkout to the next; the Makefile's CACHE."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "spai" / "servers"
