"""What every workflow script shares: the log file, a record of time and memory, memory that is kept for reuse."""

import ctypes
import logging
import resource
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

logger = logging.getLogger("clipfold")


@contextmanager
def logged(log: str) -> Iterator[None]:
    """Run a job: messages, warnings and the traceback of an error go to `log`, a summary line at its end.

    Args:
        log: file that gets everything; made anew.
    """
    Path(log).parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(log, mode="w", encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    logging.captureWarnings(True)
    # A cluster's warning before the time limit, which would end the process: only training has something to save then.
    before = signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    started = time.monotonic()
    keep_freed_memory()
    try:
        yield
    except BaseException:
        logger.exception("failed")
        raise
    finally:
        own, children = (resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        peak_mb = max(own.ru_maxrss, children.ru_maxrss) / (1024 if sys.platform == "linux" else 1024**2)
        cpu = own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime
        logger.info("took %.1f s, %.1f s CPU, peak memory %.0f MB", time.monotonic() - started, cpu, peak_mb)
        signal.signal(signal.SIGUSR1, before)
        root.removeHandler(handler)
        handler.close()


def keep_freed_memory() -> None:
    """Have this process and those it forks reuse freed memory, whatever the size of the piece.

    By default the C library gives large pieces back to the system, which hands them out again page by page, zeroed: a
    quarter of the time of training a small network on a CPU. Where it is not glibc, nothing changes.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(-3, 1 << 30)  # M_MMAP_THRESHOLD: bytes from which a piece is a mapping of its own
        mallopt(-1, -1)  # M_TRIM_THRESHOLD: never
