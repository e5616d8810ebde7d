"""Cancel the SLURM jobs that a killed run left behind in a folder: `python workflow/orphans.py FOLDER`.

Each run calls this at its start. It holds the lock on the folder, so no other run is active there: any Snakemake job
still in the queue for that folder is an orphan, and would write to the same files as the new run's jobs.
"""

import getpass
import subprocess
import sys
import time
from pathlib import Path
from textwrap import shorten

WAIT = 180  # seconds; SLURM kills a cancelled job after 30, or after the cluster's KillWait


def orphans(folder: Path) -> list[str]:
    """List the ids of this user's active jobs that Snakemake submitted from a folder."""
    command = ["squeue", "--noheader", f"--user={getpass.getuser()}", "--format=%i|%Z|%k"]
    found = []
    for line in subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines():
        job, _, rest = line.partition("|")
        place, _, comment = rest.rpartition("|")
        if comment.startswith("rule_") and Path(place).resolve() == folder.resolve():
            found.append(job)
    return found


def cancel(folder: Path) -> None:
    """Cancel the orphans of a folder and wait until they have ended.

    Raises:
        SystemExit: Some are still active after `WAIT` seconds.
    """
    jobs = orphans(folder)
    if not jobs:
        return
    print(
        f"cancelling {len(jobs)} SLURM jobs of an earlier run in {folder}: {shorten(', '.join(jobs), 80)}",
        file=sys.stderr,
    )
    subprocess.run(["scancel", *jobs], check=True)
    end = time.monotonic() + WAIT
    while left := set(jobs) & set(orphans(folder)):
        if time.monotonic() > end:
            raise SystemExit(
                f"SLURM jobs {', '.join(sorted(left))} do not end: cancel them with scancel, then run again"
            )
        time.sleep(1)


if __name__ == "__main__":
    cancel(Path(sys.argv[1]))
