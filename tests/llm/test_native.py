"""llm/native.py: as many threads as processors we may use, and pools that sleep."""

import os

import pytest

from llm import native


@pytest.mark.parametrize(("allowed", "threads"), [({0, 3, 5}, 3), ({7}, 1), (set(), 1)], ids=["three", "one", "none"])
def test_threads_are_the_processors_we_may_use(
    allowed: set[int], threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: allowed, raising=False)
    assert native.threads() == threads


@pytest.mark.parametrize(("count", "threads"), [(6, 6), (None, 1)], ids=["known", "unknown"])
def test_a_system_without_affinity(count: int | None, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: count)
    assert native.threads() == threads


@pytest.mark.parametrize(
    ("before", "after"), [(None, "passive"), ("active", "active")], ids=["unset", "the user's own"]
)
def test_thread_pools_are_tamed(before: str | None, after: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Set first, so that the variable goes back to what it was.
    monkeypatch.setenv("OMP_WAIT_POLICY", before or "")
    if before is None:
        monkeypatch.delenv("OMP_WAIT_POLICY")
    native.tame_thread_pools()
    assert os.environ["OMP_WAIT_POLICY"] == after
