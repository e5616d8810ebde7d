"""Cancel the SLURM jobs of a folder that a killed run left behind: `python workflow/orphans.py FOLDER`.

A run calls this on its start. Its lock on the folder says that no other run is at work there, so that whatever job of
Snakemake still is in that folder has nobody who waits for it, and would write beside the new run's jobs.
"""

import getpass
import subprocess
import sys
import time
from pathlib import Path

WAIT = 180  # seconds; SLURM gives a job 30 to end by itself, or what the cluster sets (KillWait)


def orphans(folder: Path) -> list[str]:
    """Ids of this user's jobs that Snakemake submitted from a folder and that have not ended."""
    command = ["squeue", "--noheader", f"--user={getpass.getuser()}", "--format=%i|%Z|%k"]
    found = []
    for line in subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines():
        job, _, rest = line.partition("|")
        place, _, comment = rest.rpartition("|")
        if comment.startswith("rule_") and Path(place).resolve() == folder.resolve():
            found.append(job)
    return found


def cancel(folder: Path) -> None:
    """Cancel them, say which, and wait until they are gone.

    Raises:
        SystemExit: they do not end.
    """
    jobs = orphans(folder)
    if not jobs:
        return
    print(f"cancelling {len(jobs)} SLURM jobs of an earlier run in {folder}: {', '.join(jobs)}", file=sys.stderr)
    subprocess.run(["scancel", *jobs], check=True)
    end = time.monotonic() + WAIT
    while left := set(jobs) & set(orphans(folder)):
        if time.monotonic() > end:
            raise SystemExit(f"SLURM jobs {', '.join(sorted(left))} do not end: see to them, then run again")
        time.sleep(1)


if __name__ == "__main__":
    cancel(Path(sys.argv[1]))
