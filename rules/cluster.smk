# What runs on a cluster need besides their profile; what a run will cost.
import atexit
import signal
import time

from snakemake.exceptions import WorkflowError
from snakemake.logging import logger

from clipfold.resources.usage import Request, forecast, record_requests, read_usage

# SLURM's warning before a time limit goes to all processes of a job. Training writes a checkpoint and ends; the Snakemake
# around it has to live until then.
if not workflow.is_main_process:
    signal.signal(signal.SIGUSR1, lambda number, frame: None)


# Short steps need no place in the queue.
localrules:
    splits,
    audit,
    check_leakage,
    report,


def planned_requests():
    """Rule and request of each job that is to run."""
    for job in workflow.dag.jobs:
        asked = job.resources
        if workflow.dag.needrun(job) and job.rule.name != "all":
            yield job.rule.name, Request(
                memory_mb=asked.get("mem_mb", 0),
                runtime=asked.get("runtime", 0),
                threads=job.threads,
                gpus=asked.get("gpu", 0),
            )


def say_forecast():
    jobs = list(planned_requests())
    if jobs:
        limits = workflow.resource_settings
        print(forecast(jobs, read_usage(Path("results/benchmarks")), limits.cores, limits.nodes or 1), file=sys.stderr)


# A dry run has no hook of its own.
if workflow.is_main_process:
    atexit.register(lambda: say_forecast() if workflow.dryrun and workflow.dag else None)


def check_results_folder():
    """A run that cannot write its results should say so before its first job does."""
    try:
        record_requests(Path("results/resources.json"), planned_requests())
    except OSError as error:
        raise WorkflowError(f"results cannot be written to {Path('results').resolve()}: {error.strerror}") from None


def check_clock():
    """A file from the future is newer than whatever is made of it."""
    late = [v.path for v in PLAN.videos if os.path.isfile(v.path) and os.stat(v.path).st_mtime > time.time() + 60]
    if late:
        logger.warning(
            f"{len(late)} videos were changed in the future, such as {late[0]}: they are run each time; touch them"
        )


onstart:
    if workflow.executor_plugin.name == "slurm":
        shell("{sys.executable} {workflow.basedir:q}/workflow/orphans.py .")
    check_results_folder()
    check_clock()
    say_forecast()
