# Check the config and make the plan, once. No rules and no side effects on files.
import gc
import os
import re
import shlex
import sys
from pathlib import Path

from snakemake.settings.types import DeploymentMethod

from clipfold.models.named_encoders import check_weights
from clipfold.plan import Plan
from clipfold.resources.estimate import estimate, read_fits

# The graph of a large run is millions of long-lived objects: not searching them for garbage saves a sixth of a dry run.
# `hooks.smk` ends this when jobs begin.
gc.disable()

if sys.getfilesystemencoding() != "utf-8":
    sys.exit(f"error: names of files are {sys.getfilesystemencoding()} in this locale: set PYTHONUTF8=1")

if re.search("[{}]", str(workflow.basedir)):
    sys.exit(
        f"error: {workflow.basedir}: Snakemake takes braces for wildcards: move the project, or start it by a link"
    )

# Jobs may run in a conda environment of their own, and import the package from here.
SOURCE = str(Path(workflow.basedir, "src"))
os.environ |= {"PYTHONPATH": os.pathsep.join(filter(None, [SOURCE, *os.getenv("PYTHONPATH", "").split(os.pathsep)]))}
# Python must not import what lies in the working directory, which may come from a stranger.
os.environ |= {"PYTHONSAFEPATH": "1"}

# Snakemake writes this path into shell commands unquoted: without this, no script runs from a folder with a space.
PYTHON = sys.executable
sys.executable = shlex.quote(sys.executable)

# envs/apptainer.def builds it. Named only on request: Snakemake refuses an image in a folder with a space.
if DeploymentMethod.APPTAINER in workflow.deployment_settings.deployment_method:

    container: f"{workflow.basedir}/clipfold.sif"


try:
    # A job reads its shard from the index that its run wrote: all rows of a million videos would take 14 s of each start.
    index = None if workflow.is_main_process else Path("results/plan/")
    PLAN = Plan.from_config(config, folders=[Path(), Path(workflow.basedir)], index=index)
    for key, settings in PLAN.encoders.items():
        # Where a file is missing, Snakemake takes what was made from embeddings earlier, of another encoder.
        if workflow.is_main_process and not Path("results/embedded", key).exists():
            check_weights(settings)
except ValueError as error:
    sys.exit(f"error: {error}")

SETTINGS = PLAN.settings
SHARDS = list(PLAN.shards)
FOLDS = PLAN.folds

# Resources of each model's fits: the catalog's figures, or the recorded usage of similar fits.
RESOURCES = {
    model.name: estimate(
        model,
        read_fits(Path("results/models", model.name).glob("fold-*/fit.json")),
        len(PLAN.videos),
    )
    for model in PLAN.models
}

# Processes of a data job. On one machine with more shards than cores, parallel jobs waste less than parallel processes.
LOCAL_CORES = workflow.resource_settings.cores if workflow.is_main_process else None
DATA_THREADS = max(1, min(4, LOCAL_CORES // max(1, len(SHARDS)))) if LOCAL_CORES else 4


wildcard_constraints:
    shard=r"\d+-of-\d+",
    group=r"\d+-of-\d+",
    block=r"\d+",
    size=r"\d+",
    fold=r"\d+",
    bundle=r"\w+",
    new_shard=r"\d+-of-\d+",
