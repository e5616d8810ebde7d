# What all rules read: the checked config and the plan made from it. No rules here.
import hashlib
import os
import re
import shlex
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.utils import validate

from clipfold.models.catalog import plan_models, plan_shortcuts
from clipfold.plan import count_folds, find_manifest, read_extras, read_manifest, read_roles, shard_videos
from clipfold.provenance import fingerprint
from clipfold.requests import learn, read_records
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

# Jobs may run in a conda environment of their own: this is where they find the package.
SOURCE = str(Path(workflow.basedir, "src"))
os.environ |= {"PYTHONPATH": os.pathsep.join(filter(None, [SOURCE, os.getenv("PYTHONPATH")]))}

# Snakemake writes this path into shell commands as it is: a clone in a folder with a space would run no script.
sys.executable = shlex.quote(sys.executable)

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
    GIVEN_ROLES = read_roles(MANIFEST, config["columns"]) if SPLITS.scheme == "column" else {}
    FOLDS = range(count_folds(VIDEOS, SPLITS.scheme, SPLITS.folds, SPLITS.repeats))
    SHARDS = shard_videos(VIDEOS, config["shard_size"])
except ValueError as error:
    raise WorkflowError(str(error)) from None

# What an ensemble looks at is what its members look at.
EXPLAINED = [model for model in MODELS if model.input != "predictions" and model not in SHORTCUTS]

# What fits ask for; only the run itself asks.
NEEDS = {
    m.name: learn(m, read_records(Path("results/models", m.name).glob("fold-*/fit.json")), len(VIDEOS)) for m in MODELS
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


def shard_rows(wildcards):
    """The manifest's rows of a shard; for a file that cannot be an input also its time of modification."""
    rows = [{"id": v.id, "path": v.path, "label": v.label, "group": v.group} for v in SHARDS[wildcards.shard]]
    for row in rows:
        if not nameable(row["path"]) and os.path.isfile(row["path"]):
            row["mtime_ns"] = os.stat(row["path"]).st_mtime_ns
    return rows


def shard_files(wildcards):
    """The files of a shard that are there; probing says what is the matter with the others."""
    return [v.path for v in SHARDS[wildcards.shard] if nameable(v.path) and os.path.isfile(v.path)]


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
    return {"weights": weights} if weights not in (None, "", "pretrained") else {}


# What the fitted model is stored as.
SUFFIX = {"features": "skops", "clips": "safetensors", "predictions": "json"}

ENCODERS = {key_of(model.encoder): model.encoder for model in MODELS if model.encoder}

# What the report is made of besides Python.
PAGE = sorted(map(str, Path(SOURCE, "clipfold/report/page").iterdir()))


def of_each_fold(file):
    """A file of every model and fold, ordered by model, then fold."""
    return expand(f"results/models/{{model}}/fold-{{fold}}/{file}", model=[m.name for m in MODELS], fold=FOLDS)


def clips_at(size, stored):
    """The clips of a shard at a size, of the videos themselves ("frames") or their copies ("augmented")."""
    at_hand = f"results/{stored}/{{shard}}/clips.npy"
    return at_hand if size == DECODE.size else f"results/scaled/{size}/{{shard}}/{stored}.npy"


def collection(model):
    """What a model learns from, by the name of its collection; models of the same share it."""
    if model.input == "features":
        return "features", {"features": "results/features/{shard}.parquet"}
    size = model.settings["size"]
    clips, copies = (clips_at(size, stored) for stored in ("frames", "augmented"))
    if model.encoder:
        clips, copies = (f"results/embedded/{key_of(model.encoder)}/{{shard}}/{s}.npy" for s in ("frames", "augmented"))
    return key_of(model.encoder) if model.encoder else f"clips_{size}", {
        "clips": clips,
        "index": "results/frames/{shard}/index.parquet",
        "copies": copies,
        "copies_index": "results/augmented/{shard}/index.parquet",
    }


COLLECTIONS = dict(collection(model) for model in MODELS if model.input != "predictions")


def training_data(model):
    """The file that lists what a model learns from; of an ensemble, its members' predictions of the same fold."""
    if model.input == "predictions":
        members = model.settings["members"]
        return {"predictions": [f"results/models/{m}/fold-{{fold}}/predictions.parquet" for m in members]}
    return {"collection": f"results/collections/{collection(model)[0]}.json"}


def explained_data(model):
    """Files of all shards that an explanation of a model needs: of clips those that are predicted, without copies."""
    if model.input == "features":
        return {"features": expand("results/features/{shard}.parquet", shard=SHARDS)}
    return {
        "clips": expand(f"results/scaled/{model.settings['size']}/{{shard}}/frames.npy", shard=SHARDS),
        "index": expand("results/frames/{shard}/index.parquet", shard=SHARDS),
    }
