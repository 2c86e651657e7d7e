"""One lock around all native inference in this process, and thread pools that sleep when idle.

Two native pools that spin on the same few cores cost twenty times the work, so the embedded model, the embedders and
OCR take turns.
"""

import ctypes
import os
import threading

LOCK = threading.Lock()


def threads() -> int:
    """How many threads native code may use: the processors this process may run on."""
    return max(1, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


def tame_thread_pools() -> None:
    """Make OpenMP threads sleep between calls; call before the first native library is loaded."""
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")


def give_back_memory() -> None:
    """Return freed memory to the system. Where the C library can't (only glibc can), nothing happens.

    glibc keeps what was freed in heaps of its own, one per thread, and hardly uses one thread's for another: each
    capture read left hundreds of MB behind. See malloc_trim(3).
    """
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError, TypeError):  # TypeError: Windows has no main program to look into
        return
    trim(ctypes.c_size_t(0))
