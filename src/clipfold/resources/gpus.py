"""Share the GPUs of a workstation between independent jobs. Standard library only."""

import fcntl
import logging
import os
import random
import re
import stat
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

logger = logging.getLogger(__name__)

VISIBLE = "CUDA_VISIBLE_DEVICES"
PATIENCE = 24 * 3600.0
"""Seconds to wait for GPUs at most: jobs that still make progress end sooner."""


def visible_gpus() -> list[str]:
    """List the GPUs that may be used: those in `CUDA_VISIBLE_DEVICES`, or all."""
    named = os.environ.get(VISIBLE)
    if named is not None:
        return [name.strip() for name in named.split(",") if name.strip()]
    folder = Path("/dev")
    return sorted(match[1] for path in folder.glob("nvidia*") if (match := re.fullmatch(r"nvidia(\d+)", path.name)))


@contextmanager
def reserve_gpus(count: int, job: str, locks: Path | None = None, patience: float = PATIENCE) -> Iterator[list[str]]:
    """Reserve GPUs that no other clipfold job of this user uses on this machine; wait until enough are free.

    Does nothing inside a SLURM job, where SLURM assigns the GPUs. A reservation is a locked file, which the system
    unlocks when the process ends, however it ends.

    Args:
        count: GPUs to reserve; all of them if the machine has fewer.
        job: What the GPUs are for, such as the log file of the job; shown to jobs that wait.
        locks: Folder of the lock files, shared by all jobs; by default one of this user in the system's temporary
            folder.
        patience: Seconds to wait at most.

    Yields:
        Names of the reserved GPUs, also in `CUDA_VISIBLE_DEVICES` within the block.

    Raises:
        ValueError: Others hold the GPUs for longer, or the folder of the lock files is not this user's alone.
    """
    here = visible_gpus()
    count = min(count, len(here))
    if not count or "SLURM_JOB_ID" in os.environ:
        yield []
        return
    before, waiting, end = os.environ.get(VISIBLE), False, time.monotonic() + patience
    folder = _private(locks or Path(tempfile.gettempdir(), f"clipfold-{os.getuid()}"))
    with ExitStack() as held:
        while True:
            mine, holders = _take(here, count, folder, job, held)
            if len(mine) == count:
                break
            held.close()  # two jobs that each hold what the other wants would wait forever
            by = ", ".join(sorted(holders))
            if time.monotonic() > end:
                raise ValueError(
                    f"waited {patience / 3600:.3g} h for {count} of the GPUs {', '.join(here)}, held by {by}: "
                    "end these jobs, or run fewer at a time"
                )
            if not waiting:
                logger.info("waiting for %d of the GPUs %s, held by %s", count, ", ".join(here), by)
            waiting = True
            time.sleep(random.uniform(0.2, 1))
        os.environ[VISIBLE] = ",".join(mine)
        logger.info("using the GPUs %s", ", ".join(mine))
        try:
            yield mine
        finally:
            os.environ.pop(VISIBLE)
            os.environ |= {} if before is None else {VISIBLE: before}


def _private(folder: Path) -> Path:
    """Make a folder that only this user can use; anyone can make one of that name in a temporary folder.

    Raises:
        ValueError: It is a link, another user's, or open to others.
    """
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise ValueError(f"{folder} is not a folder of yours alone: remove it, or set TMPDIR to another folder")
    return folder


def _take(devices: Sequence[str], count: int, folder: Path, job: str, held: ExitStack) -> tuple[list[str], set[str]]:
    """Lock devices that are free, at most `count`; returns them, and who holds the others that were tried."""
    mine: list[str] = []
    holders: set[str] = set()
    for device in devices:
        if len(mine) == count:
            break
        lock = folder / f"gpu-{re.sub(r'[^A-Za-z0-9-]', '_', device)}.lock"
        file = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        held.callback(os.close, file)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holders.add(os.read(file, 1000).decode(errors="replace"))
        else:
            os.truncate(file, 0)
            os.write(file, f"process {os.getpid()} ({job})".encode())
            mine.append(device)
    return mine, holders
