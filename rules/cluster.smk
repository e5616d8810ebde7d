# What runs on a cluster need besides their profile.
import signal

# SLURM's warning before a time limit goes to all processes of a job. Training writes a checkpoint and ends; the Snakemake
# around it has to live until then.
if not workflow.is_main_process:
    signal.signal(signal.SIGUSR1, lambda number, frame: None)


# Short steps need no place in the queue.
localrules:
    splits,
    audit,
    gate,
    report,


onstart:
    if workflow.executor_plugin.name == "slurm":
        shell("{sys.executable} {workflow.basedir:q}/workflow/orphans.py .")
