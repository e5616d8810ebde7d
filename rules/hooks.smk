# Everything with an effect outside of jobs: integrity, forecast, checks before the first job, orphans of a killed run,
# the last line.
import atexit
import gc
import math
import re
import shutil
import signal
from contextlib import suppress
from functools import cache

from snakemake.exceptions import WorkflowError
from snakemake.io import strip_wildcard_constraints
from snakemake.logging import logger

from clipfold.image.source import file_size
from clipfold.manifest.contents import recognise, write_contents
from clipfold.manifest.groups import grouping_notes
from clipfold.manifest.paths import join
from clipfold.manifest.read import missing_files
from clipfold.models.named_encoders import gmac_of
from clipfold.resources.forecast import Work, forecast, machine_speed, megapixels
from clipfold.resources.gpus import visible_gpus
from clipfold.resources.usage import Request, read_usage, record_requests
from clipfold.storage.integrity import incomplete_lists, move_aside, own_outputs, truncated_outputs
from clipfold.storage.layout import ESTIMATES

# Before a time limit SLURM signals all processes of a job. Training then writes a checkpoint and ends; the Snakemake
# around it must survive until then.
if not workflow.is_main_process:
    signal.signal(signal.SIGUSR1, lambda number, frame: None)


# Too short to be worth a place in the queue.
localrules:
    splits,
    audit,
    check_leakage,
    report,
    predictions,


FOLDER = Path.cwd()  # Snakemake leaves --directory before the last hooks


# What rules write outside of a shard, model or fold of this plan is not theirs to judge.
WILDCARDS = {
    "shard": SHARDS,
    "group": GROUPS,
    "block": range(BLOCKS),
    "fold": FOLDS,
    "size": {s["size"] for s in [*(m.settings for m in PLAN.models if m.input == "clips"), *PLAN.encoders.values()]},
    "stored": ["frames", "augmented"],
    "bundle": PLAN.config.bundle.models,
    "new_shard": PLAN.new_shards,
}


def planned_outputs():
    """List the files that this plan's rules wrote."""
    patterns = [strip_wildcard_constraints(str(file)) for rule in workflow.rules for file in rule.output]
    # Snakemake tracks lists of an encoder's arrays, not the arrays.
    patterns += [f"results/embedded/{key}/{{stored}}/{{shard}}.npy" for key in PLAN.encoders]
    return own_outputs(map(Path, expand(patterns, **WILDCARDS)), Path("results"))


def move_broken_aside():
    """Move truncated outputs aside before anything is planned, so that they are made again."""
    outputs = planned_outputs()
    for path in truncated_outputs(outputs):
        aside(path, "is truncated, as after a full or failing disk")
    # Snakemake tracks the list of a model's or an encoder's files, not the files: without the list it makes those that
    # are needed.
    lists = ("results/collections/*.json", "results/embedded/*/*/*.list.json")
    for path in incomplete_lists(path for path in outputs if any(map(path.match, lists))):
        aside(path, "lists files that are missing")


def check_records():
    """Stop if nothing tells how the results were made: Snakemake would take them for those of any configuration."""
    if {"--forceall", "-F"} & set(sys.argv[1:]):
        return
    if any(any(Path(".snakemake", kind).glob("*")) for kind in ("metadata", "incomplete")):
        return
    if outputs := planned_outputs():
        sys.exit(
            f"error: the records of how {outputs[0]} and the other results were made are missing, so nothing tells whether"
            f" they fit this configuration. Put {FOLDER / '.snakemake'} back, or make all results again with --forceall"
        )


def aside(path, why):
    """Move an output aside and say so."""
    try:
        logger.warning(f"{path} {why}: moved to {move_aside(path)}, and made again if needed")
    except OSError as error:
        sys.exit(f"error: {path} {why}, and cannot be moved aside: {error.strerror}")


# Options with which Snakemake only shows something; short ones may be joined, as in -np.
ONLY_SHOWS = re.compile(
    r"-[pqrFfk]*n[pqrFfk]*|-[lDS]|--(dry-?run|unlock|lint|dag|rulegraph|filegraph|d3dag|list.*|summary|detailed-summary|report.*)(=.*)?"
)

# The effects at parse time: no hook comes before the plan.
if workflow.is_main_process and not IN_STORAGE:
    RECOGNISED |= recognise(PLAN.shards, contents_record)
    if not any(map(ONLY_SHOWS.fullmatch, sys.argv[1:])):
        check_records()
        with suppress(OSError):  # a folder that cannot be written is reported before the first job
            PLAN.write_index(Path("results/plan/"))
            for shard, contents in RECOGNISED.items():
                write_contents(contents_record(shard), contents)
        move_broken_aside()


def planned_requests():
    """Yield the rule and the resource request of each job to run."""
    for job in workflow.dag.jobs:
        asked = job.resources
        if workflow.dag.needrun(job) and job.rule.name != "all":
            yield job.rule.name, Request(
                memory_mb=asked.get("mem_mb", 0),
                runtime=asked.get("runtime", 0),
                threads=job.threads,
                gpus=asked.get("gpu", 0),
            )


def described(model):
    """What the forecast needs to know of a model."""
    embedded = model.encoder is not None
    return {"input": model.input, "settings": model.settings, "gmac": model.gmac, "embedded": embedded}


def described_encoder(settings):
    """What the forecast needs to know of an encoder, which embeds all frames of stored clips."""
    return {"input": "clips", "settings": settings, "gmac": gmac_of(settings, PLAN.views["clips"].shape[0])}


@cache
def file_sizes():
    """Look up the bytes of each file, once; None for folders of frames, members of tar files and what is missing."""
    return {path: file_size(join(f"{FOLDER}/", path)) for path in dict.fromkeys(v.path for v in PLAN.videos)}


def work():
    """Summarise the data and models that decide how long this run takes."""
    sizes = {} if PLAN.table else file_sizes()
    files = [(join(f"{FOLDER}/", path), size) for path, size in sizes.items() if size is not None]
    others = [join(f"{FOLDER}/", path) for path, size in sizes.items() if size is None]
    command = [PYTHON, "-P", "-m", "clipfold.video.sample"]
    return Work(
        videos=len(PLAN.videos),
        shards=len(SHARDS),
        groups=len(GROUPS),
        megapixels=megapixels(files, others, command) if sizes else 0,
        copies=PLAN.config.augment.drawn["copies"],
        stored={name: math.prod(view.shape) for name, view in PLAN.views.items()},
        size=PLAN.size,
        folds=len(FOLDS),
        models={m.name: described(m) for m in PLAN.models}
        | {key: described_encoder(settings) for key, settings in PLAN.encoders.items()},
        speed=machine_speed(),
    )


def show_missing(show):
    """Show how many videos are missing before hours are spent on the others."""
    missing = missing_files((video for video in PLAN.videos if file_sizes()[video.path] is None), FOLDER)
    if missing:
        show(f"{len(missing)} of {len(PLAN.videos)} videos are not there, the first is {missing[0]}")


def show_unlabelled(show):
    """Show how many rows have no label: a mistake, unless they are there to be predicted."""
    lacking = [video.id for video in PLAN.videos if not video.label]
    if lacking:
        show(
            f"{len(lacking)} of {len(PLAN.videos)} rows have no label and are only predicted, the first is {lacking[0]}"
        )


def show_chained(show):
    """Show that groups chain into one, before hours are spent on folds that cannot keep them apart."""
    _, warning = grouping_notes([video.values for video in PLAN.videos if video.label])
    if warning:
        show(warning)


def show_left_out(show):
    """Show the columns of a table that nothing can be learned from."""
    for name, why in list(PLAN.table.left_out.items())[:5] if PLAN.table else []:
        show(f"column {name!r} of {PLAN.manifest} is left out: it is {why}")


def show_forecast(show):
    """Show the forecast of the planned jobs."""
    jobs = list(planned_requests())
    if jobs:
        limits = workflow.resource_settings
        usage = read_usage(FOLDER / "results/benchmarks")
        free = shutil.disk_usage(FOLDER).free
        here = len(visible_gpus())
        show(forecast(jobs, usage, work(), limits.cores, limits.nodes or 1, free, here))


def name_report(show):
    """Show where the report is, if it is a target of this run."""
    page = FOLDER / rules.report.output[0]
    if page.exists() and any(job.rule.name == "report" for job in workflow.dag.jobs):
        show(f"Report: {page}")


def end_without_run():
    """Show the forecast of a dry run, or the report if there was nothing to do: Snakemake has no hook for these."""
    if workflow.dag is None or workflow.scheduler is None:
        return
    if workflow.dryrun:
        for look in (show_missing, show_unlabelled, show_chained, show_left_out):
            look(lambda text: print(f"warning: {text}", file=sys.stderr))
        show_forecast(lambda text: print(text, file=sys.stderr))
    elif len(workflow.dag) == 0:
        name_report(lambda text: print(text, file=sys.stderr))


if workflow.is_main_process:
    atexit.register(end_without_run)


def check_results_folder():
    """Stop before the first job if results cannot be written."""
    try:
        record_requests(Path(ESTIMATES), planned_requests())
    except OSError as error:
        raise WorkflowError(f"results cannot be written to {Path('results').resolve()}: {error.strerror}") from None


onstart:
    gc.freeze()  # all that is planned stays
    gc.enable()
    if workflow.executor_plugin.name == "slurm":
        shell("{sys.executable} {workflow.basedir:q}/workflow/orphans.py .")
    check_results_folder()
    show_missing(logger.warning)
    show_unlabelled(logger.warning)
    show_chained(logger.warning)
    show_left_out(logger.warning)
    show_forecast(logger.info)


onsuccess:
    name_report(logger.info)
