"""Limit the memory of a worker, and tell a worker at its limit from a machine without memory. Standard library only."""

import mmap
import resource
import sys
from pathlib import Path

_SLACK = 1 << 20  # bytes that Python itself may map meanwhile
_UNLIMITED = 1 << 30  # bytes to ask for where there is no limit


def limit_address_space(memory_mb: int | None) -> None:
    """Let this process map as much more memory as keeps it within `memory_mb` in all. Only Linux can.

    What it has mapped before does not count: libraries take much address space and little memory.

    Args:
        memory_mb: memory of the whole job, in MB of 2**20 bytes; None for no limit.
    """
    if memory_mb is None or sys.platform != "linux":
        return
    mapped, resident = _mapped_and_resident()
    limit = mapped + max(0, (memory_mb << 20) - resident)
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))


def machine_refuses_memory() -> bool:
    """Find out, after an allocation failed, whether the machine refused it or this process's own limit.

    The process asks for all that its limit leaves. If it gets that, what failed was larger than the limit allows: a
    fact about the video. If not, the machine has less than it lent, which another try may find changed.
    """
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    rest = _UNLIMITED if limit == resource.RLIM_INFINITY else limit - _mapped_and_resident()[0] - _SLACK
    if rest <= 0:
        return False
    try:
        mmap.mmap(-1, rest, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS).close()
    except OSError:
        return True
    return False


def _mapped_and_resident() -> tuple[int, int]:
    mapped, resident = Path("/proc/self/statm").read_text(encoding="utf-8").split()[:2]
    return int(mapped) * mmap.PAGESIZE, int(resident) * mmap.PAGESIZE
