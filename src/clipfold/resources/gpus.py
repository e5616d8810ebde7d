"""Share the GPUs of a workstation between independent jobs. Standard library only."""

import fcntl
import logging
import os
import random
import re
import stat
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

logger = logging.getLogger(__name__)

VISIBLE = "CUDA_VISIBLE_DEVICES"
PATIENCE = 24 * 3600.0
"""Seconds to wait for GPUs at most: jobs that still make progress end sooner."""


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU that jobs may use.

    Args:
        name: Its name in `CUDA_VISIBLE_DEVICES`. CUDA numbers the GPUs that a process can see from 0.
        lock: Its name for all jobs of the machine, also where they see different GPUs, as containers do.
    """

    name: str
    lock: str


def visible_gpus(devices: Path = Path("/dev")) -> list[Gpu]:
    """List the GPUs that may be used: those in `CUDA_VISIBLE_DEVICES`, or all.

    Args:
        devices: Folder of the system's device files. The number in a file's name is the GPU's on the machine: in a
            container that was given one GPU of several, `nvidia3` may be the only file, and CUDA's number of it 0.
    """
    files = (re.fullmatch(r"nvidia(\d+)", path.name) for path in devices.glob("nvidia*"))
    minors = sorted(int(match[1]) for match in files if match)
    named = os.environ.get(VISIBLE)
    if named is None:
        if not minors and (devices / "dxg").exists():  # Windows' subsystem for Linux has one file for all
            return [Gpu("0", "dxg")]
        return [Gpu(str(number), str(minor)) for number, minor in enumerate(minors)]
    found = []
    for name in map(str.strip, named.split(",")):
        if not re.match(r"\d+$|GPU-|MIG-", name):  # CUDA ignores what follows, such as all after -1
            break
        known = name.isdigit() and int(name) < len(minors)
        found.append(Gpu(name, str(minors[int(name)]) if known else name))
    return found


@contextmanager
def reserve_gpus(
    count: int, job: str, locks: Path | None = None, patience: float = PATIENCE, fits_per_gpu: int = 1
) -> Iterator[list[str]]:
    """Reserve GPUs that no other clipfold job of this user uses on this machine; wait until enough are free.

    A job that asks for none sees none. SLURM assigns GPUs to its jobs; within one of several GPUs, which a workflow
    with a local profile may share among its fits, the reservations are of that SLURM job alone. A reservation is a
    locked file, which the system unlocks when the process ends, however it ends.

    Args:
        count: GPUs to reserve; all of them if the machine has fewer.
        job: What the GPUs are for, such as the log file of the job; shown to jobs that wait.
        locks: Folder of the lock files, shared by all jobs; by default one of this user in the system's temporary
            folder.
        patience: Seconds to wait at most.
        fits_per_gpu: Jobs that may use a GPU at the same time, all with the same number.

    Yields:
        Names of the reserved GPUs, also in `CUDA_VISIBLE_DEVICES` within the block.

    Raises:
        ValueError: Others hold the GPUs for longer, or the folder of the lock files is not this user's alone.
    """
    here = visible_gpus()
    count = min(count, len(here))
    if not here:
        yield []
        return
    if not count:
        with _environment({VISIBLE: ""}):
            yield []
        return
    names = ", ".join(gpu.name for gpu in here)
    waiting, end = False, time.monotonic() + patience
    folder = _private(locks or Path(tempfile.gettempdir(), f"clipfold-{os.getuid()}"))
    with ExitStack() as held:
        while True:
            mine, holders = _take(here, count, fits_per_gpu, folder, job, held)
            if len(mine) == count:
                break
            held.close()  # two jobs that each hold what the other wants would wait forever
            by = ", ".join(sorted(holders))
            if time.monotonic() > end:
                raise ValueError(
                    f"waited {patience / 3600:.3g} h for {count} of the GPUs {names}, held by {by}: "
                    "end these jobs, or run fewer at a time"
                )
            if not waiting:
                logger.info("waiting for %d of the GPUs %s, held by %s", count, names, by)
            waiting = True
            time.sleep(random.uniform(0.2, 1))
        logger.info("using the GPUs %s", ", ".join(mine))
        # By default CUDA numbers the fastest GPU first, and device files are numbered by slot.
        order = {} if VISIBLE in os.environ else {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
        with _environment({VISIBLE: ",".join(mine)} | order):
            yield mine


@contextmanager
def _environment(changes: Mapping[str, str]) -> Iterator[None]:
    """Set variables of the environment within the block."""
    before = {name: os.environ[name] for name in changes if name in os.environ}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name in changes:
            del os.environ[name]
        os.environ.update(before)


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


def _take(
    gpus: Sequence[Gpu], count: int, fits: int, folder: Path, job: str, held: ExitStack
) -> tuple[list[str], set[str]]:
    """Lock GPUs that are free, at most `count`; returns their names, and who holds the others that were tried.

    A job that shares a GPU locks its file together with others that do, and one of the numbered files alone.
    """
    within = f"{os.environ['SLURM_JOB_ID']}-" if "SLURM_JOB_ID" in os.environ else ""  # its GPUs have numbers from 0
    mine: list[str] = []
    holders: set[str] = set()
    for gpu in gpus:
        if len(mine) == count:
            break
        name = f"gpu-{re.sub(r'[^A-Za-z0-9-]', '_', within + gpu.lock)}"
        with ExitStack() as own:
            holder = _lock(folder / f"{name}.lock", job, own, alone=fits == 1)
            if fits > 1 and not holder:
                holder = _lock_limit(folder, name, fits, job, own)
            for place in range(fits if fits > 1 and not holder else 0):
                holder = _lock(folder / f"{name}-place-{place}.lock", job, own)
                if not holder:
                    break
            if holder:
                holders.add(holder)
            else:
                held.push(own.pop_all())
                mine.append(gpu.name)
    return mine, holders


def _lock_limit(folder: Path, name: str, fits: int, job: str, held: ExitStack) -> str:
    """Join the jobs that share a GPU by the same number; returns who shares it by another, if anyone does."""
    mine = folder / f"{name}-by-{fits}.lock"
    holder = _lock(mine, job, held, alone=False)
    with ExitStack() as looked:  # two jobs that look at the same time both see the other, and try again
        for other in folder.glob(f"{name}-by-*.lock"):
            if other != mine and not holder:
                holder = _lock(other, job, looked)
    return holder


def _lock(path: Path, job: str, held: ExitStack, alone: bool = True) -> str:
    """Lock a file, alone or with others; returns who holds it if that is not possible, else nothing."""
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(file, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(file, 1000).decode(errors="replace")
        os.close(file)
        return holder or "another process"
    held.callback(os.close, file)
    os.truncate(file, 0)
    os.write(file, f"process {os.getpid()} ({job})".encode())
    return ""
