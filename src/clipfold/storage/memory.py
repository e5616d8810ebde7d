"""Peak memory of this process. Standard library only."""

import resource
import sys


def peak_memory_mb(*, children: bool = False) -> float:
    """Measure the highest resident memory of this process so far, in MB of 2**20 bytes.

    Args:
        children: Also look at the child processes that have ended; the largest single process counts.
    """
    who = [resource.RUSAGE_SELF, *([resource.RUSAGE_CHILDREN] if children else [])]
    peak = max(resource.getrusage(each).ru_maxrss for each in who)
    return peak / (1024 if sys.platform == "linux" else 1024**2)
