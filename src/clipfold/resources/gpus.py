"""Share the GPUs of a workstation between independent jobs. Standard library only."""

import fcntl
import logging
import os
import random
import re
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

logger = logging.getLogger(__name__)

VISIBLE = "CUDA_VISIBLE_DEVICES"


def visible_gpus() -> list[str]:
    """List the GPUs that may be used: those in `CUDA_VISIBLE_DEVICES`, or all."""
    named = os.environ.get(VISIBLE)
    if named is not None:
        return [name.strip() for name in named.split(",") if name.strip()]
    folder = Path("/dev")
    return sorted(match[1] for path in folder.glob("nvidia*") if (match := re.fullmatch(r"nvidia(\d+)", path.name)))


@contextmanager
def reserve_gpus(count: int, locks: Path | None = None) -> Iterator[list[str]]:
    """Reserve GPUs that no other clipfold job on this machine uses; wait until enough are free.

    Does nothing inside a SLURM job, where SLURM assigns the GPUs. A reservation is a locked file, which the system
    unlocks when the process ends, however it ends.

    Args:
        count: GPUs to reserve; all of them if the machine has fewer.
        locks: Folder of the lock files, shared by all jobs; by default the system's temporary folder.

    Yields:
        Names of the reserved GPUs, also in `CUDA_VISIBLE_DEVICES` within the block.
    """
    here = visible_gpus()
    count = min(count, len(here))
    if not count or "SLURM_JOB_ID" in os.environ:
        yield []
        return
    before, waiting = os.environ.get(VISIBLE), False
    with ExitStack() as held:
        while len(mine := _take(here, count, locks or Path(tempfile.gettempdir()), held)) < count:
            held.close()  # two jobs that each hold what the other wants would wait forever
            if not waiting:
                logger.info("waiting for %d of the GPUs %s", count, ", ".join(here))
            waiting = True
            time.sleep(random.uniform(0.2, 1))
        os.environ[VISIBLE] = ",".join(mine)
        logger.info("using the GPUs %s", ", ".join(mine))
        try:
            yield mine
        finally:
            os.environ.pop(VISIBLE)
            os.environ |= {} if before is None else {VISIBLE: before}


def _take(devices: Sequence[str], count: int, locks: Path, held: ExitStack) -> list[str]:
    """Lock devices that are free, at most `count`."""
    mine: list[str] = []
    for device in devices:
        if len(mine) == count:
            break
        file = _open(locks / f"clipfold-gpu-{re.sub(r'[^A-Za-z0-9-]', '_', device)}.lock")
        held.callback(os.close, file)
        with suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            mine.append(device)
    return mine


def _open(path: Path) -> int:
    """Open a lock file that other users' jobs can lock too."""
    with suppress(FileNotFoundError):
        return os.open(path, os.O_RDWR)  # some systems refuse O_CREAT on an existing file of another user
    file = os.open(path, os.O_RDWR | os.O_CREAT)
    with suppress(PermissionError):
        os.fchmod(file, 0o666)
    return file
