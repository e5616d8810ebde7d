# What all rules read: the checked config and the plan made from it. No rules here.
import gc
import hashlib
import os
import re
import shlex
import sys
from itertools import chain
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.logging import logger
from snakemake.settings.types import DeploymentMethod
from snakemake.utils import validate

from clipfold.storage.integrity import incomplete_lists, truncated_outputs
from clipfold.models.catalog import plan_models, plan_shortcuts
from clipfold.manifest.read import find_manifest, is_address, read_extras, read_manifest, read_splits
from clipfold.manifest.shards import shard_videos
from clipfold.splits.feasibility import count_folds
from clipfold.storage.fingerprint import fingerprint
from clipfold.resources.estimate import estimate, read_records
from clipfold.settings import (
    AugmentSettings,
    DecodeSettings,
    ExplainSettings,
    PolicySettings,
    ProbeSettings,
    SplitSettings,
    check_allowed,
)
from clipfold.video.views import build_views

# A graph of thousands of jobs is millions of objects that stay: not looking for garbage among them saves 7 % of a dry run.
gc.set_threshold(1_000_000, 50, 1000)

# Jobs may run in a conda environment of their own: this is where they find the package.
SOURCE = str(Path(workflow.basedir, "src"))
os.environ |= {"PYTHONPATH": os.pathsep.join(filter(None, [SOURCE, os.getenv("PYTHONPATH")]))}

# Snakemake writes this path into shell commands as it is: a clone in a folder with a space would run no script.
sys.executable = shlex.quote(sys.executable)

# envs/apptainer.def makes it. Named only where it is asked for: Snakemake takes no image from a folder with a space.
if DeploymentMethod.APPTAINER in workflow.deployment_settings.deployment_method:

    container: f"{workflow.basedir}/clipfold.sif"


validate(config, "../config/schema.yaml")

try:
    ProbeSettings(**config["probe"])
    PolicySettings(**config["policy"])
    AugmentSettings(**config["augment"])
    ExplainSettings(**config["explain"])
    SPLITS = SplitSettings(**config["splits"])
    DECODE = DecodeSettings(**config["decode"])
    VIEWS = build_views(DECODE.views, DECODE.size)
    MODELS = plan_models(config["models"], largest_size=DECODE.size, most_frames=VIEWS["clips"].shape[0])
    SHORTCUTS = plan_shortcuts() if config["shortcuts"] else []
    MODELS += SHORTCUTS
    MANIFEST = find_manifest(config["manifest"], [Path(), Path(workflow.basedir)])
    VIDEOS = read_manifest(MANIFEST, config["columns"])
    check_allowed(config["allow_leakage"], SPLITS.scheme)
    GIVEN_SPLITS = read_splits(MANIFEST, config["columns"]) if SPLITS.scheme == "column" else {}
    FOLDS = range(count_folds(VIDEOS, SPLITS.scheme, SPLITS.folds, SPLITS.repeats))
    SHARDS = shard_videos(VIDEOS, config["shard_size"])
except ValueError as error:
    raise WorkflowError(str(error)) from None

# Files that nothing more is made of once their consumers are done. What models learn from is named in a collection, of
# which Snakemake does not know that it needs them.
TRAINED_AS_STORED = any(model.settings.get("size") == DECODE.size for model in MODELS if model.input == "clips")


def passing(path, needed=False):
    """An output that need not stay, unless the config or a collection wants it."""
    return path if needed or config["keep_intermediate"] else temp(path)


# What an ensemble looks at is what its members look at.
EXPLAINED = [model for model in MODELS if model.input != "predictions" and model not in SHORTCUTS]

# What is cut short is no result: removed before anything is planned, it is made again.
STAGES = [
    "metadata",
    "frames",
    "augmented",
    "resized",
    "embedded",
    "features",
    "splits",
    "collections",
    "models",
    "hashes",
    "explanations",
]
if workflow.is_main_process and not {"-n", "--dry-run", "--dryrun"} & {*sys.argv}:
    for path in chain.from_iterable(truncated_outputs(Path("results", s)) for s in [*STAGES, "evaluation", "report"]):
        logger.warning(f"{path} is cut short, as after a full or failing disk: removed, to be made again if needed")
        path.unlink()
    # Snakemake sees the list of a model's files, not the files: without the list it makes those that a model still needs.
    for path in incomplete_lists(Path("results/collections")):
        logger.warning(f"{path} lists files that are gone: removed, to be made again with what is needed of them")
        path.unlink()

# What fits ask for; only the run itself asks.
NEEDS = {
    m.name: estimate(m, read_records(Path("results/models", m.name).glob("fold-*/fit.json")), len(VIDEOS))
    for m in MODELS
}

# Processes of a data job. On one machine with more shards than cores, jobs side by side waste less than processes in one.
LOCAL_CORES = workflow.resource_settings.cores if workflow.is_main_process else None
DATA_THREADS = max(1, min(4, LOCAL_CORES // len(SHARDS))) if LOCAL_CORES else 4


wildcard_constraints:
    shard=r"\d+-of-\d+",
    size=r"\d+",
    fold=r"\d+",


def nameable(path):
    """Whether Snakemake takes a path as it is: {name}, <name> and a leading ~ mean something to it, without escape."""
    return not re.search(r"[{}]|<[a-z][a-z0-9_]*>|^~", path)


# Whether a storage plugin keeps the results: jobs then find only what they name as inputs.
STORING = workflow.storage_settings.default_storage_provider is not None


def given(path):
    """A file of the user's as an input: from storage if it has an address there, else as it lies here."""
    return storage(path) if is_address(path) else local(path) if STORING else path


def shard_rows(wildcards):
    """The manifest's rows of a shard; for a file that cannot be an input also its time of modification."""
    rows = [
        {"id": v.id, "path": v.path, "label": v.label, "group": v.group if v.grouped else None}
        for v in SHARDS[wildcards.shard]
    ]
    for row in rows:
        if is_address(row["path"]):
            row |= {"path": str(given(row["path"])), "fetched": True}
        elif not nameable(row["path"]) and os.path.isfile(row["path"]):
            row["mtime_ns"] = os.stat(row["path"]).st_mtime_ns
    return rows


def shard_files(wildcards):
    """The files of a shard that are there; probing says what is the matter with the others."""
    paths = (v.path for v in SHARDS[wildcards.shard] if nameable(v.path))
    return [given(path) for path in paths if is_address(path) or os.path.isfile(path)]


def shard_addresses(wildcards):
    """The videos of a shard that are in storage: what decodes them has them fetched, too."""
    return [given(v.path) for v in SHARDS[wildcards.shard] if is_address(v.path) and nameable(v.path)]


def code_of(script, *modules):
    """Fingerprint of a script and of modules with all that they import, or files."""
    return fingerprint(f"{workflow.basedir}/workflow/scripts/{script}.py", *modules)


def codes():
    """The fingerprints of all rules so far, by name."""
    return {rule.name: rule.params.code for rule in workflow.rules if hasattr(rule.params, "code")}


def model_entry(model):
    """A model as an entry of the config that has every setting, without what its jobs ask for."""
    return {"name": model.name, "architecture": model.architecture, **model.settings}


def growing(amount):
    """A resource that grows with each attempt at a job."""
    return lambda wildcards, attempt: amount * attempt


def key_of(encoder):
    """Name of the folder for the embeddings of an encoder."""
    return f"{encoder['encoder']}_{hashlib.blake2b(repr(encoder).encode(), digest_size=4).hexdigest()}"


def weights_file(settings):
    """The file of pre-trained weights as an input, where the settings name one: a changed file is another model."""
    weights = settings.get("weights")
    return {"weights": given(weights)} if weights not in (None, "", "pretrained") else {}


# What the fitted model is stored as.
SUFFIX = {"features": "skops", "clips": "safetensors", "predictions": "json"}

ENCODERS = {key_of(model.encoder): model.encoder for model in MODELS if model.encoder}

# What the report is made of besides Python.
PAGE = sorted(map(str, Path(SOURCE, "clipfold/report/page").iterdir()))


def of_each_fold(file):
    """A file of every model and fold, ordered by model, then fold."""
    return expand(f"results/models/{{model}}/fold-{{fold}}/{file}", model=[m.name for m in MODELS], fold=FOLDS)


MODEL_FILES = [f"results/models/{m.name}/fold-{fold}/model.{SUFFIX[m.input]}" for m in MODELS for fold in FOLDS]


def clips_at(size, stored):
    """The clips of a shard at a size, of the videos themselves ("frames") or their copies ("augmented")."""
    at_hand = f"results/{stored}/{{shard}}/clips.npy"
    return at_hand if size == DECODE.size else f"results/resized/{size}/{{shard}}/{stored}.npy"


def collection(model, encoded=True):
    """What a model learns from, by the name of its collection; models of the same share it."""
    if model.input == "features":
        return "features", {"features": "results/features/{shard}.parquet"}
    name = f"clips_{model.settings['size']}"
    clips, copies = (clips_at(model.settings["size"], stored) for stored in ("frames", "augmented"))
    if encoded and model.encoder:
        name = key_of(model.encoder)
        clips, copies = (f"results/embedded/{name}/{{shard}}/{stored}.npy" for stored in ("frames", "augmented"))
    return name, {
        "clips": clips,
        "index": "results/frames/{shard}/index.parquet",
        "augmented": copies,
        "augmented_index": "results/augmented/{shard}/index.parquet",
    }


# Explanations are of pictures, also where a model learns from embeddings.
COLLECTIONS = dict(collection(m, encoded) for m in MODELS if m.input != "predictions" for encoded in (True, False))


def data_of(model, encoded=True):
    """A model's data as inputs: a list of the files, or the files themselves where they must be fetched from storage."""
    name, files = collection(model, encoded)
    if STORING:
        return {kind: expand(file, shard=SHARDS) for kind, file in files.items()}
    return {"collection": f"results/collections/{name}.json"}


def training_data(model):
    """What a model learns from; an ensemble from its members' predictions of the same fold."""
    if model.input == "predictions":
        members = model.settings["members"]
        return {"predictions": [f"results/models/{m}/fold-{{fold}}/predictions.parquet" for m in members]}
    return data_of(model)
