"""Run a workflow script's job: log file, time and peak memory, quiet failure, reuse of freed memory."""

import ctypes
import gc
import logging
import resource
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clipfold.storage.memory import peak_memory_mb

logger = logging.getLogger("clipfold")


@contextmanager
def logged(log: str) -> Iterator[None]:
    """Write a job's messages, warnings, time and peak memory to a log file.

    An error is logged with its traceback and ends the process silently: the caller reads the cause, the first line of
    the log record (`cause_of`), and prints it once.

    Args:
        log: The log file; an earlier one, or a link in its place, is removed.

    Raises:
        SystemExit: The job failed or was interrupted.
    """
    Path(log).parent.mkdir(parents=True, exist_ok=True)
    Path(log).unlink(missing_ok=True)
    handler = logging.FileHandler(log, mode="x", encoding="utf-8")  # "w" would write through a link
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    logging.captureWarnings(True)
    # SLURM's warning before the time limit would end the process; only training has something to save.
    before = signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    started = time.monotonic()
    keep_freed_memory()
    try:
        yield
    except KeyboardInterrupt:
        logger.error("interrupted")
        raise SystemExit(128 + signal.SIGINT) from None
    except SystemExit as end:  # training that was asked to stop, or one of its processes failed
        logger.error("ended with exit status %s", end.code)
        raise
    except Exception as error:
        logger.exception(cause_of(error))
        raise SystemExit(1) from None
    finally:
        peak = peak_memory_mb(children=True)
        own, children = (resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        cpu = own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime
        logger.info("took %.1f s, %.1f s CPU, peak memory %.0f MB", time.monotonic() - started, cpu, peak)
        signal.signal(signal.SIGUSR1, before)
        root.removeHandler(handler)
        handler.close()
        if "torch" not in sys.modules:  # the compiler that it brings would list at the end all that is left
            gc.freeze()  # the process ends: looking for cycles in all it loaded takes an eighth of a second


def cause_of(error: Exception) -> str:
    """Describe an error: the message if it is meant for users, such as a ValueError's; else also type and place."""
    ours = isinstance(error, ValueError) or type(error).__module__.startswith("clipfold.")
    if ours and str(error):
        return str(error)
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} ({Path(place.filename).name}, line {place.lineno})"


def keep_freed_memory() -> None:
    """Keep freed memory in this process and its forks for reuse, whatever its size.

    By default glibc returns large blocks to the system, which hands them out again page by page, zeroed: a quarter of
    the time of training a small network on a CPU. Without glibc nothing changes.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(-3, 1 << 30)  # M_MMAP_THRESHOLD: bytes from which a block gets its own mapping
        mallopt(-1, -1)  # M_TRIM_THRESHOLD: never
