"""One lock around all native inference in this process, and thread pools that sleep when idle.

Two native pools that spin on the same few cores cost twenty times the work, so the embedded model, the embedders and
OCR take turns.
"""

import os
import threading

LOCK = threading.Lock()


def threads() -> int:
    """How many threads native code may use: the processors this process may run on."""
    return max(1, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


def tame_thread_pools() -> None:
    """Make OpenMP threads sleep between calls; call before the first native library is loaded."""
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
